"""Workers of one host: one receiver asks the endpoints, and all of them know the answers."""

import asyncio
import contextlib
import time
from dataclasses import replace

import aiohttp
import grpc
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.router.live.conftest import (
    SETTINGS,
    address,
    ask,
    engine,
    up,
)
from tests.router.live.hosting import received, workers
from tests.router.live.scripted import hangs, scripted
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2, host_pb2, load_pb2
from wire.vllm import control_pb2


class Counted(grpc.aio.ServerInterceptor):
    """Counts the calls of each method."""

    def __init__(self):
        self.calls = {}

    async def intercept_service(self, continuation, details):
        self.calls[details.method] = self.calls.get(details.method, 0) + 1
        return await continuation(details)


async def test_an_endpoint_is_asked_once_for_all_workers(tmp_path, monkeypatch):
    """Reports and probes do not grow with the workers that route to it."""
    probe, counted = "/grpc.health.v1.Health/Check", Counted()
    quick = replace(SETTINGS, rtt_interval_s=0.1)
    make = grpc.aio.server
    monkeypatch.setattr(grpc.aio, "server", lambda **k: make(**k | {"interceptors": (counted,)}))
    async with engine(itl_s=0) as server:
        monkeypatch.setattr(grpc.aio, "server", make)
        async with (
            received(tmp_path, [address(server)], quick) as (receiver, where),
            workers(where, count=3, settings=quick) as routed,
        ):
            for one in routed:
                chunks = await one.stream(ask())
                assert chunks[-1].outputs.HasField("finish_info")
                follower = next(iter(one.router._roster)).follower
                await until(lambda follower=follower: follower.load.last is not None)
                await until(lambda follower=follower: follower.engine.is_known)
            answers, hear = [], receiver.on_answer
            monkeypatch.setattr(
                receiver, "on_answer", lambda *heard: (answers.append(heard), hear(*heard))
            )
            before = counted.calls.get(probe, 0)
            await until(lambda: len(answers) == 8)
            # Four times as many if each worker probed; a worker in doubt may, once in a while.
            assert counted.calls[probe] - before < 2 * len(answers)
    assert counted.calls["/spillway.v1.Load/Watch"] == 1
    assert counted.calls["/vllm.Inference/GenerateStream"] == 3


async def test_reports_reach_every_worker(tmp_path):
    """What one worker's request does at an endpoint is seen by the others."""
    async with (
        engine(itl_s=0.05) as server,
        received(tmp_path, [address(server)]) as (_, where),
        workers(where) as (one, other),
    ):
        call = one.inference.GenerateStream(ask(max_new_tokens=1_000))
        await call.read()

        def busy(state):
            return any(e.running_requests for site in state.sites for e in site.endpoints)

        await other.state_where(busy)
        call.cancel()
        await other.state_where(lambda state: not busy(state))


async def test_who_joins_late_knows_what_the_others_know(tmp_path):
    """Endpoints, identities, load and cached prefixes, told before by reports of what changed."""
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)]) as (receiver, where),
        workers(where, count=1) as (first,),
    ):
        await first.stream(ask("a prompt of some length, so that it fills blocks " * 4))
        name = f"home/{address(server)}"
        await until(lambda: receiver._known[name].report is not None)
        async with workers(where, count=1) as (late,):
            follower = next(iter(late.router._roster)).follower
            await until(lambda: follower.engine.is_known)
            assert follower.load.last.instance_id == receiver._known[name].report.instance_id
    (told,) = receiver._state().reports
    assert told.report.HasField("identity")
    assert told.report.prefix.reset
    assert set(told.report.prefix.added) == receiver._known[name].prefix


