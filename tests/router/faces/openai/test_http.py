"""What comes over HTTP and is no well-behaved request of a client library."""

import asyncio
import contextlib
import dataclasses
import json
import socket

import grpc
import pytest

from tests.router.faces.openai.conftest import OPENAI_SETTINGS, faced
from tests.router.live.conftest import address, engine
from tests.router.live.counting import counted_on
from tests.router.live.scripted import fails, scripted, stays_silent
from tests.waiting import until, until_still
from wire.status import overloaded
from wire.vllm.inference_pb2 import GenerateRequest

CHAT = "/v1/chat/completions"
HELLO = {"model": "fake", "messages": [{"role": "user", "content": "7"}], "max_tokens": 3}
PROMPT = {"model": "fake", "prompt": "7", "max_tokens": 3}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "the body"),
        (b'{"messages": "hi"}', "messages"),
        (b'{"messages": [{"role": 1}]}', "messages.0.role"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "no JSON"),
        (b'{"messages": [{"role": "user"}], "temperature": "hot"}', "temperature"),
        (b'{"messages": [{"role": "user"}], "temperature": NaN}', "temperature"),
        (b'{"messages": [{"role": "user"}], "seed": 99999999999999999999}', "seed"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
    ],
)
async def test_a_body_that_is_no_request_is_refused(face, body, says):
    """The message names what is wrong, in OpenAI's shape."""
    headers = {"Content-Type": "application/json"}
    status, _, answer = await face.post(CHAT, data=body, headers=headers)
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert says in answer["error"]["message"]


async def test_only_json_is_read(face):
    """A page of another site cannot send it without asking; and nothing is inflated here."""
    status, _, answer = await face.post(CHAT, data=json.dumps(HELLO))
    assert (status, answer["error"]["type"]) == (415, "invalid_request_error")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    status, _, _ = await face.post(CHAT, data=b"\x1f\x8b", headers=headers)
    assert status == 415


async def test_what_is_not_there_is_said_in_openai_s_shape(face):
    status, _, answer = await face.post("/v1/embeddings", json={})
    assert (status, answer["error"]["message"]) == (
        404,
        "POST /v1/embeddings: there is nothing here",
    )
    async with face.http.get(CHAT) as response:
        assert response.status == 405
        assert "error" in await response.json()


async def test_unknown_parameters_are_ignored(face):
    """As OpenAI does, which adds some every month."""
    further = {"store": True, "metadata": {"a": "b"}, "service_tier": "auto", "tomorrow": [1]}
    status, _, _ = await face.post(CHAT, json=HELLO | further)
    assert status == 200


async def test_a_body_over_the_limit_is_refused_before_it_is_read():
    """By its length where that is said, and else when it gets there."""
    settings = dataclasses.replace(OPENAI_SETTINGS, message_bytes_max=1000)

    async def pieces():
        for _ in range(3):
            yield b" " * 500

    async with engine(itl_s=0) as server, faced({"home": [address(server)]}, settings) as face:
        headers = {"Content-Type": "application/json"}
        for data in (b" " * 1001, pieces()):
            status, _, answer = await face.post(CHAT, data=data, headers=headers)
            assert (status, answer["error"]["type"]) == (413, "invalid_request_error")


async def test_more_streams_than_are_taken_are_asked_to_come_back():
    settings = dataclasses.replace(OPENAI_SETTINGS, streams_max=1)
    async with (
        engine(itl_s=0.01) as server,
        faced({"home": [address(server)]}, settings) as face,
        face.http.post(CHAT, json=HELLO | {"stream": True, "max_tokens": 10_000}) as first,
    ):
        await first.content.readany()
        status, headers, answer = await face.post(CHAT, json=HELLO)
        assert (status, headers["Retry-After"]) == (429, "1")
        assert answer["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.UNIMPLEMENTED, 501),
    ],
)
async def test_an_endpoint_s_status_has_one_of_http(code, status):
    async with (
        scripted(fails(code)) as server,
        faced({"home": [server.address]}) as face,
    ):
        for stream in (False, True):
            got, _, answer = await face.post("/v1/completions", json=PROMPT | {"stream": stream})
            assert got == status
            assert "scripted" in answer["error"]["message"]


