"""What may be said of the tokens that a router takes: only what cannot be turned against it."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from router.live.settings import TokenSettings
from wire.tls.plaintext import is_loopback

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Those whose verifying key cannot sign: with a shared secret the router could make tokens itself,
and a public key could be passed off as one."""


def token_problems(tokens: TokenSettings) -> Iterator[tuple[str, str]]:
    """Each key that cannot be meant, and what is wrong with it."""
    if tokens == TokenSettings():
        return
    for key in ("issuer", "audience"):
        if not getattr(tokens, key):
            yield key, "tokens need an issuer and an audience"
    url = tokens.jwks_url
    if url is not None and not (is_https(url) or is_here(url)):
        yield "jwks_url", "expected https://, since who can change the answer can sign any token"
    asked = tokens.issuer if url is None else None
    if asked and not (is_https(asked) or is_here(asked)):
        yield (
            "jwks_url",
            "without it the issuer is asked where its keys are, and that is no URL with https://",
        )
    if not tokens.algorithms or not ALGORITHMS.issuperset(tokens.algorithms):
        yield "algorithms", f"expected some of {', '.join(sorted(ALGORITHMS))}"


def is_https(url: str) -> bool:
    """Whether a URL is of a host that proves its name."""
    return bool(_host(url, "https"))


def is_here(url: str) -> bool:
    """Whether a URL is of plain HTTP on this machine."""
    return is_loopback(_host(url, "http"))


def _host(url: str, scheme: str) -> str:
    """The host of a URL of this scheme; empty for any other, and for what is none."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return ""
    whole = parts.scheme == scheme and not (parts.query or parts.fragment or parts.username)
    return host if whole and url.isascii() and url.isprintable() and " " not in url else ""
