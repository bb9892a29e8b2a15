"""Actions, who may take them, and what the audit log says of each."""

import asyncio
import contextlib
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from router.audit.journal import Journal
from router.audit.record import Head, sealed
from router.audit.verifying import records, verify
from router.live import acting
from router.live.acting import Act, Acting, Actor
from router.live.key_file import line_of
from router.live.refusals import BURST, REFILL_S, Refusals, short
from router.live.settings import AuditSettings
from router.observe.event import LoansChanged
from router.policy.api_key import ApiKey, digest_of, id_of, key_text
from router.policy.loan import Loan, SiteLoans
from router.policy.units import NS_PER_S
from tests.router.live.conftest import SETTINGS, address, ask, engine, route
from tests.router.live.keyed import ACME, OPS, bearer, route_keyed, to_its_end
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2 as pb

DRAIN = "/spillway.v1.Fleet/Drain"
READER = key_text(b"reader", "k" * 43)


@contextlib.asynccontextmanager
async def audited(opened=route_keyed, **more):
    """A router with one site, a file of keys and an audit log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.jsonl"
        settings = replace(SETTINGS, audit=AuditSettings(log), **more)
        async with (
            engine(itl_s=0) as server,
            opened({"home": [address(server)]}, settings=settings) as routed,
        ):
            routed.log = log
            yield routed


def said(log):
    """The records of a log, but the first of each process."""
    return [one for one in records([log], None) if one["action"] != "started"]


async def failed(call):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await (call if hasattr(call, "__await__") else call.read())
    return error.value


async def test_what_an_operator_did_is_in_the_log_with_who_when_before_and_after():
    """It is there once the operator hears that it is done."""
    async with audited() as routed:
        await routed.fleet.Drain(pb.DrainRequest(site="home"))
        asked, done = said(routed.log)
        assert asked["who"]["name"] == done["who"]["name"] == f"key:{id_of(OPS)}"
        assert asked["who"]["role"] == "operator"
        assert asked["who"]["peer"].startswith("ipv4:127.0.0.1")
        assert (asked["action"], asked["target"], asked["stage"]) == ("drain", "home", "asked")
        assert asked["before"]["draining"] is False
        assert (done["stage"], done["of"]) == ("done", asked["number"])
        assert done["after"]["draining"] is True
        assert done["instance"] == routed.router.id
        assert done["unix_ns"] >= asked["unix_ns"] > 0
        await routed.fleet.Undrain(pb.UndrainRequest(site="home"))
        assert said(routed.log)[-1]["after"]["draining"] is False
        assert verify(routed.log, None).is_whole


async def test_what_cannot_be_done_is_in_the_log_as_well():
    async with audited() as routed:
        error = await failed(routed.fleet.Drain(pb.DrainRequest(site="moon")))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        await failed(routed.fleet.ReleaseQuarantine(pb.ReleaseQuarantineRequest(fingerprint="f")))
        await failed(routed.fleet.Lend(pb.LendRequest(site="home", replicas=9)))
        stages = [(one["action"], one["stage"]) for one in said(routed.log)]
        assert stages == [
            *(("drain", "asked"), ("drain", "refused")),
            *(("quarantine release", "asked"), ("quarantine release", "refused")),
            *(("lend", "asked"), ("lend", "refused")),
        ]
        assert "moon" in said(routed.log)[1]["reason"]


async def test_who_may_not_act_is_in_the_log():
    """A tenant by its key, and a stranger by its address."""
    async with audited() as routed:
        drain = pb.DrainRequest(site="home")
        error = await failed(routed.fleet.Drain(drain, metadata=bearer(ACME)))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        error = await failed(routed.fleet.Drain(drain, metadata=bearer("nobody")))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        await until(lambda: len(said(routed.log)) == 2)
        tenant, stranger = said(routed.log)
        assert tenant["who"]["name"] == f"key:{id_of(ACME)}"
        assert stranger["who"]["name"] == "unknown"
        assert all(one["who"]["peer"] for one in (tenant, stranger))
        assert all(one["stage"] == "refused" for one in (tenant, stranger))
        assert not (await routed.state()).sites[0].draining


async def test_a_flood_of_refusals_does_not_fill_the_disk(tmp_path):
    """They are counted, and a later record says who tried what how often."""
    path = tmp_path / "audit.jsonl"
    now_s = [0.0]
    acts = Acting("router", Journal(path, 1 << 24), lambda: now_s[0])
    for number in range(10_000):
        acts.refused(Actor("unknown", "unknown", peer="ipv4:10.0.0.9:1"), DRAIN, "", "no")
        if number % 100 == 0:
            await until(lambda: len(acts._tasks) < acting.ACTIONS_MAX)
    acts.refused(Actor("key:1", "tenant", "acme"), DRAIN, "home", "no")
    await until(lambda: not acts._tasks)
    each = said(path)
    assert len(each) == BURST + 1
    assert each[-1]["who"]["name"] == "key:1"  # no flood of strangers hides it
    acts.look()
    now_s[0] = REFILL_S
    acts.look()
    await acts.close()
    (told,) = said(path)[BURST + 1 :]
    assert told["unrecorded"] == 10_000 - BURST
    assert told["attempts"] == [{"who": "ipv4:10.0.0.9", "action": DRAIN, "count": 10_000 - BURST}]


async def test_what_was_counted_is_told_before_the_log_is_closed(tmp_path):
    """A router that is restarted amid a flood does not forget it."""
    path = tmp_path / "audit.jsonl"
    acts = Acting("router", Journal(path, 1 << 24))
    for _ in range(BURST + 5):
        acts.refused(Actor("unknown", "unknown"), DRAIN, "", "no")
        await until(lambda: not acts._tasks)
    await acts.close()
    assert said(path)[-1]["unrecorded"] == 5


def test_a_month_of_attacks_leaves_room_for_actions():
    """Of anything that callers can say: else they could keep operators from acting."""
    settings, instance = AuditSettings(), "router-0123456789ab"
    strangers, known = Refusals(0.0), Refusals(0.0)
    long = "\U0001f600" * 2_000  # twelve bytes each, in a record
    head, written = Head(), 0
    for minute in range(24 * 60):
        now_s = minute * 60.0
        for number in range(40):
            for which, name in ((strangers, "unknown"), (known, f"key:{number:012x}")):
                which.count(name, f"/spillway.v1.{'x' * 8_000}{number}")
        for which in (strangers, known):
            more = which.due(now_s)
            who = {"name": "several", "role": "unknown"}
            record = {"instance": instance, "who": who, "stage": "refused", "target": short(long)}
            line, head = sealed(head, {**record, **more}, b"s" * 32)
            written += len(line)
    days = settings.kept_s / 86_400
    assert written * days < settings.bytes_max * settings.files_max / 2


async def test_what_an_operator_lends_is_no_doing_of_the_routers_own():
    """It is in the log once, as the operator's; what was said elsewhere is there, too."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.jsonl"
        settings = replace(SETTINGS, audit=AuditSettings(log))
        async with engine(itl_s=0) as one, engine(itl_s=0) as two:
            servers = {"home": [address(one), address(two)]}
            async with route_keyed(servers, settings=settings) as routed:
                lender, until_ns = routed.router._lender, time.time_ns() + 3_600 * NS_PER_S
                asked = pb.LendRequest(site="home", replicas=1, until_unix_ns=until_ns)
                await routed.fleet.Lend(asked)
                await routed.fleet.Reclaim(pb.ReclaimRequest(site="home"))
                loan, said_ns = Loan(1, 2, 0, until_ns), lender.loans("home").said_unix_ns + 1
                loans = SiteLoans(loan, said_unix_ns=said_ns)
                lender.hear(LoansChanged("home", loans))
        told = [(one["who"]["role"], one["action"], one["stage"]) for one in said(log)]
    assert told == [
        *(("operator", "lend", "asked"), ("operator", "lend", "done")),
        *(("operator", "reclaim", "asked"), ("operator", "reclaim", "done")),
        ("router", "lend", "done"),
    ]


