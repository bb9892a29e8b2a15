"""Restores, in vLLM's workers, what a request's delivered tokens have made of its state.

vLLM mixes ResumingWorker into its worker class, in each worker's process. Its older model runner
(V1) keeps a state for each request, which is made from the prompt alone; it becomes here what the
undisturbed stream would have made of it. The newer one (V2) is told all tokens by the scheduler,
and draws by position: it needs nothing.
"""

from typing import Any

import torch
from vllm.platforms import current_platform
from vllm.v1.worker.gpu_input_batch import CachedRequestState
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from serving.vllm_scheduler import delivered_tokens


class ResumingWorker:
    """What vLLM's worker can do besides, called by its name from the engine's client."""

    model_runner: Any

    def restore_delivered(self) -> list[str]:
        """Restores from now on; returns what, by the names of wire.spillway.v1.resume."""
        runner = self.model_runner
        restored = ["penalties", "structured_output"]
        if not isinstance(runner, GPUModelRunner):
            return [*restored, "seed"]
        draws = _draws(runner)
        runner.requests = _Requests(runner.requests, draws)
        return [*restored, "seed"] if draws is not None else restored


class _Draws:
    """The random numbers that one token takes from its request's generator."""

    def __init__(self, vocab_size: int, device: torch.device) -> None:
        self._vocab_size = vocab_size
        self._device = device

    def skip(self, generator: torch.Generator, tokens: int) -> None:
        """Moves generator on by those of so many tokens: see vLLM's TopKTopPSampler."""
        if self._device.type == "cpu":
            torch.randint(0, 2**31, (tokens,), generator=generator, dtype=torch.long)
            return
        # One number for each token of the vocabulary. Such a generator counts what it has given.
        start = generator.get_offset()
        row = torch.empty(self._vocab_size, dtype=torch.float32, device=self._device)
        row.exponential_(generator=generator)
        generator.set_offset(start + tokens * (generator.get_offset() - start))


def _draws(runner: Any) -> _Draws | None:
    """How this runner draws; None where that is another way than is known here."""
    known = current_platform.is_cpu() or current_platform.is_cuda()
    if not known or runner.speculative_config is not None or runner.model_config.use_fp64_gumbel:
        return None
    return _Draws(runner.input_batch.vocab_size, runner.device)


class _Requests(dict[str, CachedRequestState]):
    """The states of a runner's requests, each of which is put in once, when it is made."""

    def __init__(self, states: dict[str, CachedRequestState], draws: _Draws | None) -> None:
        super().__init__(states)
        self._draws = draws

    def __setitem__(self, request_id: str, state: CachedRequestState) -> None:
        delivered = delivered_tokens(state.sampling_params)
        if delivered and not state.output_token_ids:
            state.output_token_ids.extend(delivered)
            if state.generator is not None and self._draws is not None:
                self._draws.skip(state.generator, len(delivered))
        super().__setitem__(request_id, state)
