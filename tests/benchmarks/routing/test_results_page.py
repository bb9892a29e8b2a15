"""Tables of a run replace those of the page, and the words around them stay."""

from benchmarks.routing.margins import TITLE
from benchmarks.routing.results_page import main, page
from benchmarks.routing.scenarios import SCENARIOS

PAGE = """# Results

Words before.

| old | aims |
|---|---|
| 1 | 2 |

Words after.

## burst

old burst

| a |
|---|

## steady

old steady
"""


def test_tables_are_replaced_and_words_stay():
    """The first table, the section of a name, and a section that the page did not have."""
    sections = {"burst": "## burst\n\nnew burst\n", "week": "## week\n\nnew week\n"}
    text = page(PAGE, "| new aims |\n|---|\n", sections)
    assert "Words before.\n\n| new aims |\n|---|\n\nWords after." in text
    assert "old burst" not in text
    assert "## burst\n\nnew burst\n\n## steady\n\nold steady" in text
    assert text.endswith("## week\n\nnew week\n")


def test_the_same_tables_twice_change_nothing():
    """The command may be run again."""
    sections = {"burst": "## burst\n\nnew burst\n", "week": "## week\n\nnew week\n"}
    once = page(PAGE, "| new aims |\n|---|\n", sections)
    assert page(once, "| new aims |\n|---|\n", sections) == once


def test_the_command_reads_what_the_comparison_wrote(tmp_path, capsys):
    """A table is missing: it says which, and leaves the page as it is."""
    target = tmp_path / "page.md"
    target.write_text(PAGE)
    (tmp_path / "aims.md").write_text("| new aims |\n")
    assert main(["--from", str(tmp_path), "--page", str(target)]) == 2
    assert "burst.md" in capsys.readouterr().err
    assert target.read_text() == PAGE
    for name in SCENARIOS:
        (tmp_path / f"{name}.md").write_text(f"## {name}\n\ntable of {name}\n")
    (tmp_path / "margins.md").write_text(f"## {TITLE}\n\ntable of margins\n")
    assert main(["--from", str(tmp_path), "--page", str(target)]) == 0
    assert all(f"table of {name}" in target.read_text() for name in (*SCENARIOS, "margins"))
