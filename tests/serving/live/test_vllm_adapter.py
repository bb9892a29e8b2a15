"""How the vLLM engine treats a vLLM that misbehaves, which is a fake here."""

import asyncio
import importlib
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from serving.engine import EngineDeadError, FinishReason
from serving.fake_engine import FakeEngine, FakeSettings
from serving.load_tally import LoadTally
from serving.request import read_request
from serving.settings import read_settings
from tests.waiting import DEADLINE_S
from wire.vllm.inference_pb2 import GenerateRequest

pytestmark = [
    pytest.mark.live,  # it imports vLLM, which takes ten seconds
    pytest.mark.filterwarnings("ignore"),  # of what vLLM imports
]


@dataclass
class FakeLlm:
    """Puts out one token and then the end that it is given, and notes what is asked of it."""

    end: str = "length"
    errored: bool = False
    asked: list[str] = field(default_factory=list)
    tokenized: asyncio.Event = field(default_factory=asyncio.Event)
    tokenizer: None = None

    def __post_init__(self):
        self.model_config = SimpleNamespace(
            get_diff_sampling_param=dict, try_get_generation_config=dict
        )
        self.observability_config = SimpleNamespace(otlp_traces_endpoint=None)
        self.renderer = SimpleNamespace(
            default_cmpl_tok_params=None, tokenize_prompts_async=self._tokenize
        )

    async def _tokenize(self, _prompts, _how):
        await self.tokenized.wait()
        return [{"prompt_token_ids": [1, 2, 3]}]

    async def generate(self, _prompt, _params, request_id, **_):
        self.asked.append(request_id)
        yield self._output([7], None)
        yield self._output([], self.end)

    async def abort(self, request_ids):
        self.end = "abort"

    def shutdown(self, timeout_s):
        self.asked.append("shutdown")

    def _output(self, token_ids, finish):
        part = SimpleNamespace(
            index=0,
            text="",
            token_ids=token_ids,
            logprobs=None,
            finish_reason=finish,
            stop_reason=None,
        )
        return SimpleNamespace(prompt_token_ids=[1], prompt_logprobs=None, outputs=[part])


class Unstoppable:
    """Events that cannot be stopped, and a guard that notes its end."""

    closed = False

    async def stop(self):
        raise OSError("no")

    def close(self):
        self.closed = True


@pytest.fixture
def llm():
    return FakeLlm()


@pytest.fixture
def engine(llm):
    module = importlib.import_module("serving.vllm_engine")
    info = FakeEngine(FakeSettings()).info
    other = Unstoppable()
    return module.VllmEngine(llm, LoadTally(), other, other, info, (), read_settings({}))


def asked(engine, **fields):
    return read_request(GenerateRequest(request_id="r", **fields), engine.info)


async def test_an_end_that_nobody_asked_for_is_the_engines(engine, llm):
    """VLLM ends requests in order when it is told to stop: their streams can go on elsewhere."""
    llm.end = "abort"
    with pytest.raises(EngineDeadError):
        _ = [o async for o in engine.generate(asked(engine, token_ids={"ids": [1]}))]
    assert engine.load().running_requests + engine.load().waiting_requests == 0


async def test_an_end_that_was_asked_for_is_the_requests(engine, llm):
    outputs = []
    async for output in engine.generate(asked(engine, token_ids={"ids": [1]})):
        outputs.append(output)
        await engine.abort(["r"])
    assert outputs[-1].finish.reason is FinishReason.ABORTED


async def test_a_request_that_ends_while_it_is_read_never_reaches_vllm(engine, llm):
    """Its prompt is still a text when the end is asked for."""
    outputs = engine.generate(asked(engine, text="abc"))
    first = asyncio.create_task(anext(outputs))
    await asyncio.sleep(0)
    await engine.abort(["r"])
    llm.tokenized.set()
    assert (await first).finish.reason is FinishReason.ABORTED
    assert [output async for output in outputs] == llm.asked == []


async def test_an_end_asked_for_in_vain_is_forgotten(engine, llm):
    """The id of a request that is not there may be used afterwards."""
    await engine.abort(["r"])
    with pytest.raises(EngineDeadError):
        _ = [o async for o in engine.generate(asked(engine, token_ids={"ids": [1]}))]


async def test_an_engine_ends_whatever_of_it_fails_to(engine, llm):
    """Where its events cannot be stopped, its process ends all the same, and its guard."""
    with pytest.raises(OSError, match="no"):
        await engine.shutdown()
    assert llm.asked == ["shutdown"]
    assert engine._guard.closed


async def test_an_engine_that_dies_while_it_is_asked_is_noticed(llm):
    """VLLM leaves such a question unanswered for ever."""
    module = importlib.import_module("serving.vllm_engine")
    given_up = asyncio.Event()

    async def ask():
        llm.errored = True
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    with pytest.raises(EngineDeadError):
        await asyncio.wait_for(module.while_alive(llm, ask()), DEADLINE_S)
    await asyncio.wait_for(given_up.wait(), DEADLINE_S)


async def test_what_an_engine_answered_before_it_died_counts(llm):
    module = importlib.import_module("serving.vllm_engine")

    async def ask():
        llm.errored = True
        return "answer"

    assert await module.while_alive(llm, ask()) == "answer"
