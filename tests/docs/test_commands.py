"""Every command that a page names is one that its program takes."""

import pytest

from tests.docs.commands import ROOT, commands, pages
from tests.docs.parsing import WrongError, check

NAMES = [str(page.relative_to(ROOT)) for page in pages()]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_page_is_parsed_by_its_program(name):
    """Down to the options and values; what a reader has to fill in stands in capitals."""
    wrong = []
    for one in commands(ROOT / name):
        try:
            check(one.words, whole=one.is_whole)
        except WrongError as error:
            wrong.append(f"{one.place}: {' '.join(one.words)}: {error}")
    assert wrong == []


def test_there_are_commands_to_be_parsed():
    """The pages name hundreds; to find none would be to look in the wrong way."""
    found = [one for page in pages() for one in commands(page)]
    assert sum(one.words[0] == "spillway" for one in found) > 150
    assert sum(one.words[:2] == ("python", "-m") for one in found) > 40
    assert sum(one.words[:2] == ("ray", "job") for one in found) > 3


@pytest.mark.parametrize(
    ("words", "because"),
    [
        ("spillway drainn home", "no command"),
        ("spillway drain home --forse", "--forse"),
        ("spillway drain", "missing"),
        ("spillway generate hello --max-new-tokens many", "valid integer"),
        ("spillway bench --rote 2", "--rote"),
        ("spillway fleet chek fleet.yaml", "no command"),
        ("python -m benchmarks.serfing", "no module"),
        ("python -m benchmarks.routing --traces DIR", "--out"),
        ("python -m serving.standalone model", "NAME=VALUE"),
        ("ray job submit --adress http://h:1 -- true", "--adress"),
        ("ray job submit --address http://h:1 -- spillway bench --rote 2", "--rote"),
        ("make sandwich", "target"),
    ],
)
def test_a_command_that_its_program_refuses_is_found(words, because):
    """A wrong word anywhere, also in the command of a job."""
    with pytest.raises(WrongError, match=because):
        check(tuple(words.split()), whole=True)
