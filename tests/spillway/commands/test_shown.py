"""Text of others: whatever it is made of, a terminal draws it and obeys nothing."""

import io
import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from spillway.commands.shown import as_json_text, line_of, lines_of
from spillway.commands.terminal import FoldedTable


@given(st.text())
def test_nothing_in_a_line_is_a_control_or_turns_it(text):
    """And what is none of that stays as it is."""
    shown = line_of(text)
    assert not any(unicodedata.category(one) == "Cc" for one in shown)
    assert not any(unicodedata.bidirectional(one) in {"RLO", "LRO", "RLI", "LRI"} for one in shown)
    plain = "".join(one for one in text if one.isprintable())
    assert line_of(plain) == plain


@given(st.text())
def test_lines_keep_their_ends_and_tabs(text):
    """Alone among controls."""
    kept = {one for one in lines_of(text) if unicodedata.category(one) == "Cc"}
    assert kept <= {"\n", "\t"}
    assert lines_of(text).count("\n") == text.count("\n")


@given(st.text())
def test_json_means_what_it_meant(text):
    """With its controls spelt out as JSON does."""
    shown = as_json_text(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert not any(unicodedata.category(one) == "Cc" for one in shown)


def test_a_table_has_no_markup_in_its_cells():
    """What looks like it is what somebody called something."""
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=True).print(
        FoldedTable(("name",), [("[link=http://evil]x[/link][bold red]",)])
    )
    assert "[link=http://evil]x[/link][bold red]" in out.getvalue()
