"""A fleet file that is read again while streams run: all of it counts or nothing does."""

import asyncio
import contextlib
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from router.audit.verifying import records
from router.live.router import Router
from router.live.settings import AuditSettings
from spillway.fleet import load
from spillway.reloading import FileReloads
from tests.router.live.conftest import Routed, address, ask, at_rest, engine
from tests.router.live.keyed import ACME, OPS, bearer, lines, shows, to_its_end
from wire.spillway.v1 import fleet_pb2 as pb

HEAD = """
slo_classes:
  interactive: {ttft: 10s, itl: 1s}
router: {listen: "127.0.0.1:0", metrics_listen: null, drain_timeout: 1s, discovery_interval: 100ms}
"""


def text(sites, more=HEAD):
    """A fleet file of these sites by name: the first is home, the others are rented."""
    listed = []
    for number, (name, at) in enumerate(sites.items()):
        kind = "rented" if number else "home"
        price = "price: {metered: 3 USD/h, budget_hourly: 40 USD/h}" if number else "region: here"
        ends = ", ".join(f'"{one}"' for one in at)
        listed.append(f"  {name}: {{kind: {kind}, endpoints: [{ends}], {price}}}")
    return "sites:\n" + "\n".join(listed) + more


@contextlib.asynccontextmanager
async def running(content, folder=None, **more):
    """A router that was started from a file with this content."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(folder or made) / "fleet.yaml"
        path.write_text(content)
        file = load(path)
        settings = replace(file.router, **{**_quick(), **more})
        reloads = FileReloads(replace(file, router=file.router))
        router = Router(file.fleet, file.access, settings, reloads=reloads, digest=file.digest)
        reloads.router = router.fleet_change
        await router.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{router.port}") as channel:
            routed = Routed(router, channel)
            routed.path = path
            try:
                await routed.until_up(sum(len(way.endpoints) for way in file.access))
                yield routed
            finally:
                await router.stop(0.0)


def _quick():
    return {"rtt_interval_s": 1.0, "load_silence_max_s": 0.2, "resume_wait_s": 0.3}


async def reload(routed, content, **request):
    """Writes the file and has it read again."""
    routed.path.write_text(content)
    return await routed.fleet.Reload(pb.ReloadRequest(**request))


async def refused(routed, content, **request):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await reload(routed, content, **request)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    return error.value.details()


async def rest(stream):
    """How many tokens are still to come."""
    count = 0
    while (chunk := await stream.read()) is not grpc.aio.EOF:
        count += chunk.outputs.num_tokens
    assert await stream.code() is grpc.StatusCode.OK
    return count


def keys(told):
    return {one.key: (one.before, one.after) for one in told.changes}


async def test_a_site_comes_and_goes_and_no_stream_is_lost():
    """The streams of the one that goes, go on elsewhere once their time to end is over."""
    async with engine(itl_s=0.02) as home, engine(itl_s=0.02) as cloud:
        both = {"home": [address(home)], "cloud": [address(cloud)]}
        async with running(text({"home": both["home"]})) as routed:
            told = await reload(routed, text(both))
            assert set(keys(told)) == {"sites.cloud"}
            assert told.applied
            await routed.until_up(2)
            await routed.fleet.Drain(pb.DrainRequest(site="home"))
            streams = [routed.inference.GenerateStream(ask("Count from 7", 200)) for _ in range(5)]
            firsts = [(await one.read()).outputs.num_tokens for one in streams]
            assert all(firsts)
            assert cloud.replica.in_flight == 5
            await routed.fleet.Undrain(pb.UndrainRequest(site="home"))
            told = await reload(routed, text({"home": both["home"]}))
            assert keys(told)["sites.cloud"][1] == ""
            leaving = {site.name: site.leaving for site in (await routed.state()).sites}
            assert leaving.pop("home") is False
            assert leaving in ({"cloud": True}, {})  # a busy machine looks when it is over
            counts = [first + await rest(one) for first, one in zip(firsts, streams, strict=True)]
            assert counts == [200] * 5
            state = await routed.state_where(lambda state: len(state.sites) == 1)
            assert state.sites[0].name == "home"
            assert await rest(routed.inference.GenerateStream(ask("7", 3))) == 3


async def test_a_file_that_is_wrong_changes_nothing():
    """Not its first half either; the router says what is wrong as `fleet check` does."""
    async with engine(itl_s=0) as home:
        good = text({"home": [address(home)]})
        async with running(good) as routed:
            before = (await routed.state()).fleet_digest
            for wrong, said in (
                (good.replace("kind: home", "kind: hone"), "fleet.yaml:"),
                (good.replace("ttft: 10s", "ttft: 10"), "slo_classes.interactive.ttft"),
                ("", "fleet.yaml:1"),
                (good + "tenants: {a: {wait: 1}}\n", "unknown key"),
                (good[: len(good) // 2], "fleet.yaml:"),
            ):
                assert said in await refused(routed, wrong)
            routed.path.unlink()
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await routed.fleet.Reload(pb.ReloadRequest())
            assert "cannot be read" in error.value.details()
            state = await routed.state()
            assert state.fleet_digest == before
            assert "cannot be read" in state.reload_problem
            assert len(await routed.stream(ask("7", 3))) > 0
            told = await reload(routed, good)
            assert not told.changes
            assert (await routed.state()).reload_problem == ""


@pytest.mark.parametrize(
    ("was", "becomes", "key"),
    [
        ('listen: "127.0.0.1:0"', 'listen: "127.0.0.1:7123"', "router.listen"),
        ("metrics_listen: null", 'metrics_listen: "127.0.0.1:0"', "router.metrics_listen"),
        ("discovery_interval: 100ms", "streams_max: 7", "router.streams_max"),
        (
            "discovery_interval: 100ms",
            "authentication: {keys_file: keys.txt}",
            "router.authentication.keys_file",
        ),
        ("discovery_interval: 100ms", "audit: {path: log}", "router.audit.path"),
    ],
)
async def test_what_needs_a_start_is_refused_by_its_key(was, becomes, key):
    """And the rest of the file with it."""
    async with engine(itl_s=0) as home:
        good = text({"home": [address(home)]})
        async with running(good) as routed:
            wrong = good.replace(was, becomes) + "tenants: {acme: {}}\n"
            said = await refused(routed, wrong)
            assert f"{key} cannot change without a restart" in said
            assert not [one for one in (await routed.state()).tenants if one.name == "acme"]


async def test_a_dry_run_says_what_would_change_and_changes_nothing():
    async with engine(itl_s=0) as home, engine(itl_s=0) as cloud:
        both = text({"home": [address(home)], "cloud": [address(cloud)]})
        async with running(both) as routed:
            other = both.replace("40 USD/h", "20 USD/h").replace("ttft: 10s", "ttft: 5s")
            other += "tenants: {acme: {weight: 3}}\nlimits: {sessions_max: 5}\n"
            told = await reload(routed, other, dry_run=True)
            assert not told.applied
            assert keys(told) == {
                "sites.cloud.price.budget_hourly": ("40 USD/h", "20 USD/h"),
                "slo_classes.interactive.ttft": ("10s", "5s"),
                "tenants.acme": ("", '{"weight": 3}'),
                "limits.sessions_max": ("", "5"),
            }
            state = await routed.state()
            assert state.fleet_digest != told.digest
            assert {one.name for one in state.tenants} == {"default"}


async def test_what_was_learned_and_placed_is_kept():
    """Sessions stay, connections are not made again, and counters go on."""
    async with engine(itl_s=0) as home, engine(itl_s=0) as cloud:
        both = {"home": [address(home)], "cloud": [address(cloud)]}
        async with running(text(both)) as routed:
            for number in range(6):
                await routed.stream(ask("7", 3, session_id=f"s{number}"))
            before, ends = await routed.state(), [*routed.router._roster]
            await reload(routed, text(both).replace("3 USD/h", "4 USD/h"))
            state = await routed.state()
            assert [*routed.router._roster] == ends
            assert state.sessions == before.sessions == 6
            assert [s.turns for s in state.sites] == [s.turns for s in before.sites]


async def test_tenants_and_keys_change_together():
    """A key of a tenant that the file has no longer opens nothing; a new one does."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "keys").write_text("\n".join(lines()))
        head = HEAD.replace(
            "discovery_interval: 100ms",
            f"discovery_interval: 100ms, authentication: {{keys_file: '{folder}/keys'}}",
        )
        async with engine(itl_s=0) as home:
            everybody = text({"home": [address(home)]}, head) + "tenants: {acme: {}, ops: {}}\n"
            (Path(folder) / "keys").write_text(
                "\n".join(one for one in lines() if not one.startswith("bolt"))
            )
            async with opened_by_operator(everybody, folder) as (routed, operator):
                watch = routed.fleet.Watch(
                    pb.WatchFleetRequest(interval_ms=100), metadata=bearer(ACME)
                )
                assert await watch.read()
                routed.path.write_text(everybody.replace("acme: {}, ", ""))
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await routed.fleet.Reload(pb.ReloadRequest(), metadata=operator)
                assert "keys_file" in error.value.details()  # it still has acme's keys
                assert "there is no tenant 'acme'" in error.value.details()
                (Path(folder) / "keys").write_text(
                    "\n".join(one for one in lines() if one.startswith("ops"))
                )
                await routed.fleet.Reload(pb.ReloadRequest(), metadata=operator)
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await to_its_end(watch)
                assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await routed.inference.GenerateStream(ask("7", 3), metadata=bearer(ACME)).read()
                assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


