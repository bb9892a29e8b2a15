"""The measurement of what TLS costs, on a small size."""

from dataclasses import replace

import pytest

from benchmarks.dataplane import tls
from benchmarks.dataplane.certified import Certified

pytestmark = pytest.mark.slow


async def test_streams_and_connections_are_measured_with_tls(monkeypatch, tmp_path, capsys):
    """Over links and call by call; tokens come, and the table has both ways."""
    for name, value in (("STREAMS", 2), ("CONNECTIONS", 2), ("SETTLE_S", 0.2)):
        monkeypatch.setattr(tls, name, value)
    Certified.make(tmp_path / "certificates")
    for way in ("link", "calls"):
        costs = await tls.measure(way, tmp_path / "certificates", seconds=0.5)
        assert costs.tls
        assert costs.tokens_per_s > 0
        assert costs.first_token_ms_p50 > 0
    plain = [tls.Costs(way, False, 1.0, 1.0, 1.0, 1.0) for way in ("link", "calls")]
    tls.show([*plain, costs, replace(costs, way="link")])
    assert "first token" in capsys.readouterr().out
