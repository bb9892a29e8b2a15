"""Where an issuer says that its keys are, and what of that is believed."""

import contextlib
import json

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from router.live import identity_provider
from router.live.identity_provider import (
    ANSWER_BYTES_MAX,
    IdentityProvider,
    ProviderError,
    jwks_url_in,
)
from router.live.settings import TokenSettings
from tests.router.live.test_tokens import CURVE, OURS, jwk, listed

ISSUER = "https://id.example.org/realm"


@contextlib.asynccontextmanager
async def issuer(**more):
    """Its URL and what it was asked for; `more` is told, or changed in what it tells."""
    asked, told = [], {}

    async def configuration(_request):
        asked.append("configuration")
        return web.json_response(told["said"] | more)

    async def keys(_request):
        asked.append("keys")
        if told.get("away"):
            return web.Response(status=503)
        return web.Response(body=listed(jwk(OURS, "1"), jwk(CURVE, "2")))

    app = web.Application()
    app.router.add_get("/realm/.well-known/openid-configuration", configuration)
    app.router.add_get("/realm/keys", keys)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/realm"
    told["said"] = {"issuer": url, "jwks_uri": f"{url}/keys"}
    try:
        yield url, asked, told
    finally:
        await runner.cleanup()


async def test_the_keys_are_where_the_issuer_says():
    """It is asked where once, and for them each time; algorithms are the fleet file's."""
    more = {"id_token_signing_alg_values_supported": ["none", "HS256"]}
    async with issuer(**more) as (url, asked, _):
        provider = IdentityProvider(TokenSettings(url, "spillway", algorithms=("RS256",)))
        for _ in range(3):
            keys = await provider.keys()
    assert {kid: key.algorithms for kid, key in keys.items()} == {"1": ("RS256",)}
    assert asked == ["configuration", "keys", "keys", "keys"]


async def test_keys_that_are_not_there_are_looked_for_anew(monkeypatch):
    """An issuer may move them; nothing that it said is kept for ever, either."""
    async with issuer() as (url, asked, told):
        provider = IdentityProvider(TokenSettings(url, "spillway"))
        await provider.keys()
        told["away"] = True
        with pytest.raises(ProviderError, match="it answered 503"):
            await provider.keys()
        told["away"] = False
        await provider.keys()
        assert asked.count("configuration") == 2
        monkeypatch.setattr(identity_provider, "KEPT_S", -1.0)
        provider._found = None
        await provider.keys()
        await provider.keys()
        assert asked.count("configuration") == 4


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"issuer": "https://id.example.org/other"}, "another issuer's"),
        ({"issuer": f"{ISSUER}/"}, "another issuer's"),
        ({"issuer": None}, "another issuer's"),
        ({"jwks_uri": "http://id.example.org/keys"}, "begins with https://"),
        ({"jwks_uri": "http://127.0.0.1:6379/keys"}, "begins with https://"),
        ({"jwks_uri": "file:///etc/passwd"}, "begins with https://"),
        ({"jwks_uri": "https://"}, "begins with https://"),
        ({"jwks_uri": "https://user:pass@id.example.org/keys"}, "begins with https://"),
        ({"jwks_uri": "https://id.example.org/a b"}, "begins with https://"),
        ({"jwks_uri": ["https://id.example.org/keys"]}, "begins with https://"),
        ({"jwks_uri": None}, "begins with https://"),
    ],
)
def test_what_an_issuer_may_not_say_is_not_believed(said, why):
    """Whatever is behind its name: the router is not sent to its own machine, nor to plaintext."""
    whole = {"issuer": ISSUER, "jwks_uri": "https://id.example.org/keys"}
    assert jwks_url_in(json.dumps(whole).encode(), ISSUER) == whole["jwks_uri"]
    with pytest.raises(ProviderError, match=why):
        jwks_url_in(json.dumps(whole | said).encode(), ISSUER)


@given(st.binary(max_size=100) | st.just(b"[" * 100_000) | st.just(b"[]"))
def test_any_answer_is_a_place_or_an_error(body):
    """Of ours, and none of Python's."""
    with pytest.raises(ProviderError):
        jwks_url_in(body, ISSUER)


async def test_an_answer_without_end_is_not_read_to_it():
    """Nor one that sends the router elsewhere."""
    async with issuer(padding="x" * ANSWER_BYTES_MAX) as (url, _, _):
        with pytest.raises(ProviderError, match="more than"):
            await IdentityProvider(TokenSettings(url, "spillway")).keys()
        elsewhere = TokenSettings(f"{url}/nowhere", "spillway")
        with pytest.raises(ProviderError, match="it answered 404"):
            await IdentityProvider(elsewhere).keys()
