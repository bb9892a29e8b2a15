"""What is kept of a stream, and how what follows is joined to it: for answers cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.live.delivered import Delivered, ResumeMemory
from router.live.seam import Continued, MismatchError, Replayed
from router.live.transcript import Transcript
from router.policy.identity import EngineIdentity
from router.policy.resume import Mode
from wire.spillway.v1.resume import RESUME_KEY, RESUME_TEXT_KEY
from wire.vllm.inference_pb2 import (
    FinishInfo,
    GenerateRequest,
    GenerateResponse,
    ResponseOptions,
    StoppingCriteria,
)

TEXT = "Grüße, 世界! 🙂 so on"
PIECES = st.lists(st.integers(0, 5), min_size=30, max_size=40)


def answer(pieces, *, lag=0):
    """TEXT's bytes as tokens, so many a message, and a last message with what is left and the end.

    A character comes when it is whole, or `lag` tokens later.
    """
    raw = TEXT.encode()
    at = said = 0
    messages = []
    for size in pieces:
        if at + size >= len(raw):
            break
        messages.append(_message(raw[at : at + size], _text(raw, said, at + size - lag)))
        said += len(messages[-1].outputs.text.encode())
        at += size
    last = _message(raw[at:], raw[said:].decode())
    last.outputs.finish_info.num_output_tokens = len(raw)
    last.outputs.finish_info.finish_reason = FinishInfo.LENGTH
    messages.append(last)
    messages[0].prompt_info.num_prompt_tokens = 3
    messages[0].prompt_info.token_ids[:] = [1, 2, 3]
    return messages


def _text(raw, start, end):
    """The characters that are whole before `end`, from the byte `start` on."""
    return raw[: max(start, end)].decode(errors="ignore").encode()[start:].decode()


def _message(tokens, text):
    message = GenerateResponse()
    message.outputs.token_ids[:] = tokens
    message.outputs.logprobs[:] = [float(token) for token in tokens]
    message.outputs.num_tokens = len(tokens)
    message.outputs.text = text
    return message


def memory():
    return ResumeMemory(1 << 20, 1 << 20)


def transcript(**fields):
    request = GenerateRequest(
        text="abc", stopping=StoppingCriteria(max_new_tokens=len(TEXT.encode())), **fields
    )
    return Transcript(request.SerializeToString(), memory())


def joined(messages):
    """Tokens, logprobs, text and the last message's count of what a client got."""
    tokens = [token for message in messages for token in message.outputs.token_ids]
    logprobs = [one for message in messages for one in message.outputs.logprobs]
    text = "".join(message.outputs.text for message in messages)
    return tokens, logprobs, text, messages[-1].outputs.finish_info.num_output_tokens


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_what_is_kept_reads_as_it_was(texts):
    """Messages of any length come back one by one, and are given back in the end."""
    bounds = memory()
    kept = Delivered(bounds)
    messages = [_message(list(text), text.hex()) for text in texts]
    for message in messages:
        kept.keep(message.SerializeToString())
    assert list(kept.read()) == messages
    assert kept.tokens == sum(map(len, texts))
    kept.close()
    assert bounds.used == 0


def test_all_streams_share_one_bound():
    """The one that would go over it is kept no longer; the others are."""
    bounds = ResumeMemory(1_000, 250)
    first, second = Delivered(bounds), Delivered(bounds)
    message = _message([1] * 10, "x" * 50).SerializeToString()
    first.keep(message)
    second.keep(message)
    second.keep(message)
    assert not first.lost
    assert second.lost.startswith("250 bytes")
    assert second.tokens == 20
    assert bounds.used < 150


@given(PIECES, PIECES, st.integers(0, 8), st.integers(0, 8), st.data())
def test_a_replay_gives_exactly_what_is_missing(first, second, first_lag, second_lag, data):
    """Wherever both answers are cut into messages, and however far text lags behind tokens."""
    before = answer(first, lag=first_lag)
    cut = data.draw(st.integers(1, len(before)))
    delivered = before[:cut]
    if delivered[-1].outputs.HasField("finish_info"):
        return
    ids = [token for message in delivered for token in message.outputs.token_ids]
    text_bytes = sum(len(message.outputs.text.encode()) for message in delivered)
    seam = Replayed(ids, text_bytes, 0)
    rest = [seam.join(message.SerializeToString()) for message in answer(second, lag=second_lag)]
    got = [GenerateResponse.FromString(raw) for raw in rest if raw is not None]
    tokens, logprobs, text, count = joined([*delivered, *got])
    raw = TEXT.encode()
    assert bytes(tokens) == raw
    assert logprobs == [float(token) for token in raw]
    assert text == TEXT
    assert count == len(raw)
    assert not any(message.HasField("prompt_info") for message in got)


