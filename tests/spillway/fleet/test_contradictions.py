"""Keys that are right by themselves and cannot be meant together are refused."""

import copy
import json

import pytest

from spillway.fleet import FleetError, read, write

FLEET = {
    "sites": {
        "cellar": {"kind": "home", "endpoints": ["127.0.0.1:1"]},
        "ridge": {
            "kind": "rented",
            "ray": {"dashboard": "http://127.0.0.1:8265"},
            "price": {"metered": "2 USD/h"},
            "model": "llama",
        },
    },
    "models": {"llama": {"source": "/llama", "aliases": ["default"]}},
    "slo_classes": {"interactive": {"ttft": "1s", "itl": "50ms"}},
}


def with_change(path: str, value: object) -> str:
    """FLEET as YAML (which JSON is), with a value set or, for None, removed."""
    fleet = copy.deepcopy(FLEET)
    *parents, last = path.split(".")
    inner = fleet
    for part in parents:
        inner = inner.setdefault(part, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(fleet)


def test_a_ledger_is_somewhere():
    """Its file is part of what a router is told."""
    file = read(with_change("router.ledger", {"path": "ledger.sqlite", "attempts_kept": "7d"}))
    assert file.router.ledger.attempts_kept_s == 7 * 86_400.0


@pytest.mark.parametrize(
    ("ledger", "message"),
    [
        ({"commit": "1s"}, "nothing says where it is; give path or url"),
        ({"path": "l", "url": "postgresql://h/l"}, "it is in one place"),
        ({"path": "l", "password_file": "p"}, "a file of SQLite's has no password"),
        ({"url": "mysql://h/l"}, "expected the database's URL, such as postgresql://"),
        ({"url": "postgresql://h"}, "expected the database's URL"),
        ({"url": "postgresql://[h/l"}, "expected the database's URL"),
        ({"url": "postgresql://u:secret@h/l"}, "a password does not belong into this file"),
        ({"url": "postgresql://h/l?password=secret"}, "a password does not belong"),
    ],
)
def test_a_ledger_that_is_nowhere_or_in_two_places_is_refused(ledger, message):
    """Without a word of its password."""
    with pytest.raises(FleetError, match=r"router\.ledger") as refused:
        read(with_change("router.ledger", ledger))
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tenants.acme.budget_monthly", "9 USD/month"),
        ("tenants.acme.warn_monthly", "9 USD/month"),
        ("sites.ridge.price.warn_monthly", "9 USD/month"),
    ],
)
def test_what_is_bounded_by_the_month_needs_a_ledger(path, value):
    """A restart would forget what was spent."""
    text = with_change(path, value)
    with pytest.raises(FleetError, match=r"remembers .* by its ledger; give router\.ledger"):
        read(text)
    with_ledger = {**json.loads(text), "router": {"ledger": {"path": "l"}}}
    file = read(json.dumps(with_ledger))
    assert read(write(file)) == file


def test_a_store_is_where_there_is_something_to_share():
    """A budget or a tenant's rate; where it is, is part of what a router is told."""
    text = with_change("sites.ridge.price", {"metered": "2 USD/h", "budget_hourly": "9 USD/h"})
    fleet = json.loads(text)
    fleet["router"] = {"store": {"url": "redis://10.0.0.9:6379/1", "name": "cellar"}}
    read_back = read(json.dumps(fleet))
    assert read_back.router.store.url == "redis://10.0.0.9:6379/1"
    assert read(write(read_back)).router == read_back.router


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ({"name": "cellar"}, "nothing says where it is; give url"),
        ({"url": "10.0.0.9"}, "expected the server's URL, such as redis://10.0.0.9:6379/0"),
        ({"url": "redis://h:70000"}, "expected the server's URL"),
        ({"url": "http://h:1"}, "expected the server's URL"),
        ({"url": "redis://h/first"}, "expected the number of a database"),
        ({"url": "redis://:secret@h"}, "a password does not belong into this file"),
        ({"url": "redis://h/0?password=secret"}, "a password does not belong into this file"),
        ({"url": "redis://h", "name": "{a}"}, "expected a name of letters"),
    ],
)
def test_a_store_that_cannot_be_meant_is_refused(store, message):
    """With the place of the key."""
    fleet = json.loads(with_change("tenants", {"default": {"tokens_per_minute": 1_000}}))
    fleet["router"] = {"store": store}
    with pytest.raises(FleetError) as caught:
        read(json.dumps(fleet))
    assert message in str(caught.value)
    assert "router.store" in str(caught.value)


