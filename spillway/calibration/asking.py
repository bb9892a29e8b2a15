"""Measured answers of one endpoint: when its tokens came."""

import asyncio
import itertools
import random
import time
from dataclasses import dataclass, field
from string import ascii_lowercase

import grpc

from router.live.lease_desk import LeaseDesk
from router.live.settings import RouterSettings, SiteAccess
from router.live.tls import dialler_to
from spillway.probing.endpoint import EndpointFound
from wire.vllm import inference_pb2 as pb

METHOD = "/vllm.Inference/GenerateStream"
WORDS_PER_TOKEN = 0.75  # roughly, of most tokenizers; what a prompt really had is told
WORD_CHARACTERS = 4
TOKEN_ID_FIRST, TOKEN_ID_LAST = 3, 200  # that every vocabulary has, where text is not taken


class AskError(Exception):
    """The endpoint did not answer as it should; the message is one line."""


@dataclass(slots=True)
class Heard:
    """One answer. Times in nanoseconds."""

    prompt_tokens: int = 0
    ttft_ns: int = 0
    gaps_ns: list[float] = field(default_factory=list)  # between tokens, in their order
    tokens: int = 0


class Asker:
    """Asks one endpoint as a router does: with its certificate, and with a pass where it has a key.

    Prompts differ from each other from their first word on, so that no cache answers for any.
    """

    def __init__(
        self, way: SiteAccess, settings: RouterSettings, endpoint: EndpointFound, rng: random.Random
    ) -> None:
        """Raises TlsError and LeaseKeyError."""
        self._channel = dialler_to(way, settings).open(endpoint.address).channel
        self._stream = self._channel.unary_stream(METHOD)
        self._desk = LeaseDesk("calibration", settings.lease_key_file)
        self._endpoint = endpoint
        self._rng = rng
        self._numbers = itertools.count(1)

    async def ask(self, prompt_tokens: int, output_tokens: int, deadline_s: float) -> Heard:
        """One answer of so many tokens. Raises AskError."""
        found, begun_ns = Heard(prompt_tokens), time.monotonic_ns()
        last_ns = begun_ns
        call = self._stream(
            self._request(prompt_tokens, output_tokens),
            timeout=deadline_s,
            metadata=self._pass(),
        )
        try:
            async for raw in call:
                now_ns = time.monotonic_ns()
                message = pb.GenerateResponse.FromString(raw)
                if message.prompt_info.num_prompt_tokens:
                    found.prompt_tokens = message.prompt_info.num_prompt_tokens
                tokens = message.outputs.num_tokens
                if not tokens:
                    continue
                if found.tokens:
                    found.gaps_ns += [(now_ns - last_ns) / tokens] * tokens
                else:
                    found.ttft_ns = now_ns - begun_ns
                found.tokens += tokens
                last_ns = now_ns
        except grpc.aio.AioRpcError as error:
            details = " ".join((error.details() or "").split())
            raise AskError(f"{error.code().name}: {details}") from error
        finally:
            call.cancel()
        if found.tokens < output_tokens:
            raise AskError(f"{found.tokens} tokens came of {output_tokens} that were asked for")
        return found

    async def ask_together(
        self, streams: int, prompt_tokens: int, output_tokens: int, deadline_s: float
    ) -> list[Heard]:
        """So many answers side by side. Raises AskError where any fails."""
        asked = [self.ask(prompt_tokens, output_tokens, deadline_s) for _ in range(streams)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return [one for one in found if isinstance(one, Heard)]

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()

    def _request(self, prompt_tokens: int, output_tokens: int) -> bytes:
        request = pb.GenerateRequest(
            request_id=f"calibration-{self._rng.getrandbits(64):016x}-{next(self._numbers)}",
            temperature=0.0,
            stopping=pb.StoppingCriteria(max_new_tokens=output_tokens, ignore_eos=True),
            kv=pb.KVCacheParameters(bypass_prefix_cache=True),
        )
        identity = self._endpoint.identity
        if identity is not None:
            request.model = identity.names[0]
        if identity is None or identity.model.supports_text_input:
            request.text = self._words(prompt_tokens)
        else:
            ids = range(prompt_tokens)
            request.token_ids.ids.extend(
                self._rng.randint(TOKEN_ID_FIRST, TOKEN_ID_LAST) for _ in ids
            )
        raw: bytes = request.SerializeToString()
        return raw

    def _words(self, tokens: int) -> str:
        count = max(1, round(tokens * WORDS_PER_TOKEN))
        words = (self._rng.choices(ascii_lowercase, k=WORD_CHARACTERS) for _ in range(count))
        return " ".join("".join(word) for word in words)

    def _pass(self) -> tuple[tuple[str, str | bytes], ...]:
        endpoint = self._endpoint
        instance = endpoint.identity.server.instance_id if endpoint.identity else ""
        clock_ns = time.time_ns() + (endpoint.clock_ahead_ns or 0)
        return tuple(self._desk.pass_for(endpoint.address, instance, clock_ns))