@contextlib.asynccontextmanager
async def opened_by_operator(content, folder):
    """The same where callers prove who they are."""
    path = Path(folder) / "fleet.yaml"
    path.write_text(content)
    file = load(path)
    reloads = FileReloads(file)
    settings = replace(file.router, **_quick())
    router = Router(file.fleet, file.access, settings, reloads=reloads, digest=file.digest)
    reloads.router = router.fleet_change
    await router.start()
    here = f"127.0.0.1:{router.port}"
    async with grpc.aio.insecure_channel(here, interceptors=shows(OPS)) as channel:
        routed = Routed(router, channel)
        routed.path = path
        try:
            await routed.until_up(1)
            yield routed, bearer(OPS)
        finally:
            await router.stop(0.0)


async def test_endpoints_of_a_site_change_and_those_that_stay_are_left_alone():
    async with engine(itl_s=0.01) as one, engine(itl_s=0.01) as other, engine(itl_s=0.01) as late:
        first = {"home": [address(one), address(other)]}
        async with running(text(first)) as routed:
            stays = routed.router._roster.get(f"home/{address(one)}")
            streams = [routed.inference.GenerateStream(ask("7", 60)) for _ in range(4)]
            firsts = [(await stream.read()).outputs.num_tokens for stream in streams]
            await reload(routed, text({"home": [address(one), address(late)]}))
            await routed.state_where(
                lambda state: (
                    {e.address for e in state.sites[0].endpoints if e.health == 1}
                    >= {address(one), address(late)}
                )
            )
            assert routed.router._roster.get(f"home/{address(one)}") is stays
            counts = [first + await rest(one) for first, one in zip(firsts, streams, strict=True)]
            assert counts == [60] * 4


