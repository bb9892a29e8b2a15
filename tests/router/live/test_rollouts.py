"""Versions and stand-ins through a live router: what is asked of engines and said to clients."""

import asyncio
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from router.audit.verifying import records
from router.live.settings import AuditSettings
from router.policy.rollout import Rollout
from serving.fake_engine import FakeEngine, FakeSettings
from serving.lease_door import LeaseTerms
from serving.standalone import serve_standalone
from tests.router.live.conftest import HOME, SETTINGS, address, ask, engine, fleet_of, route
from tests.router.live.scripted import error_of, fails, hangs, says, scripted
from tests.waiting import until
from wire.lease_keys import KEYS_ENV
from wire.spillway.v1 import fleet_pb2 as pb
from wire.vllm.control_pb2 import GetModelInfoRequest
from wire.vllm.inference_pb2 import GenerateRequest

ROLLOUT = Rollout("chat", "chat-v1", "chat-v2", share=0.5, aliases=("talk",))
INTERNAL = grpc.StatusCode.INTERNAL


def _fleet(rollout=ROLLOUT, stand_in=""):
    fleet = fleet_of(HOME)
    first, *others = fleet.slo_classes
    classes = (replace(first, stand_in=stand_in), *others)
    return replace(fleet, slo_classes=classes, rollouts=(rollout,) if rollout else ())


async def _ended(call):
    """The texts of a stream, and what was said before and after it."""
    texts = [chunk.outputs.text async for chunk in call]
    before, after = await call.initial_metadata(), await call.trailing_metadata()
    return "".join(texts), dict(before), dict(after)


async def test_the_version_of_a_session_is_asked_and_named():
    """The engine is asked by its own name; the client hears which it was, before and after."""
    async with (
        scripted(says("one"), names=("chat-v1",)) as first,
        scripted(says("two"), names=("chat-v2",)) as second,
        route({"home": [first.address, second.address]}, fleet=_fleet()) as routed,
    ):
        for n in range(12):
            name = ("chat", "talk")[n % 2]
            call = routed.inference.GenerateStream(ask(model=name, session_id=f"s{n}"))
            text, before, after = await _ended(call)
            version = ROLLOUT.version_of(f"s{n}")
            assert text == {"chat-v1": "one", "chat-v2": "two"}[version]
            assert before["x-spillway-model"] == after["x-spillway-model"] == version
        for server in (first, second):
            asked = {GenerateRequest.FromString(one.raw).model for one in server.calls}
            assert asked == {server.names[0]}
        plain = await _ended(routed.inference.GenerateStream(ask(model="chat-v2")))
        assert plain[0] == "two"
        assert "x-spillway-model" not in plain[2]


async def test_whole_answers_have_versions_too():
    """Generate says it in its trailers."""
    async with (
        engine(itl_s=0, served_names=("chat-v1",)) as first,
        route({"home": [address(first)]}, fleet=_fleet(Rollout("chat", "chat-v1"))) as routed,
    ):
        call = routed.inference.Generate(ask(model="chat"))
        assert (await call).outputs.text.startswith(" 8")
        assert dict(await call.trailing_metadata())["x-spillway-model"] == "chat-v1"


async def test_the_name_is_among_the_models_as_long_as_a_version_is():
    """Beside the versions' own, and for who asks what it is."""
    async with (
        engine(served_names=("chat-v1",)) as first,
        route({"home": [address(first)]}, fleet=_fleet()) as routed,
    ):
        info = await routed.control.GetModelInfo(GetModelInfoRequest())
        assert info.served_model_name == "chat-v1"
        assert set(info.served_model_aliases) == {"chat", "talk"}


