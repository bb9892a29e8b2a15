"""Tokens of an identity provider: whose they are, and all that is tried with them."""

import base64
import contextlib
import dataclasses
import hmac
import json
import time

import aiohttp
import grpc
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from router.live.identity_provider import ANSWER_BYTES_MAX, IdentityProvider
from router.live.settings import Authentication, TokenSettings
from router.live.token_keys import keys_in
from router.live.token_rules import token_problems
from router.live.tokens import Tokens
from router.policy.api_key import Fault
from router.policy.caller import Caller, Role
from tests.router.live.conftest import SETTINGS, ask, route
from tests.router.live.counting import counts
from tests.router.live.keyed import bearer, fleet_with, shows
from tests.router.live.scripted import scripted
from tests.router.live.test_callers import failed
from wire.status import reason_of

DAY_S = 86_400  # tokens of parameters are made before the first test, and used after the last
ISSUER, AUDIENCE = "https://id.example.org", "spillway"
OURS, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
ACME = Caller(Role.TENANT, "acme")
PEM = OURS.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def jwk(key, kid, **more):
    """A public key as a provider lists it."""
    kinds = jwt.algorithms.RSAAlgorithm, jwt.algorithms.ECAlgorithm
    kind = kinds[isinstance(key, ec.EllipticCurvePrivateKey)]
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, **more}


def listed(*keys):
    return json.dumps({"keys": keys}).encode()


def signed(key=OURS, kid="1", algorithm="RS256", headers=None, **claims):
    """A token that is good but for what a test says; None leaves a claim out."""
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": time.time() + DAY_S,
        "tenant": "acme",
        **claims,
    }
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, key, algorithm, {"kid": kid, **(headers or {})})


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def forged(header, claims, secret=b""):
    """A token made by hand, as no library makes it."""
    text = part(header) + b"." + part(claims)
    mac = hmac.digest(secret, text, "sha256") if secret else b""
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def reader(*keys, **more):
    """Tokens that know these keys."""
    settings = TokenSettings(ISSUER, AUDIENCE, "http://127.0.0.1:1/", **more)
    tokens = Tokens(settings, {"acme", "bolt"})
    tokens._take(keys_in(listed(*(keys or (jwk(OURS, "1"),))), settings.algorithms))
    return tokens


def found(text, tokens=None):
    return (tokens or reader()).find(text, time.time())


def test_a_token_proves_the_tenant_that_it_names():
    """For one audience or among several, with either kind of key, and again from memory."""
    tokens = reader(jwk(OURS, "1"), jwk(CURVE, "2"))
    for text in (signed(), signed(aud=["x", AUDIENCE]), signed(CURVE, "2", "ES256")):
        assert found(text, tokens) == found(text, tokens) == ACME
    assert found(signed(team="bolt"), reader(tenant_claim="team")) == Caller(Role.TENANT, "bolt")


CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + DAY_S, "tenant": "acme"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (forged({"alg": "none", "kid": "1"}, CLAIMS), Fault.UNKNOWN),
        (forged({"alg": "None", "kid": "1"}, CLAIMS, b"x"), Fault.UNKNOWN),
        (forged({"alg": "HS256", "kid": "1"}, CLAIMS, PEM), Fault.UNKNOWN),
        (forged({"alg": "HS256", "kid": "1"}, CLAIMS, b"\0"), Fault.UNKNOWN),
        (forged({"alg": "RS256", "kid": "1"}, CLAIMS, PEM), Fault.UNKNOWN),
        (signed(algorithm="RS512"), Fault.UNKNOWN),
        (signed(algorithm="PS256"), Fault.UNKNOWN),
        (signed(OTHER), Fault.UNKNOWN),
        (signed(OTHER, "2"), Fault.UNKNOWN),
        (signed(OTHER, "2", headers={"jwk": jwk(OTHER, "2")}), Fault.UNKNOWN),
        (signed(OTHER, "2", headers={"jku": "http://127.0.0.1:1/"}), Fault.UNKNOWN),
        (signed(CURVE, "1", "ES256"), Fault.UNKNOWN),
        (signed(kid=""), Fault.UNKNOWN),
        (signed(kid="1\0"), Fault.UNKNOWN),
        (signed(headers={"crit": ["exp"], "exp": 0}), Fault.UNKNOWN),
        (signed(aud="another"), Fault.UNKNOWN),
        (signed(aud=None), Fault.UNKNOWN),
        (signed(iss="https://id.example.org.evil"), Fault.UNKNOWN),
        (signed(iss=None), Fault.UNKNOWN),
        (signed(exp=None), Fault.UNKNOWN),
        (signed(exp=1e400), Fault.UNKNOWN),
        (signed(exp=time.time() - 600), Fault.EXPIRED),
        (signed(nbf=time.time() + DAY_S), Fault.NOT_YET),
        (signed(tenant="nobody"), Fault.NO_TENANT),
        (signed(tenant=None), Fault.NO_TENANT),
        (signed(tenant=["acme"]), Fault.NO_TENANT),
        (signed()[:-4], Fault.UNKNOWN),
        (signed() + ".x", Fault.UNKNOWN),
        ("." * 50, Fault.UNKNOWN),
        (part(["["] * 9).decode() + ".e30.e30", Fault.UNKNOWN),
        (base64.urlsafe_b64encode(b"[" * 5_000).decode() + ".e30.e30", Fault.UNKNOWN),
    ],
)
def test_no_other_token_proves_anything(text, fault):
    """What it says of its own algorithm, key or place of keys is not believed."""
    assert found(text) is fault


