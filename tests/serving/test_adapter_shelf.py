"""Which adapters an engine has loaded, and who waits for a load."""

import asyncio

import grpc
import pytest

from serving.adapter_shelf import AdapterShelf
from tests.serving.conftest import ask, serve_fake, up_to
from tests.waiting import DEADLINE_S, until


class Reader:
    """Loads by hand, with the time that is passed; it holds as many as an engine would."""

    def __init__(self, most=2):
        self.now_s = 0.0
        self.loads = []
        self.there = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error = None
        self.shelf = AdapterShelf(
            self.load, loaded_max=most, running_max=1, clock=lambda: self.now_s
        )
        self._most = most

    async def load(self, name):
        self.loads.append(name)
        await self.gate.wait()
        if self.error:
            raise self.error
        self.now_s += 0.25
        self.there = [*self.there, name][-self._most :]
        return self.there

    async def use(self, name):
        async with self.shelf.taken(name):
            self.shelf.used(name)


async def test_the_least_recently_used_goes():
    """What was used again stays, as in the engine."""
    reader = Reader()
    for name in ("a", "b", "a"):
        await reader.use(name)
    reader.there = ["b", "a"]  # as the engine would have it
    await reader.use("c")
    assert reader.shelf.use.loaded == ("a", "c")
    assert reader.loads == ["a", "b", "c"]
    assert reader.shelf.use.load_s == 0.25


async def test_many_that_want_one_wait_for_one_load():
    reader = Reader()
    reader.gate.clear()
    tasks = [asyncio.create_task(reader.use("a")) for _ in range(5)]
    await until(lambda: reader.loads)
    assert reader.shelf.use.running == {"a": 5}
    reader.gate.set()
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*tasks)
    assert reader.loads == ["a"]
    assert (reader.shelf.use.running, reader.shelf.use.loaded) == ({}, ("a",))


async def test_a_load_that_fails_fails_its_request_and_is_tried_again():
    """Nothing of it stays counted, and whoever waited behind it tries for himself."""
    reader = Reader()
    reader.error = OSError("no such file")
    reader.gate.clear()
    tasks = [asyncio.create_task(reader.use("a")) for _ in range(2)]
    await until(lambda: reader.loads)
    reader.gate.set()
    async with asyncio.timeout(DEADLINE_S):
        failed = await asyncio.gather(*tasks, return_exceptions=True)
    assert failed == [reader.error, reader.error]
    assert (reader.shelf.use.running, reader.shelf.use.loaded) == ({}, ())
    reader.error = None
    await reader.use("a")
    assert reader.shelf.use.loaded == ("a",)


async def test_who_leaves_while_it_is_loaded_leaves_nothing():
    reader = Reader()
    reader.gate.clear()
    task = asyncio.create_task(reader.use("a"))
    await until(lambda: reader.loads)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.shelf.use.running == {}
    reader.gate.set()
    await reader.use("a")
    assert reader.loads == ["a", "a"]


async def test_no_adapter_is_never_loaded():
    reader = Reader()
    await reader.use("")
    assert (reader.loads, reader.shelf.use.loaded) == ([], ())


async def test_reports_say_what_is_there_and_what_is_loaded():
    """Identity has all that may be asked for, with its digest; a report what is in use."""
    settings = {"adapters": ["a", "b", "c"], "adapters_loaded_max": 2, "adapter_load_s": 0.0}
    async with serve_fake(itl_s=0, **settings) as served:
        first = await served.report_where(lambda report: report.HasField("identity"))
        assert dict(first.identity.adapters) == {"a": "fake-a", "b": "fake-b", "c": "fake-c"}
        assert (list(first.adapters.loaded), first.adapters.loaded_max) == ([], 2)
        for name in ("a", "b", "a", "c"):
            assert await served.stream(ask(lora_name=name, stopping=up_to(2)))
        report = await served.report_where(lambda report: report.adapters.loaded)
        assert list(report.adapters.loaded) == ["a", "c"]
        assert not report.adapters.running


async def test_a_report_counts_requests_by_their_adapter():
    async with serve_fake(itl_s=0.005, adapters=["a"], adapter_load_s=0.0) as served:
        call = served.inference.GenerateStream(ask(lora_name="a", stopping=up_to(5_000)))
        await call.read()
        report = await served.report_where(lambda report: report.adapters.running)
        assert dict(report.adapters.running) == {"a": 1}
        call.cancel()
        await served.report_where(lambda report: not report.adapters.running)


async def test_an_engine_without_adapters_says_nothing_of_them(served):
    report = await served.report_where(lambda _: True)
    assert not report.HasField("adapters")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stream(ask(lora_name="a"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
