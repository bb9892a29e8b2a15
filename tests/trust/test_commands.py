"""The commands that talk to a router speak TLS where they are told to."""

import pytest

from spillway import cli
from spillway.commands.failure import Outcome
from tests.trust.pki import FRONT, RIDGE
from tests.trust.processes import client, router, site, tls_of, until_up

ME = "me.example.org"


@pytest.fixture(scope="module")
def routed(ridge, pki, tmp_path_factory):
    """The address of a router that accepts ME and the site's."""
    front = pki.issue(FRONT, "127.0.0.1")
    tls = tls_of(front, pki.certificate, [ME])
    sites = {"ridge": site(ridge, pki.certificate, RIDGE)}
    with router(tmp_path_factory.mktemp("routed"), sites, tls=tls) as address:
        with client(address, pki.certificate, pki.issue(ME)) as asking:
            until_up(asking, ridge)
        yield address


def test_generate_and_status_speak_tls(routed, pki, capsys, monkeypatch):
    """By options, or by the environment."""
    me = pki.issue(ME)
    shown = ["--ca", pki.certificate, "--cert", me.certificate, "--key", me.key]
    asked = ["generate", "7", "-n", "2", "--address", routed, *map(str, shown)]
    assert cli.run(asked) == Outcome.DONE
    assert capsys.readouterr().out.strip()
    for name, path in (("CA", pki.certificate), ("CERT", me.certificate), ("KEY", me.key)):
        monkeypatch.setenv(f"SPILLWAY_{name}", str(path))
    assert cli.run(["status", "--address", routed]) == Outcome.DONE
    assert "ridge" in capsys.readouterr().out


def test_a_router_that_is_not_believed_gets_nothing(routed, foreign, pki, capsys):
    """And a router of plaintext neither."""
    me = pki.issue(ME)
    shown = ["--cert", str(me.certificate), "--key", str(me.key)]
    ask = ["status", "--address", routed]
    assert cli.run([*ask, "--ca", str(foreign.certificate), *shown]) == Outcome.UNREACHABLE
    assert cli.run(ask) == Outcome.UNREACHABLE
    assert cli.run([*ask, *shown]) == Outcome.USAGE
    assert "--cert and --key need --ca" in capsys.readouterr().err
    assert cli.run([*ask, "--ca", "absent.pem"]) == Outcome.USAGE
    assert "absent.pem: cannot be read" in capsys.readouterr().err


def test_direct_would_be_plaintext(routed, pki, capsys):
    """So it is refused beside TLS."""
    ask = ["generate", "7", "--direct", "--address", routed, "--ca", str(pki.certificate)]
    assert cli.run(ask) == Outcome.USAGE
    assert "direct and tls exclude each other" in capsys.readouterr().err