def test_clocks_may_differ_by_the_leeway():
    """Either way, and no further."""
    assert found(signed(exp=time.time() - 20)) == ACME
    assert found(signed(nbf=time.time() + 20)) == ACME
    assert found(signed(exp=time.time() - 20), reader(leeway_s=1.0)) is Fault.EXPIRED


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_is_shown_is_answered(raw):
    """Three parts of anything."""
    text = ".".join(base64.urlsafe_b64encode(raw).decode() for _ in range(3))
    assert found(text) is Fault.UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 3}',
        b"[" * 100_000,
        listed("x", {}, {"kty": "RSA", "kid": "1"}),
        listed({"kty": "oct", "kid": "1", "k": "AAAA"}),
        listed({"kty": "oct", "kid": "1", "k": "AAAA", "alg": "RS256"}),
        listed(jwk(OURS, "1", use="enc")),
        listed(jwk(OURS, "1", alg="RS384")),
        listed(jwk(OURS, "1", alg="HS256")),
        listed(jwk(OURS, 1)),
        listed(jwk(SHORT, "1")),
    ],
)
def test_what_is_no_key_of_these_algorithms_is_left_out(body):
    """Secrets among them, short keys, and those that are for other things."""
    assert keys_in(body, ("RS256", "ES256")) == {}


def test_what_is_remembered_ends_with_the_token_and_with_the_key():
    """A key that is withdrawn vouches for nobody any more."""
    tokens = reader()
    text = signed()
    assert found(text, tokens) == ACME
    tokens._take({})
    assert found(text, tokens) is Fault.UNKNOWN
    tokens = reader()
    ends_s = time.time() + 5
    text = signed(exp=ends_s)
    assert tokens.find(text, time.time()) == ACME
    assert all(until_s <= ends_s + 31 for _, until_s in tokens._found.values())


