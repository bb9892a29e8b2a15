"""Sessions of links are requests to Ray Serve, and links are none: with Serve's own counter."""

import importlib
from types import SimpleNamespace

import pytest

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Serve's, when it is imported
]


@pytest.fixture
def counting():
    """The module that counts: it imports Ray, which takes seconds."""
    return importlib.import_module("serving.serve_counting")


@pytest.fixture
def counter(counting, monkeypatch):
    """The counter of a replica of Serve's, as far as it counts."""
    replica = importlib.import_module("ray.serve._private.replica")
    manager = object.__new__(replica.ReplicaMetricsManager)
    manager._num_ongoing_requests = 1  # the call that is the link, as Serve counts it
    manager._ingress = False
    manager._cached_metrics_enabled = True
    actor = SimpleNamespace(_replica_impl=SimpleNamespace(_metrics_manager=manager))
    monkeypatch.setattr(counting.global_worker, "actors", {"id": actor})
    return manager


def test_what_counts_is_what_runs(counting, counter):
    """A link counts for nothing, each of its sessions for one, and Serve has the last word."""
    with counting.uncounted_call("Connect"):
        assert counter.get_num_ongoing_requests() == 0
        with counting.counted_session(), counting.counted_session():
            assert counter.get_num_ongoing_requests() == 2
        assert counter.get_num_ongoing_requests() == 0
    assert counter.get_num_ongoing_requests() == 1


def test_what_fails_is_counted_no_longer(counting, counter):
    """A session that ends by an error has ended."""
    with pytest.raises(ValueError, match="broken"), counting.counted_session():
        raise ValueError("broken")
    assert counter.get_num_ongoing_requests() == 1


def test_where_serve_counts_otherwise_nothing_is_touched(counting, monkeypatch):
    """Nor outside of Serve."""
    monkeypatch.setattr(counting.global_worker, "actors", {"id": SimpleNamespace()})
    with counting.uncounted_call("Connect"), counting.counted_session():
        pass
