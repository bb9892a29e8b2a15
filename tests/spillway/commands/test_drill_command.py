"""`spillway drill`: which there are, and what is asked before others are touched."""

import pytest

from spillway import cli
from spillway.commands.failure import Outcome

FLEET = (
    "sites:\n  a: {kind: home, endpoints: ['127.0.0.1:1']}\n"
    "slo_classes: {chat: {ttft: 1s, itl: 1s}}\n"
)


@pytest.fixture
def fleet(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "there are site-lost, link-lost, certificate-expired"),
        (["store-away", "--fleet", "FLEET", "--site", "a"], "is done to a local fleet only"),
        (["site-lost", "--fleet", "FLEET"], "name the site with --site: one of a"),
        (["site-lost", "--fleet", "FLEET", "--site", "a"], "--yes"),
    ],
)
def test_nothing_is_done_that_was_not_asked_for(arguments, said, fleet, capsys):
    """A script has to say yes."""
    arguments = [fleet if one == "FLEET" else one for one in arguments]
    assert cli.run(["drill", *arguments]) == Outcome.USAGE
    assert said in capsys.readouterr().err


def test_a_router_that_is_not_there_is_told(fleet, capsys):
    """By its address."""
    where = ["--fleet", fleet, "--site", "a", "--yes", "--address", "127.0.0.1:1"]
    assert cli.run(["drill", "link-lost", *where]) == Outcome.UNREACHABLE
    assert "nobody answers at 127.0.0.1:1" in capsys.readouterr().err


def test_an_interrupted_drill_promises_nothing(fleet, capsys, monkeypatch):
    """What it did may still stand, where its router is not there to undo it."""

    async def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("spillway.drills.on_fleet.run_on_fleet", interrupted)
    where = ["--fleet", fleet, "--site", "a", "--yes", "--address", "127.0.0.1:1"]
    assert cli.run(["drill", "site-lost", *where]) == Outcome.INTERRUPTED
    assert "undone" not in capsys.readouterr().err