@contextlib.asynccontextmanager
async def provider(body):
    """Serves what `body` gives, and counts how often."""
    asked = []

    async def keys(_request):
        asked.append(1)
        return body()

    app = web.Application()

    async def elsewhere(_request):
        return web.Response(body=listed(jwk(OTHER, "2")))

    app.router.add_get("/keys", keys)
    app.router.add_get("/elsewhere", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/keys", asked
    finally:
        await runner.cleanup()


async def test_a_router_takes_tokens_and_asks_for_new_keys_once(monkeypatch):
    """A key that has just come into use is found; keys that nobody has are not asked for again."""
    keys = [jwk(OURS, "1")]
    async with (
        scripted(counts()) as server,
        provider(lambda: web.Response(body=listed(*keys))) as (url, asked),
    ):
        tokens = TokenSettings(ISSUER, AUDIENCE, url)
        settings = dataclasses.replace(SETTINGS, authentication=Authentication(tokens=tokens))
        shown = shows(signed())
        async with route({"home": [server.address]}, settings, fleet_with(), None, shown) as routed:
            await routed.stream(ask("7", 3), metadata=bearer(signed()))
            denied = await failed(
                routed.inference.Generate(ask("7", 3), metadata=bearer(signed(tenant="nobody")))
            )
            assert denied.code() is grpc.StatusCode.PERMISSION_DENIED
            assert reason_of(denied.trailing_metadata()) == "CREDENTIALS_OF_NO_TENANT"
            keys.append(jwk(OTHER, "2"))
            monkeypatch.setattr("router.live.tokens.AGAIN_S", 0.0)
            await routed.stream(ask("7", 3), metadata=bearer(signed(OTHER, "2")))
            monkeypatch.setattr("router.live.tokens.AGAIN_S", 1e6)
            before = len(asked)
            for kid in range(20):
                error = await failed(
                    routed.inference.Generate(
                        ask("7", 3), metadata=bearer(signed(OTHER, f"foreign-{kid}"))
                    )
                )
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert len(asked) == before
    assert [call.metadata["x-spillway-tenant"] for call in server.calls] == ["acme", "acme"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500),
        lambda: web.Response(body=b"x" * (ANSWER_BYTES_MAX + 1)),
        lambda: web.Response(body=listed()),
        lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
    ],
)
async def test_keys_stay_while_the_provider_has_none_to_give(answer, caplog):
    """Nobody is locked out by its failure, and nothing of it is believed."""
    async with provider(answer) as (url, asked):
        tokens = reader()
        at = dataclasses.replace(tokens._settings, jwks_url=url)
        tokens._provider = IdentityProvider(at)
        await tokens.look_for_key_of(signed(kid="2"))
        assert asked
        assert found(signed(), tokens) == ACME
        assert found(signed(OTHER, "2"), tokens) is Fault.UNKNOWN
        assert "cannot be read" in caplog.text
        await tokens.close()


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"issuer": ISSUER}, {"audience"}),
        ({"issuer": "http://id.example.org", "audience": AUDIENCE}, {"jwks_url"}),
        ({"issuer": "acme", "audience": AUDIENCE}, {"jwks_url"}),
        ({"issuer": ISSUER, "audience": AUDIENCE}, set()),
        ({"issuer": "http://127.0.0.1:1/x", "audience": AUDIENCE}, set()),
        ({"jwks_url": "https://id.example.org/keys?at=http://elsewhere"}, {"jwks_url"}),
        ({"jwks_url": "http://id.example.org/keys"}, {"jwks_url"}),
        ({"jwks_url": "file:///etc/passwd"}, {"jwks_url"}),
        ({"jwks_url": "https://[bad"}, {"jwks_url"}),
        ({"algorithms": ("HS256",)}, {"algorithms"}),
        ({"algorithms": ("RS256", "none")}, {"algorithms"}),
        ({"algorithms": ()}, {"algorithms"}),
        ({}, set()),
        ({"jwks_url": "http://127.0.0.1:1/keys"}, set()),
    ],
)
def test_what_could_be_turned_against_the_router_is_refused(keys, wrong):
    """By the key of the fleet file."""
    whole = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": f"{ISSUER}/keys"}
    settings = TokenSettings(**(keys if "issuer" in keys else {**whole, **keys}))
    assert {key for key, _ in token_problems(settings)} == wrong


async def test_metrics_tell_strangers_from_those_who_are_of_no_tenant():
    """With the status that the other HTTP face has for each."""
    async with (
        scripted(counts()) as server,
        provider(lambda: web.Response(body=listed(jwk(OURS, "1")))) as (url, _),
    ):
        tokens = TokenSettings(ISSUER, AUDIENCE, url)
        settings = dataclasses.replace(
            SETTINGS, authentication=Authentication(tokens=tokens), metrics_listen="127.0.0.1:0"
        )
        shown = shows(signed())
        async with (
            route({"home": [server.address]}, settings, fleet_with(), None, shown) as routed,
            aiohttp.ClientSession() as http,
        ):
            metrics = f"http://127.0.0.1:{routed.router.metrics_port}/metrics"
            for headers, status in (
                ({}, 401),
                (bearer(signed(tenant="nobody")), 403),
                (bearer(signed()), 200),
            ):
                async with http.get(metrics, headers=headers) as response:
                    assert response.status == status
