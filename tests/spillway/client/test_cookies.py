"""The client brings a session's cookie back with its next turn."""

from spillway.client.cookies import Cookies
from wire.spillway.v1.cookie import COOKIE_CHARS_MAX, COOKIE_KEY


def test_a_session_has_the_last_cookie_that_it_was_given():
    cookies = Cookies()
    assert cookies.of("s") == ()
    cookies.keep("s", [("other", "x"), (COOKIE_KEY, "one")])
    cookies.keep("s", ((COOKIE_KEY, "two"),))
    cookies.keep("s", ())
    cookies.keep("s", None)
    assert cookies.of("s") == ((COOKIE_KEY, "two"),)
    assert cookies.of("t") == ()


def test_nothing_is_kept_without_a_session_or_of_what_no_router_gives():
    cookies = Cookies()
    for session, cookie in (
        ("", "one"),
        ("s", ""),
        ("s", b"x"),
        ("s", "c" * (COOKIE_CHARS_MAX + 1)),
    ):
        cookies.keep(session, [(COOKIE_KEY, cookie)])
    assert len(cookies) == 0


def test_the_least_recently_given_go_first():
    cookies = Cookies(sessions_max=2)
    for session in ("a", "b", "a", "c"):
        cookies.keep(session, [(COOKIE_KEY, session)])
    assert cookies.of("b") == ()
    assert len(cookies) == 2
