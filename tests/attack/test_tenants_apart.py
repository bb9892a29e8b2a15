"""One tenant tries to see, end, steer or time what is another's."""

import grpc
import pytest

from tests.attack.scene import GENERATE, KEYS, STREAM, ask, bearer, called
from tests.attack.test_credentials import said_by_http
from tests.router.live.counting import counted_on
from tests.waiting import wait_until
from wire.spillway.v1 import fleet_pb2
from wire.vllm.control_pb2 import AbortRequest
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse, KVCacheParameters

CODES = grpc.StatusCode
ACME, BOLT = bearer(KEYS["acme"]), bearer(KEYS["bolt"])
LONG = 100


def texts(messages):
    return "".join(GenerateResponse.FromString(one).outputs.text for one in messages)


def test_nobody_ends_another_tenants_request(scene):
    """By its id, by what it may be known as inside, or by a great many ids."""
    raw = ask(tokens=LONG, request_id="mine")
    with scene.channel() as channel:
        call = channel.unary_stream(STREAM)(raw, metadata=ACME)
        got = [next(call)]
        router = scene.state().router_id
        guesses = [f"{router}-{number:x}" for number in range(200)]
        inside = ["mine", "acme\0mine", "acme/mine", "*", "", "bolt\0mine", *guesses]
        abort = AbortRequest(request_ids=inside).SerializeToString()
        assert scene.call("/vllm.Control/Abort", abort, BOLT).code is CODES.OK
        got.extend(call)
    assert texts(got) == counted_on("417", LONG)
    with scene.channel() as channel:
        call = channel.unary_stream(STREAM)(raw, metadata=ACME)
        next(call)
        own = AbortRequest(request_ids=["mine"]).SerializeToString()
        assert scene.call("/vllm.Control/Abort", own, ACME).code is CODES.OK
        list(call)  # which ends before its time, and well


def test_ids_and_sessions_of_the_same_name_do_not_meet(scene):
    """An id that is in flight is taken for its own tenant alone."""
    raw = ask(tokens=LONG, request_id="taken", session_id="s")
    with scene.channel() as channel:
        call = channel.unary_stream(STREAM)(raw, metadata=ACME)
        next(call)
        assert scene.call(GENERATE, raw, ACME).code is CODES.ALREADY_EXISTS
        assert scene.call(GENERATE, raw, BOLT).code is CODES.OK
        call.cancel()


@pytest.mark.parametrize("claimed", ["acme", "ops", "default", "nobody", "acme,bolt", "ACME"])
def test_nobody_asks_in_anothers_name(scene, claimed):
    """Not by metadata, on any face that has it."""
    told = (*BOLT, ("x-spillway-tenant", claimed))
    for method in (GENERATE, STREAM, "/spillway.v1.Fleet/Explain"):
        answer = scene.call(method, ask(), told)
        assert answer.code is CODES.PERMISSION_DENIED
        assert answer.details == "x-spillway-tenant: is not the tenant of these credentials"


@pytest.mark.parametrize(
    "method",
    [
        *(f"spillway.v1.Fleet/{one}" for one in ("Drain", "Undrain")),
        *(f"spillway.v1.Fleet/{one}Quarantine" for one in ("List", "Release")),
        "spillway.v1.Load/Watch",
        "spillway.v1.Link/Connect",
    ],
)
def test_what_operators_and_routers_call_is_not_a_tenants(scene, method):
    """Nor by another spelling of it, which is no method at all."""
    assert scene.call(f"/{method}", b"", BOLT).code is CODES.PERMISSION_DENIED
    for spelt in (method.lower(), f"{method}/", f"./{method}", f"{method}?x", f"{method}%00"):
        answer = scene.call(f"/{spelt}", b"", BOLT)
        assert answer.code in {CODES.UNIMPLEMENTED, CODES.PERMISSION_DENIED}, spelt


def test_a_tenant_sees_itself_and_no_load(scene):
    """Of the fleet only whether it takes requests; an operator sees the rest."""
    state = scene.state(KEYS["bolt"])
    assert [one.name for one in state.tenants] == ["bolt"]
    for site in state.sites:
        assert (site.sessions, site.turns, site.tokens, site.cost_usd) == (0, 0, 0, 0)
        for one in site.endpoints:
            assert (one.address, one.in_flight, one.running_requests) == ("", 0, 0)
    assert {one.name for one in scene.state().tenants} >= {"acme", "bolt", "ops"}


def test_metrics_show_a_tenant_its_own_series_alone(scene):
    """With another's key none of acme's, and none of what is nobody's."""
    assert scene.call(GENERATE, ask(), BOLT).code is CODES.OK
    status, body = said_by_http(scene, scene.page, "/metrics", BOLT)
    assert status == 200
    series = [line for line in body.decode().splitlines() if line and not line.startswith("#")]
    assert series
    assert all('tenant="bolt"' in line for line in series)


def cached(scene, who, prompt, salt=""):
    """The most tokens of a prompt that any engine is believed to have for who asks."""
    asked = GenerateRequest(text=prompt, model="f", kv=KVCacheParameters(cache_salt=salt))
    raw = fleet_pb2.ExplainRequest(request=asked).SerializeToString()
    answer = scene.call("/spillway.v1.Fleet/Explain", raw, who)
    decision = fleet_pb2.Decision.FromString(answer.messages[0])
    return max(one.cached_tokens for one in decision.candidates)


def test_a_prompt_that_one_tenant_has_cached_is_as_new_to_another(scene):
    """Whatever salt it names: what it would wait, by Explain, is what it would wait for any."""
    prompt = "a secret that somebody might guess, word by word " * 20
    assert scene.call(GENERATE, ask(prompt), ACME).code is CODES.OK
    wait_until(lambda: cached(scene, ACME, prompt) > 0)
    for salt in ("", "acme/", "acme", "/", "\0", "bolt/../acme/", "../acme/", "acme/\0"):
        assert cached(scene, BOLT, prompt, salt) == 0


def test_what_a_tenant_may_not_have_it_cannot_tell_from_what_is_not_there(scene):
    """Models and adapters alike, and their tokenizers."""
    for field in ("model", "lora_name"):
        for name in ("secret", "f2"):
            answer = scene.call(GENERATE, ask(**{field: name}), BOLT)
            assert answer.code is CODES.PERMISSION_DENIED
            assert name in answer.details
    status, body = said_by_http(scene, scene.openai, "/v1/models/g", BOLT)
    assert status == 404
    assert b'"f"' not in body


def test_strangers_are_told_that_it_lives_and_nothing_else(scene):
    """Every other method wants to know who asks before it reads a byte of the message."""
    with scene.channel() as channel:
        health = called(channel, "/grpc.health.v1.Health/Check")
        assert health.code is CODES.OK
        for method in (
            *(GENERATE, STREAM, "/vllm.Control/Abort", "/vllm.Control/GetModelInfo"),
            *("/vllm.Control/GetServerInfo", "/spillway.v1.Fleet/Watch"),
            *("/spillway.v1.Fleet/Explain", "/spillway.v1.Fleet/Place"),
            *("/spillway.v1.Fleet/Report", "/spillway.v1.Tokenizer/ReadTokenizer"),
            *("/spillway.v1.Load/Watch", "/inference.GRPCInferenceService/ModelInfer"),
            *("/inference.GRPCInferenceService/ModelStreamInfer", "/nothing.Of/Ours"),
        ):
            answer = called(channel, method, b"\xff" * 64)
            assert answer.code is CODES.UNAUTHENTICATED, method
