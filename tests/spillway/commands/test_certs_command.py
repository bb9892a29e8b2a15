"""`spillway certs`: an authority and what it issues, for their owner alone, never overwritten."""

import json
import stat

import pytest

from spillway import cli
from spillway.commands.failure import Outcome

SITE = "spiffe://example.org/site/ridge"


@pytest.fixture
def folder(tmp_path, capsys):
    """One with an authority."""
    found = tmp_path / "certs"
    assert cli.run(["certs", "init", str(found), "--name", "Ours"]) == 0
    assert capsys.readouterr().out == f"{found / 'authority.pem'}\n"
    return found


def modes(folder):
    """Who may read each file."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_files_are_their_owner_s_alone(folder, capsys):
    """Keys as well as certificates, named for who has them."""
    assert cli.run(["certs", "issue", str(folder), "ridge.example.org", SITE]) == 0
    assert cli.run(["certs", "issue", str(folder), SITE]) == 0
    assert cli.run(["certs", "issue", str(folder), "::1", "--out", str(folder / "me")]) == 0
    assert modes(folder) == dict.fromkeys(
        [
            f"{stem}.{kind}"
            for stem in ("authority", "ridge.example.org", "site-ridge", "me")
            for kind in ("pem", "key")
        ],
        0o600,
    )


def test_nothing_is_overwritten(folder, capsys):
    """Neither an authority nor a certificate; what is there stays as it is."""
    issue = ["certs", "issue", str(folder), "a"]
    assert cli.run(issue) == 0
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for arguments in (["certs", "init", str(folder)], issue):
        assert cli.run(arguments) == Outcome.FAILED
        assert "there already; nothing is overwritten" in capsys.readouterr().err
    (folder / "a.key").unlink()
    assert cli.run(issue) == Outcome.FAILED  # for the certificate, and no key is left beside it
    del before[folder / "a.key"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_was_issued_is_shown(folder, capsys):
    """The names as a fleet file has them, and for how long."""
    assert cli.run(["certs", "issue", str(folder), "a.b", SITE, "10.0.0.5", "--days", "7"]) == 0
    capsys.readouterr()
    files = [str(folder / "a.b.pem"), str(folder / "authority.pem")]
    assert cli.run(["certs", "show", "--json", *files]) == 0
    own, authority = json.loads(capsys.readouterr().out)
    assert own["names"] == ["a.b", SITE, "10.0.0.5"]
    assert 6 < own["days_left"] <= 7
    assert (own["issuer"], own["authority"]) == ("CN=Ours", False)
    assert (authority["subject"], authority["authority"]) == ("CN=Ours", True)
    assert cli.run(["certs", "show", *files]) == 0
    assert f"a.b, {SITE}, 10.0.0.5" in capsys.readouterr().out


def test_a_certificate_outlives_no_authority(tmp_path, capsys):
    """It would be worth nothing."""
    folder = str(tmp_path / "short")
    assert cli.run(["certs", "init", folder, "--days", "1"]) == 0
    assert cli.run(["certs", "issue", folder, "a", "--days", "30"]) == 0
    capsys.readouterr()
    assert cli.run(["certs", "show", "--json", f"{folder}/a.pem"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["days_left"] <= 1


@pytest.mark.parametrize("name", ["*.example.org", "Ridge", "a b", "spiffe://a", "../a", ""])
def test_what_is_no_name_is_refused(folder, capsys, name):
    """And nothing is written."""
    before = modes(folder)
    assert cli.run(["certs", "issue", str(folder), name]) == Outcome.FAILED
    assert "is no DNS name" in capsys.readouterr().err
    assert modes(folder) == before


def test_an_authority_that_is_not_there_is_said(tmp_path, capsys):
    """With the command that makes one."""
    assert cli.run(["certs", "issue", str(tmp_path), "a"]) == Outcome.FAILED
    assert f"spillway certs init {tmp_path}" in capsys.readouterr().err
    (tmp_path / "authority.pem").write_text("nothing")
    assert cli.run(["certs", "show", str(tmp_path / "authority.pem")]) == Outcome.FAILED
    assert "expected certificates in PEM" in capsys.readouterr().err
