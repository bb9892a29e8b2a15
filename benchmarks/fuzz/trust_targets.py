"""What says who calls: API keys, tokens, a provider's keys, and where a browser is."""

import base64
import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.fuzz.target import Target
from router.faces.page.permission import is_same_origin
from router.live.identity_provider import ProviderError, jwks_url_in
from router.live.settings import TokenSettings
from router.live.token_keys import keys_in
from router.live.tokens import Tokens
from router.policy.api_key import ApiKey, KeyRing, digest_of, id_of, key_text
from router.policy.caller import Caller

if TYPE_CHECKING:
    from aiohttp import web

_PRIVATE: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_JWK: Final = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(_PRIVATE.public_key())), "kid": "1"}
_KEYS: Final = json.dumps({"keys": [_JWK]}).encode()
_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
_ISSUER: Final = "https://id.example.org"
_CONFIGURATION: Final = {"issuer": _ISSUER, "jwks_uri": f"{_ISSUER}/keys"}
_TEXT: Final = key_text(b"acme--", "k" * 43)
_RING: Final = KeyRing([ApiKey(id_of(_TEXT), digest_of(_TEXT), "acme")])
_CLAIMS: Final = {"iss": "i", "aud": "a", "exp": 4_000_000_000, "tenant": "acme"}
_SIGNED: Final = jwt.encode(_CLAIMS, _PRIVATE, "RS256", {"kid": "1"})


def _reader() -> Tokens:
    tokens = Tokens(TokenSettings("i", "a", "http://127.0.0.1:1/"), {"acme"})
    tokens._take(keys_in(_KEYS, _ALGORITHMS))  # noqa: SLF001 - else a provider would be asked
    return tokens


_TOKENS: Final = _reader()


def a_key(raw: bytes) -> None:
    """An API key: nothing but the key itself is one."""
    text = raw.decode("latin-1")
    if isinstance(_RING.find(text, time.time()), ApiKey) and text != _TEXT:
        raise AssertionError(f"{text!r} opens")


def a_token(raw: bytes) -> None:
    """A token: as text, and as header and claims of anybody's that are signed by nobody."""
    header, _, claims = raw.partition(b"\n")
    made = b".".join(map(_url64, (header, claims, b"signature"))).decode()
    for text in (raw.decode("latin-1"), made):
        if isinstance(_TOKENS.find(text, time.time()), Caller) and text != _SIGNED:
            claimed = jwt.decode(text, options={"verify_signature": False})
            if claimed != _CLAIMS:  # base64 has several spellings of one signature's last bits
                raise AssertionError(f"{text!r} is believed")


def provider_keys(raw: bytes) -> None:
    """What an identity provider's address answers."""
    keys_in(raw, _ALGORITHMS)


def provider_configuration(raw: bytes) -> None:
    """Where an issuer says that its keys are: with TLS, or nowhere."""
    try:
        url = jwks_url_in(raw, _ISSUER)
    except ProviderError:
        return
    if not url.startswith("https://"):
        raise AssertionError(f"{url!r} is believed")


def an_origin(raw: bytes) -> None:
    """The origin and the host of a browser's request."""
    origin, _, host = raw.decode("latin-1").partition("\n")
    request = SimpleNamespace(headers={"Origin": origin}, host=host)
    if is_same_origin(cast("web.Request", request)) and not origin.endswith(host):
        raise AssertionError(f"{origin!r} is taken for {host!r}")


def _url64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


TARGETS: Final = (
    Target(
        "provider-configuration",
        provider_configuration,
        [json.dumps(_CONFIGURATION).encode()],
        [b"https://", b"http://127.0.0.1", b"file://", b"@", b"#", b"?", b"\\u0000"],
    ),
    Target("api-key", a_key, [_TEXT.encode()], [b"spw_", b"_"]),
    Target(
        "token",
        a_token,
        [_SIGNED.encode(), b'{"alg":"RS256","kid":"1"}\n' + json.dumps(_CLAIMS).encode()],
        [b'"alg":"none"', b'"HS256"', b'"kid":', b'"crit":["exp"]', b'"b64":false', b".", b"["],
    ),
    Target(
        "provider-keys",
        provider_keys,
        [_KEYS, b'{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"2"}]}'],
        [b'"kty":"oct"', b'"k":"AA"', b'"use":"enc"', b'"alg":"HS256"', b'"n":', b'"e":"AQAB"'],
    ),
    Target("origin", an_origin, [b"http://a:1\na:1", b"https://a\na"], [b"@", b"://", b"[::1]"]),
)
