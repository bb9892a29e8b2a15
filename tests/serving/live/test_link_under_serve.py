"""A link to a replica under Ray Serve: it scales by what runs, and ends what it should end."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import grpc
import pytest

from router.policy.fleet import SiteKind
from spillway.local.plan import SitePlan
from spillway.local.site import APPLICATION, APPLICATION_DEADLINE_S, LocalSite, serve_config
from tests.waiting import wait_until
from wire.spillway.v1.link_pb2 import Down, Hello, Open, Up
from wire.spillway.v1.load_pb2 import WatchLoadRequest
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria

pytestmark = [pytest.mark.live]

SCALED_DEADLINE_S = 90.0
AUTOSCALING = {
    "min_replicas": 1,
    "max_replicas": 2,
    "target_ongoing_requests": 3,
    "upscale_delay_s": 1.0,
    "downscale_delay_s": 2.0,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1.0,
}


@pytest.fixture(scope="module")
def scaled():
    """A site of engines that count, of which Serve keeps as many as the requests need."""
    plan = SitePlan(
        name="home",
        kind=SiteKind.HOME,
        serving={"engine": "fake", "model": "counting", "fake.itl_s": 0.02, "num_cpus": 1},
    )
    folder = Path(tempfile.mkdtemp(prefix="sw")) / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path.cwd()))
        site = LocalSite(plan, folder)
        try:
            site.wait_until_up()
            config = serve_config(plan, site.ports)
            config["applications"][0] |= {
                "deployments": [{"name": "replica", "autoscaling_config": AUTOSCALING}],
                "external_scaler_enabled": False,
            }
            site.serve.deploy(config)
            site.serve.wait_until_running(APPLICATION, APPLICATION_DEADLINE_S)
            yield site
        finally:
            site.stop()


class Router:
    """The router's end of a link."""

    def __init__(self, channel):
        self.call = channel.stream_stream("/spillway.v1.Link/Connect")()
        self.downs = []
        self.hearing = asyncio.create_task(self._hear())

    async def say(self, up):
        await self.call.write(up.SerializeToString())

    async def _hear(self):
        while (raw := await self.call.read()) is not grpc.aio.EOF:
            self.downs.append(Down.FromString(raw))
        return await self.call.code()


@contextlib.asynccontextmanager
async def linked(address):
    """A link to a replica."""
    async with grpc.aio.insecure_channel(address) as channel:
        router = Router(channel)
        hello = Hello(
            watch=WatchLoadRequest(max_silence_ms=500),
            message_bytes_max=1 << 20,
            credit_bytes=1 << 20,
        )
        await router.say(Up(hello=hello))
        try:
            yield router
        finally:
            router.call.cancel()
            await asyncio.gather(router.hearing, return_exceptions=True)


async def until_replicas(site, count):
    """Waits until so many replicas are listed; their addresses."""
    addresses = ()

    def are_so_many():
        nonlocal addresses
        addresses = site.replica_addresses()
        return len(addresses) == count

    await asyncio.to_thread(wait_until, are_so_many, SCALED_DEADLINE_S, every_s=0.25)
    return addresses


def endless(session):
    request = GenerateRequest(text="7", stopping=StoppingCriteria(max_new_tokens=30_000))
    return Open(session=session, request=request.SerializeToString())


async def test_serve_scales_by_sessions_and_not_by_links(scaled):
    """Nine sessions on one link are nine requests; links without any let a replica go at once."""
    (first,) = await until_replicas(scaled, 1)
    async with linked(first) as busy:
        await busy.say(Up(opened=[endless(number) for number in range(1, 10)]))
        both = await until_replicas(scaled, 2)
        (second,) = set(both) - {first}
        async with linked(second) as idle:
            await busy.say(Up(cancelled=list(range(1, 10))))
            await until_replicas(scaled, 1)
            done, _ = await asyncio.wait(
                {busy.hearing, idle.hearing},
                timeout=SCALED_DEADLINE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            ((ended),) = done
            router = busy if ended is busy.hearing else idle
            assert ended.result() is grpc.StatusCode.OK
            assert router.downs[-1].leaving
