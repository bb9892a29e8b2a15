"""A cheaper model stands in where the asked one has no time or money to, and nowhere else."""

import random
from dataclasses import replace

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Send, Wait
from router.policy.endpoint import Endpoint
from router.policy.fleet import Price, SloClass, Tenant
from router.policy.identity import EngineIdentity
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.resume import Mode, ResumePoint
from router.policy.rollout import Rollout
from router.policy.rule import Rule
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy import toy

BIG = EngineIdentity("big weights", "tokens", "numerics")
SMALL = EngineIdentity("small weights", "tokens", "numerics")


def _fleet(*, stand_in="small", price=None, tenants=(), **more):
    fleet = replace(toy.fleet(price=price), tenants=tenants, **more)
    classes = (
        SloClass("chat", NS_PER_S, 200 * NS_PER_MS, stand_in=stand_in),
        SloClass("strict", NS_PER_S, 200 * NS_PER_MS),
    )
    return replace(fleet, slo_classes=classes)


def _core(big="home", identities=(BIG, SMALL), **fleet):
    """The big model at one site, the small one at home."""
    core = RouterCore(_fleet(**fleet))
    if big:
        core.on_endpoint_up(Endpoint("big/0", big, "big", identity=identities[0]), 0)
    core.on_endpoint_up(Endpoint("small/0", "home", "small", identity=identities[1]), 0)
    return core


def _load(core, endpoint="big/0", tokens=200_000, running=8):
    """So much waits there that the first token of one more is late."""
    report = LoadReport(endpoint, "1", 1, running=running, queued_prefill_tokens=tokens)
    core.on_load(report, NS_PER_S)


def _ask(core, model="big", now=NS_PER_S, id="r", **more):  # noqa: A002 - the field's name
    request = Request(id, model, prompt_tokens=50, **more)
    return core.on_request(request, now, random.Random(1))


def test_the_asked_model_answers_while_it_is_in_time():
    """However idle the stand-in is."""
    send = _ask(_core())
    assert (send.endpoint, send.model, send.because) == ("big/0", "", "")


def test_the_stand_in_answers_where_the_asked_model_would_be_late():
    """The decision says which, for what, and why; a client that is asked about it, too."""
    core = _core()
    _load(core)
    request = Request("e", "big", prompt_tokens=50)
    foreseen = core.explain(request, NS_PER_S, random.Random(1))
    send = _ask(core)
    for one in (foreseen, send):
        assert isinstance(one, Send)
        assert (one.endpoint, one.model, one.asked) == ("small/0", "small", "big")
        assert one.reason.startswith("small stands in for big: ")
    assert core.snapshot(NS_PER_S).stood_in == (("big", "small", 1),)


def test_a_turn_that_is_stood_in_for_counts_once():
    """Neither an attempt that follows nor a placement, which comes again by itself, is another."""
    core, rng = _core(), random.Random(1)
    core.on_endpoint_up(Endpoint("small/1", "home", "small", identity=SMALL), 0)
    core.on_connection("big/0", False, 1)
    assert _ask(core, id="placed", direct=True).model == "small"
    assert core.snapshot(NS_PER_S).stood_in == ()
    send = _ask(core)
    again = core.on_outcome(Ended("r", send.endpoint, End.FAILED), NS_PER_S, rng)
    assert (again.model, again.attempt) == ("small", 2)
    assert core.snapshot(NS_PER_S).stood_in == (("big", "small", 1),)


def test_the_asked_model_answers_again_once_it_is_in_time():
    """A session is the stand-in's for as long as it has to be."""
    core = _core()
    _load(core)
    assert _ask(core, session="s").model == "small"
    core.on_load(LoadReport("big/0", "1", 2), 2 * NS_PER_S)
    assert _ask(core, session="s", id="next", now=2 * NS_PER_S).endpoint == "big/0"


def test_the_stand_in_answers_where_the_budget_is_spent():
    """The asked model is at a metered site, and an hour's money is not enough for one more."""
    price = Price(metered_usd_per_replica_hour=3600.0, budget_usd_per_hour=0.0001)
    core = _core(big="rented", price=price)
    send = _ask(core)
    assert send.model == "small"
    assert "over budget" in send.reason


def test_the_stand_in_answers_where_the_asked_model_is_away():
    """Late or not: it is better than nothing."""
    core = _core()
    core.on_connection("big/0", False, 1)
    _load(core, "small/0")
    assert _ask(core).model == "small"


def test_a_stand_in_that_would_be_late_as_well_is_not_taken():
    """The client has what it asked for, late, and not another model, late."""
    core = _core()
    _load(core, tokens=20_000)
    _load(core, "small/0", tokens=20_000)
    decision = _ask(core)
    assert getattr(decision, "model", "") == ""


def test_a_stand_in_that_stands_in_for_who_waited_in_vain():
    """Overload: who would be refused, at once or after waiting, is answered by it."""
    core = _core()
    rng, answers, now = random.Random(1), {}, NS_PER_S
    for n in range(60):
        decision = core.on_request(Request(f"r{n}", "big", prompt_tokens=4000), now, rng)
        answers[f"r{n}"] = decision
    waiting = [name for name, one in answers.items() if isinstance(one, Wait)]
    while waiting:
        now += 50 * NS_PER_MS
        for one in core.release(now, rng):
            answers[one.request] = one
            waiting.remove(one.request)
        assert now < 60 * NS_PER_S
    sent = [one for one in answers.values() if isinstance(one, Send)]
    assert {one.model for one in sent} == {"", "small"}
    first_refused = next((n for n, one in answers.items() if isinstance(one, Refuse)), None)
    if first_refused is not None:  # the stand-in is full by then, too
        assert sum(one.model == "small" for one in sent) >= 1


