"""A standalone replica listens for others with TLS and names, or not without the words for it."""

import asyncio
from pathlib import Path

import pytest

from serving.fake_engine import FakeEngine, FakeSettings
from serving.listening import Listening, read_listening
from serving.settings import SettingsError
from serving.standalone import serve_standalone
from tests.trust.pki import FRONT, RIDGE, Pki
from tests.waiting import DEADLINE_S
from wire.tls.files import TlsError, TlsFiles
from wire.tls.plaintext import ACCEPTED


@pytest.fixture
def given(tmp_path):
    """Arguments of one that others reach."""
    pki = Pki(tmp_path / "authority")
    issued = pki.issue(RIDGE)
    return {
        "host": "0.0.0.0",
        "certificate": str(issued.certificate),
        "key": str(issued.key),
        "authority": str(pki.certificate),
        "accept": f"{FRONT},front.example.org",
    }


def test_tls_is_read_from_arguments(given):
    """All that it needs, and nothing else is taken."""
    arguments = given | {"port": "7070", "model": "m"}
    listening = read_listening(arguments)
    assert (listening.address, listening.accept) == ("0.0.0.0:7070", (FRONT, "front.example.org"))
    assert listening.tls is not None
    assert arguments == {"model": "m"}


def test_the_loopback_interface_needs_no_ceremony():
    """By its name and by its addresses."""
    assert read_listening({}) == Listening()
    for host in ("localhost", "127.0.0.2", "[::1]"):
        assert read_listening({"host": host}).tls is None


def test_others_are_not_listened_to_in_plaintext_by_oversight():
    """The refusal says what to write."""
    with pytest.raises(SettingsError, match=f"others can reach 10.0.0.5.*plaintext={ACCEPTED}"):
        read_listening({"host": "10.0.0.5"})
    with pytest.raises(SettingsError, match=f"plaintext: expected {ACCEPTED}, found 'yes'"):
        read_listening({"host": "10.0.0.5", "plaintext": "yes"})
    assert read_listening({"host": "10.0.0.5", "plaintext": ACCEPTED}).tls is None


@pytest.mark.parametrize("key", ["certificate", "key", "authority", "accept"])
def test_half_of_it_is_refused(given, key):
    """Rather than half of the protection."""
    del given[key]
    with pytest.raises(SettingsError, match=f"without {key}"):
        read_listening(given)


@pytest.mark.parametrize("name", ["*.example.org", "spiffe://", "Front", "10.0.0.5", ""])
def test_what_is_no_identity_is_refused(given, name):
    """It would never be met, or by too many."""
    with pytest.raises(SettingsError, match=r"accept"):
        read_listening(given | {"accept": f"front.example.org,{name}"})


def test_files_that_cannot_be_used_are_named(given, tmp_path):
    """Missing, of another pair, or no certificates at all."""
    with pytest.raises(TlsError, match=r"absent: cannot be read: No such file"):
        read_listening(given | {"authority": str(tmp_path / "absent")})
    other = Pki(tmp_path / "other").issue(RIDGE)
    with pytest.raises(TlsError, match=r"expected a certificate in PEM and its key"):
        read_listening(given | {"key": str(other.key)})
    with pytest.raises(TlsError, match=r"expected certificates of authorities in PEM"):
        read_listening(given | {"authority": str(other.key)})


@pytest.mark.outside
async def test_a_handshake_that_never_ends_is_cut_off(given, monkeypatch):
    """Nobody holds connections by saying nothing."""
    short = (("grpc.server_handshake_timeout_ms", 200),)
    monkeypatch.setattr("serving.standalone.HANDSHAKE_OPTIONS", short)
    files = TlsFiles(*(Path(given[key]) for key in ("certificate", "key", "authority")))
    listening = Listening(tls=files, accept=(FRONT,))
    server = await serve_standalone(FakeEngine(FakeSettings()), listening)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01")  # the beginning of a handshake
        assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
        writer.close()
    finally:
        await server.stop()
