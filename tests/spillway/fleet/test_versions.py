"""A model's versions and a class's stand-in, as a fleet file says them."""

import pytest

from router.policy.rollout import Rollout
from spillway.fleet.problem import FleetError
from spillway.fleet.reading import read
from spillway.fleet.writing import write

SITES = "sites: {cellar: {kind: home, endpoints: ['127.0.0.1:9000']}}\n"
CLASSES = "slo_classes: {interactive: {ttft: 800ms, itl: 60ms, stand_in: small}}\n"


def _file(models, sites=SITES):
    return f"{sites}{CLASSES}models: {models}\n"


def _refusal(text):
    with pytest.raises(FleetError) as caught:
        read(text)
    return str(caught.value)


def test_two_versions_of_a_name_are_a_roll_out():
    """The first stands; the second has a share of the new sessions. Written, they read back."""
    file = read(
        _file("{chat: {aliases: [talk], versions: [{served: v1}, {served: v2, share: 0.1}]}}")
    )
    assert file.fleet.rollouts == (Rollout("chat", "v1", "v2", 0.1, ("talk",)),)
    assert file.fleet.slo_classes[0].stand_in == "small"
    assert read(write(file)) == file
    assert "stand_in: small" in write(file)


def test_a_name_may_be_its_own_standing_version():
    """So a model that is served gets a version beside it without a new name for clients."""
    file = read(_file("{chat: {source: /m, versions: [{served: chat}, {served: v2, share: 1}]}}"))
    assert file.fleet.rollouts == (Rollout("chat", "chat", "v2", 1.0),)
    assert read(write(file)) == file
    ended = read(_file("{chat: {versions: [{served: v2}]}}"))
    assert ended.fleet.rollouts == (Rollout("chat", "v2"),)
    assert read(write(ended)) == ended


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("{chat: {}}", "models.chat: nothing says what it is; give source, or versions"),
        (
            "{chat: {versions: [{served: a, share: 0.5}, {served: b, share: 0.5}]}}",
            "versions[0].share: the first version has what the second one's share leaves",
        ),
        (
            "{chat: {versions: [{served: a}, {served: b}]}}",
            "versions[1]: give share, of the new sessions, that this version has",
        ),
        (
            "{chat: {versions: [{served: a}, {served: a, share: 1}]}}",
            "versions[1].served: a is a version of chat already",
        ),
        (
            "{chat: {versions: [{served: b}]}, b: {versions: [{served: c}]}}",
            "served: b has versions itself; name what endpoints serve",
        ),
        (
            "{chat: {versions: [{served: b}]}, c: {source: /c, aliases: [b]}}",
            "served: b is an alias of c; name the model",
        ),
        ("{chat: {versions: [{served: a}, {served: b, share: 2}]}}", "expected a number of at"),
        ("{chat: {versions: [{served: ''}]}}", "expected a model's name"),
        ("{chat: {versions: [{serve: a}]}}", "unknown key; did you mean served?"),
        (
            "{chat: {versions: [{served: a}, {served: b, share: 0.1}, {served: c, share: 0.1}]}}",
            "expected at most 2",
        ),
    ],
)
def test_versions_that_cannot_be_meant_are_refused(models, message):
    """With the key, and what to do."""
    assert message in _refusal(_file(models))


def test_a_name_of_versions_is_no_model_to_deploy():
    """What has no source cannot be loaded; its versions can."""
    site = "sites: {cellar: {kind: home, model: chat, ray: {dashboard: 'http://127.0.0.1:8265'}}}\n"
    said = _refusal(_file("{chat: {versions: [{served: v1}, {served: v2, share: 0.1}]}}", site))
    assert "cellar.model: chat is a name of versions and has no source; deploy v1 or v2" in said


def test_a_stand_in_is_a_models_name():
    """Not any text."""
    said = _refusal(SITES + CLASSES.replace("small", "'a b'"))
    assert "stand_in: expected a model's name" in said
