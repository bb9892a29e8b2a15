"""The fleet page of a router of several workers, in Chromium."""

import pytest

from tests.router.faces.page.conftest import played

pytestmark = pytest.mark.slow  # a browser and six processes


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """As other files have it, but for the router's workers."""
    with played(tmp_path_factory.mktemp("page"), "--workers", "2") as made:
        yield made


def test_it_shows_what_all_of_them_see(watch, scene):
    """A turn, whichever worker took it; a site that dies, and that is back; a drain of both."""
    watched = watch()
    assert watched.page.inner_text("#router") == "router of several workers"
    for _ in range(4):
        scene.ask()
    watched.until("document.querySelectorAll('#decisions li').length >= 4")
    scene.home.kill()
    watched.until_site("home", "down")
    scene.home.start()
    watched.until_site("home", "hurt")  # on trial until a turn at each of them succeeds
    watched.page.click('[data-site="cloud"] summary')
    watched.page.click('[aria-label="Drain cloud"]')
    watched.page.click("#confirm-yes")
    watched.until_site("cloud", "draining")
    assert watched.complaints == []
