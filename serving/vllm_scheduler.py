"""vLLM's scheduler, which takes a request as if it had been preempted after its first tokens.

It runs in the engine's own process. What a stream delivered elsewhere becomes output of its request
here before it is scheduled, as it is when vLLM preempts a request and computes it anew. So all that
looks at prompt and output apart (penalties, minimum and maximum length, grammars, random draws by
position) goes on as in the undisturbed stream. With the older of vLLM's two model runners,
serving.vllm_worker does the same in the workers.
"""

from typing import Any

from vllm.sampling_params import SamplingParams
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request

DELIVERED = "spillway_delivered"
"""In a request's extra arguments: the token ids that were delivered elsewhere, after its prompt."""


def delivered_tokens(params: SamplingParams | None) -> list[int]:
    """What a request's stream has delivered elsewhere."""
    tokens: list[int] = ((params and params.extra_args) or {}).get(DELIVERED, [])
    return tokens


class _Resuming(Scheduler):
    """What is the same for either of vLLM's schedulers."""

    def add_request(self, request: Request) -> None:
        """Takes a request in, its delivered tokens as output."""
        delivered = delivered_tokens(request.sampling_params)
        if delivered:
            request.append_output_token_ids(list(delivered))
            # Its client waits in the middle of a sentence: it goes before requests of the same
            # priority that have not begun, which vLLM orders by their arrival.
            request.arrival_time = 0.0
            # vLLM asserts that no more than the prompt was cached when it fills them in.
            request.prefill_stats = None
        super().add_request(request)

    def _handle_blocked_waiting_request(self, request: Request) -> bool:
        """Once its grammar is compiled, a request moves it on by the delivered tokens."""
        blocked = request.status
        if not super()._handle_blocked_waiting_request(request):
            return False
        if request.status is blocked or not request.use_structured_output:
            return True
        delivered = delivered_tokens(request.sampling_params)
        if self.structured_output_manager.accept_tokens(request, list(delivered)):
            return True
        # They are no beginning of what the grammar allows: the request ends with an error.
        self.grammar_compile_error_reqs.add(request.request_id)
        return False


class _ResumingAsync(_Resuming, AsyncScheduler):
    """The scheduler that runs ahead of the device."""


def make_scheduler(*args: Any, **kwargs: Any) -> Scheduler:
    """The scheduler that vLLM would take by itself, with this addition."""
    ahead = kwargs["vllm_config"].scheduler_config.async_scheduling
    return (_ResumingAsync if ahead else _Resuming)(*args, **kwargs)