def test_a_store_with_nothing_to_share_is_refused():
    """It would be asked for nothing."""
    with pytest.raises(FleetError, match="there is nothing to share"):
        read(with_change("router", {"store": {"url": "redis://h"}}))


def test_where_spans_go_is_part_of_what_a_router_is_told():
    """And is written as it is read."""
    found = read(with_change("router", {"tracing": {"endpoint": "http://c:4317", "sampled": 0.1}}))
    assert (found.router.tracing.endpoint, found.router.tracing.sampled) == ("http://c:4317", 0.1)
    assert read(write(found)).router == found.router


@pytest.mark.parametrize(
    ("tracing", "message"),
    [
        ({"endpoint": "127.0.0.1:4317"}, "expected the URL of a collector"),
        ({"endpoint": "http://c"}, "expected the URL of a collector"),
        ({"endpoint": "http://c:70000"}, "expected the URL of a collector"),
        ({"endpoint": "http://key@c:4317"}, "a secret does not belong into this file"),
        ({"endpoint": "http://c:4318/v1/traces"}, "nothing stands behind the port"),
        ({"sampled": 2}, "router.tracing.sampled: expected"),
        ({"queue_max": 0}, "expected a number of at least 1"),
    ],
)
def test_a_collector_that_cannot_be_meant_is_refused(tracing, message):
    """With the place of the key."""
    with pytest.raises(FleetError) as caught:
        read(with_change("router", {"tracing": tracing}))
    assert "router.tracing" in str(caught.value)
    assert message in str(caught.value)


def test_a_scale_is_read_with_its_defaults_and_written_as_it_is_read():
    """What is deployed at first is within it."""
    found = read(with_change("sites.ridge.scale", {"min": 0, "max": 4, "billing": "1h"}))
    scale = found.fleet.site("ridge").scale
    assert (scale.replicas_min, scale.replicas_max) == (0, 4)
    assert (scale.billing_ns, scale.start_ns) == (3_600 * 10**9, 300 * 10**9)
    assert found.deployment("ridge").replicas == 1
    assert read(write(found)).fleet == found.fleet


def test_a_site_that_scales_is_deployed_with_whom_it_asks():
    """Its bounds and the routers' addresses go to Serve's autoscaler; without routers, nothing."""
    scale = {"min": 0, "max": 4, "routers": ["10.0.0.1:7070"], "key_file": "/etc/reader"}
    found = read(with_change("sites.ridge.scale", scale))
    assert found.serving_arguments("ridge")["autoscale"] == {
        "site": "ridge",
        "min_replicas": 0,
        "max_replicas": 4,
        "routers": ["10.0.0.1:7070"],
        "key_file": "/etc/reader",
    }
    assert read(write(found)) == found
    alone = read(with_change("sites.ridge.scale", {"min": 0, "max": 4}))
    assert "autoscale" not in alone.serving_arguments("ridge")
    with pytest.raises(FleetError, match="names none"):
        read(with_change("sites.ridge.scale", {"min": 0, "max": 4, "key_file": "k"}))


def test_what_is_deployed_at_first_has_to_be_within_the_scale():
    """And nothing can be billed where nothing is metered."""
    fleet = json.loads(with_change("sites.ridge.scale", {"min": 2, "max": 4, "billing": "1h"}))
    fleet["sites"]["ridge"]["capacity"] = {"replicas": 1, "committed": 1}
    fleet["sites"]["ridge"]["price"] = {}
    with pytest.raises(FleetError) as caught:
        read(json.dumps(fleet))
    assert "capacity.replicas: expected 2 to 4, as scale has it, found 1" in str(caught.value)
    assert "scale.billing: nothing is metered here" in str(caught.value)


