"""What a fleet file may say of the store that routers share."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from router.live.settings import StoreSettings
from spillway.fleet.kinds import is_name

SCHEMES = ("redis", "rediss", "unix")


def store_problems(store: StoreSettings) -> Iterator[tuple[str, str]]:
    """Each key that cannot be meant, and what is wrong with it."""
    expected = "expected the server's URL, such as redis://10.0.0.9:6379/0"
    try:
        url = urlsplit(store.url or "")
        port, password = url.port, url.password
    except ValueError:
        yield "url", expected
        return
    reached = url.path.startswith("/") if url.scheme == "unix" else url.hostname and port != 0
    if url.scheme not in SCHEMES or not reached:
        yield "url", expected
    elif url.scheme != "unix" and url.path.strip("/") and not url.path.strip("/").isdecimal():
        yield "url", "expected the number of a database behind the address, such as /0"
    if password is not None or "password" in parse_qs(url.query):
        yield "url", "a password does not belong into this file; name one with password_file"
    if not is_name(store.name):
        yield "name", "expected a name of letters, digits, '.', '_' and '-'"
