"""A replica and the leases that clients bring: whom it serves, whom it refuses, what it tells."""

import asyncio
import contextlib
import time

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from serving.engine import EngineDeadError
from serving.fake_engine import FakeEngine, FakeSettings
from serving.lease_door import LeaseDoor, LeaseTerms
from serving.lease_ledger import KEPT_MAX, LeaseLedger
from serving.lease_terms import read_terms
from serving.load import LoadBoard, Watcher
from serving.settings import ReplicaSettings, SettingsError
from tests.serving.conftest import serve_fake
from tests.serving.leasing import KEY, OTHER_KEY, S, ask, lease_for, shown
from tests.waiting import DEADLINE_S
from wire.lease_keys import KEYS_ENV, KEYS_FILE_ENV, LeaseKeyError, read_lease_keys
from wire.spillway.v1.lease import LEASE_CHARS_MAX, LEASE_KEY, LeaseError, open_lease, sign
from wire.spillway.v1.lease_pb2 import Lease
from wire.spillway.v1.load_pb2 import LeaseAccount, WatchLoadRequest
from wire.status import CallError
from wire.vllm.control_pb2 import AbortRequest
from wire.vllm.inference_pb2 import GenerateRequest

OPEN = LeaseTerms((KEY,))
REQUIRED = LeaseTerms((KEY, OTHER_KEY), required=True)
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED


async def refusal(call):
    """The status and the reason that a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = ErrorInfo()
    rpc_status.from_call(caught.value).details[0].Unpack(info)
    return caught.value.code(), info.reason


@contextlib.asynccontextmanager
async def told(served):
    """The accounts so far, by lease and use, kept up to date."""
    accounts, changed = {}, asyncio.Event()

    async def listen():
        async for report in served.reports(accounts=True):
            for account in report.accounts:
                accounts[account.lease_id, account.use] = account
            changed.set()

    async def until(condition):
        async with asyncio.timeout(DEADLINE_S):
            while not condition(accounts):
                changed.clear()
                await changed.wait()
        return accounts

    listening = asyncio.create_task(listen())
    try:
        yield until
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def is_over(use):
    """Whether the account of this use of the lease says that it is over."""
    return lambda told: ("lease-1", use) in told and told["lease-1", use].stage == 3


async def test_a_request_with_its_lease_is_served_and_accounted_for():
    """The account tells its tokens, times and bytes, and to whom they belong."""
    async with serve_fake(terms=REQUIRED, itl_s=0.001) as served, told(served) as until:
        request = ask(max_new_tokens=8)
        lease = lease_for(request, served.server.replica.board.instance_id)
        chunks = await served.stream(request, metadata=shown(lease))
        account = (await until(is_over(1)))["lease-1", 1]
        assert sum(chunk.outputs.num_tokens for chunk in chunks) == account.output_tokens == 8
        assert (account.issuer, account.status, account.finished) == ("router-1", 0, True)
        assert account.messages == len(chunks)
        assert account.egress_bytes == sum(chunk.ByteSize() for chunk in chunks)
        assert 0 < account.ttft_ns <= account.duration_ns <= account.age_ns
        assert account.decode_ns == account.duration_ns - account.ttft_ns


async def test_where_leases_are_required_nobody_comes_in_without():
    """Neither a stream nor the end of another's stream can be asked for."""
    async with serve_fake(terms=REQUIRED) as served:
        missing = (UNAUTHENTICATED, "LEASE_MISSING")
        assert await refusal(served.stream(ask())) == missing
        assert await refusal(served.inference.Generate(ask())) == missing
        assert await refusal(served.control.Abort(AbortRequest(request_ids=["x"]))) == missing


async def test_where_they_are_not_a_request_without_one_is_served():
    """And so is one with a lease that cannot be verified, where there is no key."""
    async with serve_fake(terms=OPEN) as served, serve_fake() as keyless:
        assert await served.stream(ask())
        assert await keyless.stream(ask(), metadata=((LEASE_KEY, "whatever"),))


@pytest.mark.parametrize(
    ("fields", "key", "expected"),
    [
        ({}, b"k" * 32, (UNAUTHENTICATED, "LEASE_FORGED")),
        ({"audience": "another"}, KEY, (DENIED, "LEASE_FOREIGN")),
        ({"expires_in_ns": -3 * S}, KEY, (DENIED, "LEASE_EXPIRED")),
        ({"expires_in_ns": 900 * S}, KEY, (DENIED, "LEASE_EXPIRED")),
        ({"id": "lease-2"}, KEY, (DENIED, "LEASE_OTHER_REQUEST")),
        ({"session": "s-2"}, KEY, (DENIED, "LEASE_OTHER_REQUEST")),
        ({"fingerprint": "0" * 16}, KEY, (DENIED, "LEASE_OTHER_REQUEST")),
        ({"request_bytes_max": 5}, KEY, (DENIED, "LEASE_OVERSIZED")),
        ({"output_tokens_max": 4}, KEY, (DENIED, "LEASE_OVERSIZED")),
    ],
)
async def test_a_lease_that_is_not_for_this_is_refused(fields, key, expected):
    """Also where none would be needed: who shows one is held to it."""
    async with serve_fake(terms=OPEN) as served:
        lease = lease_for(ask(), served.server.replica.board.instance_id, **fields)
        assert await refusal(served.stream(ask(), metadata=shown(lease, key))) == expected
        assert not served.server.replica.in_flight