async def test_an_overloaded_endpoint_says_when_to_come_back():
    trailers = overloaded("full", 2_500_000_000).trailers
    script = fails(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", trailers=trailers)
    async with scripted(script) as server, faced({"home": [server.address]}) as face:
        status, headers, _ = await face.post("/v1/completions", json=PROMPT)
        assert status == 429
        assert (headers["Retry-After"], headers["Retry-After-Ms"]) == ("3", "2500")


async def test_nobody_to_serve_is_503():
    """And health says so before anyone asks."""
    async with faced({"home": ["127.0.0.1:9"]}, wait_for=0) as face:
        for path, body in ((CHAT, HELLO), ("/v1/completions", PROMPT)):
            status, _, answer = await face.post(path, json=body)
            assert (status, answer["error"]["code"]) == (503, "unavailable")
        async with face.http.get("/health") as response:
            assert response.status == 503


async def test_an_answer_that_takes_too_long_is_504():
    """No client waits for ever where an endpoint says nothing."""
    settings = dataclasses.replace(OPENAI_SETTINGS, default_deadline_s=0.5)
    async with (
        scripted(stays_silent) as server,
        faced({"home": [server.address]}, settings) as face,
    ):
        status, _, answer = await face.post("/v1/completions", json=PROMPT)
        assert (status, answer["error"]["code"]) == (504, "timeout")


async def test_a_router_that_drains_takes_nothing_new():
    """Streams that are open end well meanwhile."""
    async with engine(itl_s=0.03) as server, faced({"home": [address(server)]}) as face:
        asked = HELLO | {"stream": True, "max_tokens": 100}
        async with face.http.post(CHAT, json=asked) as response:
            await response.content.readany()
            draining = asyncio.create_task(face.routed.router.drain())
            await until(lambda: face.routed.router._inference.draining)
            status, _, _ = await face.post(CHAT, json=HELLO)
            assert status == 503
            body = await response.text()
            assert body.endswith("data: [DONE]\n\n")
        await draining


@pytest.fixture
async def small_buffers(monkeypatch):
    """The kernel keeps little of what a server sends to one who does not read."""
    loop = asyncio.get_running_loop()
    create = loop.create_server

    async def create_small(*args, **kwargs):
        server = await create(*args, **kwargs)
        for listening in server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return server

    monkeypatch.setattr(loop, "create_server", create_small)


async def test_a_client_that_does_not_read_stops_its_engine(small_buffers):
    """Nothing gathers in the router; when it reads at last, nothing is missing."""
    async with (
        engine(itl_s=0) as server,
        faced({"home": [address(server)]}) as face,
        contextlib.AsyncExitStack() as opened,
    ):
        port = face.routed.router.openai_port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        asked = HELLO | {"stream": True, "max_tokens": 1500, "n": 8, "logprobs": True}
        body = json.dumps(asked).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        opened.callback(writer.close)
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)

        def generated():
            return server.replica.engine.load().generated_tokens

        await until(generated)
        await until_still(generated, face.routed.state)
        assert server.replica.in_flight == 1
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += await reader.read(2**20)
        events = [line for line in received.splitlines() if line.startswith(b"data: {")]
        texts = [""] * 8
        for event in events:
            [choice] = json.loads(event[6:])["choices"]
            texts[choice["index"]] += choice["delta"].get("content", "")
        assert texts == [counted_on("7", 1500)] * 8


async def test_headers_have_a_limit(face):
    """And who goes over it is told so, and is no error of this router's."""
    async with face.http.get("/v1/models", headers={"X-Long": "x" * 9000}) as response:
        assert response.status == 400
    many = {f"X-{number}": "x" for number in range(200)}
    async with face.http.get("/v1/models", headers=many) as response:
        assert response.status == 400


async def test_without_a_name_the_first_model_answers(face):
    asked = {"messages": HELLO["messages"], "max_tokens": 3}
    status, _, answer = await face.post(CHAT, json=asked)
    assert (status, answer["model"]) == (200, "fake")


async def test_headers_go_on_where_they_mean_something():
    """And only there: a client's credentials are for this router."""
    seen = []

    async def script(_raw, context):
        seen.append(dict(context.invocation_metadata()))
        context.set_code(grpc.StatusCode.INVALID_ARGUMENT)

    async with scripted(script) as server, faced({"home": [server.address]}) as face:
        headers = {
            "X-Session-Id": "s",
            "X-Spillway-Tenant": "team",
            "X-Spillway-Resume": "3",
            "Authorization": "Bearer secret",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        }
        await face.post("/v1/completions", json=PROMPT, headers=headers)
    assert seen[0]["x-session-id"] == "s"
    assert seen[0]["x-spillway-tenant"] == "team"
    assert seen[0]["traceparent"].startswith("00-4bf9")
    assert not {"authorization", "x-spillway-resume"} & set(seen[0])


async def test_an_endpoint_that_sends_no_messages_is_an_error():
    async def script(_raw, context):
        await context.write(b"\xff\xff")

    async with scripted(script) as server, faced({"home": [server.address]}) as face:
        status, _, answer = await face.post("/v1/completions", json=PROMPT)
        assert (status, answer["error"]["type"]) == (500, "server_error")


async def test_the_request_of_a_completion_is_what_was_asked(face):
    """Curl's shape: what an endpoint gets of a bare POST."""
    async with (
        scripted(fails(grpc.StatusCode.INVALID_ARGUMENT)) as server,
        faced({"home": [server.address]}) as other,
    ):
        await other.post("/v1/completions", json=PROMPT)
        request = GenerateRequest.FromString(server.calls[0].raw)
        assert (request.text, request.stopping.max_new_tokens) == ("7", 3)
        assert request.model == "fake"
