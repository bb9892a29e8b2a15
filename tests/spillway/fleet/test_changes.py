"""What one fleet file says differently from another, and what of it needs a start."""

import pytest
from hypothesis import given

from router.live.reloading import Change, ReloadError
from spillway.fleet import read
from spillway.fleet.changes import changes, refuse_what_needs_a_start
from tests.spillway.fleet.test_any_input import fleet_files

ONE = """
sites:
  home: {kind: home, endpoints: ["127.0.0.1:1"]}
  ridge:
    kind: rented
    ray: {dashboard: "http://127.0.0.1:8265", runtime_env: {env_vars: {TOKEN: hush}}}
    model: m
    price: {metered: 3 USD/h}
models: {m: {source: built-in}}
slo_classes: {chat: {ttft: 1s, itl: 1s}}
tenants: {acme: {weight: 2}}
router: {listen: "127.0.0.1:7070"}
"""


def between(after, before=ONE):
    return {one.key: (one.before, one.after) for one in changes(read(before), read(after))}


def test_the_same_is_no_change():
    assert between(ONE) == {}
    assert between("# another comment\n" + ONE) == {}


def test_each_key_that_differs_is_named_with_what_it_was_and_is():
    other = ONE.replace("3 USD/h", "4 USD/h").replace("weight: 2", "weight: 2, streams_max: 9")
    assert between(other) == {
        "sites.ridge.price.metered": ("3 USD/h", "4 USD/h"),
        "tenants.acme.streams_max": ("", "9"),
    }


def test_what_comes_or_goes_does_so_as_a_whole():
    """Sites, tenants, classes, models."""
    other = ONE.replace("tenants: {acme: {weight: 2}}", "tenants: {bolt: {}}")
    found = between(other)
    assert found["tenants.acme"] == ('{"weight": 2}', "")
    assert found["tenants.bolt"] == ("", "{}")


def test_no_variable_of_an_environment_is_shown():
    """They hold secrets; that one has changed can be seen."""
    found = between(ONE.replace("hush", "hash"))
    assert list(found) == ["sites.ridge.ray.runtime_env"]
    assert "hush" not in str(found)
    assert "hash" not in str(found)
    gone = ONE[: ONE.index("  ridge:")] + ONE[ONE.index("models:") :]
    assert "hush" not in str(between(gone.replace("models: {m: {source: built-in}}", "")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change("router.listen", "a:1", "a:2"), "router.listen cannot change"),
        (Change("router.audit.path", "", "log"), "it is its default, and would be log"),
        (Change("router.authentication.keys_file", "", "keys"), "keys_file cannot change"),
        (Change("router.authentication.keys_file", "keys", ""), "keys_file cannot change"),
    ],
)
def test_what_needs_a_start_is_named(change, said):
    with pytest.raises(ReloadError, match=said):
        refuse_what_needs_a_start((Change("sites.home.region", "", "x"), change))


def test_everything_else_may_change_while_a_router_runs():
    refuse_what_needs_a_start(
        (
            Change("router.authentication.keys_file", "keys", "other"),
            Change("router.drain_timeout", "1s", "2s"),
            Change("sites.home", "", "{}"),
            Change("limits.queue_max", "1", "2"),
        )
    )


@given(fleet_files(), fleet_files())
def test_any_two_files_can_be_told_apart(one, other):
    """Each difference once; and none with itself."""
    assert changes(one, one) == ()
    found = changes(one, other)
    assert len({change.key for change in found}) == len(found)
    assert all(change.before != change.after for change in found)
