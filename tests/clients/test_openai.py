"""Programs that speak OpenAI's API to whatever serves it, in front of a router."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import output_of, path_of, program_says

pytestmark = [pytest.mark.slow]

RIGHT = " 42 43 44 45"
REQUESTS = 6


async def test_litellm_is_a_client_like_any_other(url, tmp_path):
    """Whole and streamed, chats and completions; what is refused is an exception of its own."""
    seen = await program_says("litellm_program.py", url, "fake", folder=tmp_path)
    assert seen.pop("pieces") > 1
    assert seen == {
        "whole": RIGHT,
        "tokens": 12,
        "streamed": RIGHT,
        "text": " 42 43",
        "bad": "BadRequestError",
        "unknown": "NotFoundError",
    }


async def test_curl_reads_an_answer_line_by_line(url, tmp_path):
    """With nothing but HTTP: an event a line, and the end of it."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = {"model": "fake", "prompt": "41", "max_tokens": 6, "stream": True}
    said = await output_of(
        *(curl, "-sS", "--fail-with-body", "-N", f"{url}/v1/completions"),
        *("-H", "content-type: application/json", "-d", json.dumps(body)),
        folder=tmp_path,
    )
    events = [line.removeprefix("data: ") for line in said.splitlines() if line]
    assert events[-1] == "[DONE]"
    assert "".join(json.loads(one)["choices"][0]["text"] for one in events[:-1]) == " 42 43"


async def test_guidellm_measures_a_router(url, tokenizer, tmp_path):
    """As many answers as it asked for, none of them failed."""
    report = tmp_path / "report.json"
    await output_of(
        *(path_of("guidellm"), "run", "--profile", "kind=concurrent,streams=2"),
        *("--backend", f"kind=openai_http,target={url},model=fake"),
        *("--constraint", f"kind=max_requests,count={REQUESTS}"),
        *("--data", "kind=synthetic_text,prompt_tokens=20,output_tokens=10"),
        *("--tokenizer", f"kind=huggingface_auto,model={tokenizer}"),
        *("--output", f"kind=json,path={report}"),
        folder=tmp_path,
    )
    [measured] = json.loads(report.read_text())["benchmarks"]
    totals = measured["metrics"]["request_totals"]
    assert (totals["successful"], totals["errored"]) == (REQUESTS, 0)


async def test_vllm_bench_serve_measures_a_router(url, tokenizer, tmp_path):
    """The benchmark of vLLM, from where vLLM is installed."""
    program = Path(__file__).with_name("vllm_bench_program.py")
    await output_of(
        *(sys.executable, program, "--backend", "openai-chat", "--base-url", url),
        *("--endpoint", "/v1/chat/completions"),
        *("--model", "fake", "--tokenizer", tokenizer, "--dataset-name", "random"),
        *("--random-input-len", "20", "--random-output-len", "10"),
        *("--num-prompts", REQUESTS, "--save-result", "--result-filename", "result.json"),
        folder=tmp_path,
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["completed"] == REQUESTS
    assert result["total_output_tokens"] == 10 * REQUESTS
