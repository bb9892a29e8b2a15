"""Load reports in ORCA's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.malformed import Malformed, read
from wire.orca.load_pb2 import OrcaLoadReport
from wire.orca.reporting import (
    FORMAT_KEY,
    INTERVAL_MAX_S,
    INTERVAL_MIN_S,
    INTERVAL_S,
    TRAILER_KEY,
    interval_s,
    orca_of,
    trailer_of,
    wants_trailer,
)
from wire.orca.service_pb2 import OrcaLoadReportRequest
from wire.spillway.v1.load_pb2 import LoadReport
from wire.status import CallError

REPORT = LoadReport(running_requests=6, waiting_requests=3, kv_usage=0.25, max_running_requests=6)


def test_a_report_is_told_by_the_names_that_vllm_has():
    """What waits counts as load, too: more than 1 is more than there are places."""
    told = orca_of(REPORT)
    assert told.application_utilization == pytest.approx(1.5)
    assert dict(told.utilization) == {"kv_cache": 0.25}
    assert dict(told.named_metrics) == {
        "kv_cache_usage_perc": 0.25,
        "num_requests_running": 6,
        "num_requests_waiting": 3,
    }
    assert orca_of(LoadReport()).application_utilization == 0


def test_a_trailer_is_the_report():
    """As bytes, which its name says."""
    [(key, value)] = trailer_of(REPORT)
    assert key == TRAILER_KEY
    assert OrcaLoadReport.FromString(value) == orca_of(REPORT)


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ((), False),
        (((FORMAT_KEY, "BIN"),), True),
        (((FORMAT_KEY, "bin"),), True),
        (((FORMAT_KEY, "JSON"),), False),
        (((FORMAT_KEY, b"BIN"),), False),
    ],
)
def test_who_asks_for_it_is_told(metadata, wanted):
    """In the one format that gRPC's trailers have."""
    assert wants_trailer(metadata) == wanted


@given(raw=st.binary(max_size=40))
def test_any_interval_is_bounded(raw):
    """Whatever the bytes are: nobody is told more often, nor left without a word for long."""
    request = read(OrcaLoadReportRequest, raw)
    if isinstance(request, Malformed):
        with pytest.raises(CallError):
            interval_s(request)
        return
    assert INTERVAL_MIN_S <= interval_s(request) <= INTERVAL_MAX_S


def test_without_an_interval_it_is_the_server_s():
    """Absent or 0."""
    assert interval_s(OrcaLoadReportRequest()) == INTERVAL_S
    asked = OrcaLoadReportRequest()
    asked.report_interval.nanos = 500_000_000
    assert interval_s(asked) == 0.5
