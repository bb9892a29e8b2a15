"""The built-in model recites a passage, cut anywhere, under Ray Serve: no character is lost."""

import pytest

from serving.models.answers import answer, recite_prompt
from tests.serving.resuming import asked, go_on, read

pytestmark = [pytest.mark.live]

TOKENS_MAX = 4_000


@pytest.mark.parametrize("drawn", [{}, {"temperature": 1.0, "sampling": {"seed": 3}}])
async def test_a_passage_goes_on_after_any_token(served, drawn):
    """In and between characters of up to four bytes, and all along the passage."""
    prompt = recite_prompt()
    request = asked(text=prompt, stopping={"max_new_tokens": TOKENS_MAX}, **drawn)
    chunks = await served.call(request)
    expected = answer(prompt, TOKENS_MAX)
    assert (read(chunks).text, read(chunks).token_ids) == (expected.text, expected.token_ids)
    ends = [chunk.outputs.token_ids[-1] for chunk in chunks[:-1]]
    in_characters = [n for n, token in enumerate(ends, start=1) if token >= 0x80]
    cuts = sorted({*range(1, len(chunks), 61), *in_characters[::4], len(chunks) - 1})
    rests = await served.together(*(go_on(request, chunks[:cut]) for cut in cuts))
    for cut, rest in zip(cuts, rests, strict=True):
        both = read([*chunks[:cut], *rest])
        assert both.token_ids == expected.token_ids, cut
        assert both.text == expected.text, cut
        assert both.end.eos_token_id == read(chunks).finish.eos_token_id
