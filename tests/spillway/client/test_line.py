"""A key goes over TLS, or no further than this machine, unless somebody accepts that in words."""

import pytest

from spillway.client import Client, OptionError, SyncClient
from spillway.client.line import PLAINTEXT_ENV, check_line
from wire.tls.plaintext import ACCEPTED

HERE = (
    "127.0.0.1:7070",
    "localhost:7070",
    "[::1]:7070",
    "127.9.9.9:1",
    "unix:/run/spillway.sock",
    "dns:///localhost:7070",
    "ipv4:127.0.0.1:7070",
    "ipv6:[::1]:7070",
)
AWAY = (
    "10.0.0.5:7070",
    "router.example.org:7070",
    "localhost.example.org:7070",
    "[2001:db8::1]:7070",
    "dns://127.0.0.1/router.example.org:7070",
    "dns:///127.0.0.1.example.org:7070",
    "ipv4:10.0.0.5:7070,127.0.0.1:7070",
    "xds:///localhost:7070",
    "0.0.0.0:7070",
)


@pytest.mark.parametrize("kind", [Client, SyncClient])
async def test_a_key_goes_nowhere_in_plaintext_unless_it_is_accepted(kind, monkeypatch):
    """By the argument or by the environment; without a key there is nothing to protect."""
    monkeypatch.delenv(PLAINTEXT_ENV, raising=False)
    for address in (*AWAY, ["127.0.0.1:1", AWAY[0]]):
        with pytest.raises(OptionError, match="give tls"):
            kind(address, api_key="spw_x")
        kind(address, api_key="")
        kind(address, api_key="spw_x", plaintext=ACCEPTED)
    with pytest.raises(OptionError, match="found 'yes'"):
        kind(AWAY[0], api_key="spw_x", plaintext="yes")
    monkeypatch.setenv("SPILLWAY_API_KEY", "spw_x")
    with pytest.raises(OptionError, match="give tls"):
        kind(AWAY[0])
    monkeypatch.setenv(PLAINTEXT_ENV, ACCEPTED)
    kind(AWAY[0])


@pytest.mark.parametrize("address", HERE)
def test_what_stays_on_this_machine_needs_no_words(address):
    """However its address is written."""
    check_line([address], "")


@pytest.mark.parametrize("address", AWAY)
def test_what_leaves_it_does(address):
    """Also where it looks like this machine's."""
    with pytest.raises(OptionError):
        check_line([address], "")
