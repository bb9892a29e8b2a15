"""An engine without a model: it counts, at a pace that is set.

For tests of what stands around an engine, for benchmarks of the data plane, and for rehearsing a
fleet where there is no GPU: it queues, prefills, caches prefixes and decodes in real time like an
engine with these speeds, one token for each byte.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from serving.adapter_shelf import AdapterShelf
from serving.counting import EOS_TOKEN_ID, Answer
from serving.engine import (
    AdapterUse,
    EngineDeadError,
    EngineInfo,
    EngineLoad,
    EngineOutput,
    PrefixBlocks,
    PromptFacts,
)
from serving.generation import Generation
from serving.identity import Identity, tokenizer_digest
from serving.recent_mean import RecentMean
from serving.request import fit_to_context, truncated
from wire.spillway.v1.prefix import BLOCK_TOKENS, token_blocks
from wire.status import bad_field

TOKENIZER = Path(__file__).parent / "fake_tokenizer"
"""A token for each byte, and a chat template that writes one message a line."""

RESTORES = ("seed", "penalties", "text")
"""A counter draws nothing and bends nothing; the rest of what may need restoring it refuses."""


class FakeSettings(BaseModel):
    """The speeds and sizes of a fake engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    itl_s: float = Field(default=0.02, ge=0)
    """Time between two tokens of a sequence."""
    steps: bool = False
    """Whether the tokens of all sequences come at the same times, as those of a real engine do."""
    prefill_tokens_per_s: float = Field(default=100_000, gt=0)
    max_running: int = Field(default=256, ge=1)
    max_model_len: int = Field(default=32_768, ge=2)
    cache_blocks: int = Field(default=65_536, ge=0)
    """Prompt blocks of 16 tokens that are remembered; a remembered block needs no prefill."""
    poison: str = ""
    """A prompt that contains this kills the engine."""
    weights: str = "count"
    """Engines of another name here are other models to a router that resumes streams."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters that requests may name; they change nothing of what is counted."""
    adapters_loaded_max: int = Field(default=4, ge=1)
    adapter_load_s: float = Field(default=0.5, ge=0)


