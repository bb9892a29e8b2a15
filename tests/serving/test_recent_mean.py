"""A mean that forgets."""

import pytest

from serving.recent_mean import RecentMean


def test_it_is_nothing_at_first():
    assert RecentMean(half_life_s=1.0).value == 0.0


def test_old_observations_count_half_after_each_half_life():
    mean = RecentMean(half_life_s=2.0)
    mean.add(total=10.0, count=1, now_s=100.0)
    mean.add(total=1.0, count=1, now_s=102.0)
    assert mean.value == pytest.approx((10.0 * 0.5 + 1.0) / 1.5)


def test_many_at_once_count_as_many():
    mean = RecentMean(half_life_s=2.0)
    mean.add(total=6.0, count=3, now_s=0.0)
    mean.add(total=8.0, count=1, now_s=0.0)
    assert mean.value == pytest.approx(14.0 / 4)
