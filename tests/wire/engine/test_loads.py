"""Load reports as gateways ask for the load."""

import pytest

from wire.engine.engine_pb2 import GetLoadsRequest
from wire.engine.loads import Loads
from wire.spillway.v1.load_pb2 import LoadReport

REPORT = LoadReport(
    sampled_unix_ns=1_700_000_000_000_000_000,
    running_requests=3,
    waiting_requests=2,
    queued_prefill_tokens=70,
    kv_usage=0.25,
    kv_tokens_max=1_000,
    prefix_hit_tokens=30,
    prefix_query_tokens=40,
    max_running_requests=12,
    generated_tokens=500,
)


def looked(loads, report, now_s, **asked):
    """What is told at a time."""
    return loads.response(GetLoadsRequest(**asked), report, "v", now_s)


def test_a_report_is_told_whole():
    """In the words of gateways."""
    told = looked(Loads(), REPORT, 5.0)
    assert (told.version, told.dp_rank_count) == ("v", 1)
    assert told.timestamp == "2023-11-14T22:13:20+00:00"
    [load] = told.loads
    assert (load.num_running_reqs, load.num_waiting_reqs, load.num_total_reqs) == (3, 2, 5)
    assert (load.num_used_tokens, load.max_total_num_tokens, load.token_usage) == (250, 1000, 0.25)
    assert (load.cache_hit_rate, load.utilization, load.max_running_requests) == (0.75, 0.25, 12)
    assert load.num_waiting_uncached_tokens == 70


def test_the_rate_is_that_between_looks():
    """Looks in quick succession hear the same; a total that fell is another engine's."""
    loads = Loads()

    def rate(tokens, now_s):
        report = LoadReport(generated_tokens=tokens)
        return looked(loads, report, now_s).loads[0].gen_throughput

    assert rate(500, 10.0) == 0
    assert rate(600, 10.5) == 0
    assert rate(700, 12.0) == pytest.approx(100)
    assert rate(9_000, 12.1) == pytest.approx(100)
    assert rate(10, 14.0) == 0
    assert rate(30, 16.0) == pytest.approx(10)


def test_there_is_one_rank():
    """Of another one nothing is told; of an empty report no share is."""
    assert not looked(Loads(), REPORT, 0.0, dp_rank=1).loads
    assert looked(Loads(), REPORT, 0.0, dp_rank=0).loads
    [load] = looked(Loads(), LoadReport(), 0.0).loads
    assert (load.cache_hit_rate, load.utilization) == (0, 0)
