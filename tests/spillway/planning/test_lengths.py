"""Lengths from a mean or from a curve of cumulated shares."""

import random
import statistics

import pytest

from spillway.planning.lengths import lengths_of, read_columns


def _drawn(lengths):
    rng = random.Random(1)
    return [lengths.draw(rng) for _ in range(5_000)]


def test_a_number_is_a_mean():
    """Of a wide distribution of whole tokens."""
    found = _drawn(lengths_of("300"))
    assert 280 < statistics.mean(found) < 320
    assert min(found) >= 1


def test_a_curve_is_followed(tmp_path):
    """Also where plots made it noisy: it begins below nothing and falls in between."""
    path = tmp_path / "cdf.csv"
    path.write_text(
        "# read off a plot\ntokens,percent,low\n-5,0,0\n100,50,1\n150,49,1\n200,99.5,2\n"
    )
    found = _drawn(lengths_of(str(path)))
    assert min(found) == 1
    assert max(found) <= 200
    assert 0.45 < sum(length <= 100 for length in found) / len(found) < 0.56


@pytest.mark.parametrize(
    "text",
    ["", "tokens,percent\n", "tokens,percent\n5,1\n5,2\n", "a,b\n1,x\n", "a,b\n1,inf\n2,3\n"],
)
def test_a_file_that_is_no_curve_is_refused(tmp_path, text):
    """With its name."""
    path = tmp_path / "cdf.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"cdf\.csv"):
        lengths_of(str(path))


@pytest.mark.parametrize("text", ["0", "-3", "nan", "inf", "nowhere.csv"])
def test_a_mean_that_is_none_is_refused(text):
    """So is a file that is not there."""
    with pytest.raises(ValueError, match=r"expected|cannot be read"):
        lengths_of(text)


def test_minutes_are_told_by_the_header(tmp_path):
    """As the digitised rates have it."""
    path = tmp_path / "rates.csv"
    path.write_text("# comment\nminute,rpm_low,rpm_mid\n7,60,70\n14,120,130\n")
    assert read_columns(path) == ("minute", [(7.0, 60.0), (14.0, 120.0)])
