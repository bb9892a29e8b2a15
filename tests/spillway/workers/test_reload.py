"""A reload of a router of several workers: all of them go by the file, or none."""

import asyncio
import contextlib
import os
import signal

import grpc
import pytest

from tests.router.live.conftest import address, ask, engine
from tests.spillway.workers.test_workers import START_S, routing, until_served
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc

TOKENS = 200


@contextlib.asynccontextmanager
async def stub(running):
    """A connection of its own, and so one worker's."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    where = f"127.0.0.1:{running.port}"
    async with grpc.aio.insecure_channel(where, options=options) as channel:
        yield fleet_pb2_grpc.FleetStub(channel)


async def states(running, count=8):
    """The states of the fleet by router, over connections enough to meet every worker."""
    found = {}
    for _ in range(count):
        async with stub(running) as fleet:
            call = fleet.Watch(fleet_pb2.WatchFleetRequest(), wait_for_ready=True)
            state = await call.read()
            call.cancel()
            found[state.router_id] = state
    return found


async def until_all_have(running, condition):
    async with asyncio.timeout(START_S):
        while not all(condition(one) for one in (await states(running)).values()):
            pass  # each look takes connections of its own


async def ending(call):
    """How many tokens were still to come."""
    tokens = 0
    while (chunk := await call.read()) is not grpc.aio.EOF:
        tokens += chunk.outputs.num_tokens
    return tokens


@pytest.mark.slow
async def test_every_worker_goes_by_the_file_or_none_does(tmp_path):
    """A site comes by a worker's word and goes by SIGHUP; streams run on; a new worker knows."""
    async with (
        engine(itl_s=0.02) as home,
        engine(itl_s=0.02) as cloud,
        routing(tmp_path, address(home)) as running,
    ):
        await until_served(running)
        path = tmp_path / "fleet.yaml"
        one = path.read_text()
        rented = f'  cloud: {{kind: rented, endpoints: ["{address(cloud)}"],'
        two = one.replace("slo_classes:", f"{rented} price: {{metered: 3 USD/h}}}}\nslo_classes:")
        assert len(await states(running)) == 2
        async with contextlib.AsyncExitStack() as opened:
            clients = [await opened.enter_async_context(running.client()) for _ in range(6)]
            calls = [one.GenerateStream(ask(max_new_tokens=TOKENS)) for one in clients]
            for call in calls:
                await call.read()
            path.write_text(two)
            async with stub(running) as fleet:
                told = await fleet.Reload(fleet_pb2.ReloadRequest())
            assert [change.key for change in told.changes] == ["sites.cloud"]
            await until_all_have(
                running,
                lambda state: (
                    [site.name for site in state.sites] == ["home", "cloud"]
                    and all(e.health == 1 for site in state.sites for e in site.endpoints)
                    and len(state.sites[1].endpoints) == 1
                    and state.fleet_digest == told.digest
                ),
            )
            path.write_text(two.replace("kind: rented", "kind: rusty"))
            async with stub(running) as fleet:
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await fleet.Reload(fleet_pb2.ReloadRequest())
            assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert {state.fleet_digest for state in (await states(running)).values()} == {
                told.digest
            }
            path.write_text(one)
            running.process.send_signal(signal.SIGHUP)
            await until_all_have(
                running, lambda state: [site.name for site in state.sites] == ["home"]
            )
            assert [1 + await ending(call) for call in calls] == [TOKENS] * 6
        victim = running.children()[-1]
        path.write_text(two)
        async with stub(running) as fleet:
            await fleet.Reload(fleet_pb2.ReloadRequest())
        running_before = running.children()
        os.kill(victim, signal.SIGKILL)
        await until(lambda: victim not in running.children(), START_S)
        await until(lambda: len(running.children()) == len(running_before), START_S)
        await until_served(running)
        await until_all_have(running, lambda state: len(state.sites) == 2)
