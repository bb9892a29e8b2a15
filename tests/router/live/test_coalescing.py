"""Messages put together say what they said apart."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from router.live.coalescing import coalesced
from wire.vllm.inference_pb2 import (
    CandidateTokenInfo,
    FinishInfo,
    GenerateResponse,
    PromptInfo,
    SequenceOutput,
)

TOKENS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.text(max_size=3), st.integers(0, 9)), max_size=30
)
TELLS = st.fixed_dictionaries(
    {name: st.booleans() for name in ("ids", "logprobs", "ranks", "candidates", "count")}
)


def chunk(tokens, tells, index=0):
    """One message of some tokens, that tells of them what it is told to tell."""
    output = SequenceOutput(index=index, text="".join(text for _, text, _ in tokens))
    if tells["count"]:
        output.num_tokens = len(tokens)
    if tells["ids"]:
        output.token_ids.extend(token for token, _, _ in tokens)
    if tells["logprobs"]:
        output.logprobs.extend(-float(rank) for _, _, rank in tokens)
    if tells["ranks"]:
        output.ranks.extend(rank for _, _, rank in tokens)
    if tells["candidates"]:
        info = CandidateTokenInfo.TokenInfo
        output.candidate_tokens.extend(
            CandidateTokenInfo(tokens=[info(id=token, rank=rank)]) for token, _, rank in tokens
        )
    return GenerateResponse(outputs=output)


def told(messages):
    """All that an answer says, whatever messages it came in."""
    by_sequence = {}
    for raw in messages:
        message = GenerateResponse.FromString(raw)
        of_it = by_sequence.setdefault(message.outputs.index, GenerateResponse())
        text = of_it.outputs.text + message.outputs.text
        count = of_it.outputs.num_tokens + message.outputs.num_tokens
        of_it.MergeFrom(message)  # which lists one after the other, and keeps the last of the rest
        of_it.outputs.text, of_it.outputs.num_tokens = text, count
    return by_sequence


@settings(max_examples=50)
@given(TOKENS, TELLS, st.lists(st.integers(0, 30)), st.booleans())
def test_an_answer_says_the_same_in_one_message(tokens, tells, cuts, ends):
    """Whatever is told of its tokens, and wherever it was cut."""
    edges = [0, *sorted(min(cut, len(tokens)) for cut in cuts), len(tokens)]
    parts = [chunk(tokens[a:b], tells) for a, b in itertools.pairwise(edges)]
    parts[0].prompt_info.num_prompt_tokens = 7
    if ends:
        parts[-1].outputs.finish_info.CopyFrom(
            FinishInfo(num_output_tokens=len(tokens), finish_reason=FinishInfo.STOP, eos_token_id=2)
        )
    raw = [part.SerializeToString() for part in parts]
    together = list(coalesced(raw))
    assert told(together) == told(raw)
    assert len(together) == 1


@settings(max_examples=50)
@given(st.lists(st.tuples(TOKENS, TELLS, st.integers(0, 2)), max_size=12))
def test_what_differs_in_what_it_tells_is_never_mixed(parts):
    """Each message's lists are as long as they were told to be, for its own tokens."""
    raw = [chunk(tokens, tells, index).SerializeToString() for tokens, tells, index in parts]
    together = list(coalesced(raw))
    assert told(together) == told(raw)
    for message in map(GenerateResponse.FromString, together):
        output = message.outputs
        lists = (output.token_ids, output.logprobs, output.ranks, output.candidate_tokens)
        lengths = {len(values) for values in lists if len(values)}
        lengths |= {output.num_tokens} - {0}
        assert len(lengths) <= 1


def test_sequences_stay_apart():
    """Of two sequences in turn, nothing can be put together in order."""
    tells = dict.fromkeys(("ids", "logprobs", "ranks", "candidates", "count"), True)
    raw = [chunk([(1, "a", 0)], tells, index).SerializeToString() for index in (0, 1, 0, 1)]
    assert list(coalesced(raw)) == raw


def test_nothing_follows_the_end():
    """What comes after the last message is not hidden in it."""
    end = GenerateResponse(outputs=SequenceOutput(finish_info=FinishInfo(num_output_tokens=1)))
    late = GenerateResponse(outputs=SequenceOutput(text="late", num_tokens=1))
    raw = [end.SerializeToString(), late.SerializeToString()]
    assert list(coalesced(raw)) == raw


def test_a_second_prompt_info_is_not_merged_into_the_first():
    """Merged, its lists would follow those of the first."""
    one = GenerateResponse(prompt_info=PromptInfo(token_ids=[1, 2])).SerializeToString()
    assert list(coalesced([one, one])) == [one, one]


def test_what_is_not_known_here_is_left_alone():
    """A field of a later version, and what is no message, go through as they are and in order."""
    known = GenerateResponse(outputs=SequenceOutput(text="a", num_tokens=1)).SerializeToString()
    later = known + b"\xf8\x07\x01"  # field 127
    inside = b"\x12\x06\x12\x01a\xf8\x07\x01"  # the same within outputs
    for strange in (later, inside, b"\xff"):
        raw = [known, strange, known, known]
        assert list(coalesced(raw))[:2] == [known, strange]
        assert told([one for one in coalesced(raw) if one != b"\xff"])[0].outputs.text.count("a")