async def test_what_the_schedule_did_is_told_where_the_log_has_no_room_for_it(tmp_path, caplog):
    """While as many actions wait for the disk as there may be."""
    acts = Acting("router", Journal(tmp_path / "audit.jsonl", 1 << 20))
    go_on = asyncio.Event()
    act = Act("drain", "home", dict)
    waiting = [
        asyncio.ensure_future(acts.perform(Actor("key:1", "operator"), act, go_on.wait))
        for _ in range(acting.ACTIONS_MAX)
    ]
    await until(lambda: len(acts._tasks) == acting.ACTIONS_MAX)
    acts.happened("lend", "home", {}, {"replicas": 2})
    assert "the audit log lacks lend of home by router" in caplog.text
    go_on.set()
    await asyncio.gather(*waiting)
    await acts.close()


async def test_a_reader_sees_all_and_changes_nothing():
    """By the same key: the state of all, quarantine, loans; no act of any kind."""
    async with audited() as routed:
        line = line_of(ApiKey(id_of(READER), digest_of(READER), "ops", reader=True))
        keys = routed.router._callers._keys
        keys._path.write_text(f"{keys._path.read_text()}\n{line}\n")
        keys.look()
        shown = bearer(READER)
        call = routed.fleet.Watch(pb.WatchFleetRequest(), metadata=shown)
        state = await call.read()
        call.cancel()
        assert {one.name for one in state.tenants} >= {"acme", "bolt", "ops"}
        await routed.fleet.ListQuarantine(pb.ListQuarantineRequest(), metadata=shown)
        await routed.fleet.ListLent(pb.ListLentRequest(), metadata=shown)
        for method, request in (
            ("Drain", pb.DrainRequest(site="home")),
            ("Undrain", pb.UndrainRequest(site="home")),
            ("Lend", pb.LendRequest(site="home", replicas=1)),
            ("Reclaim", pb.ReclaimRequest(site="home")),
            ("ReleaseQuarantine", pb.ReleaseQuarantineRequest(fingerprint="f")),
        ):
            error = await failed(getattr(routed.fleet, method)(request, metadata=shown))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED, method


