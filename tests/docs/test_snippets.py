"""What a page shows of a program or a fleet file is what Python and the file's parser take."""

import ast
import importlib

import pytest
import yaml

from spillway.fleet.schema import FileSection
from spillway.fleet.section import known_keys
from tests.docs.blocks import DOCS, blocks

PAGES = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")] + ["../README.md"]
OURS = ("spillway", "router", "serving", "wire", "benchmarks", "kernels")
FREE = {"serving", "runtime_env"}
"""Sections whose keys are others' to name."""


def shown(language):
    """Each block of a language, by its place."""
    return [
        pytest.param(block, id=f"{page}:{block.line}")
        for page in PAGES
        for block in blocks(page)
        if block.language == language
    ]


@pytest.mark.parametrize("block", shown("python"))
def test_a_program_is_python_and_what_it_imports_of_ours_is_there(block):
    """Names that a page has a reader import."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in OURS:
            module = importlib.import_module(node.module)
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []


@pytest.mark.parametrize("block", shown("yaml"))
def test_a_fleet_file_has_keys_that_there_are(block):
    """Whole or in part; what is not of a fleet file has none of its sections."""
    found = yaml.safe_load(block.text)
    if isinstance(found, dict) and set(found) & set(FileSection.model_fields):
        assert list(_unknown(found, ())) == []


def _unknown(value, path):
    """The paths of keys that the parser does not know."""
    if isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _unknown(inner, (*path, place))
    if not isinstance(value, dict) or (path and path[-1] in FREE):
        return
    known = known_keys(FileSection, path)
    for key, inner in value.items():
        if known and key not in known:
            yield ".".join(map(str, (*path, key)))
        else:
            yield from _unknown(inner, (*path, key))


def test_an_unknown_key_is_found():
    """Also below a list, and where the section has a name of its own."""
    found = yaml.safe_load("sites: {home: {kind: home, lend: [{replcas: 2}], price: {metred: 1}}}")
    assert list(_unknown(found, ())) == ["sites.home.lend.0.replcas", "sites.home.price.metred"]
