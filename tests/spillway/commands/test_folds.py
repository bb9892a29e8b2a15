"""A table that is too wide for its screen goes on below."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import report
from spillway.commands.folds import folds
from spillway.commands.terminal import FoldedTable

WIDTHS = st.lists(st.integers(0, 60), min_size=1, max_size=20)


@given(WIDTHS, st.integers(1, 200), st.integers(0, 3), st.integers(0, 4))
def test_every_column_stands_once_beside_the_first(widths, width, gap, edges):
    """In their order, and nothing is wider than the screen that could be narrower."""
    parts = folds(widths, width, gap=gap, edges=edges)
    assert [part[0] for part in parts] == [0] * len(parts)
    assert [place for part in parts for place in part[1:]] == list(range(1, len(widths)))
    for part in parts:
        used = edges + sum(widths[place] for place in part) + gap * (len(part) - 1)
        assert used <= width or len(part) <= 2


@pytest.mark.parametrize(("width", "parts"), [(20, [[0, 1, 2]]), (13, [[0, 1], [0, 2]])])
def test_a_column_goes_below_only_where_it_must(width, parts):
    """Three columns of four cells, with two between them."""
    assert folds([4, 4, 4], width, gap=2) == parts


def test_nothing_of_a_wide_table_is_cut_off():
    """Eighty cells are what most terminals have."""
    columns = [f"quantity {number}" for number in range(20)]
    rows = [["rented", *(f"{number}.5 ms" for number in range(1, 20))]]
    console = Console(width=80, record=True, file=None)
    with console.capture() as capture:
        console.print(FoldedTable(columns, rows))
    for text in (*columns, *rows[0]):
        assert text in capture.get()
    assert all(len(line.rstrip()) <= 80 for line in capture.get().splitlines())


def test_nothing_of_a_benchmarks_table_is_cut_off(capsys, monkeypatch):
    """The title stands once, above, and the note once, below."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    columns = ["site", *(f"quantity-{number}" for number in range(20))]
    report.print_table("A title", columns, [["rented", *map(str, range(100, 120))]], note="A note")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "A title"
    assert lines[-1].strip() == "A note"
    for text in (*columns, *map(str, range(100, 120))):
        assert any(text in line for line in lines)
    assert max(map(len, lines)) <= 80
