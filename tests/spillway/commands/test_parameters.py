"""What an argument may be, before a command runs."""

import pytest
from typer.testing import CliRunner

from spillway import cli
from spillway.cli import app
from spillway.client import defaults
from spillway.commands.failure import Outcome
from spillway.commands.parameters import ADDRESS, DEADLINE_S
from spillway.local import foreground


@pytest.mark.parametrize("address", ["foo", "http://127.0.0.1:7070", "127.0.0.1:99999", ":7070"])
@pytest.mark.parametrize("command", [["status", "--address"], ["up", "--local", "--listen"]])
def test_an_address_that_is_none_is_refused_at_once(command, address):
    """By what it is, and not after half a minute of asking a resolver."""
    result = CliRunner().invoke(app, [*command, address])
    assert result.exit_code == 2
    assert "is not host:port" in " ".join(result.output.replace("│", " ").split())


def test_a_model_that_is_not_there_starts_nothing():
    """Ray and vLLM would say so a minute later."""
    result = CliRunner().invoke(app, ["up", "--local", "--model", "/nowhere"])
    assert result.exit_code != 0
    assert "/nowhere" in str(result.exception or result.output)


def test_the_defaults_are_the_clients():
    """A command says them in its help without the client."""
    assert (ADDRESS, DEADLINE_S) == (defaults.ADDRESS, defaults.DEADLINE_S)


@pytest.mark.parametrize("address", ["0.0.0.0:7070", "[::]:7070", "10.0.0.5:7070", "me.local:1"])
def test_a_local_fleet_is_for_this_machine(address, capsys):
    """It speaks plaintext and asks nobody who they are."""
    assert cli.run(["up", "--local", "--listen", address]) == Outcome.USAGE
    assert "a local fleet is for this one" in capsys.readouterr().err


def test_a_models_folder_is_found_wherever_the_engines_run(tmp_path, monkeypatch):
    """It may be given from where the command is run."""
    plans = []
    monkeypatch.setattr(foreground, "run_in_foreground", plans.append)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert cli.run(["up", "--local", "--model", "mine"]) == Outcome.DONE
    (plan,) = plans
    assert {site.serving["model"] for site in plan.sites} == {str(tmp_path / "mine")}