async def test_a_worker_loses_an_endpoint_with_its_own_connection(tmp_path):
    """It does not wait to be told, and takes it back when it is there again."""
    async with contextlib.AsyncExitStack() as opened:
        server = await opened.enter_async_context(engine(itl_s=0))
        port = server.port
        _, where = await opened.enter_async_context(received(tmp_path, [address(server)]))
        (one,) = await opened.enter_async_context(workers(where, count=1))
        await server.stop()
        await one.until_up(0)
        await opened.enter_async_context(engine(itl_s=0, port=port))
        # What its predecessor said last, that it drains, holds until it reports itself.
        await one.state_where(lambda state: [e.draining for e in up(state)] == [False])
        assert await one.stream(ask())


async def test_streams_go_on_while_the_receiver_is_away_and_after(tmp_path):
    """A receiver that comes back tells everything anew."""
    async with engine(itl_s=0.01) as server, contextlib.AsyncExitStack() as opened:
        async with received(tmp_path, [address(server)]) as (_, where):
            (one,) = await opened.enter_async_context(workers(where, count=1))
            call = one.inference.GenerateStream(ask(max_new_tokens=50))
            tokens = (await call.read()).outputs.num_tokens
        while (chunk := await call.read()) is not grpc.aio.EOF:
            tokens += chunk.outputs.num_tokens
        assert tokens == 50
        assert await one.stream(ask())  # a new one, too
        async with engine(itl_s=0) as other, received(tmp_path, [address(other)]):
            there = address(other)
            await one.state_where(lambda state: [e.address for e in up(state)] == [there])
            assert await one.stream(ask())


async def test_a_drain_holds_for_every_worker(tmp_path):
    """Also for one that starts later; and for none when it is taken back."""
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)]) as (_, where),
        workers(where) as (one, other),
    ):
        await one.fleet.Drain(fleet_pb2.DrainRequest(site="home"))
        await other.state_where(lambda state: state.sites[0].draining)
        async with workers(where, count=1) as (late,):
            await late.state_where(lambda state: state.sites[0].draining)
        await other.fleet.Undrain(fleet_pb2.UndrainRequest(site="home"))
        await one.state_where(lambda state: not state.sites[0].draining)


async def test_a_drain_outlives_the_receiver(tmp_path):
    """One that is started anew hears of it from the workers that know, and tells the others.

    An operator's later word stands against what a worker knew before it.
    """
    async with engine(itl_s=0) as server, contextlib.AsyncExitStack() as opened:
        async with received(tmp_path, [address(server)]) as (_, where):
            (one,) = await opened.enter_async_context(workers(where, count=1))
            await one.fleet.Drain(fleet_pb2.DrainRequest(site="home"))
        async with received(tmp_path, [address(server)]) as (receiver, _):
            await until(lambda: receiver._drains)
            async with workers(where, count=1) as (late,):
                await late.state_where(lambda state: state.sites[0].draining)
                await late.fleet.Undrain(fleet_pb2.UndrainRequest(site="home"))
                await one.state_where(lambda state: not state.sites[0].draining)
            receiver._on_said(host_pb2.Said(worker=7, draining=["home"]))
            assert receiver._drains == {"home": False}


def an_hour_of(replicas):
    until_unix_ns = time.time_ns() + 3_600 * 10**9
    return fleet_pb2.LendRequest(
        site="home", replicas=replicas, until_unix_ns=until_unix_ns, reason="training"
    )


async def test_a_loan_holds_for_every_worker(tmp_path):
    """The same replica is lent by all of them, also by one that starts later; until it is back."""
    async with (
        engine(itl_s=0) as server,
        engine(itl_s=0) as second,
        received(tmp_path, [address(server), address(second)]) as (_, where),
        workers(where, endpoints=2) as (one, other),
    ):
        lent = await one.fleet.Lend(an_hour_of(1))
        (name,) = lent.endpoints
        async with workers(where, count=1, endpoints=2) as (late,):
            for worker in (other, late):
                state = await worker.state_where(lambda state: state.sites[0].lent.endpoints)
                assert state.sites[0].lent.endpoints == [name]
                assert state.sites[0].lent.reason == "training"
        await other.fleet.Reclaim(fleet_pb2.ReclaimRequest(site="home"))
        await one.state_where(lambda state: not state.sites[0].HasField("lent"))


