"""The threat model names tests that exist, and every attack has its place in it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "docs/threat-model.md").read_text()


def names_in(*paths):
    """The names of all tests in these files."""
    return {
        node.name
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_test_that_is_named_exists():
    """What shows a control has not been lost."""
    named = set(re.findall(r"`(test_\w+)`", MODEL))
    assert named
    assert not named - names_in(*(ROOT / "tests").rglob("test_*.py"))


def test_every_threat_names_a_test():
    """Of each row of a table of threats, in its last column."""
    tables = re.findall(r"\| threat \|.*?(?:\n\n|\Z)", MODEL, re.DOTALL)
    rows = [row for table in tables for row in table.strip().splitlines()[2:]]
    assert len(rows) > 20
    assert not [row for row in rows if not re.search(r"`test_\w+`", row.rsplit("|", 2)[1])]
