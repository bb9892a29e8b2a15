"""`lease_until` of a site: a time in UTC, to the second at best."""

import pytest

from router.policy.units import NS_PER_S
from spillway.commands.fleet import _notes
from spillway.fleet import FleetError, read, write

FLEET = (
    "sites:\n  a: {kind: home, endpoints: ['127.0.0.1:1'], lease_until: %s}\n"
    "slo_classes: {b: {ttft: 1s, itl: 1s}}\n"
)


@pytest.mark.parametrize(
    ("text", "unix_s"),
    [("2027-03-31T18:00:00Z", 1_806_516_000), ("2027-03-31T18:00Z", 1_806_516_000)],
)
def test_a_time_is_read_and_written_as_the_same(text, unix_s):
    """With seconds or without."""
    file = read(FLEET % text)
    assert file.fleet.sites[0].lease_until_unix_ns == unix_s * NS_PER_S
    assert read(write(file)).fleet == file.fleet


@pytest.mark.parametrize(
    "text",
    ["2027-03-31", "2027-03-31T18:00:00", "2027-03-31T18:00:00+02:00", "2027-13-01T00:00Z", "5d"],
)
def test_what_is_no_time_in_utc_is_refused(text):
    """With one that would be."""
    with pytest.raises(FleetError, match="expected a time as 2027-03-31T18:00:00Z, in UTC"):
        read(FLEET % text)


def test_a_lease_that_is_over_is_noted():
    """The file is right, and the site gets nothing."""
    assert any("The lease of a ended" in note for note in _notes(read(FLEET % "2020-01-01T00:00Z")))
    assert not any("lease" in note for note in _notes(read(FLEET % "2099-01-01T00:00Z")))
