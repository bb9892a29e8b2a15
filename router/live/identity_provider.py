"""What is asked of an identity provider: its keys, and where they are if no fleet file says so.

Where they are is asked of the issuer itself (OpenID Connect Discovery), and kept for an hour, or
until they are not there. Its answer is believed in that alone: the algorithms are the fleet file's,
and the issuer that it names has to be the one that was asked. No redirect is followed.
"""

import json
import time
from typing import Any, Final

import aiohttp

from router.live.settings import TokenSettings
from router.live.token_keys import TokenKey, keys_in
from router.live.token_rules import is_here, is_https

ANSWER_BYTES_MAX: Final = 256 * 1024
"""Of a provider's keys: some hundred of the longest. Its configuration has some 5 KB."""

FETCH_S: Final = 5.0
KEPT_S: Final = 3_600.0
"""For which it is believed where the keys are."""

_PATH: Final = "/.well-known/openid-configuration"


class ProviderError(Exception):
    """The provider does not say where its keys are, or its answer has none."""


class IdentityProvider:
    """The provider that the fleet file names."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._found: tuple[str, float] | None = None  # where the keys are, and until when

    async def keys(self) -> dict[str, TokenKey]:
        """Its keys that may verify here, by their names.

        Raises ProviderError, and what aiohttp does.
        """
        timeout = aiohttp.ClientTimeout(total=FETCH_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as http:
            url = self._settings.jwks_url or await self._discovered(http)
            try:
                keys = keys_in(await _get(http, url), self._settings.algorithms)
            except (aiohttp.ClientError, OSError, ProviderError):
                self._found = None
                raise
        if not keys:
            self._found = None
            raise ProviderError("its answer has no key that may sign here")
        return keys

    async def _discovered(self, http: aiohttp.ClientSession) -> str:
        now_s = time.monotonic()
        if self._found is not None and now_s < self._found[1]:
            return self._found[0]
        issuer = self._settings.issuer or ""
        body = await _get(http, f"{issuer.rstrip('/')}{_PATH}")
        url = jwks_url_in(body, issuer)
        self._found = (url, now_s + KEPT_S)
        return url


def jwks_url_in(body: bytes, issuer: str) -> str:
    """Where the keys are by an issuer's configuration. Raises ProviderError."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ProviderError("its configuration is no JSON object")
    if said.get("issuer") != issuer:
        raise ProviderError("its configuration is another issuer's")
    url = said.get("jwks_uri")
    # Only a provider on this machine may name one that is not reached by TLS, and only here.
    if not isinstance(url, str) or not (is_https(url) or (is_here(issuer) and is_here(url))):
        raise ProviderError("its configuration has no jwks_uri that begins with https://")
    return url


async def _get(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ProviderError(f"it answered {response.status}")
        body = bytearray()
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise ProviderError(f"its answer has more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)
