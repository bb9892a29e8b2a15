"""The contest with other routers: who takes part, and who is missing."""

import pytest

from benchmarks.chaos.__main__ import _meets_rivals, _parser
from benchmarks.chaos.rivals.contest import of_rivals, show
from benchmarks.chaos.rivals.contestants import RIVALS


@pytest.mark.parametrize(
    ("line", "meets"),
    [
        ("", True),
        ("--plain", True),
        ("--quick", False),
        ("--plain --only killed", False),
        ("--quick --rivals somewhere", True),
    ],
)
def test_a_whole_matrix_is_followed_by_the_rivals(line, meets):
    """A part of it only where they are asked for."""
    assert _meets_rivals(_parser().parse_args(line.split())) is meets


async def test_who_is_not_installed_is_named(monkeypatch, tmp_path, capsys):
    """And is no error: the run is for the record."""
    monkeypatch.setenv("PATH", str(tmp_path))
    rows, missing = await of_rivals(tmp_path)
    assert not rows
    assert [one.partition(" is not installed")[0] for one in missing] == [
        rival.name for rival in RIVALS
    ]
    show(rows, missing)
    assert "missing: nginx is not installed" in capsys.readouterr().out
