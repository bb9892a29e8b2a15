"""What a stream carries so that it can go on when the router that gave it has died.

Every stream asks for its token ids, and for those of its prompt; where they were not wanted, they
are taken out of the chunks again. When the connection breaks, what is left is asked of another
router, or of the same one once it is back: prompt and delivered tokens as the prompt, smaller
limits, and the identity of the engine that they came from, so that only its like goes on. What is
kept is a few bytes for each token.
"""

import logging
import random
from typing import NamedTuple

import grpc

from spillway.client.ending import Pairs
from spillway.client.errors import is_nobody_there
from spillway.client.options import Call
from wire.spillway.v1.resume import (
    IDENTITY_KEY,
    RESUME_KEY,
    RESUME_TEXT_KEY,
    RESUME_TOKEN_KEY,
    Way,
    features_of,
)
from wire.spillway.v1.rewriting import (
    continued_request,
    has_text,
    hide_ids,
    is_whole,
    length_reached,
    overlay,
    tokens_max,
)
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb

_LOG = logging.getLogger("spillway.client")

_PAUSE_FIRST_S = 0.05
_PAUSE_MAX_S = 1.0
_BROKEN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
_LATER = _BROKEN | {grpc.StatusCode.RESOURCE_EXHAUSTED}

_ABORTED = grpc.StatusCode.ABORTED
_FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
"""What an endpoint says of the request itself: a router would hear the same."""


class Break(NamedTuple):
    """How a call ended before its answer did."""

    code: grpc.StatusCode
    has_token: bool  # the router would give the rest to whoever brings its token
    refused: bool  # nobody was there to connect to
    said_so: bool  # the status is the server's own, and not gRPC's here
    direct: bool  # it was the endpoint's call: the router may know another way


def break_of(error: grpc.RpcError, *, direct: bool) -> Break:
    """From what gRPC raised."""
    keys = {key for key, _ in error.trailing_metadata() or ()}
    refused = is_nobody_there(error.details() or "")
    return Break(error.code(), RESUME_TOKEN_KEY in keys, refused, bool(keys), direct)


