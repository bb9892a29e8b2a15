"""What a fleet file may say of the ledger."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from router.live.settings import LedgerSettings

SCHEMES = ("postgresql", "postgres")


def ledger_problems(ledger: LedgerSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key that cannot be meant, below `ledger`, and what is wrong with it."""
    if ledger.path is None and ledger.url is None:
        if ledger != LedgerSettings():
            yield (), "nothing says where it is; give path or url"
        return
    if ledger.path is not None and ledger.url is not None:
        yield ("url",), "it is in one place; give path or url"
        return
    if ledger.url is None:
        if ledger.password_file is not None:
            yield ("password_file",), "a file of SQLite's has no password"
        return
    expected = "expected the database's URL, such as postgresql://spillway@10.0.0.9/ledger"
    try:
        url = urlsplit(ledger.url)
        query, password = parse_qs(url.query), url.password
    except ValueError:
        yield ("url",), expected
        return
    if url.scheme not in SCHEMES or not url.path.strip("/"):
        yield ("url",), expected
    if password is not None or "password" in query:
        yield ("url",), "a password does not belong into this file; name one with password_file"