def test_who_a_stand_in_answers_after_waiting_in_vain_is_not_counted_as_refused():
    """Each request is one or the other to its tenant, and nobody waits in the end."""
    core, rng = _core(), random.Random(1)
    came = [
        core.on_request(Request(f"r{n}", "big", prompt_tokens=1000), NS_PER_S, rng)
        for n in range(60)
    ]
    sent = [one for one in (*came, *core.release(NS_PER_S, rng)) if isinstance(one, Send)]
    late = 10 * NS_PER_S  # all have waited in vain by then, and the stand-in is idle
    for one in sent:
        if one.endpoint == "small/0":
            core.on_outcome(Ended(one.request, "small/0", End.OK, 5, messages=5), late, rng)
    said = core.release(late, rng)
    after = [one for one in said if isinstance(one, Send)]
    assert {one.because.partition(":")[0] for one in after} == {"small stands in for big"}
    (tenant,) = core.snapshot(late).tenants
    counts = (len(sent) + len(after), len(said) - len(after), 0)
    assert (tenant.admitted, tenant.refused, tenant.waiting) == counts


@pytest.mark.parametrize("more", [{"no_stand_in": True}, {"slo": "strict"}])
def test_nothing_stands_in_where_the_client_or_the_class_has_none(more):
    """The one forbids it for a request, the other does not allow it."""
    core = _core()
    core.on_connection("big/0", False, 1)
    assert _ask(core, **more).rule is Rule.NO_ENDPOINT


def test_a_tenant_gets_no_stand_in_that_it_may_not_ask_for():
    """What it is entitled to holds for what it is given, too."""
    tenants = (Tenant("acme", models=("big",)), Tenant("free", models=("big", "small")))
    core = _core(tenants=tenants)
    core.on_connection("big/0", False, 1)
    assert _ask(core, tenant="acme").rule is Rule.NO_ENDPOINT
    assert _ask(core, tenant="free").model == "small"


def test_nothing_stands_in_for_a_model_that_nobody_serves():
    """A client that mistypes a name is told, and not answered by another model."""
    assert _ask(_core(), "bgi").rule is Rule.UNKNOWN_MODEL
    assert _ask(_core(), "").model == ""


def test_a_stand_in_may_have_versions():
    """Its name is asked for as a client would."""
    core = _core(rollouts=(Rollout("little", "small"),), stand_in="little")
    core.on_connection("big/0", False, 1)
    send = _ask(core)
    assert (send.model, send.asked) == ("small", "big")
    assert send.because.startswith("little stands in for big: ")


@pytest.mark.parametrize(
    ("tokenizer", "model"), [("tokens", "small"), ("others", None), ("", None)]
)
def test_token_ids_go_to_a_stand_in_only_where_they_are_known_to_mean_the_same(tokenizer, model):
    """Text goes to any: it is read by whoever answers."""
    core = _core(identities=(BIG, replace(SMALL, tokenizer=tokenizer)))
    core.on_connection("big/0", False, 1)
    decision = _ask(core, says_tokens=True)
    assert getattr(decision, "model", None) == model
    assert _ask(core, id="text").model == "small"


@pytest.mark.parametrize("known", [True, False])
def test_a_stand_in_never_goes_on_with_the_asked_models_stream(known):
    """Nor the asked model with the stand-in's: a stream is one model's to its end."""
    identities = (BIG, SMALL) if known else (EngineIdentity(), EngineIdentity())
    for away, model in (("small/0", ""), ("big/0", "small")):
        core, rng = _core(identities=identities), random.Random(1)
        core.on_connection(away, False, 1)
        send = _ask(core)
        assert send.model == model
        core.on_outcome(FirstToken("r", send.endpoint, NS_PER_MS), NS_PER_S, rng)
        core.on_connection(away, True, NS_PER_S)
        core.on_connection(send.endpoint, False, NS_PER_S)
        point = ResumePoint(5, 50, repeatable=True)
        broke = Ended("r", send.endpoint, End.UNREACHABLE, 5, messages=5, resume=point)
        assert isinstance(core.on_outcome(broke, NS_PER_S, rng), Refuse)


def test_a_stream_of_the_stand_in_that_its_client_brings_goes_on_there():
    """By the identity of what began it; where that is unknown it is made again at most."""
    core = _core()
    send = _ask(core, resume=ResumePoint(5, 50, identity=SMALL))
    assert (send.model, send.mode) == ("small", Mode.CONTINUE)
    send = _ask(core, id="own", resume=ResumePoint(5, 50, identity=BIG))
    assert (send.endpoint, send.mode) == ("big/0", Mode.CONTINUE)
    unknown = _core(identities=(EngineIdentity(), EngineIdentity()))
    assert isinstance(_ask(unknown, resume=ResumePoint(5, 50)), Refuse)


def test_what_it_used_is_charged():
    """The ledger has the model that answered, and its site's price."""
    charges = []
    core = RouterCore(_fleet(), charges.append)
    core.on_endpoint_up(Endpoint("small/0", "home", "small"), 0)
    core.on_endpoint_up(Endpoint("big/0", "home", "big"), 0)
    core.on_connection("big/0", False, 1)
    send = _ask(core)
    core.on_outcome(Ended("r", send.endpoint, End.OK, 5, messages=5), NS_PER_S, random.Random(1))
    assert [(one.model, one.endpoint) for one in charges] == [("small", "small/0")]