def window(**keys: object) -> dict[str, object]:
    """A window of lending with other values for some keys."""
    return {"replicas": 1, "from": "22:00", "until": "06:00", **keys}


def test_the_fleet_they_start_from_is_fine():
    """Each refusal below is the change's doing."""
    assert read(with_change("limits", {}))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sites.cellar.kind", "rented", "no site is home"),
        ("sites.cellar.endpoints", None, "nothing says how to reach it"),
        ("sites.ridge.price", None, "a rented site costs something"),
        ("sites.cellar.price", {"budget_hourly": "1 USD/h"}, "there is no price.metered or egress"),
        ("sites.ridge.capacity", {"replicas": 1, "committed": 2}, "more than capacity.replicas"),
        ("sites.ridge.lend", [window()], "only home lends"),
        ("sites.cellar.scale", {"min": 1, "max": 2}, "only what `site up` deploys can scale"),
        ("sites.ridge.scale", {"min": 3, "max": 2}, "ridge.scale.max: expected at least 3"),
        ("sites.ridge.scale", {"min": 0, "max": 0}, "ridge.scale.max: expected at least 1"),
        ("sites.ridge.scale", {"max": 2}, "ridge.scale.min"),
        ("sites.ridge.scale", {"min": 0, "max": 2, "start": 5}, "expected a duration such as"),
        ("sites.ridge.scale", {"min": 0, "max": 2, "spare": "0s"}, "a duration above zero"),
        ("sites.cellar.lend", [window(), window()], "on mon 22:00 it lends 2 replicas, and has 1"),
        ("sites.cellar.lend", [window(until="22:00")], "lend[0].until: the same as from"),
        ("sites.cellar.lend", [{**window(), "from": "24:00"}], "the next begins at 00:00"),
        ("sites.cellar.lend", [window(days=["sun", "sun"])], "lend[0].days: a day comes twice"),
        ("sites.ridge.model", "lama", "no model lama is under models; did you mean llama?"),
        ("sites.cellar.model", "llama", "deploying it needs ray.dashboard"),
        ("sites.cellar.serving", {"num_cpus": 1}, "model is missing"),
        (
            "sites.other",
            {"kind": "home", "endpoints": ["127.0.0.1:1"]},
            "127.0.0.1:1 is already at site cellar",
        ),
        (
            "sites.other",
            FLEET["sites"]["ridge"],
            "http://127.0.0.1:8265 spillway is already at site ridge",
        ),
        ("models.other", {"source": "/o", "aliases": ["llama"]}, "llama already names model llama"),
        ("models.other", {"source": "/o", "aliases": ["default"]}, "default already names model"),
        ("models.llama.aliases", ["a", "a"], "a already names model llama"),
        ("default_slo", "interactiv", "no class interactiv is under slo_classes; did you mean"),
        ("slo_classes.batch", {"ttft": "1s", "itl": "50ms"}, "name the default one"),
        ("slo_classes.interactive.confidence", 1.0, "a share above 0 and below 1, found 1.0"),
        ("limits", {"breaker_open": "60s"}, "limits.breaker_open: more than breaker_open_max"),
        (
            "router",
            {"listen": "127.0.0.1:1", "metrics_listen": "127.0.0.1:1"},
            "the same address as listen",
        ),
        (
            "router",
            {"listen": "127.0.0.1:1", "openai_listen": "127.0.0.1:1"},
            "the same address as listen",
        ),
        (
            "router",
            {"metrics_listen": "127.0.0.1:1", "health_listen": "127.0.0.1:1"},
            "the same address as metrics_listen",
        ),
    ],
)
def test_a_contradiction_is_refused(path, value, message):
    """The message names the keys that disagree."""
    with pytest.raises(FleetError) as caught:
        read(with_change(path, value))
    assert message in str(caught.value)