@given(PIECES, PIECES, st.integers(0, 30))
def test_a_replay_of_another_answer_gives_nothing(first, second, place):
    """One token that differs among those delivered, and not a token passes."""
    before = [m for m in answer(first) if not m.outputs.HasField("finish_info")]
    ids = [token for message in before for token in message.outputs.token_ids]
    if not ids:
        return
    ids[place % len(ids)] ^= 1
    seam = Replayed(ids, 0, 0)
    passed = (seam.join(message.SerializeToString()) for message in answer(second))
    with pytest.raises(MismatchError):
        next(message for message in passed if message is not None)


def test_a_shorter_answer_is_another_one():
    seam = Replayed([1, 2, 3], 0, 0)
    short = _message([1, 2], "")
    short.outputs.finish_info.num_output_tokens = 2
    with pytest.raises(MismatchError, match="shorter"):
        seam.join(short.SerializeToString())


def test_what_is_no_message_joins_nothing():
    for seam in (Replayed([1], 0, 0), Continued(1)):
        with pytest.raises(MismatchError):
            seam.join(b"\xff\xff")


def test_a_continued_answer_counts_what_came_before():
    """And says nothing of its prompt, most of which the client did not send."""
    last = answer([])[-1]
    got = GenerateResponse.FromString(Continued(7).join(last.SerializeToString()))
    assert got.outputs.finish_info.num_output_tokens == len(TEXT.encode()) + 7
    assert not got.HasField("prompt_info")


@given(PIECES, st.integers(1, 12))
def test_the_request_for_the_rest_has_all_that_came(pieces, cut):
    """The prompt's ids as the engine told them, each token that was passed on, and its text."""
    kept = transcript()
    kept.begin("r.1", Mode.FRESH)
    delivered = [m for m in answer(pieces) if not m.outputs.HasField("finish_info")][:cut]
    for message in delivered:
        passed = GenerateResponse.FromString(kept.pass_on(message.SerializeToString()))
        assert not passed.outputs.token_ids
        assert not passed.prompt_info.token_ids
    ids = [token for message in delivered for token in message.outputs.token_ids]
    raw, metadata = kept.begin("r.2", Mode.CONTINUE)
    sent = GenerateRequest.FromString(raw)
    if not ids:
        assert sent.text == "abc"
        return
    assert list(sent.token_ids.ids) == [1, 2, 3, *ids]
    assert sent.stopping.max_new_tokens == len(TEXT.encode()) - len(ids)
    said = dict(metadata)
    assert said[RESUME_KEY] == str(len(ids))
    assert said[RESUME_TEXT_KEY] == str(sum(len(m.outputs.text.encode()) for m in delivered))


def test_half_a_character_is_known_to_be_half():
    """An engine that restores no text would say its second half, or say it whole again."""
    kept = transcript()
    kept.pass_on(answer([1])[0].SerializeToString())
    assert kept.point().text_whole
    kept.pass_on(_message("ü".encode()[:1], "").SerializeToString())
    assert not kept.point().text_whole
    without_text = transcript(response=ResponseOptions(output_text=False))
    without_text.pass_on(_message([200], "").SerializeToString())
    assert without_text.point().text_whole


def test_where_only_the_end_is_missing_it_is_known():
    """Unless text may have been held back, which nobody here could give."""
    whole = answer([])[0]
    whole.outputs.ClearField("finish_info")
    kept = transcript()
    assert kept.ending() is None
    kept.pass_on(whole.SerializeToString())
    end = GenerateResponse.FromString(kept.ending())
    assert end.outputs.finish_info.num_output_tokens == len(TEXT.encode())
    stops = StoppingCriteria(max_new_tokens=len(TEXT.encode()), stop_strings=["stop"])
    request = GenerateRequest(text="abc", stopping=stops)
    held = Transcript(request.SerializeToString(), memory())
    held.pass_on(whole.SerializeToString())
    assert held.ending() is None
    assert not held.point().prompt_known  # nothing to ask for: it is replayed or given up


def test_what_was_looked_at_may_go_on():
    """A stream that could have moved and did not is seen as it is when it breaks."""
    kept = transcript()
    first, *more = (m for m in answer([2] * 30) if not m.outputs.HasField("finish_info"))
    kept.pass_on(first.SerializeToString())
    assert kept.point().tokens == 2
    kept.pass_on(more[0].SerializeToString())
    assert kept.point().tokens == 4


def test_the_tokens_are_those_of_the_endpoint_whose_message_was_the_first_passed_on():
    """Not of one that was asked before and gave nothing, nor of one that goes on."""
    held = transcript()
    first, second, third = (EngineIdentity(name, "t", "n") for name in "abc")
    held.comes_from(first)
    held.comes_from(second)
    held.pass_on(_message([1], "x").SerializeToString())
    held.comes_from(third)
    assert held.identity == second
