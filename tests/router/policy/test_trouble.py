"""Telling a broken link from a broken site."""

import pytest

from router.policy.core import RouterCore
from router.policy.endpoint import Endpoint
from router.policy.trouble import Trouble
from tests.router.policy.toy import MODEL, fleet


@pytest.mark.parametrize(
    ("losses", "trouble"),
    [
        ((), Trouble.NONE),
        (("home-0", "silent"), Trouble.ENDPOINTS),
        (("home-0", "reset"), Trouble.ENDPOINTS),
        (("home-0", "silent", "home-1", "silent"), Trouble.LINK),
        (("home-0", "reset", "home-1", "reset"), Trouble.SITE),
        (("home-0", "reset", "home-1", "silent"), Trouble.SITE),
    ],
)
def test_what_is_wrong_with_a_site(losses, trouble):
    """Silence of all is the link's, as far as anybody can tell; a refusal is the site's own."""
    core = RouterCore(fleet())
    for name in ("home-0", "home-1"):
        core.on_endpoint_up(Endpoint(name, "home", MODEL), 0)
        core.on_connection(name, True, 0)
    for name, how in zip(losses[::2], losses[1::2], strict=True):
        core.on_connection(name, False, 1, silent=how == "silent")
    assert core.snapshot(2).sites[0].trouble is trouble
    for name in losses[::2]:
        core.on_connection(name, True, 3)
    assert core.snapshot(4).sites[0].trouble is Trouble.NONE
