"""Restores, in vLLM's workers, what a request's delivered tokens have made of its state.

vLLM mixes ResumingWorker into its worker class, in each worker's process. Its older model runner
(V1) keeps a state for each request, which is made from the prompt alone; it becomes here what the
undisturbed stream would have made of it. The newer one (V2) is told all tokens by the scheduler,
and draws by position: it needs nothing.
"""

from typing import Any, Self

import torch
from vllm.platforms import current_platform
from vllm.v1.worker.gpu_input_batch import CachedRequestState
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from serving.vllm_cpu_lora import spare_the_base_model
from serving.vllm_scheduler import delivered_tokens


class ResumingWorker:
    """What vLLM's worker can do besides, called by its name from the engine's client."""

    model_runner: Any

    def restore_delivered(self) -> list[str]:
        """Restores from now on; returns what, by the names of wire.spillway.v1.resume.

        It is called once, before the first request.
        """
        if current_platform.is_cpu():
            spare_the_base_model()
        runner = self.model_runner
        restored = ["penalties", "structured_output"]
        if not isinstance(runner, GPUModelRunner):
            return [*restored, "seed"]
        runner.requests = _Requests(runner.requests, runner.input_batch.vocab_size)
        return [*restored, "seed"] if _draws_as_known(runner) else restored


def _draws_as_known(runner: Any) -> bool:
    """Whether this runner draws in a way that is known here."""
    return (
        (current_platform.is_cpu() or current_platform.is_cuda())
        and runner.speculative_config is None
        and not runner.model_config.use_fp64_gumbel
    )


class _Requests(dict[str, CachedRequestState]):
    """The states of a runner's requests, each of which is put in once, when it is made."""

    def __init__(self, states: dict[str, CachedRequestState], vocab_size: int) -> None:
        super().__init__(states)
        self._vocab_size = vocab_size

    def __setitem__(self, request_id: str, state: CachedRequestState) -> None:
        delivered = delivered_tokens(state.sampling_params)
        if not state.output_token_ids:
            state.output_token_ids.extend(delivered)
        generator = state.generator
        if generator is not None and generator.device.type == "cpu":
            state.generator = _RewindingGenerator.of(state)
        elif generator is not None and delivered:
            _skip(generator, len(delivered), self._vocab_size)
        super().__setitem__(request_id, state)


class _RewindingGenerator(torch.Generator):
    """A request's generator on a CPU, which stands where its output tokens have brought it.

    With each chunk of a prompt but the last, vLLM draws a token and takes the draw back by the
    generator's offset. On a CPU there is none, and asking for it would be the engine's end.
    """

    _state: CachedRequestState

    @classmethod
    def of(cls, state: CachedRequestState) -> Self:
        """The generator for a request that has its output tokens."""
        generator = cls(device="cpu")
        generator._state = state
        generator.set_offset(0)
        return generator

    def get_offset(self) -> int:
        """A number to count back from."""
        return 0

    def set_offset(self, offset: int) -> None:
        """Goes to where the draw for the next token begins, whatever was drawn since."""
        del offset
        self.manual_seed(self._state.sampling_params.seed)
        # One number a token: see vLLM's TopKTopPSampler.forward_cpu.
        drawn = len(self._state.output_token_ids)
        torch.randint(0, 2**31, (drawn,), generator=self, dtype=torch.long)


def _skip(generator: torch.Generator, tokens: int, vocab_size: int) -> None:
    """Moves the generator of a device on by the draws of so many tokens.

    Each takes a number for every token of the vocabulary (TopKTopPSampler.forward_native), and such
    a generator counts what it has given.
    """
    start = generator.get_offset()
    row = torch.empty(vocab_size, dtype=torch.float32, device=generator.device)
    row.exponential_(generator=generator)
    generator.set_offset(start + tokens * (generator.get_offset() - start))
