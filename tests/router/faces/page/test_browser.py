"""The fleet page in Chromium."""

import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import HealthCheck, given, settings

from router.faces.page.change import change
from tests.router.faces.page.stream import FRAMES
from tests.waiting import wait_until

OVERFLOWED = '#decisions [data-flow="overflow"]'
ROUTER = "document.getElementById('router').textContent"
IN_TIME_S = 2.0
"""For what happens to be on the page, by the page's own clock."""

ROUNDS = 4
PUT_TOGETHER = """([before, change]) =>
  import("/page/changing.js").then((it) => it.changed(before, change))"""
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}

pytestmark = pytest.mark.slow  # a browser and three processes


def test_the_page_loads_and_shows_the_sites(watch):
    """Nothing is asked of anybody but the router, and the browser has nothing to complain of."""
    asked = []
    watched = watch()
    watched.page.on("request", lambda request: asked.append(request.url))
    watched.page.reload()
    watched.until_connection("live")
    watched.until_site("home", "up")
    assert len(asked) > 5
    origin = re.match(r"http://[^/]+/", watched.page.url).group()
    assert all(url.startswith(origin) for url in asked)
    assert watched.complaints == []


def test_a_surge_is_seen_to_overflow_and_its_reason_is_told(watch, scene):
    """The first decision that sends a session away says why."""
    watched = watch()
    scene.ask()  # nobody is predicted to miss of whom nothing is known
    with scene.surge() as begin_session:

        def has_overflowed():
            begin_session()
            watched.page.wait_for_timeout(100)  # they come one after another
            return watched.page.locator(OVERFLOWED).count() > 0

        wait_until(has_overflowed)
        words = watched.page.locator(OVERFLOWED).first.inner_text()
        assert "cloud" in words
        assert "home would take" in words or "home is pressed" in words

        def is_shown_in_time():
            begin_session()  # a busy machine is late with some
            shown_s, decided_s = watched.stamped("overflow")
            return shown_s - decided_s < IN_TIME_S

        wait_until(is_shown_in_time, every_s=0.1)
    assert watched.complaints == []


def test_a_site_that_dies_and_returns_is_seen_and_said(watch, scene):
    """The basin says so, and so does the live region, for those who do not see it."""
    watched = watch()
    late_s = []
    for _ in range(ROUNDS):  # a busy machine is late with some
        killed_s = time.time()
        scene.home.kill()
        watched.until_site("home", "down")
        watched.until("document.getElementById('announcement').textContent.includes('home:')")
        scene.home.start()
        back_s = time.time()
        watched.until_site("home", "hurt")  # on trial until a turn succeeds
        late_s.append((shown_s(watched, "down") - killed_s, shown_s(watched, "hurt") - back_s))
        scene.ask()
        watched.until_site("home", "up")
        if max(late_s[-1]) < IN_TIME_S:
            break
    assert min(map(max, late_s)) < IN_TIME_S, late_s
    assert watched.complaints == []


def shown_s(watched, state):
    """When the page showed home in a state, in Unix seconds."""
    return watched.stamped(f"home is {state}")[0]


def test_the_page_recovers_when_the_router_restarts(watch, scene):
    """It says that it is lost, comes back by itself, and shows the new router.

    What somebody had opened and chosen is as it was.
    """
    watched = watch()
    before = watched.page.evaluate(ROUTER)
    watched.page.click('[data-site="cloud"] summary')
    watched.page.focus('[aria-label="Drain cloud"]')
    scene.router.kill()
    watched.until_connection("lost")
    scene.router.start()
    watched.until_connection("live")
    watched.until(f"{ROUTER} !== '{before}'")
    watched.until_site("home", "up")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert watched.page.evaluate(focused) == "Drain cloud"
    assert watched.page.is_visible('[aria-label="Drain cloud"]')
    refused = "Failed to load resource"  # what a browser says of each try while nobody listens
    assert [one for one in watched.complaints if refused not in one] == []


