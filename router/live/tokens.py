"""Tokens of an identity provider (JWT): who they are of, by the provider's public keys.

The keys come from one address of the fleet file, whatever a token says of where to look. They are
read again at intervals, and sooner when a token names one that is not known, but not more often
than every few seconds, however many such tokens come. While the provider is away, the keys stay for
a day. What a token was found to be is remembered until it ends or the keys change.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from router.live.settings import TokenSettings
from router.policy.api_key import Fault
from router.policy.caller import Caller, Role

KEYS_MAX: Final = 64
ANSWER_BYTES_MAX: Final = 256 * 1024
"""Of a provider's keys: some hundred of the longest."""

AGAIN_S: Final = 10.0
"""Between two looks for keys that tokens name and nobody knows."""

_FETCH_S: Final = 5.0
_STALE_MAX_S: Final = 24 * 3_600.0
_REMEMBERED_MAX: Final = 10_000  # tokens, of some 200 bytes each here
_REMEMBERED_S: Final = 300.0
_RSA_BITS_MIN: Final = 2_048
_KID_CHARS_MAX: Final = 256
_SUBJECT_CHARS_MAX: Final = 128

_BAD: Final = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""What a token of anybody's making may raise."""

_log = logging.getLogger(__name__)


class ProviderError(Exception):
    """The provider's answer has no keys."""


@dataclass(frozen=True, slots=True)
class _Key:
    public: Any
    algorithms: tuple[str, ...]


class Tokens:
    """The tokens of one provider, for one audience."""

    def __init__(self, settings: TokenSettings, tenants: Collection[str]) -> None:
        self._settings = settings
        self._tenants = tenants
        self._keys: dict[str, _Key] = {}
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
        except _BAD:
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
            await asyncio.wait({self._reading}, timeout=_FETCH_S)

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
            keys = await _fetched(self._settings)
        except (aiohttp.ClientError, OSError, TimeoutError, ProviderError) as error:
            what = f"{type(error).__name__}: {error}"
            _log.warning("the keys of %s cannot be read: %s", self._settings.issuer, what)
        else:
            self._read_s = time.monotonic()
            self._take(keys)
        finally:
            self._reading = None

    def _take(self, keys: dict[str, _Key]) -> None:
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
    except _BAD:
        return ""
    return kid if isinstance(kid, str) and len(kid) <= _KID_CHARS_MAX else ""


async def _fetched(settings: TokenSettings) -> dict[str, _Key]:
    timeout = aiohttp.ClientTimeout(total=_FETCH_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.get(settings.jwks_url or "", allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ProviderError(f"it answered {response.status}")
        body = bytearray()
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise ProviderError(f"its answer has more than {ANSWER_BYTES_MAX} bytes")
    keys = keys_in(bytes(body), settings.algorithms)
    if not keys:
        raise ProviderError("its answer has no key that may sign here")
    return keys


def keys_in(body: bytes, algorithms: Collection[str]) -> dict[str, _Key]:
    """The keys of a JWK set that may verify with these algorithms, by their names."""
    try:
        listed = json.loads(body)["keys"][:KEYS_MAX]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    found: dict[str, _Key] = {}
    for one in listed:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig":
            continue
        kid, named = one.get("kid"), one.get("alg")
        may = tuple(a for a in algorithms if named in {None, a} and _family(a) == one.get("kty"))
        if not isinstance(kid, str) or not kid or not may:
            continue
        try:
            public = jwt.PyJWK(one, algorithm=may[0]).key
        except _BAD:
            continue
        if isinstance(public, RSAPublicKey) and public.key_size < _RSA_BITS_MIN:
            continue
        found[kid] = _Key(public, may)
    return found


def _family(algorithm: str) -> str:
    """The type of the keys of an algorithm, as a JWK names it."""
    return {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]] if algorithm != "EdDSA" else "OKP"
