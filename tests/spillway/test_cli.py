"""The command before any of its subcommands runs."""

from importlib.metadata import version

import pytest

from spillway.cli import run
from spillway.commands.failure import Outcome


def test_it_says_which_version_it_is(capsys):
    """Alone on its line, with no command behind the option."""
    assert run(["--version"]) == Outcome.DONE
    assert capsys.readouterr().out == f"spillway {version('spillway')}\n"


@pytest.mark.parametrize("group", [[], ["site"], ["fleet"]])
def test_a_group_alone_shows_its_help_and_nothing_else(capsys, group):
    """It is a wrong command line all the same."""
    assert run(group) == Outcome.USAGE
    captured = capsys.readouterr()
    assert "Usage: " + " ".join(["spillway", *group]) in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "helpful"),
    [
        (["nonsense"], "spillway --help"),
        (["generate"], "spillway generate --help"),
        (["site", "nonsense"], "spillway site --help"),
        (["site", "up", "--nonsense"], "spillway site up --help"),
    ],
)
def test_a_wrong_argument_names_the_help_that_lists_the_right_ones(capsys, arguments, helpful):
    """That of the command whose argument it is."""
    assert run(arguments) == Outcome.USAGE
    error = capsys.readouterr().err
    assert error.startswith("spillway: ")
    assert error.endswith(f"({helpful} lists what there is)\n")
    assert error.count("\n") == 1
