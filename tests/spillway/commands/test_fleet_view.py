"""A site's state in one cell."""

import time

from spillway.commands.fleet_view import SITE_COLUMNS, site_rows
from wire.spillway.v1.fleet_pb2 import FleetState, SiteState

STATE = SITE_COLUMNS.index("state")


def state(**fields):
    (row,) = site_rows(FleetState(sites=[SiteState(name="a", **fields)]))
    return row[STATE]


def test_a_new_site_shows_its_share_and_a_leased_one_what_is_left():
    """Beside whether it is up."""
    until_ns = time.time_ns() + 7_320 * 1_000_000_000
    assert state(warming_share=0.1) == "down, new: 10% of turns"
    assert state(draining=True, lease_until_unix_ns=until_ns) == "draining, lease ends in 2 h 2 min"
    assert state(lease_until_unix_ns=1) == "down, lease ended"
    assert state() == "down"