class Resumption:
    """One answer: the request for what is left of it, and what came of it so far."""

    def __init__(self, call: Call, resume_s: float) -> None:
        asked = call.request
        self._asked = asked
        self._call = call
        self._resume_s = resume_s
        self._hides_ids = not asked.response.output_token_ids
        text = asked.WhichOneof("prompt") == "text"
        self._hides_prompt_ids = text and not asked.response.prompt_token_ids
        unable = {Way.REFUSE, Way.REPLAY}
        self._able = resume_s > 0 and not any(f.way in unable for f in features_of(asked))
        self._prompt_ids = list(asked.token_ids.ids[-asked.truncate_prompt_tokens :])
        self._output_ids: list[int] = []
        self._text_bytes = 0
        self._identity = ""
        self._text_whole = True
        self._taken = 0  # messages
        self._offset = 0  # tokens that the attempt under way was told of
        self._answered = False  # whether that attempt has given anything
        self._tries = 0  # since anything came
        self._broken_s = 0.0  # when nothing came any more
        self._attempt = 0
        self._was_lost = False  # the connection, before anything came
        self.finished = False
        self.resumed = 0  # times that the answer has gone on

    def keep(self, trailers: Pairs | None) -> None:
        """The answer has ended, and its trailers may have the cookie of its session."""
        self._call.cookies.keep(self._asked.session_id, trailers)

    @property
    def is_able(self) -> bool:
        """Whether it could go on elsewhere, as far as this client is concerned."""
        return self._able

    @property
    def output_tokens(self) -> int:
        """How many have come; 0 where they are not counted."""
        return len(self._output_ids)

    @property
    def has_begun(self) -> bool:
        """Whether any token has come."""
        return bool(self._output_ids)

    def begin(self) -> tuple[pb.GenerateRequest, Metadata]:
        """The request for what is left, which is all of it at first, and its metadata."""
        request = pb.GenerateRequest()
        request.CopyFrom(self._asked)
        if not self._able:
            return request, self._call.told
        self._offset, self._answered = len(self._output_ids), False
        # Who broke off may still hold the id of the attempt before.
        attempt_id = request.request_id + (f".{self._attempt}" if self._attempt else "")
        self._attempt += 1
        if not self._offset:
            text = request.WhichOneof("prompt") == "text"
            request.MergeFrom(overlay(attempt_id, output_ids=True, prompt_ids=text))
            return request, self._call.told
        continued_request(request, attempt_id, self._prompt_ids, self._output_ids)
        said = ((RESUME_KEY, str(self._offset)), (RESUME_TEXT_KEY, str(self._text_bytes)))
        origin = ((IDENTITY_KEY, self._identity),) if self._identity else ()
        return request, (*self._call.told, *said, *origin)

    def learn(self, initial_metadata: Pairs | None) -> None:
        """What the router says of where the answer comes from."""
        if not self._identity:
            said = {key: value for key, value in initial_metadata or () if isinstance(value, str)}
            self._identity = said.get(IDENTITY_KEY, "")

    def take(self, response: pb.GenerateResponse) -> pb.GenerateResponse:
        """The next message, as part of the whole answer."""
        if not self._able:
            return response
        outputs = response.outputs
        if not self._answered:
            self._answered = True
            self._tries = 0
            self.resumed += bool(self._offset)
        if self._taken:
            response.ClearField("prompt_info")
        elif self._asked.WhichOneof("prompt") == "text":
            self._prompt_ids = list(response.prompt_info.token_ids)
        self._taken += 1
        self._output_ids += outputs.token_ids
        self._text_bytes += len(outputs.text.encode())
        self._text_whole = is_whole(outputs.text)
        self.finished = outputs.HasField("finish_info")
        if self.finished:
            outputs.finish_info.num_output_tokens += self._offset
        hide_ids(response, output=self._hides_ids, prompt=self._hides_prompt_ids)
        return response

    def ending(self, broke: Break) -> pb.GenerateResponse | None:
        """The last message, where it is all that is missing."""
        count, asked = len(self._output_ids), self._asked
        breaks = broke.code in _BROKEN or broke.direct
        if not self._able or count < tokens_max(asked) or not breaks:
            return None
        whole = self._text_whole or not has_text(asked)
        return length_reached(count) if whole and not asked.stopping.stop_strings else None

    def pause_s(self, broke: Break, addresses: int, now_s: float) -> float | None:
        """How long to wait before the answer is asked to go on; None where it cannot.

        Nothing is lost by asking again for an answer that has not begun. But an address where
        nobody is, or where somebody says no, is believed, and only the others are tried; it is
        another thing if somebody was there and is lost.
        """
        if not self._able or len(self._output_ids) >= tokens_max(self._asked):
            return None
        known = bool(self._prompt_ids)
        if broke.direct:  # once for an answer: what follows comes through the router
            return 0.0 if broke.code not in _FINAL and (known or not self._output_ids) else None
        if self._output_ids:
            may = known and (broke.code in _LATER or (broke.code is _ABORTED and broke.has_token))
        else:
            if not (self._tries or broke.refused or broke.said_so):
                self._was_lost = True
            elsewhere = self._tries + 1 < addresses
            may = broke.code in _BROKEN and (elsewhere or self._was_lost)
        if not self._tries:
            self._broken_s = now_s
        if not may or now_s - self._broken_s > self._resume_s:
            return None
        self._tries += 1
        if self._tries == 1:
            return 0.0
        if self._tries == 2:  # going on at once did not help, so that there will be a wait
            _LOG.warning(
                "the answer broke off (%s); asking for the rest for up to %g s",
                broke.code.name,
                self._resume_s,
            )
        most_s = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2.0 ** min(self._tries, 10))
        return most_s * random.uniform(0.5, 1.0)
