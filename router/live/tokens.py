"""Tokens of an identity provider (JWT): who they are of, by the provider's public keys.

The keys come from one address, of the fleet file or by its issuer, whatever a token says of where
to look. They are read again at intervals, and sooner when a token names one that is not known, but
not more often than every few seconds, however many such tokens come. While the provider is away,
the keys stay for a day. What a token was found to be is remembered until it ends or the keys
change.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from hashlib import sha256
from typing import Any, Final

import aiohttp
import jwt

from router.live.identity_provider import FETCH_S, IdentityProvider, ProviderError
from router.live.settings import TokenSettings
from router.live.token_keys import BAD, TokenKey
from router.policy.api_key import Fault
from router.policy.caller import Caller, Role

AGAIN_S: Final = 10.0
"""Between two looks for keys that tokens name and nobody knows."""

_STALE_MAX_S: Final = 24 * 3_600.0
_REMEMBERED_MAX: Final = 10_000  # tokens, of some 200 bytes each here
_REMEMBERED_S: Final = 300.0
_KID_CHARS_MAX: Final = 256
_SUBJECT_CHARS_MAX: Final = 128

_log = logging.getLogger(__name__)


class Tokens:
    """The tokens of one provider, for one audience."""

    def __init__(self, settings: TokenSettings, tenants: Collection[str]) -> None:
        self._settings = settings
        self._tenants = tenants
        self._provider = IdentityProvider(settings)
        self._keys: dict[str, TokenKey] = {}
        self._read_s = float("-inf")  # when the keys were last read,
        self._asked_s = float("-inf")  # and asked for
        self._reading: asyncio.Task[None] | None = None
        self._found: OrderedDict[bytes, tuple[Caller | Fault, float]] = OrderedDict()

    def find(self, text: str, unix_s: float) -> Caller | Fault:
        """Whose a token is, or why it is nobody's."""
        digest = sha256(text.encode()).digest()
        found = self._found.get(digest)
        if found is not None and unix_s < found[1]:
            return found[0]
        try:
            claims = self._claims(text)
        except jwt.ExpiredSignatureError:
            return Fault.EXPIRED
        except jwt.ImmatureSignatureError:
            return Fault.NOT_YET
        except BAD:
            return Fault.UNKNOWN
        tenant = claims.get(self._settings.tenant_claim)
        if not isinstance(tenant, str) or tenant not in self._tenants:
            return Fault.NO_TENANT
        caller = Caller(Role.TENANT, tenant, _named(claims))
        until_s = min(unix_s + _REMEMBERED_S, float(claims["exp"]) + self._settings.leeway_s)
        self._found[digest] = (caller, until_s)
        if len(self._found) > _REMEMBERED_MAX:
            self._found.popitem(last=False)
        return caller

    async def look_for_key_of(self, text: str) -> None:
        """Asks the provider, where a token names a key that is not known, if that is due."""
        kid = _kid_of(text)
        if not kid or kid in self._keys:
            return
        if self._reading is None and time.monotonic() - self._asked_s >= AGAIN_S:
            self._begin()
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=FETCH_S)

    def look(self) -> None:
        """Has the keys read where that is due, and forgets them when they are too old."""
        now_s = time.monotonic()
        due_s = self._settings.refresh_s if self._keys else AGAIN_S
        if self._reading is None and now_s - self._asked_s >= due_s:
            self._begin()
        if self._keys and now_s - self._read_s > _STALE_MAX_S:
            _log.warning("the keys of %s are too old", self._settings.issuer)
            self._take({})

    def forget(self) -> None:
        """The tenants are others: whose a token is, is to be found out again."""
        self._found.clear()

    async def close(self) -> None:
        """Ends what is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _begin(self) -> None:
        self._asked_s = time.monotonic()
        self._reading = asyncio.create_task(self._read(), name="keys of tokens")

    async def _read(self) -> None:
        try:
            keys = await self._provider.keys()
        except (aiohttp.ClientError, OSError, TimeoutError, ProviderError) as error:
            what = f"{type(error).__name__}: {error}"
            _log.warning("the keys of %s cannot be read: %s", self._settings.issuer, what)
        else:
            self._read_s = time.monotonic()
            self._take(keys)
        finally:
            self._reading = None

    def _take(self, keys: dict[str, TokenKey]) -> None:
        self._keys = keys
        self._found.clear()  # what one of them vouched for may be gone with it

    def _claims(self, text: str) -> dict[str, Any]:
        key = self._keys.get(_kid_of(text))
        if key is None:
            raise jwt.InvalidTokenError("of no known key")
        claims: dict[str, Any] = jwt.decode(
            text,
            key.public,
            algorithms=list(key.algorithms),
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=self._settings.leeway_s,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims


def _named(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    return f"token:{subject[:_SUBJECT_CHARS_MAX]}" if isinstance(subject, str) else "token"


def _kid_of(text: str) -> str:
    """The name of the key that a token says it was signed with; empty where it says none."""
    try:
        kid = jwt.get_unverified_header(text).get("kid", "")
    except BAD:
        return ""
    return kid if isinstance(kid, str) and len(kid) <= _KID_CHARS_MAX else ""
