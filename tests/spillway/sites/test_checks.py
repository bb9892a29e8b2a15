"""Whether a site may join, by what it and its fellows said."""

import dataclasses

import pytest

from router.live.identity import Identity
from router.live.settings import SiteAccess, SiteTls
from router.policy.identity import EngineIdentity
from spillway.doctor.finding import Level
from spillway.probing.endpoint import EndpointFound
from spillway.probing.site import SiteFound
from spillway.sites.checks import check_site
from wire.spillway.v1 import load_pb2
from wire.vllm import control_pb2

ENGINE = EngineIdentity("w1", "t1", "n1")
WAY = SiteAccess("ridge", endpoints=("10.0.0.5:1",), tls=SiteTls("ridge.example.org"))


def endpoint(address="10.0.0.5:1", *, instance="i1", model="tiny", context=4096, version="1.0"):
    server = control_pb2.ServerInfo(
        instance_id=instance, max_model_len=context, engine_version=version
    )
    identity = Identity(control_pb2.ModelInfo(served_model_name=model), server, 1_000_000)
    report = load_pb2.LoadReport(max_running_requests=8, kv_tokens_max=1000)
    return EndpointFound(address, "", identity, ENGINE, report, 1_000_000)


def site(*endpoints, name="ridge"):
    return SiteFound(name, "", endpoints, len(endpoints))


HOME = site(endpoint("10.0.0.1:1", instance="h1"), name="home")


def levels(found, fellows=(HOME,), model=""):
    """The findings, the worst of each check."""
    worst = {}
    for one in check_site(found, WAY, fellows, model):
        worst[one.check] = max(worst.get(one.check, Level.OK), one.level)
    return worst


def test_a_site_like_its_fellows_is_fit_and_all_is_said():
    """Its certificate, its model with the digests, what it holds and its version."""
    found = list(check_site(site(endpoint()), WAY, [HOME], "tiny"))
    assert {one.level for one in found} == {Level.OK}
    said = " | ".join(one.what for one in found)
    for words in (
        "a certificate of ridge.example.org",
        "1 of 1 endpoints answer",
        "weights w1, tokenizer t1, as at home",
        "8 requests at once, 1000 tokens of KV cache, a context of 4096",
        "engine 1.0",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"engine": dataclasses.replace(ENGINE, weights="w2")}, "digest", Level.PROBLEM),
        ({"engine": dataclasses.replace(ENGINE, tokenizer="t2")}, "digest", Level.PROBLEM),
        ({"engine": dataclasses.replace(ENGINE, numerics="n2")}, "digest", Level.WARNING),
        ({"engine": EngineIdentity()}, "digest", Level.WARNING),
        ({"report": None}, "capacity", Level.WARNING),
        ({"report": load_pb2.LoadReport(draining=True)}, "capacity", Level.PROBLEM),
    ],
)
def test_what_differs_from_its_fellows_is_told_by_how_bad_it_is(change, check, level):
    """Other weights are another model; other rounding is other words."""
    found = levels(site(dataclasses.replace(endpoint(), **change)))
    assert found[check] is level
    assert {one for name, one in found.items() if name != check} == {Level.OK}


def test_an_engine_that_is_in_the_fleet_already_is_refused():
    """By its instance, whatever its address."""
    assert levels(site(endpoint(instance="h1")))["identity"] is Level.PROBLEM
    twice = site(endpoint(), endpoint("10.0.0.5:2"))
    assert levels(twice)["identity"] is Level.PROBLEM


def test_endpoints_of_one_site_are_compared_too():
    """A site that is half rolled out is not fit."""
    other = dataclasses.replace(
        endpoint("10.0.0.5:2", instance="i2"), engine=EngineIdentity("w2", "t1")
    )
    assert levels(site(endpoint(), other), fellows=())["digest"] is Level.PROBLEM


def test_another_model_is_refused_where_one_was_named_and_compared_with_nobody():
    """Under another name it may be what it likes."""
    small = dataclasses.replace(endpoint(model="small"), engine=EngineIdentity("w9", "t9"))
    assert levels(site(small))["digest"] is Level.OK
    assert levels(site(small), model="tiny")["model"] is Level.PROBLEM


def test_who_serves_the_same_is_named_whatever_else_the_site_serves():
    """The digest that is shown is that of the first, and so are its fellows."""
    small = dataclasses.replace(
        endpoint("10.0.0.5:2", instance="i2", model="small"), engine=EngineIdentity("w9", "t9")
    )
    said = [one.what for one in check_site(site(endpoint(), small), WAY, [HOME])]
    assert "weights w1, tokenizer t1, as at home" in said


def test_a_shorter_context_and_another_version_are_warnings():
    """It serves, and not all that its fellows do."""
    found = levels(site(endpoint(context=1024, version="2.0")))
    assert found["capacity"] is Level.WARNING
    assert found["versions"] is Level.WARNING


def test_who_is_not_reached_is_told_and_nothing_else_is_asked():
    """With the reason."""
    lost = EndpointFound("10.0.0.5:2", "connection refused")
    (one,) = check_site(site(lost), WAY, [HOME])
    assert (one.level, one.what) == (Level.PROBLEM, "10.0.0.5:2: connection refused")
    (one,) = check_site(SiteFound("ridge", "no dashboard"), WAY, [HOME])
    assert one.what == "no dashboard"
    (one,) = check_site(SiteFound("ridge"), WAY, [HOME])
    assert "no replica listens" in one.what
    half = levels(site(endpoint(), lost))
    assert half["reached"] is Level.PROBLEM
    assert half["capacity"] is Level.OK
