"""What a door is told: its endpoints, and nothing that is none."""

import pytest

from spillway.door.configuration import configuration


def test_each_endpoint_is_gone_to_by_its_own_name():
    """Names with a port, addresses of both kinds; each once, in an order that does not change."""
    endpoints = ["10.0.0.9:9000", "[::1]:9000", "node-1.local:80", "10.0.0.9:9000"]
    text = configuration("0.0.0.0:7443", endpoints)
    assert text == configuration("0.0.0.0:7443", reversed(endpoints))
    assert "    bind 0.0.0.0:7443 proto h2\n" in text
    for endpoint in endpoints:
        assert text.count(f"{{ req.hdr(host) -i {endpoint} }}") == 1
        assert text.count(f"    server endpoint {endpoint} proto h2\n") == 1


@pytest.mark.parametrize(
    "said",
    [
        *("10.0.0.9:9000\n    server evil 1.2.3.4:5", "a b:1", "10.0.0.9", ":9000", "x:y"),
        *("a:1 check", "10.0.0.9:0", "10.0.0.9:65536", "10.0.0.9:99999", "a..b:80"),
    ],
)
def test_what_is_no_address_is_left_out(said):
    """A dashboard may say anything; what it says is no configuration."""
    assert configuration("0.0.0.0:7443", [said]) == configuration("0.0.0.0:7443", [])
