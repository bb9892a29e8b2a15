"""The public keys of an identity provider that may verify tokens here (JWK)."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

KEYS_MAX: Final = 64
_RSA_BITS_MIN: Final = 2_048

BAD: Final = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""What a token or a key of anybody's making may raise."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A public key, and the algorithms by which it may verify."""

    public: Any
    algorithms: tuple[str, ...]


def keys_in(body: bytes, algorithms: Collection[str]) -> dict[str, TokenKey]:
    """The keys of a JWK set that may verify with these algorithms, by their names."""
    try:
        listed = json.loads(body)["keys"][:KEYS_MAX]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    found: dict[str, TokenKey] = {}
    for one in listed:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig":
            continue
        kid, named = one.get("kid"), one.get("alg")
        may = tuple(a for a in algorithms if named in {None, a} and _family(a) == one.get("kty"))
        if not isinstance(kid, str) or not kid or not may:
            continue
        try:
            public = jwt.PyJWK(one, algorithm=may[0]).key
        except BAD:
            continue
        if isinstance(public, RSAPublicKey) and public.key_size < _RSA_BITS_MIN:
            continue
        found[kid] = TokenKey(public, may)
    return found


def _family(algorithm: str) -> str:
    """The type of the keys of an algorithm, as a JWK names it."""
    return {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]] if algorithm != "EdDSA" else "OKP"