async def test_an_expiry_is_believed_for_as_long_as_clocks_may_differ():
    """Half a second late is in time."""
    async with serve_fake(terms=REQUIRED) as served:
        replica = served.server.replica
        lease = lease_for(ask(), replica.board.instance_id)
        replica._door._now_unix_ns = lambda: lease.expires_unix_ns + S // 2
        assert await served.stream(ask(), metadata=shown(lease))


async def test_a_lease_has_one_stream_at_a_time_and_each_use_is_told():
    """Replayed beside its stream it is refused; after it, the same is served on its account."""
    async with serve_fake(terms=REQUIRED, itl_s=0.02) as served, told(served) as until:
        request = ask(max_new_tokens=1_000)
        lease = shown(lease_for(request, served.server.replica.board.instance_id))
        first = served.inference.GenerateStream(request, metadata=lease)
        await first.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stream(request, metadata=lease)
        assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
        first.cancel()
        accounts = await until(is_over(1))
        assert accounts["lease-1", 1].status == grpc.StatusCode.CANCELLED.value[0]
        again = served.inference.GenerateStream(request, metadata=lease)
        await again.read()
        again.cancel()
        accounts = await until(is_over(2))
        assert sorted(use for _, use in accounts) == [1, 2]


async def test_a_routers_pass_is_good_for_any_request():
    """It may end requests as well, and no account is kept of what comes with it."""
    async with serve_fake(terms=REQUIRED) as served:
        instance = served.server.replica.board.instance_id
        expires_ns = time.time_ns() + 30 * S
        whole = Lease(audience=instance, issuer="r", expires_unix_ns=expires_ns, pass_through=True)
        assert await served.stream(ask("41", request_id=""), metadata=shown(whole, OTHER_KEY))
        await served.control.Abort(AbortRequest(request_ids=["any"]), metadata=shown(whole))
        report = await anext(aiter(served.reports(accounts=True)))
        assert not report.accounts


async def test_a_client_may_end_its_own_request_and_no_other():
    """Ids of others are known to nobody, and would not help."""
    async with serve_fake(terms=REQUIRED) as served:
        lease = shown(lease_for(ask(), served.server.replica.board.instance_id))
        await served.control.Abort(AbortRequest(request_ids=["lease-1"]), metadata=lease)
        others = served.control.Abort(AbortRequest(request_ids=["lease-1", "x"]), metadata=lease)
        assert await refusal(others) == (DENIED, "LEASE_OTHER_REQUEST")


async def test_who_listens_later_hears_what_has_ended_of_late():
    """A router that lost its connection misses nothing."""
    async with serve_fake(terms=OPEN) as served:
        lease = shown(lease_for(ask(), served.server.replica.board.instance_id))
        await served.stream(ask(), metadata=lease)
        report = await anext(aiter(served.reports(accounts=True)))
        assert [account.stage for account in report.accounts] == [LeaseAccount.ENDED]
        assert report.takes_leases
        assert not (await anext(aiter(served.reports()))).accounts


def test_for_who_does_not_read_no_more_is_kept_than_is_remembered():
    """The latest; its reports go on from there."""
    watcher, ledger = Watcher(None, silence_s=1.0), LeaseLedger()
    ledger.listen(watcher.on_use)
    for number in range(KEPT_MAX + 10):
        with ledger.use(Lease(id=f"r{number}")):
            pass
    assert len(watcher.uses) == KEPT_MAX
    assert (f"r{KEPT_MAX + 9}", 1) in watcher.uses


async def test_a_dying_engine_tells_of_its_leases_before_its_reports_end():
    """Otherwise nobody would learn that they failed, and of what."""
    async with serve_fake(terms=OPEN, itl_s=0.02) as served, told(served) as until:
        request = ask(max_new_tokens=1_000)
        lease = shown(lease_for(request, served.server.replica.board.instance_id))
        call = served.inference.GenerateStream(request, metadata=lease)
        await call.read()
        served.engine.die()
        accounts = await until(is_over(1))
        assert accounts["lease-1", 1].status == grpc.StatusCode.UNAVAILABLE.value[0]
        assert not accounts["lease-1", 1].finished
        call.cancel()


async def test_the_last_reports_wait_for_a_stream_that_ends_after_its_engine():
    """Its end is told whenever it comes, and only then the reports end."""
    engine, ledger = FakeEngine(FakeSettings()), LeaseLedger()
    board = LoadBoard(engine, "here", ledger, takes_leases=True)
    with board.watcher(WatchLoadRequest(accounts=True)) as watcher:
        with ledger.use(Lease(id="a")):
            board.tell(watcher)
            engine.die()
            assert not board.tell(watcher).accounts
        (account,) = board.tell(watcher).accounts
        assert account.stage == LeaseAccount.ENDED
        with pytest.raises(EngineDeadError):
            board.tell(watcher)


