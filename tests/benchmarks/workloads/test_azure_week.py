"""A week is drawn from points read off plots: both services on one week, noise kept out."""

import pytest

from benchmarks.workloads.azure_week import Curve, read_services, sessions
from benchmarks.workloads.traces import TraceError

RATES = "# from a plot\nminute,rpm_mid_scaled_to_true_total\n"
CDF = "# from a plot\ntokens,cdf_pct_mid\n-5.0,1.0\n100.0,50.0\n150.0,49.0\n200.0,100.2\n"


@pytest.fixture
def folder(tmp_path):
    for name, rpm in (("code", (600, 60)), ("conv", (60, 60))):
        # The code week's first three days are busier than its others.
        points = "".join(f"{minute}.0,{rpm[minute > 4000]}\n" for minute in range(0, 10_080, 7))
        (tmp_path / f"azure2024_{name}_requests_per_minute.csv").write_text(RATES + points)
        for what in ("input", "output"):
            (tmp_path / f"azure2024_{name}_{what}_tokens_cdf.csv").write_text(CDF)
    return tmp_path


def test_the_code_week_is_laid_on_one_that_begins_on_a_sunday(folder):
    """Its file begins on a Friday: Friday is the sixth day of the week that is played."""
    code, conv = read_services(folder)
    assert code.per_s(5 * 24 * 60 + 60) == pytest.approx(10.0)
    assert code.per_s(3 * 24 * 60) == pytest.approx(1.0)
    assert conv.per_s(0.0) == pytest.approx(1.0)


def test_noise_in_a_distribution_never_turns_it_back(folder):
    """A share that falls is passed over, and no count is below a token."""
    prompt = read_services(folder)[0].prompt
    assert prompt.at(0.0) == 1.0
    assert prompt.at(50.0) == 100.0
    assert prompt.at(75.0) == pytest.approx(149.8, abs=0.1)


def test_a_week_passes_at_the_speed_and_the_share_that_are_asked(folder):
    """A week in seven minutes at a hundredth of the rate, in the order of time, by service."""
    found = list(sessions(read_services(folder), clock=1440.0, share=0.01 / 1440, seed=2))
    assert [s.at_s for s in found] == sorted(s.at_s for s in found)
    assert found[-1].at_s < 420
    assert {s.tenant for s in found} == {"code", "conv"}
    again = list(sessions(read_services(folder), clock=1440.0, share=0.01 / 1440, seed=2))
    assert found == again


def test_a_curve_ends_flat():
    """Beyond its points it keeps the value of its ends."""
    curve = Curve((1.0, 2.0), (10.0, 20.0))
    assert (curve.at(0.0), curve.at(1.5), curve.at(9.0)) == (10.0, 15.0, 20.0)


def test_a_file_that_is_missing_is_named(tmp_path):
    """The message has the path."""
    with pytest.raises(TraceError, match="azure2024_code"):
        read_services(tmp_path)
