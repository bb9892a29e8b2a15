"""Packages that are missing are said before anything starts."""

import pytest

from spillway.local.fleet import LocalFleet
from spillway.local.packages import MissingPackageError, require_packages
from spillway.local.plan import ENGINE_PACKAGES
from spillway.local.reporter import Silent
from spillway.local.two_sites import built_in_model, fake_engine, two_sites


def test_all_that_is_missing_is_named_in_one_sentence():
    """With what to do; what is there is not named."""
    with pytest.raises(
        MissingPackageError, match=r"^A local fleet needs no_such and not_either, .* `make setup`"
    ):
        require_packages({"not_either", "json", "no_such"})
    require_packages({"json"})


@pytest.mark.parametrize(
    ("serving", "packages"), [(built_in_model(), {"ray", "vllm"}), (fake_engine(), {"ray"})]
)
def test_a_fleet_needs_what_its_engines_run_on(serving, packages):
    """Engines that count run on Ray alone."""
    assert two_sites(serving).packages == packages


def test_a_fleet_starts_nothing_without_them(monkeypatch):
    """No site is launched, and no folder is left."""
    monkeypatch.setitem(ENGINE_PACKAGES, "fake", {"no_such"})
    with LocalFleet(two_sites(fake_engine()), Silent()) as fleet:
        with pytest.raises(MissingPackageError, match="no_such"):
            fleet.start()
        assert not fleet.sites
        assert not fleet.folder.exists()