class _Run:
    """A request between its arrival and its end."""

    def __init__(self, generation: Generation, prompt_tokens: int) -> None:
        self.request_id = generation.request_id
        self.prompt_tokens = prompt_tokens
        self.aborted = False
        self.admitted = False
        self.prefilled = False
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Ends the pause the run is in, if it is in one."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def pause(self, until_s: float | None) -> None:
        """Waits for the loop's clock to reach until_s, or to be woken."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_at(until_s, self.wake) if until_s is not None else None
        try:
            await self._waiter
        finally:
            if timer is not None:
                timer.cancel()


class FakeEngine:
    """Counts on from the number a prompt ends in: see serving.counting."""

    def __init__(self, settings: FakeSettings, served_names: Sequence[str] = ("fake",)) -> None:
        self._settings = settings
        self._info = EngineInfo(
            version="fake",
            model_id=served_names[0],
            served_names=tuple(served_names),
            attention_backend="none",
            max_model_len=settings.max_model_len,
            vocab_size=EOS_TOKEN_ID + 1,
            eos_token_id=EOS_TOKEN_ID,
            kv_block_size=BLOCK_TOKENS,
            total_kv_blocks=settings.cache_blocks,
            max_running_requests=settings.max_running,
            max_batched_tokens=settings.max_model_len,
            max_logprobs=0,
            honours_priority=False,
            lora_names=settings.adapters,
            max_loras=settings.adapters_loaded_max if settings.adapters else 0,
            tokenizer_folder=TOKENIZER,
            identity=Identity(
                weights_digest=f"fake-{settings.weights}",
                tokenizer_digest=tokenizer_digest(TOKENIZER),
                numerics_digest="exact",
                restores=RESTORES,
                adapters={name: f"fake-{name}" for name in settings.adapters},
            ),
        )
        self._adapters = AdapterShelf(
            self._load,
            loaded_max=settings.adapters_loaded_max,
            running_max=settings.adapters_loaded_max,
        )
        self._dead = False
        self._running: dict[str, _Run] = {}
        self._waiting: deque[_Run] = deque()
        self._cache: OrderedDict[int, None] = OrderedDict()
        self._listeners: list[Callable[[], None]] = []
        self._prefix_listeners: list[Callable[[PrefixBlocks], None]] = []
        self._hit_tokens = self._query_tokens = self._generated_tokens = 0
        self._ttft = RecentMean(half_life_s=10.0)

    @property
    def info(self) -> EngineInfo:
        """See serving.engine.Engine, as for all that follows."""
        return self._info

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineOutput, None]:
        """Counts, in as many equal sequences as are asked for."""
        self.check()
        _refuse_unsupported(generation)
        prompt = generation.prompt
        token_ids = truncated(
            generation, list(prompt.encode()) if isinstance(prompt, str) else prompt
        )
        limit = fit_to_context(generation, len(token_ids), self._info)
        answer = Answer(
            generation.stopping,
            token_ids,
            limit,
            generation.delivered,
            generation.delivered_text_bytes,
        )
        token_ids = [*token_ids, *generation.delivered]
        loop = asyncio.get_running_loop()
        arrived_s = loop.time()
        run = _Run(generation, len(token_ids))
        self._waiting.append(run)
        try:
            self._admit()
            while not run.admitted and not run.aborted:
                await run.pause(None)
                self.check()
            async with self._adapters.taken(generation.lora_name):
                await self._prefill(run, generation, token_ids)
                self._ttft.add(loop.time() - arrived_s, 1, loop.time())
                self._adapters.used(generation.lora_name)
                async for output in self._decode(run, generation, token_ids, answer):
                    yield output
        finally:
            self._leave(run)

    async def abort(self, request_ids: Sequence[str]) -> None:
        """Wakes the runs, which then end."""
        for run in [*self._running.values(), *self._waiting]:
            if run.request_id in request_ids:
                run.aborted = True
                run.wake()

    def load(self) -> EngineLoad:
        """Exact at any time."""
        unfinished = [*self._running.values(), *self._waiting]
        tokens = sum(run.prompt_tokens for run in self._running.values())
        capacity = self._settings.max_running * self._settings.max_model_len
        return EngineLoad(
            running_requests=len(self._running),
            waiting_requests=len(self._waiting),
            queued_prefill_tokens=sum(r.prompt_tokens for r in unfinished if not r.prefilled),
            kv_usage=min(1.0, tokens / capacity),
            prefix_hit_tokens=self._hit_tokens,
            prefix_query_tokens=self._query_tokens,
            generated_tokens=self._generated_tokens,
            ttft_s=self._ttft.value,
            itl_s=self._settings.itl_s if self._generated_tokens else 0.0,
        )

    def adapters(self) -> AdapterUse:
        """Those of its shelf."""
        return self._adapters.use

    def itl_s_p95(self) -> float:
        """Its pace has no tail that would be worth telling."""
        return 0.0

    def on_load(self, listener: Callable[[], None]) -> None:
        """A step is a change of what runs or waits."""
        self._listeners.append(listener)

    def on_prefix_change(self, listener: Callable[[PrefixBlocks], None]) -> bool:
        """The cache is its own, so it can always tell."""
        self._prefix_listeners.append(listener)
        return True

    def check(self) -> None:
        """Dead once die was called."""
        if self._dead:
            raise EngineDeadError

    def die(self) -> None:
        """Fails everything in flight, as the death of an engine's process does."""
        self._dead = True
        for run in [*self._running.values(), *self._waiting]:
            run.wake()
        self._changed()

    async def shutdown(self) -> None:
        """A shutdown is a death that was asked for."""
        self.die()

    async def _load(self, name: str) -> Collection[str]:
        """Nothing is read: it takes its time."""
        await asyncio.sleep(self._settings.adapter_load_s)
        return [*self._adapters.use.loaded, name]

    async def _prefill(self, run: _Run, generation: Generation, token_ids: Sequence[int]) -> None:
        if self._settings.poison and self._settings.poison.encode() in bytes(
            token_id for token_id in token_ids if token_id < EOS_TOKEN_ID
        ):
            self.die()
        cached = self._remember(generation, token_ids)
        seconds = (len(token_ids) - cached) / self._settings.prefill_tokens_per_s
        ends_s = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < ends_s and not run.aborted:
            self.check()
            await run.pause(ends_s)
        run.prefilled = True
        self._changed()

    async def _decode(
        self, run: _Run, generation: Generation, token_ids: Sequence[int], answer: Answer
    ) -> AsyncGenerator[EngineOutput, None]:
        """All tokens that are due, in one output: a slow consumer gets fewer and larger ones."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        itl_s = self._settings.itl_s
        if self._settings.steps and itl_s:
            started_s -= started_s % itl_s
        prompt: PromptFacts | None = PromptFacts(tuple(token_ids))
        count = 0
        while not answer.finished:
            due_s = started_s + count * itl_s
            if loop.time() < due_s and not run.aborted:
                await run.pause(due_s)
            elif itl_s == 0:
                await asyncio.sleep(0)
            self.check()
            due = int((loop.time() - started_s) / itl_s) + 1 - count if itl_s else 1
            output = answer.abort() if run.aborted else answer.take(max(1, due))
            count += len(output.token_ids)
            sequences = generation.sampling.num_sequences
            self._generated_tokens += len(output.token_ids) * sequences
            for index in range(sequences):
                yield EngineOutput(
                    index=index,
                    text=output.text,
                    token_ids=output.token_ids,
                    logprobs=[0.0] * len(output.token_ids),
                    ranks=[1] * len(output.token_ids),
                    finish=output.finish,
                    prompt=prompt,
                )
                prompt = None

    def _remember(self, generation: Generation, token_ids: Sequence[int]) -> int:
        """Takes a prompt into the cache; returns how many of its tokens were there already."""
        blocks = token_blocks(token_ids, salt=generation.cache_salt)
        known = next((i for i, block in enumerate(blocks) if block not in self._cache), len(blocks))
        if generation.bypass_prefix_cache:
            known = 0
        self._query_tokens += len(token_ids)
        self._hit_tokens += known * BLOCK_TOKENS
        added = [block for block in blocks if block not in self._cache]
        for block in blocks:
            self._cache[block] = None
            self._cache.move_to_end(block)
        removed = [
            self._cache.popitem(last=False)[0]
            for _ in range(len(self._cache) - self._settings.cache_blocks)
        ]
        if added or removed:
            for listener in self._prefix_listeners:
                listener(PrefixBlocks(added=added, removed=removed))
        return known * BLOCK_TOKENS

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._settings.max_running:
            run = self._waiting.popleft()
            run.admitted = True
            self._running[run.request_id] = run
            run.wake()
        self._changed()

    def _leave(self, run: _Run) -> None:
        if run in self._waiting:
            self._waiting.remove(run)
        self._running.pop(run.request_id, None)
        self._admit()

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()


def _refuse_unsupported(generation: Generation) -> None:
    """A counter has one answer: it cannot bend it to a schema or a bias, and says so."""
    decoding, wanted = generation.decoding, generation.wanted
    unsupported = {
        "stopping.stop_strings": generation.stopping.stop_strings,
        "decoding.structured_output": decoding.structure,
        "decoding.logit_bias": decoding.logit_bias,
        "decoding.allowed_token_ids": decoding.allowed_token_ids,
        "response.prompt_logprobs": wanted.prompt_logprobs,
        "response.prompt_candidates": wanted.prompt_candidates,
        "response.output_candidates": wanted.output_candidates,
    }
    for field, value in unsupported.items():
        if value:
            raise bad_field(field, "is not supported by the fake engine")
