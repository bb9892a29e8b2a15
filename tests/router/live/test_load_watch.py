"""What an endpoint reports reaches the core as numbers that it can reckon with."""

import math

import pytest

from router.live.load_watch import to_core
from router.policy.units import NS_PER_S
from wire.spillway.v1 import load_pb2 as pb


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_what_is_no_sensible_number_is_taken_as_unknown(value):
    """It would end the task that follows the endpoint, or spoil every prediction."""
    report = pb.LoadReport(
        ttft_s=value, itl_s=value, itl_s_p95=value, kv_usage=value, lent_share=value
    )
    heard = to_core("home-0", report, "above")
    assert (heard.ttft_ns, heard.itl_ns, heard.itl_ns_p95) == (0, 0, 0)
    assert (heard.kv_usage, heard.lent_share) == (0.0, 0.0)


def test_shares_end_at_all_and_latencies_keep_their_size():
    """A share above one is one."""
    report = pb.LoadReport(kv_usage=7.0, lent_share=1.5, ttft_s=2.5, itl_s_p95=0.25)
    heard = to_core("home-0", report, "router")
    assert (heard.kv_usage, heard.lent_share) == (1.0, 1.0)
    assert (heard.ttft_ns, heard.itl_ns_p95) == (2.5 * NS_PER_S, 0.25 * NS_PER_S)
