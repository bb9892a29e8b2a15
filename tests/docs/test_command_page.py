"""docs/cli.md has every command that there is, and names those that print JSON."""

import re

import typer

from spillway import cli
from tests.docs.blocks import DOCS

TEXT = (DOCS / "cli.md").read_text()


def leaves(command, name):
    """Each command by its words, below `spillway`."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name.strip(), command
        return
    for word, found in inner.items():
        yield from leaves(found, f"{name} {word}")


COMMANDS = dict(leaves(typer.main.get_command(cli.app), ""))


def test_the_page_has_every_command():
    """By the words that are typed."""
    assert [name for name in COMMANDS if f"`spillway {name}" not in TEXT] == []


def test_the_page_names_the_commands_that_print_json():
    """All of them, and no other, in one place."""
    assert TEXT.count("JSON with `--json`") == 1
    with_json = {
        name
        for name, command in COMMANDS.items()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    listed = re.search(r"JSON with `--json` \(([^)]*)\)", TEXT).group(1)
    assert {name for name in re.findall(r"`([^`]+)`", listed) if name != "lend list"} == with_json
