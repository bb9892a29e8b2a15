"""Keys and tokens that are none: the same refusal on every face, and nothing told of why."""

import http.client
import json
import ssl
import time

import grpc
import pytest

from tests.attack.scene import GENERATE, KEYS, ask, bearer
from tests.router.live.test_tokens import AUDIENCE, ISSUER, OTHER, PEM, forged, jwk, signed
from wire.status import reason_of

CODES = grpc.StatusCode
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 86_400, "tenant": "acme"}
ACME = KEYS["acme"]


def said_by_http(scene, where, path, headers=()):
    """The status and body of a face of HTTP, to these headers, some of which may come twice."""
    context = ssl.create_default_context(cafile=scene.pki.certificate)
    connection = http.client.HTTPSConnection(where, context=context, timeout=30)
    try:
        connection.putrequest("GET", path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def refused(scene, *headers):
    """The code and reason of gRPC, once all faces have refused these headers."""
    answer = scene.call(GENERATE, ask(), headers)
    for where, path in ((scene.openai, "/v1/models"), (scene.page, "/metrics")):
        status, body = said_by_http(scene, where, path, headers)
        assert status == 401
        assert b"spillway_" not in body
        assert b'"id"' not in body
    assert not answer.messages
    return answer.code, reason_of(answer.trailers.items())


KEYS_OF_NOBODY = {
    "nothing": (),
    "an empty one": (("authorization", "Bearer "),),
    "a name without a scheme": (("authorization", ACME),),
    "another scheme": (("authorization", f"Basic {ACME}"),),
    "the id alone": bearer(ACME[:16]),
    "another's secret": bearer(ACME[:17] + KEYS["bolt"][17:]),
    "its digest": bearer("spw_" + "0" * 12 + "_" + "A" * 43),
    "one that is cut": bearer(ACME[:-1]),
    "one that is longer": bearer(ACME + "x"),
    "two, of which one is good": (*bearer(ACME), *bearer(KEYS["bolt"])),
    "two in one": bearer(f"{ACME} {KEYS['bolt']}"),
    "in another header": (("x-api-key", ACME), ("api-key", ACME), ("cookie", f"key={ACME}")),
}


def test_what_is_no_key_opens_no_face(scene):
    """Whatever is wrong with it: who shows none is told so, and of others only that."""
    for name, headers in KEYS_OF_NOBODY.items():
        shows_none = name in {"nothing", "in another header"}
        reason = "CREDENTIALS_MISSING" if shows_none else "CREDENTIALS_UNKNOWN"
        assert refused(scene, *headers) == (CODES.UNAUTHENTICATED, reason), name


def tokens_of_nobody(attacker):
    """Tokens by what is wrong with them. `attacker` is an address whose keys nobody should want."""
    foreign = jwk(OTHER, "1")
    return {
        "no signature": forged({"alg": "none", "kid": "1"}, CLAIMS),
        "no signature, in capitals": forged({"alg": "NONE", "kid": "1"}, CLAIMS),
        "signed with the public key as a secret": forged({"alg": "HS256", "kid": "1"}, CLAIMS, PEM),
        "signed with nothing": forged({"alg": "HS256", "kid": "1"}, CLAIMS, b"\0"),
        "another's signature": signed(OTHER),
        "another algorithm of the same key": signed(algorithm="PS512"),
        "another audience": signed(aud="billing"),
        "another issuer": signed(iss="https://id.example.net"),
        "no end": signed(exp=None),
        "its own key within": signed(OTHER, headers={"jwk": foreign}),
        "its own keys elsewhere": signed(OTHER, headers={"jku": f"{attacker}/jku"}),
        "a certificate elsewhere": signed(OTHER, headers={"x5u": f"{attacker}/x5u"}),
        "a key that is a path": signed(OTHER, kid="../../../../dev/null"),
        "a key that is a query": signed(OTHER, kid="1' UNION SELECT 'x"),
        "a key that is an address": signed(OTHER, kid=f"{attacker}/kid"),
        "a key that is a list": forged({"alg": "RS256", "kid": ["1"]}, CLAIMS, PEM),
        "a critical extension": signed(headers={"crit": ["exp"], "exp": 1}),
        "a header of depth": forged({"alg": "RS256", "kid": "1", "x": _deep(200)}, CLAIMS, PEM),
        "three dots": "..",
        "not base64": "a.b.c",
        "zeros": "A" * 4_000,
    }


def _deep(levels):
    return json.loads("[" * levels + "]" * levels)


def test_what_is_no_token_opens_no_face(scene):
    """And nothing that it says of where its key would be is looked at."""
    asked = len(scene.issuer_asked)
    attacker = f"http://127.0.0.1:{scene.page.rpartition(':')[2]}"
    for name, token in tokens_of_nobody(attacker).items():
        expected = (CODES.UNAUTHENTICATED, "CREDENTIALS_UNKNOWN")
        assert refused(scene, *bearer(token)) == expected, name
    assert set(scene.issuer_asked[asked:]) <= {"/keys"}
    assert scene.call(GENERATE, ask(), bearer(signed())).code is CODES.OK


@pytest.mark.parametrize(
    ("claims", "code", "reason"),
    [
        ({"exp": time.time() - 600}, CODES.UNAUTHENTICATED, "CREDENTIALS_EXPIRED"),
        ({"nbf": time.time() + 86_400}, CODES.UNAUTHENTICATED, "CREDENTIALS_NOT_YET_VALID"),
        ({"tenant": "nobody"}, CODES.PERMISSION_DENIED, "CREDENTIALS_OF_NO_TENANT"),
        ({"tenant": ["acme"]}, CODES.PERMISSION_DENIED, "CREDENTIALS_OF_NO_TENANT"),
        ({"tenant": "acme\nops"}, CODES.PERMISSION_DENIED, "CREDENTIALS_OF_NO_TENANT"),
    ],
)
def test_a_token_is_no_longer_good_than_it_says_and_for_nobody_else(scene, claims, code, reason):
    """Who proves to be somebody is told what is wrong with it."""
    answer = scene.call(GENERATE, ask(), bearer(signed(**claims)))
    assert (answer.code, reason_of(answer.trailers.items())) == (code, reason)


def test_credentials_of_any_size_are_refused_unread(scene):
    """By the bound on headers where that is less than the bound on credentials."""
    assert scene.call(GENERATE, ask(), bearer("x" * 9_000)).code is CODES.UNAUTHENTICATED
    for size in (64 * 1024, 1024 * 1024):
        answer = scene.call(GENERATE, ask(), bearer("x" * size))
        assert answer.code is CODES.RESOURCE_EXHAUSTED
    status, _ = said_by_http(scene, scene.openai, "/v1/models", bearer("x" * 64_000))
    assert status == 400


def test_a_tenants_token_is_no_operators(scene):
    """Whatever it claims beside its tenant."""
    claims = {"role": "operator", "operator": True, "tenant": "ops", "scope": "operator"}
    for method in ("Drain", "Undrain", "ListQuarantine", "ReleaseQuarantine"):
        answer = scene.call(f"/spillway.v1.Fleet/{method}", b"", bearer(signed(**claims)))
        assert answer.code is CODES.PERMISSION_DENIED
        assert answer.details == "this is for operators"