async def test_whose_key_is_taken_out_hears_no_more_of_the_fleet():
    """Also who has been watching it all the while."""
    async with audited() as routed:
        keys = routed.router._callers._keys
        before = keys._path.read_text()
        line = line_of(ApiKey(id_of(READER), digest_of(READER), "ops", reader=True))
        keys._path.write_text(f"{before}\n{line}\n")
        keys.look()
        asked = pb.WatchFleetRequest(interval_ms=100)
        watch = routed.fleet.Watch(asked, metadata=bearer(READER))
        assert (await watch.read()).router_id == routed.router.id
        keys._path.write_text(before)
        keys.look()
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await to_its_end(watch)
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_where_the_log_cannot_be_written_nothing_is_done_and_serving_goes_on(monkeypatch):
    """A full disk is the operators' trouble, and not the clients'."""
    async with audited() as routed:

        def full(_file, _data):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            error = await failed(routed.fleet.Drain(pb.DrainRequest(site="home")))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert "nothing is done" in error.details()
            assert "No space left" in error.details()
            assert not (await routed.state()).sites[0].draining
            assert len(await routed.stream(ask("7", 3))) > 0
        await routed.fleet.Drain(pb.DrainRequest(site="home"))
        assert (await routed.state()).sites[0].draining
        assert verify(routed.log, None).is_whole


async def test_a_router_whose_log_was_changed_serves_and_acts_no_more():
    """It starts, says so, and does nothing that it could not prove."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.jsonl"
        journal = Journal(log, 1 << 20)
        for count in range(3):
            journal.append({"action": "started", "count": count})
        journal.close()
        log.write_bytes(log.read_bytes().replace(b'"count":1', b'"count":7'))
        settings = replace(SETTINGS, audit=AuditSettings(log))
        async with (
            engine(itl_s=0) as server,
            route({"home": [address(server)]}, settings) as routed,
        ):
            assert len(await routed.stream(ask("7", 3))) > 0
            error = await failed(routed.fleet.Drain(pb.DrainRequest(site="home")))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert "move it away" in error.details()


async def test_an_action_is_done_to_its_end_whoever_waits(tmp_path):
    """Its client goes in the middle of it; the next one finds it whole."""
    acts = Acting("router", Journal(tmp_path / "audit.jsonl", 1 << 20))
    begun, go_on, state = asyncio.Event(), asyncio.Event(), {"done": 0}

    async def slowly():
        begun.set()
        await go_on.wait()
        state["done"] += 1

    act = Act("drain", "home", lambda: dict(state))
    waiting = asyncio.ensure_future(acts.perform(Actor("key:1", "operator"), act, slowly))
    await begun.wait()
    waiting.cancel()
    second = asyncio.ensure_future(acts.perform(Actor("key:2", "operator"), act, lambda: 7))
    go_on.set()
    assert await second == 7
    await acts.close()
    stages = [
        (one["who"]["name"], one["stage"]) for one in records([tmp_path / "audit.jsonl"], None)
    ]
    assert stages == [
        *(("key:1", "asked"), ("key:1", "done"), ("key:2", "asked"), ("key:2", "done")),
    ]
    assert state["done"] == 1


async def test_what_fails_inside_is_said_to_have_failed(tmp_path):
    acts = Acting("router", Journal(tmp_path / "audit.jsonl", 1 << 20))

    def fails():
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        await acts.perform(Actor("key:1", "operator"), Act("drain", "home", dict), fails)
    await acts.close()
    last = list(records([tmp_path / "audit.jsonl"], None))[-1]
    assert (last["stage"], last["reason"]) == ("failed", "RuntimeError('boom')")


async def test_nobodys_words_break_a_line_or_fill_it(tmp_path):
    """Line ends, controls, quotes and megabytes in what operators say."""
    acts = Acting("router", Journal(tmp_path / "audit.jsonl", 1 << 20))
    evil = '"}\n{"number":1,"who":"root"}\r\x00\u2028' + "x" * 1_000_000
    values = {f"key{number}": evil for number in range(200)}
    act = Act("lend", evil, lambda: values, values)
    await acts.perform(Actor(evil, "operator", evil, evil), act, lambda: None)
    await acts.close()
    verdict = verify(tmp_path / "audit.jsonl", None)
    assert verdict.is_whole
    assert verdict.records == 2
    assert (tmp_path / "audit.jsonl").stat().st_size < 40_000


async def test_without_a_log_actions_are_taken_all_the_same():
    """As in the local demo, where nobody proves anything."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        await routed.fleet.Drain(pb.DrainRequest(site="home"))
        assert (await routed.state()).sites[0].draining
        assert routed.router._acting.head is None
