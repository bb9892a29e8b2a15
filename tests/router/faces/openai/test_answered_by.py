"""A chat that another model answers than the one asked for is that model's chat, and says so."""

import contextlib
import json
from dataclasses import replace

from router.faces.models import Served
from router.faces.openai.answered_by import AnsweredBy
from router.faces.openai.logprobs import TokenTexts
from router.live.model_texts import ModelText
from router.policy.rollout import Rollout
from tests.router.faces.openai.conftest import faced
from tests.router.live.conftest import HOME, fleet_of
from tests.router.live.test_model_texts import Giving
from wire.spillway.v1.tokenizer_files import TEMPLATE_FILE
from wire.vllm.inference_pb2 import FinishInfo, GenerateRequest, GenerateResponse, SequenceOutput

MESSAGES = [{"role": "user", "content": "hello"}]
ASKED = {"model": "chat", "messages": MESSAGES, "max_tokens": 5, "user": "s"}


def _whole(text):
    """An answer in one message."""
    response = GenerateResponse(outputs=SequenceOutput(text=text, num_tokens=1))
    response.outputs.finish_info.num_output_tokens = 1
    response.outputs.finish_info.finish_reason = FinishInfo.STOP
    return response.SerializeToString()


@contextlib.asynccontextmanager
async def _served(*names, rollout=None, stand_in=""):
    """A face over a server of each of these models, each with its own template."""
    fleet = fleet_of(HOME)
    first, *others = fleet.slo_classes
    classes = (replace(first, stand_in=stand_in), *others)
    fleet = replace(fleet, slo_classes=classes, rollouts=(rollout,) if rollout else ())
    async with contextlib.AsyncExitStack() as opened:
        servers = {}
        for name in names:
            template = f"{name} is asked: {{{{ messages[0].content }}}}".encode()

            async def script(_raw, context, name=name):
                await context.write(_whole(f"{name} says"))

            server = Giving(script, names=(name,), pieces=((TEMPLATE_FILE, template),))
            server.gate.set()
            await server.start()
            opened.push_async_callback(server.die)
            servers[name] = server
        at = {"home": [one.address for one in servers.values()]}
        face = await opened.enter_async_context(faced(at, fleet=fleet))
        yield face, servers


def _prompts(server):
    requests = [GenerateRequest.FromString(call.raw) for call in server.calls]
    return [(one.model, one.text) for one in requests]


async def test_the_new_versions_chat_is_made_by_its_own_template():
    """The body and the header name it, whole and streamed."""
    rollout = Rollout("chat", "chat-v1", "chat-v2", share=1.0)
    async with _served("chat-v1", "chat-v2", rollout=rollout) as (face, servers):
        status, headers, body = await face.post("/v1/chat/completions", json=ASKED)
        assert status == 200, body
        assert body["model"] == "chat-v2"
        assert headers["x-spillway-model"] == "chat-v2"
        assert body["choices"][0]["message"]["content"] == "chat-v2 says"
        streamed = {**ASKED, "stream": True}
        async with face.http.post("/v1/chat/completions", json=streamed) as response:
            assert response.headers["x-spillway-model"] == "chat-v2"
            lines = (await response.text()).splitlines()
        chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert {chunk["model"] for chunk in chunks} == {"chat-v2"}
        assert _prompts(servers["chat-v2"]) == [("chat-v2", "chat-v2 is asked: hello")] * 2
        assert servers["chat-v1"].calls == []
        listed = [model.id async for model in face.client.models.list()]
        assert listed == ["chat", "chat-v1", "chat-v2"]


class _Texts:
    """Gives a text of its own for each question, as where endpoints have several tokenizers."""

    def __init__(self, *, versions=False):
        self.versions = versions
        self.asked = []

    def has_versions(self, _model):
        return self.versions

    async def get(self, model):
        self.asked.append(model)
        return ModelText(is_agreed=False)


async def test_the_text_of_a_model_is_asked_for_again_only_where_another_may_answer():
    """A prompt that is the asked model's own is made once, whatever its endpoints agree on."""
    served = Served("big", "", "big", ())
    by = AnsweredBy(texts := _Texts(), served, ModelText(), TokenTexts(None))
    for model in ("", "", "small", ""):  # tried, tried again, stood in for, tried again
        await by.made_for(model)
    assert texts.asked == ["small", "big"]
    by = AnsweredBy(texts := _Texts(versions=True), served, ModelText(), TokenTexts(None))
    await by.made_for("")
    assert texts.asked == ["big"]


async def test_a_stand_ins_chat_is_made_by_its_own_template():
    """And what is asked for by its own name is its own."""
    async with _served("chat", "small", stand_in="small") as (face, servers):
        _, headers, body = await face.post("/v1/chat/completions", json=ASKED)
        assert body["model"] == "chat"
        assert "x-spillway-model" not in headers
        await servers["chat"].die()
        await face.routed.until_up(1)
        _, headers, body = await face.post("/v1/chat/completions", json=ASKED)
        assert (body["model"], headers["x-spillway-model"]) == ("small", "small")
        assert _prompts(servers["small"]) == [("small", "small is asked: hello")]
        forbids = {"x-spillway-stand-in": "no"}
        status, _, _ = await face.post("/v1/chat/completions", json=ASKED, headers=forbids)
        assert status == 503


async def test_a_completion_keeps_its_prompt_and_names_the_model():
    """Its prompt is its client's own."""
    rollout = Rollout("chat", "chat-v2")
    async with _served("chat-v2", rollout=rollout) as (face, servers):
        asked = {"model": "chat", "prompt": "as it is", "max_tokens": 5}
        _, headers, body = await face.post("/v1/completions", json=asked)
        assert (body["model"], headers["x-spillway-model"]) == ("chat-v2", "chat-v2")
        assert _prompts(servers["chat-v2"]) == [("chat-v2", "as it is")]