async def test_reloads_wait_for_each_other_and_the_last_file_counts():
    """However many come at once."""
    async with engine(itl_s=0) as home:
        good = text({"home": [address(home)]})
        async with running(good) as routed:
            routed.path.write_text(good + "tenants: {acme: {}}\n")
            answers = await asyncio.gather(
                *(routed.fleet.Reload(pb.ReloadRequest()) for _ in range(10))
            )
            assert sum(len(one.changes) for one in answers) == 1
            assert len({one.digest for one in answers}) == 1


async def test_a_reload_is_in_the_audit_log_with_what_it_changed():
    """Also one that is refused, and one by a signal."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.jsonl"
        async with engine(itl_s=0) as home, engine(itl_s=0) as cloud:
            both = text({"home": [address(home)], "cloud": [address(cloud)]})
            async with running(both, audit=AuditSettings(log)) as routed:
                await reload(routed, both.replace("40 USD/h", "20 USD/h"))
                await refused(routed, "nonsense")
                routed.path.write_text(both)
                await routed.router.reload_on_signal()
        told = [one for one in records([log], None) if one["action"] == "reload"]
        assert [one["stage"] for one in told] == [
            *("asked", "done", "asked", "refused", "asked", "done"),
        ]
        changed = told[1]["after"]["changes"]
        assert changed == [
            {
                "key": "sites.cloud.price.budget_hourly",
                "before": "40 USD/h",
                "after": "20 USD/h",
            }
        ]
        assert told[0]["before"]["digest"] != told[1]["after"]["digest"]
        assert told[4]["who"]["name"] == "signal:SIGHUP"


async def test_reloads_at_once_are_each_in_the_audit_log_with_what_was_theirs():
    """The one that changes nothing does not have the other's changes, before or after."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.jsonl"
        async with engine(itl_s=0) as home:
            good = text({"home": [address(home)]})
            async with running(good, audit=AuditSettings(log)) as routed:
                routed.path.write_text(good + "tenants: {acme: {}}\n")
                asked = [routed.fleet.Reload(pb.ReloadRequest()) for _ in range(3)]
                await asyncio.gather(*asked)
        told = [one for one in records([log], None) if one["action"] == "reload"]
    before, after = ([one.get(key, {}) for one in told] for key in ("before", "after"))
    assert not [one for one in before if "changes" in one]
    assert ["changes" in one for one in after if one] == [True, False, False]


async def test_a_router_that_has_no_file_cannot_be_reloaded(one):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await one.fleet.Reload(pb.ReloadRequest())
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_file_that_changes_again_and_again_under_load_loses_no_token():
    """Sites, prices, classes, tenants and limits come and go while streams begin and end."""
    rng = random.Random(8)
    async with (
        engine(itl_s=0.005) as home,
        engine(itl_s=0.005) as near,
        engine(itl_s=0.005) as far,
    ):
        where = {"home": [address(home)], "near": [address(near)], "far": [address(far)]}
        async with running(text(where)) as routed:
            over = asyncio.Event()

            async def client(number):
                done = 0
                while not over.is_set():
                    asked = ask("7", 60, session_id=f"s{number}")
                    stream = routed.inference.GenerateStream(asked)
                    assert await rest(stream) == 60
                    done += 1
                return done

            clients = [asyncio.ensure_future(client(number)) for number in range(12)]
            for _ in range(40):
                sites = dict(where)
                for name in rng.sample(["near", "far"], rng.randrange(3)):
                    del sites[name]
                more = rng.choice(
                    ["", "tenants: {a: {weight: 3}}\n", "limits: {sessions_max: 4}\n"]
                )
                content = text(sites).replace("3 USD/h", f"{rng.randint(1, 9)} USD/h") + more
                content = content.replace("interactive:", rng.choice(["interactive:", "chat:"]))
                await reload(routed, content)
                await routed.state()
            over.set()
            assert sum(await asyncio.gather(*clients)) >= 12
            await reload(routed, text(where))
            await routed.state_where(lambda state: [site.name for site in state.sites] == [*where])
            await at_rest(routed, home, near, far)
