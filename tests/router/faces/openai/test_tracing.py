"""Requests of OpenAI's API in the traces of their clients."""

import dataclasses

import pytest

from tests.collector import collector
from tests.router.faces.openai.conftest import OPENAI_SETTINGS, faced
from tests.router.live.conftest import address, engine
from wire.tracing.settings import TracingSettings

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "v=1"}


@pytest.fixture
async def traced(monkeypatch):
    """A router that reports, its clients, and where it reports."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with collector() as there:
        settings = dataclasses.replace(
            OPENAI_SETTINGS, tracing=TracingSettings(endpoint=there.endpoint)
        )
        async with (
            engine(itl_s=0) as server,
            faced({"home": [address(server)]}, settings) as face,
        ):
            yield face, there


@pytest.mark.parametrize("streams", [False, True])
async def test_a_chat_of_the_sdk_is_a_chat_in_its_client_s_trace(traced, streams):
    """By the header that its client sends; its answer's id is the span's."""
    face, there = traced
    answer = await face.client.chat.completions.create(
        model="fake",
        messages=[{"role": "user", "content": "secret 7"}],
        max_tokens=5,
        stream=streams,
        extra_headers=HEADERS,
    )
    if streams:
        async for chunk in answer:
            answer_id = chunk.id
    else:
        answer_id = answer.id
    request, attempt = sorted(await there.until_spans(2), key=lambda span: span.start_ns)
    assert (request.name, attempt.name) == ("chat fake", "chat fake")
    assert (request.trace, request.parent, request.state) == (TRACE, SPAN, "v=1")
    assert attempt.parent == request.id
    assert request.attributes["gen_ai.response.id"] == answer_id
    assert request.attributes["gen_ai.usage.output_tokens"] == 5
    assert not any("secret" in span.text for span in there.spans)


async def test_a_header_that_is_no_trace_is_no_matter(traced):
    """The request is answered, in a trace of its own; a completion is no chat."""
    face, there = traced
    body = {"model": "fake", "prompt": "7", "max_tokens": 3}
    status, _, _ = await face.post(
        "/v1/completions", json=body, headers={"traceparent": "00-\u00e9-x-01"}
    )
    assert status == 200
    request, _ = sorted(await there.until_spans(2), key=lambda span: span.start_ns)
    assert (request.name, request.parent) == ("text_completion fake", "")
