"""The fleet file's reference: docs/fleet.md has every key that the parser takes, and no other."""

import importlib.util
import re

import pytest

from spillway.fleet.quantity import DURATION
from spillway.fleet.reference import REQUIRED, sections
from tests.docs.blocks import DOCS

_spec = importlib.util.spec_from_file_location("fleet_keys", DOCS / "site" / "fleet_keys.py")
fleet_keys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fleet_keys)

TOLD = fleet_keys.told((DOCS / "fleet.md").read_text())
SECTIONS = [one for one in sections() if one.path]
UNIT_OF = {"duration": "duration", "size": "size|bytes", "share": "share", "count": "count"}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.path)
def test_every_key_of_a_section_is_told_of_and_no_other(section):
    """A key that is added to the parser needs its line, and one that is gone loses it."""
    assert set(TOLD[fleet_keys.place_of(section)]) == {key.name for key in section.keys}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.path)
def test_what_is_told_of_a_key_is_what_the_parser_takes(section):
    """The kind of its value, and the default where one is told."""
    told = TOLD[fleet_keys.place_of(section)]
    for key in section.keys:
        takes = told[key.name].takes
        if words := UNIT_OF.get(key.takes):
            assert re.search(words, takes), f"{section.path}.{key.name}: {key.takes}, not {takes}"
        if key.takes.startswith("USD"):
            assert key.takes in takes
        shown = takes.partition("; ")[2].removeprefix("default ").replace("`", "")
        if shown not in {"", "all"} and key.default:
            assert _value(shown) == _value(key.default), f"{section.path}.{key.name}"
        if key.default == REQUIRED:
            assert "default" not in takes


def test_no_table_tells_of_a_section_that_there_is_not():
    """A table of keys belongs to a section of the parser."""
    assert set(TOLD) == {fleet_keys.place_of(one) for one in SECTIONS}


def test_the_reference_has_each_key_with_its_type_and_default():
    """As the page of the site shows them."""
    page = fleet_keys.page((DOCS / "fleet.md").read_text())
    rows = set(page.splitlines())
    assert any(row.startswith("| `session_age_max` | duration | `30min` | ") for row in rows)
    assert any(row.startswith("| `kind` | `home` or `rented` | required | home is") for row in rows)
    assert any(row.startswith("| `metered` | USD/h | `0` | ") for row in rows)
    assert any(row.startswith("| `listen` | `host:port` | `127.0.0.1:7070` | ") for row in rows)
    assert any(row.startswith("| `home_only` | `true` or `false` | `false` | ") for row in rows)
    assert any(row.startswith("| `start` | duration | `5min` | ") for row in rows)
    below_the_top = page[page.index("## `sites.NAME`") :]
    assert not re.search(r"^\|.*\|  \|$", below_the_top, re.MULTILINE)  # each says what it means


def _value(text):
    """A default as a value, so that 5min and 300s are the same."""
    try:
        return DURATION.read_whole(text)
    except ValueError:
        return text