async def test_the_last_reports_wait_for_no_client_that_does_not_read(monkeypatch):
    """Its stream may never end, and whoever hears no accounts waits for none."""
    engine, ledger = FakeEngine(FakeSettings()), LeaseLedger()
    board = LoadBoard(engine, "here", ledger, takes_leases=True)
    with ledger.use(Lease(id="a")):
        engine.die()
        with board.watcher(WatchLoadRequest()) as watcher, pytest.raises(EngineDeadError):
            board.tell(watcher)
        monkeypatch.setattr("serving.load.LAST_ENDS_S", 0.0)
        with board.watcher(WatchLoadRequest(accounts=True)) as watcher:
            board.tell(watcher)  # that it has begun
            with pytest.raises(EngineDeadError):
                board.tell(watcher)


@given(st.text(max_size=50) | st.binary(max_size=200))
def test_what_nobody_signed_is_no_lease(text):
    """Whatever it is, it is refused and nothing else happens."""
    with pytest.raises(LeaseError):
        open_lease(text, (KEY,))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_lease_with_any_byte_changed_is_forged(place, change):
    """The signature covers all of it."""
    text = bytearray(sign(Lease(id="a", audience="b", expires_unix_ns=7), KEY).encode())
    text[place % len(text)] ^= change
    try:
        lease = open_lease(bytes(text), (KEY,))
    except LeaseError:
        return
    assert lease == Lease(id="a", audience="b", expires_unix_ns=7)  # unused bits of base64


def test_the_longest_names_fit_into_a_lease():
    """256 characters each, of four bytes."""
    name = "\U0001f600" * 256
    lease = Lease(id=name[:64], audience="i" * 32, session=name, tenant="t" * 256)
    assert len(sign(lease, KEY)) < LEASE_CHARS_MAX


def test_keys_come_from_a_file_or_the_environment_and_are_never_shown(tmp_path):
    """A file that is named goes before the variable; short keys are refused unseen."""
    path = tmp_path / "keys"
    path.write_text("a" * 32 + "\n" + "b" * 40 + "\n")
    both = (b"a" * 32, b"b" * 40)
    assert read_lease_keys(path, {}) == both
    assert read_lease_keys(None, {KEYS_FILE_ENV: str(path), KEYS_ENV: "c" * 32}) == both
    assert read_lease_keys(None, {KEYS_ENV: "c" * 32}) == (b"c" * 32,)
    assert read_lease_keys(None, {}) == ()
    path.write_text("secret")
    with pytest.raises(LeaseKeyError, match="at least 32") as caught:
        read_lease_keys(path, {})
    assert "secret" not in str(caught.value)


def test_leases_without_keys_cannot_be_required(tmp_path):
    """Nothing could come in."""
    with pytest.raises(SettingsError, match="no key"):
        read_terms(ReplicaSettings(leases="required"), {})
    with pytest.raises(SettingsError, match="cannot be read"):
        read_terms(ReplicaSettings(lease_key_file=tmp_path / "none"), {})


def test_what_a_lease_lays_over_a_request_goes_before_what_its_client_says():
    """Its cache's salt and its priority, zero included; the rest of the request stays."""
    request = ask("7", session_id="s")
    request.kv.cache_salt, request.kv.bypass_prefix_cache, request.priority = "bolt/x", True, -5
    terms = GenerateRequest()
    terms.kv.cache_salt = "acme/bolt/x"
    laid_over = terms.SerializeToString() + bytes((GenerateRequest.PRIORITY_FIELD_NUMBER << 3, 0))
    lease = lease_for(request, "here", tenant="acme", laid_over=laid_over)
    assert LeaseDoor(REQUIRED, "here").admit(request, shown(lease)) == lease
    assert (request.kv.cache_salt, request.priority) == ("acme/bolt/x", 0)
    assert request.kv.bypass_prefix_cache
    assert (request.text, request.session_id) == ("7", "s")


def test_a_client_need_not_know_what_the_fleet_calls_it():
    """Its lease says whose it is; a client that says otherwise is refused."""
    request = ask("7")
    metadata = shown(lease_for(request, "here", tenant="acme"))
    assert LeaseDoor(REQUIRED, "here").admit(request, metadata) is not None
    with pytest.raises(CallError, match="another tenant"):
        LeaseDoor(REQUIRED, "here").admit(request, (*metadata, ("x-spillway-tenant", "bolt")))


@pytest.mark.parametrize("terms", [OPEN, REQUIRED])
async def test_a_replica_says_whether_it_requires_leases(terms):
    """So that a router knows where a tenant's terms hold."""
    async with serve_fake(terms=terms) as served:
        report = await anext(aiter(served.reports()))
    assert (report.takes_leases, report.requires_leases) == (True, terms.required)
