"""Metrics of roll-outs, and of the models that stand in for others."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from router.policy.snapshot import FleetSnapshot


def rollout_metrics(snapshot: FleetSnapshot) -> Iterator[Metric]:
    """See docs/metrics.md. Nothing where no two versions serve one model, and nothing stands in."""
    if snapshot.rollouts:
        share = GaugeMetricFamily(
            "spillway_rollout_share",
            "Of new sessions, that the new version has; 0 while it is returned",
            labels=("model", "version"),
        )
        returned = GaugeMetricFamily(
            "spillway_rollout_returned",
            "1 while the new version is taken back",
            labels=("model", "version"),
        )
        answers = GaugeMetricFamily(
            "spillway_rollout_answers",
            "First attempts since the roll-out began or was resumed, by what was seen of them",
            labels=("model", "version", "seen"),
        )
        for one in snapshot.rollouts:
            of_new = (one.name, one.new.model)
            share.add_metric(of_new, 0.0 if one.returned else one.share)
            returned.add_metric(of_new, float(bool(one.returned)))
            for version in (one.standing, one.new):
                seen = {"ended": version.answers, "failed": version.failed, "late": version.late}
                for what, count in {**seen, "slow": version.slow}.items():
                    answers.add_metric((one.name, version.model, what), count)
        yield from (share, returned, answers)
    if snapshot.stood_in:
        turns = CounterMetricFamily(
            "spillway_stand_in_turns",
            "Turns that another model answered than the one asked for",
            labels=("model", "stand_in"),
        )
        for asked, other, count in snapshot.stood_in:
            turns.add_metric((asked, other), count)
        yield turns
