"""A new version is found worse soon where it is, and not where it is not, whatever hits both."""

import random

import pytest

from router.policy.contrast import Contrast

TOLERATED = 0.01


def _answers(seed, *, share, standing, new, count, tolerated=TOLERATED):
    """How many answers of the new version there were before it was found worse; None: it was not.

    `standing` and `new` are the chances to be bad, by the number of the answer.
    """
    rng, contrast = random.Random(seed), Contrast()
    for number in range(count):
        is_new = rng.random() < share
        bad = rng.random() < (new if is_new else standing)(number)
        contrast.add(is_new=is_new, bad=bad, tolerated=tolerated)
        if contrast.is_worse:
            return contrast.new[0]
    return None


def _always(chance):
    return lambda _: chance


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("standing", [0.0, 0.005])
def test_a_broken_version_is_found_within_a_few_answers(share, standing):
    """Every answer of it is bad: as many as chance needs to be no explanation, and no more."""
    most = 15 if share < 0.5 else 45 if share == 0.5 else 150  # the fewer, the less to compare
    for seed in range(20):
        found = _answers(
            seed, share=share, standing=_always(standing), new=_always(1.0), count=9999
        )
        assert found is not None
        assert found <= most


def test_a_version_that_fails_often_is_found():
    """One in ten, beside one that hardly ever does."""
    for seed in range(20):
        found = _answers(seed, share=0.1, standing=_always(0.001), new=_always(0.1), count=20_000)
        assert found is not None
        assert found < 400


@pytest.mark.parametrize("chance", [0.0, 0.02, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_version_that_is_as_good_as_the_other_is_kept(share, chance):
    """However bad both are: it is no reason to go back."""
    for seed in range(10):
        kept = _answers(
            seed, share=share, standing=_always(chance), new=_always(chance), count=8000
        )
        assert kept is None


def test_what_hits_both_at_once_is_no_fault_of_either():
    """A rush makes nearly everything late, again and again, and it comes within one answer."""

    def rush(number):
        return 0.8 if number // 50 % 4 == 3 else 0.02

    for seed in range(20):
        assert _answers(seed, share=0.1, standing=rush, new=rush, count=20_000) is None


def test_a_version_that_was_good_for_long_is_found_as_soon_as_it_is_bad():
    """What it has earned before weighs nothing against it."""
    late = 20_000

    def then(number):
        return 1.0 if number >= late else 0.002

    for seed in range(5):
        rng, contrast = random.Random(seed), Contrast()
        bad_ones = 0
        for number in range(2 * late):
            is_new = rng.random() < 0.1
            bad = rng.random() < (then(number) if is_new else 0.002)
            contrast.add(is_new=is_new, bad=bad, tolerated=TOLERATED)
            bad_ones += is_new and number >= late
            if contrast.is_worse:
                break
        assert contrast.is_worse
        assert 0 < bad_ones < 20


def test_worse_by_a_ratio_and_within_what_is_tolerated_is_kept():
    """Late in one of twenty where one of ten may be, beside one that is never late."""
    for seed in range(10):
        kept = _answers(
            seed, share=0.1, standing=_always(0.0), new=_always(0.04), count=9000, tolerated=0.1
        )
        assert kept is None


def test_without_answers_of_the_standing_version_nothing_is_said():
    """There is nothing to hold it against."""
    contrast = Contrast()
    for _ in range(1000):
        contrast.add(is_new=True, bad=True, tolerated=TOLERATED)
    assert not contrast.is_worse
