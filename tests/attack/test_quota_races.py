"""Many clients of one tenant at once, over several workers: together they have what it may have."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.attack.programs import Program
from tests.attack.scene import GENERATE, KEYS, STREAM, TENANTS, ask, bearer, fleet_file, write_keys
from tests.waiting import DEADLINE_S, wait_until

CODES = grpc.StatusCode
WORKERS = 2
SMALL = bearer(KEYS["small"])
A_MINUTE = TENANTS["small"]["requests_per_minute"]
AT_ONCE = A_MINUTE / 4
ALONE = (("grpc.use_local_subchannel_pool", 1),)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Several workers on one port, before an engine that is slow."""
    folder = tmp_path_factory.mktemp("workers")
    write_keys(folder / "keys")
    with contextlib.ExitStack() as opened:

        def started(name, *arguments):
            return opened.enter_context(Program(folder, name, *arguments))

        engine = started(
            "engine", "serving.standalone", "engine=fake", "model=f", "fake.itl_s=0.05"
        )
        home = {"kind": "home", "endpoints": [engine.address("serving f on")]}
        file = fleet_file(
            folder,
            {"home": home},
            authentication={"keys_file": str(folder / "keys")},
            openai_listen=None,
            metrics_listen=None,
        )
        router = started("router", "spillway", "route", file, "--workers", str(WORKERS))
        where = router.address("Router of 2 workers at")
        wait_until(lambda: all(code_of(where, bearer(KEYS["ops"])) is CODES.OK for _ in range(8)))
        yield where


def code_of(where, who, method=GENERATE, tokens=1):
    """How a call on a connection of its own ends, and so one of whichever worker."""
    with grpc.insecure_channel(where, ALONE) as channel:
        call = channel.unary_stream(method)(ask(tokens=tokens), metadata=who, timeout=DEADLINE_S)
        with contextlib.suppress(grpc.RpcError):
            list(call)
        return call.code()


@pytest.mark.slow
def test_clients_that_race_for_a_quota_have_no_more_than_it(address):
    """At once a quarter of a minute's, one more for each worker, and what fills up meanwhile."""
    began_s = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: code_of(address, SMALL), range(80)))
    filled = (time.monotonic() - began_s) * A_MINUTE / 60
    assert set(codes) == {CODES.OK, CODES.RESOURCE_EXHAUSTED}
    assert codes.count(CODES.OK) <= AT_ONCE + WORKERS + filled + 1
    assert code_of(address, bearer(KEYS["acme"])) is CODES.OK


@pytest.mark.slow
def test_clients_that_race_for_streams_have_no_more_than_it_may_at_a_time(address):
    """Whatever worker each of them reaches, and though others may have many."""
    most = TENANTS["small"]["streams_max"]
    with contextlib.ExitStack() as opened:
        running, refusals = 0, set()
        for _ in range(30):
            channel = opened.enter_context(grpc.insecure_channel(address, ALONE))
            call = channel.unary_stream(STREAM)(
                ask(tokens=2_000), metadata=SMALL, timeout=DEADLINE_S
            )
            opened.callback(call.cancel)
            try:
                next(call)
                running += 1
            except grpc.RpcError as error:
                refusals.add(error.code())
        assert running <= most
        assert refusals == {CODES.RESOURCE_EXHAUSTED}
