"""What an endpoint reports reaches the core as numbers that it can reckon with."""

import math

import pytest

from router.live.load_watch import identity_of, to_core
from router.policy.adapters import AdapterLoad
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


def test_adapters_are_told_or_nothing_is():
    """An endpoint without any says nothing of them, which is not to have loaded none."""
    assert to_core("home-0", pb.LoadReport(), "router").adapters is None
    said = pb.Adapters(loaded=["a", "b"], loaded_max=4, running={"b": 2}, running_max=1, load_s=0.5)
    heard = to_core("home-0", pb.LoadReport(adapters=said), "router").adapters
    assert heard == AdapterLoad(("a", "b"), 4, (("b", 2),), 1, NS_PER_S // 2)
    none = to_core("home-0", pb.LoadReport(adapters=pb.Adapters(load_s=math.nan)), "router")
    assert none.adapters == AdapterLoad()


def test_however_many_adapters_are_told_few_are_kept():
    """The latest of those that are loaded; and a list of thousands that there are."""
    many = [f"a{number:05}" for number in range(5_000)]
    said = pb.Adapters(loaded=many, running=dict.fromkeys(many, 1))
    heard = to_core("home-0", pb.LoadReport(adapters=said), "router").adapters
    assert heard.loaded == tuple(many[-256:])
    assert len(heard.running) == 256
    assert len(identity_of(pb.Identity(adapters=dict.fromkeys(many, "d"))).adapters) == 4_096