async def test_a_loan_outlives_the_receiver(tmp_path):
    """As a drain does: workers that know tell one that is started anew, and it the others."""
    async with engine(itl_s=0) as server, engine(itl_s=0) as second:
        addresses = [address(server), address(second)]
        async with contextlib.AsyncExitStack() as opened:
            async with received(tmp_path, addresses) as (_, where):
                (one,) = await opened.enter_async_context(workers(where, 1, endpoints=2))
                await one.fleet.Lend(an_hour_of(1))
            async with received(tmp_path, addresses) as (receiver, _):
                await until(lambda: receiver._loans)
                async with workers(where, 1, endpoints=2) as (late,):
                    await late.state_where(lambda state: state.sites[0].lent.endpoints)
                    await late.fleet.Reclaim(fleet_pb2.ReclaimRequest(site="home"))
                    await one.state_where(lambda state: not state.sites[0].HasField("lent"))


async def test_an_abort_finds_its_request_at_another_worker(tmp_path):
    """The client's connection that brings it may be another than the request's."""
    async with (
        scripted(hangs) as server,
        received(tmp_path, [server.address]) as (_, where),
        workers(where) as (one, other),
    ):
        call = one.inference.GenerateStream(ask(request_id="mine"))
        await call.read()
        await other.control.Abort(control_pb2.AbortRequest(request_ids=["mine", "nobody's"]))
        await until(lambda: server.aborted)
        assert len(server.aborted) == 1
        call.cancel()


async def test_metrics_are_those_of_all_workers(tmp_path):
    """Scraped where one router would show them; a worker that has gone is no longer counted."""
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)]) as (receiver, where),
        workers(where) as (one, other),
    ):
        await one.stream(ask())
        await other.stream(ask())
        hub = receiver._hub
        text = b"\n".join(await hub.metrics()).decode()
        assert text.count('spillway_calls_total{code="OK",method="GenerateStream"} 1.0') == 2
        scrapes = await asyncio.gather(*(hub.metrics() for _ in range(3)))
        assert [len(answers) for answers in scrapes] == [2, 2, 2]
        await other.router.stop(0.0)
        await until(lambda: len(hub._workers) == 1)
        assert len(await hub.metrics()) == 1


async def test_a_bucket_names_a_trace_of_a_request_at_any_worker(tmp_path):
    """To a scraper that asks for OpenMetrics, as of a router that is alone."""
    settings = replace(SETTINGS, metrics_listen="127.0.0.1:0")
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    traces = [f"{number:032x}" for number in (1, 2)]
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)], settings) as (receiver, where),
        workers(where) as both,
    ):
        for worker, trace in zip(both, traces, strict=True):
            parent = f"00-{trace}-00f067aa0ba902b7-01"
            await worker.stream(ask(), metadata=(("traceparent", parent),))
            url = f"http://127.0.0.1:{receiver.metrics_port}/metrics"
            async with aiohttp.ClientSession() as http, http.get(url, headers=accept) as answer:
                families = [*text_string_to_metric_families(await answer.text())]
            samples = [
                s for one in families if one.name == "spillway_itl_seconds" for s in one.samples
            ]
            named = {s.exemplar.labels["trace_id"] for s in samples if s.exemplar}
            assert trace in named <= set(traces)


async def test_who_is_too_slow_is_cut_off_and_told_anew(tmp_path, monkeypatch):
    """What waits for a worker is bounded."""
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)]) as (receiver, where),
        workers(where, count=1) as (one,),
    ):
        (worker,) = receiver._hub._workers
        monkeypatch.setattr("router.live.host_hub.BYTES_MAX", 10)
        for _ in range(3):
            receiver.on_report(
                f"home/{address(server)}", load_pb2.LoadReport(instance_id="x" * 100)
            )
        monkeypatch.setattr("router.live.host_hub.BYTES_MAX", 1_000_000)
        await until(lambda: receiver._hub._workers and worker not in receiver._hub._workers)
        assert await one.stream(ask())
