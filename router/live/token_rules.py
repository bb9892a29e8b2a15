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
    for key in ("issuer", "audience", "jwks_url"):
        if not getattr(tokens, key):
            yield key, "tokens need an issuer, an audience and a jwks_url"
    try:
        url = urlsplit(tokens.jwks_url or "")
        host, _ = url.hostname or "", url.port
    except ValueError:
        url, host = urlsplit(""), ""
    safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
    if tokens.jwks_url and not (host and safe):
        yield "jwks_url", "expected https://, since who can change the answer can sign any token"
    if not tokens.algorithms or not ALGORITHMS.issuperset(tokens.algorithms):
        yield "algorithms", f"expected some of {', '.join(sorted(ALGORITHMS))}"
