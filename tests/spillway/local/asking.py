"""Asks a local fleet of engines that count, and says which site answered."""

import os

from spillway.client import SyncClient
from tests.waiting import wait_until

DEADLINE_S = 60.0


def count(client: SyncClient) -> str:
    """The site that answered, after a look at the answer."""
    with client.stream("count from 7", max_new_tokens=6, session=os.urandom(4).hex()) as stream:
        assert "".join(chunk.text for chunk in stream) == " 8 9 1"
        assert stream.ending is not None
        return stream.ending.site


def count_until(client: SyncClient, site: str) -> None:
    """Ask again and again until this site answers; every answer on the way must be right."""
    wait_until(lambda: count(client) == site, DEADLINE_S)
