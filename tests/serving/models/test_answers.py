"""The answers that everything else is measured by, spelt out."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.models.answers import (
    Answer,
    answer,
    answer_chat,
    answer_to_tokens,
    count_prompt,
    note_of,
    recall_prompt,
    recite_prompt,
)
from serving.models.passages import FERRY, HELP
from serving.models.vocabulary import END, decode, encode


@pytest.mark.parametrize(
    ("prompt", "begins"),
    [
        ("417", " 418 419 420 "),
        ("Count from 7", " 8 9 10 11 "),
        ("über 渡し 98", " 99 100 101 "),
        ("998", " 999 1000 1001 "),
        ("007", " 008 009 010 "),
        ("099", " 100 101 "),
        ("from 417 ", "418 419 "),
        ("from 417 41", "8 419 "),
        ("from 417\n", "418 419 "),
        ("from 417\n\n", " 0 1 2 "),
        ("from 417 418", " 419 "),
        ("from 999 1", "000 1001 "),
        ("from 999 1000", " 1001 "),
        ("room 5 41", " 42 43 "),
        ("room 15 2", " 3 4 "),
        ("room 99 0", " 1 2 "),
        ("room 99 15", " 16 17 "),
        ("no number", " 0 1 2 "),
        ("no number ", "0 1 2 "),
        ("12345", " 0 1 2 "),
        ("12345 ", "0 1 2 "),
    ],
)
def test_it_counts_on_from_the_end_of_a_prompt(prompt, begins):
    """A number alone, one that another follows, one that breaks off, none."""
    assert answer(prompt, len(begins)).text == begins


def test_it_stops_at_the_last_number():
    """Past 9999 there is nothing."""
    assert answer("9997", 100) == Answer([*b" 9998 9999", END])
    assert answer("9999", 100) == answer("9999 ", 100) == Answer([END])


def test_every_start_below_a_thousand_goes_on_for_a_thousand_tokens():
    """Tests may ask for as many tokens as they like."""
    for start in range(1000):
        assert len(answer(count_prompt(start), 1000).token_ids) == 1000


@pytest.mark.parametrize(
    "ask", ["Recite The Night Ferry", "recite the night ferry.", "THE NIGHT FERRY"]
)
def test_it_recites_a_passage_and_ends(ask):
    """After a line break in a raw prompt, at once in a conversation."""
    raw, chat = answer(ask, 2000), answer_chat([("user", ask)], 2000)
    assert (raw.text, raw.ended) == ("\n" + FERRY, True)
    assert (chat.text, chat.ended) == (FERRY, True)
    assert not answer(ask, 100).ended


def test_the_passage_has_characters_of_every_length():
    """Cutting a stream anywhere cuts characters of two, three and four bytes too."""
    assert {len(character.encode()) for character in FERRY} == {1, 2, 3, 4}
    assert len(FERRY.encode()) > 500


def test_a_character_cut_at_the_end_is_not_shown():
    """Its bytes are among the tokens all the same."""
    to_the_umlaut = len(
        "\nThe night ferry leaves when the last lamp on the quay goes out. Jü".encode()
    )
    assert answer(recite_prompt(), to_the_umlaut).text.endswith(" Jü")
    assert answer(recite_prompt(), to_the_umlaut - 1).text.endswith(" J")


def test_it_counts_from_the_note_wherever_that_stands():
    """The one thing that is remembered from far back."""
    far = f"{note_of(417)} is the note. {'Words and 12 numbers. ' * 200}"
    assert answer(recall_prompt(far), 17).text == " 417 418 419 420 "
    assert answer(f"{recall_prompt(far)} 4", 7).text == "17 418 "
    assert answer(recall_prompt(note_of(7)), 9).text == " 007 008 "
    assert answer(recall_prompt("There is none. "), 5).text == " 0 1 "
    messages = [("system", f"{note_of(98)}{note_of(98)}"), ("user", "7"), ("assistant", "8 9")]
    assert answer_chat([*messages, ("user", recall_prompt(""))], 12).text == "098 099 100 "


def test_different_notes_have_no_answer():
    """The model would mix them up; unless nobody asks."""
    both = note_of(1) + note_of(2)
    with pytest.raises(ValueError, match="several notes"):
        answer(recall_prompt(both), 1)
    assert answer(count_prompt(7, before=both), 2).text == " 8"


def test_a_conversation_is_answered_by_its_last_message():
    """What was said before does not matter."""
    before = [("system", "Be brief."), ("user", "7"), ("assistant", "8 9 10")]
    assert answer_chat([*before, ("user", "Count from 99\n")], 12).text == "100 101 102 "[:12]
    assert answer_chat([*before, ("user", recite_prompt())], 2000).text == FERRY
    assert answer_chat([*before, ("user", "Hello?")], 2000).text == HELP


@pytest.mark.parametrize(
    "prompt", [count_prompt(995), recall_prompt("#041"), recite_prompt(), "no number", "9990"]
)
def test_an_answer_cut_anywhere_goes_on_as_if_it_had_not_been(prompt):
    """With the first tokens of its answer behind it, a prompt has the others for its answer."""
    whole = answer(prompt, 900).token_ids
    for said in range(len(whole)):
        if whole[said] == END:
            break
        cut = [*encode(prompt), *whole[:said]]
        assert answer_to_tokens(cut, len(whole) - said).token_ids == whole[said:]


@given(st.text())
def test_any_text_may_stand_before(text):
    """Only the last tokens matter."""
    assert answer(count_prompt(41, before=text), 60) == answer("Count from 41", 60)


@given(st.text().filter(lambda text: "\r" not in text))
def test_text_and_tokens_are_the_same(text):
    """A token a byte, and the opening mark that is not shown."""
    assert decode(encode(text)) == text
    assert len(encode(text)) == 1 + len(text.encode())


def test_an_unknown_passage_is_refused():
    """The error names those there are."""
    with pytest.raises(KeyError, match="The Night Ferry"):
        recite_prompt("The Raven")


def test_answers_need_no_engine():
    """A router's machine has no torch."""
    program = "import sys, serving.models.answers; print({'torch', 'vllm'} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "set()"
