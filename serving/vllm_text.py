"""The text of a stream that goes on: what comes after the part that the client has.

vLLM's own detokenizer reads the delivered tokens first, one by one, and so is in the state it had
where the stream was cut: in the middle of a character, or with text held back since a stop string
may begin there. The engine itself is asked for tokens alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from vllm.sampling_params import SamplingParams
from vllm.v1.engine.detokenizer import IncrementalDetokenizer

from serving.engine import EngineOutput, Finish, FinishReason
from serving.generation import Generation
from serving.resume import undelivered


class SeamText:
    """Gives outputs that are tokens alone their text, and ends them at stop strings."""

    def __init__(
        self, tokenizer: Any, generation: Generation, prompt: Sequence[int], params: SamplingParams
    ) -> None:
        """Reads what was delivered; params count from the stream's start, as the client wants it.

        Raises CallError where the client cannot have what it is said to have.
        """
        self._text = IncrementalDetokenizer.from_new_request(
            tokenizer if params.detokenize else None,
            SimpleNamespace(
                request_id=generation.request_id,
                prompt_token_ids=list(prompt),
                prompt_embeds=None,
                sampling_params=params,
            ),
        )
        said = ""
        for token_id in generation.delivered:
            # No stop string is found here: they count as the least number of tokens.
            self._text.update([token_id], stop_terminated=False)
            said += self._text.get_next_output_text(finished=False, delta=True)
        self._unsaid, self._skipped = "", 0
        if generation.delivered_text_bytes is not None:
            all_said = getattr(self._text, "output_text", "")
            rest = undelivered(all_said, generation.delivered_text_bytes)
            given = len(all_said) - len(rest)
            self._unsaid, self._skipped = said[given:], max(0, given - len(said))

    def read(self, output: EngineOutput) -> EngineOutput:
        """The output with its text. With a finish that it did not have, a stop string was found."""
        before = self._text.num_output_tokens()
        stopped = output.finish is not None and output.finish.reason is FinishReason.STOP
        stop_string = self._text.update(list(output.token_ids), stopped)
        if stop_string is None:
            return replace(output, text=self._next(finished=output.finish is not None))
        kept = self._text.num_output_tokens() - before
        return replace(
            output,
            text=self._next(finished=True),
            token_ids=output.token_ids[:kept],
            logprobs=output.logprobs[:kept],
            ranks=output.ranks[:kept],
            candidates=output.candidates[:kept],
            finish=Finish(FinishReason.STOP, stop_string=stop_string),
        )

    def _next(self, *, finished: bool) -> str:
        new: str = self._text.get_next_output_text(finished, delta=True)
        text, self._unsaid = self._unsaid + new[self._skipped :], ""
        self._skipped = max(0, self._skipped - len(new))
        return text