def test_a_site_is_drained_and_undrained_by_keyboard(watch):
    """With a confirmation that begins at Cancel; the token makes it allowed."""
    watched = watch()
    page = watched.page
    page.focus('[data-site="cloud"] summary')
    page.keyboard.press("Enter")
    page.focus('[aria-label="Drain cloud"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm[open]")
    assert page.evaluate("document.activeElement.id") == "confirm-no"
    page.keyboard.press("Escape")
    page.wait_for_selector("#confirm", state="hidden")
    page.focus('[aria-label="Drain cloud"]')
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    watched.until_site("cloud", "draining")
    page.click('[aria-label="Undrain cloud"]')
    page.click("#confirm-yes")
    watched.until_site("cloud", "up")
    assert watched.complaints == []


def test_a_replica_is_lent_and_taken_back(watch):
    """With how many, until when and why; what the router refuses is said in the dialog."""
    watched = watch()
    page = watched.page
    page.click('[data-site="home"] summary')
    page.click('[aria-label="Lend home"]')
    page.fill("#loan-replicas", "9")
    page.fill("#loan-reason", "fine-tune")
    page.click("#confirm-yes")
    page.wait_for_selector("#confirm-error:not(:empty)")
    assert "it has 1 replica, and cannot lend 9" in page.inner_text("#confirm-error")
    page.fill("#loan-until", "2020-01-01T06:00")
    page.click("#confirm-yes")
    watched.until("document.getElementById('confirm-error').textContent.includes('past')")
    page.click("#confirm-no")
    page.click('[aria-label="Lend home"]')  # it proposes a night again
    page.fill("#loan-reason", "fine-tune")
    page.click("#confirm-yes")
    page.wait_for_selector('[data-site="home"] .lent:not([hidden])')
    words = page.inner_text('[data-site="home"] .lent')
    assert words.startswith("lends 1 of 1 until ")
    assert words.endswith("· away · fine-tune")
    assert page.locator('[data-site="home"] tbody td >> text=lent').count() == 1
    page.click('[aria-label="Reclaim home"]')
    page.click("#confirm-yes")
    page.wait_for_selector('[data-site="home"] .lent', state="hidden")
    assert not page.locator('[aria-label="Lend cloud"]').is_visible()  # only home lends
    refused = "Failed to load resource"  # what a browser says of an answer that is no
    assert [one for one in watched.complaints if refused not in one] == []


def test_the_box_says_where_a_request_would_go(watch):
    """The verdict, its reason, and every candidate."""
    watched = watch()
    watched.page.fill("#explain-prompt", "Count from 7")
    watched.page.click("#explain button")
    watched.page.wait_for_selector(".verdict.send")
    assert "It would go to home/" in watched.page.inner_text(".verdict")
    assert watched.page.locator("#explanation tbody tr").count() == 2
    assert watched.complaints == []


def test_the_page_puts_changes_together_as_they_were_taken_apart(watch):
    """Its own code, in its own browser, with frames of any kind."""
    page = watch().page

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(FRAMES, FRAMES)
    def puts_together(before, after):
        assert page.evaluate(PUT_TOGETHER, [before, change(before, after)]) == after

    puts_together()


def found(page):
    """What axe holds against the page: each rule, and where it is broken."""
    violations = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations]


@pytest.mark.parametrize("looks", LOOKS, ids=str)
def test_axe_finds_nothing(watch, looks):
    """With everything open that opens, and then with the question whether it is meant."""
    page = watch(**LOOKS[looks]).page
    page.click("#explain button")
    page.wait_for_selector(".verdict")
    page.click('[data-site="cloud"] summary')
    assert found(page) == []
    page.click('[aria-label="Drain cloud"]')
    page.wait_for_selector("#confirm[open]")
    assert found(page) == []
    page.keyboard.press("Escape")
    page.click('[data-site="home"] summary')
    page.click('[aria-label="Lend home"]')
    page.wait_for_selector("#loan-until")
    assert found(page) == []


def test_a_phone_need_not_be_scrolled_sideways(watch):
    """What is wider than the screen scrolls by itself."""
    page = watch(**LOOKS["phone"]).page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