async def test_a_bad_version_is_returned_and_no_client_sees_its_errors():
    """The operator sees why, in the state, the audit log and the metrics, and resumes it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.jsonl"
        settings = replace(SETTINGS, audit=AuditSettings(log))
        async with (
            scripted(says("fine"), names=("chat-v1",)) as first,
            scripted(fails(INTERNAL), names=("chat-v2",)) as second,
            route(
                {"home": [first.address, second.address]},
                settings,
                _fleet(replace(ROLLOUT, share=0.2)),
            ) as routed,
        ):
            for n in range(120):
                call = routed.inference.GenerateStream(ask(model="chat", session_id=f"s{n}"))
                text, _, after = await _ended(call)
                assert (text, after["x-spillway-model"]) == ("fine", "chat-v1")
            assert 5 < len(second.calls) < 60
            (state,) = (await routed.state()).rollouts
            assert "answers of chat-v2 failed, of chat-v1 0 of" in state.returned
            assert state.said.startswith("chat-v2 was returned ")
            seen = len(second.calls)
            await routed.stream(ask(model="chat", session_id="late"))
            assert len(second.calls) == seen
            await until(lambda: [one for one in records([log], None) if one["target"] == "chat"])
            (record,) = [one for one in records([log], None) if one["target"] == "chat"]
            assert record["action"] == "rollout return"
            assert record["who"]["role"] == "router"
            metrics = {
                (sample.name, sample.labels.get("version")): sample.value
                for family in routed.router._sinks.registry.collect()
                for sample in family.samples
            }
            assert metrics["spillway_rollout_returned", "chat-v2"] == 1.0
            assert metrics["spillway_rollout_share", "chat-v2"] == 0.0

            second.script = says("mended")
            resumed = await routed.fleet.ResumeRollout(pb.ResumeRolloutRequest(model="chat"))
            assert (resumed.returned, resumed.new.answers) == ("", 0)
            version_of = replace(ROLLOUT, share=0.2).version_of
            new = next(f"t{n}" for n in range(99) if version_of(f"t{n}") == "chat-v2")
            call = routed.inference.GenerateStream(ask(model="chat", session_id=new))
            assert (await _ended(call))[0] == "mended"
            last = list(records([log], None))[-1]
            assert (last["action"], last["stage"]) == ("rollout resume", "done")


async def test_an_operator_takes_a_version_back_by_hand():
    """For a reason that others read; a name that no two versions serve is not found."""
    async with (
        engine(itl_s=0, served_names=("chat-v1",)) as first,
        engine(itl_s=0, served_names=("chat-v2",)) as second,
        route(
            {"home": [address(first), address(second)]},
            fleet=_fleet(replace(ROLLOUT, share=1.0)),
        ) as routed,
    ):
        asked = pb.ReturnRolloutRequest(model="chat", why="it is rude")
        state = await routed.fleet.ReturnRollout(asked)
        assert state.returned == "it is rude"
        call = routed.inference.GenerateStream(ask(model="chat", session_id="s"))
        assert (await _ended(call))[2]["x-spillway-model"] == "chat-v1"
        for request, code in (
            (pb.ReturnRolloutRequest(model="caht"), grpc.StatusCode.NOT_FOUND),
            (pb.ReturnRolloutRequest(model="chat", why="a\nb"), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await routed.fleet.ReturnRollout(request)
            assert caught.value.code() is code


async def test_a_broken_stream_of_one_version_is_never_ended_by_the_other():
    """Its client is told how far it came, though the other version is there and idle."""
    async with (
        scripted(says("wrong"), names=("chat-v1",)) as first,
        scripted(hangs, names=("chat-v2",)) as second,
        route(
            {"home": [first.address, second.address]},
            fleet=_fleet(replace(ROLLOUT, share=1.0)),
        ) as routed,
    ):
        call = routed.inference.GenerateStream(ask(model="chat", temperature=0.0))
        await until(lambda: second.open == 1)
        await second.die()
        error, seen = await error_of(call)
        assert error.code() is grpc.StatusCode.ABORTED
        assert (seen, first.calls) == (["first"], [])


async def test_a_stand_in_answers_where_the_asked_model_is_away():
    """Whoever forbids it is refused; explain says the same, and why."""
    async with (
        engine(itl_s=0, served_names=("small",)) as small,
        scripted(says("big"), names=("big",)) as big,
        route({"home": [address(small), big.address]}, fleet=_fleet(None, "small")) as routed,
    ):
        text, _, after = await _ended(routed.inference.GenerateStream(ask(model="big")))
        assert (text, "x-spillway-model" in after) == ("big", False)
        await big.die()
        await routed.until_up(1)
        text, before, after = await _ended(routed.inference.GenerateStream(ask(model="big")))
        assert text.startswith(" 8")
        assert before["x-spillway-model"] == after["x-spillway-model"] == "small"
        decision = await routed.fleet.Explain(pb.ExplainRequest(request=ask(model="big")))
        assert decision.model == "small"
        assert decision.reason.startswith("small stands in for big: no endpoint can be chosen")
        for value, code in (
            ("no", grpc.StatusCode.UNAVAILABLE),
            ("perhaps", grpc.StatusCode.INVALID_ARGUMENT),
        ):
            forbids = (("x-spillway-stand-in", value),)
            call = routed.inference.GenerateStream(ask(model="big"), metadata=forbids)
            error, _ = await error_of(call)
            assert error.code() is code
        tokens = GenerateRequest(model="big")
        tokens.token_ids.ids.extend([1, 2, 3])
        error, _ = await error_of(routed.inference.GenerateStream(tokens))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        (stood_in,) = (await routed.state()).stood_in
        assert (stood_in.model, stood_in.stand_in, stood_in.turns) == ("big", "small", 1)


async def test_a_router_above_passes_on_what_the_one_below_says_of_the_model():
    """The name is the lower router's, and so is the choice."""
    async with (
        engine(itl_s=0, served_names=("chat-v1",)) as first,
        route({"home": [address(first)]}, fleet=_fleet()) as below,
        route({"home": [f"127.0.0.1:{below.router.port}"]}, fleet=fleet_of(HOME)) as above,
    ):
        call = above.inference.GenerateStream(ask(model="chat", session_id="s"))
        assert (await _ended(call))[2]["x-spillway-model"] == "chat-v1"


@pytest.mark.parametrize("standing", ["chat-v1", "chat"])
async def test_who_places_a_request_by_itself_is_sent_through_the_router(standing, monkeypatch):
    """Its message has the client's name for the model, and no client chooses the version."""
    monkeypatch.setenv(KEYS_ENV, key := secrets.token_hex(16))
    taking = FakeEngine(FakeSettings(itl_s=0), (standing,))
    server = await serve_standalone(taking, terms=LeaseTerms((key.encode(),)))
    fleet = _fleet(replace(ROLLOUT, standing=standing))
    try:
        async with route({"home": [address(server)]}, fleet=fleet) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            own = await routed.fleet.Place(pb.PlaceRequest(request=ask(model=standing)))
            assert bool(own.address) == (standing == "chat-v1")
            placed = await routed.fleet.Place(pb.PlaceRequest(request=ask(model="chat")))
            assert placed.through_router == f"{standing} answers as chat"
            assert not placed.address
            await asyncio.sleep(0)
            assert routed.router._core.snapshot().open_streams == bool(own.address)
    finally:
        await server.stop()
