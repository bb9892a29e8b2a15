"""`spillway generate`: one answer, streamed."""

import time
from typing import TYPE_CHECKING, Any

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.parameters import (
    ADDRESS,
    DEADLINE_S,
    Adapter,
    Address,
    DeadlineS,
    Direct,
    Json,
    MaxNewTokens,
    Model,
    Seed,
    Session,
    Slo,
    Temperature,
    options_of,
)
from spillway.commands.prompt import Prompt, read_prompt
from spillway.commands.terminal import is_terminal, say, write, write_answer, write_json

if TYPE_CHECKING:
    from spillway.client import Answer


def generate(
    prompt: Prompt,
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    model: Model = "",
    adapter: Adapter = "",
    session: Session = "",
    slo: Slo = "",
    max_new_tokens: MaxNewTokens = 256,
    temperature: Temperature = None,
    seed: Seed = None,
    deadline_s: DeadlineS = DEADLINE_S,
    direct: Direct = False,
    json: Json = False,
) -> None:
    """Stream the answer to a prompt. With --json, one document at its end."""
    from spillway.client import SyncClient
    from spillway.client.chunk import answer_of
    from spillway.commands.traced import traced

    options = options_of(model, session, slo, max_new_tokens, temperature, seed, adapter)
    options["deadline_s"] = deadline_s
    text = read_prompt(prompt)
    started = time.monotonic()
    first_s = None
    chunks = []
    with (
        traced(),
        SyncClient(address, direct=direct, tls=tls_of(ca, cert, key)) as client,
        client.stream(text, **options) as stream,
    ):
        for chunk in stream:
            first_s = time.monotonic() - started if first_s is None else first_s
            chunks.append(chunk)
            if not json:
                write_answer(chunk.text)
    answer = answer_of(chunks, stream.ending)
    if json:
        write_json(_as_json(answer, first_s, time.monotonic() - started))
    else:
        write("")
        if is_terminal():
            say(summary(answer, first_s or 0.0, time.monotonic() - started))


def summary(answer: "Answer", first_s: float, whole_s: float) -> str:
    """Where an answer came from and how quickly, on one line."""
    tokens = answer.num_tokens
    rate = (tokens - 1) / (whole_s - first_s) if tokens > 1 and whole_s > first_s else 0.0
    speed = f", then {rate:.0f} tokens/s" if rate else ""
    where = answer.ending.site or "one replica"
    where += f", {answer.ending.model}" if answer.ending.model else ""
    return f"[{where}: {tokens} tokens, the first after {first_s:.2f} s{speed}]"


def _as_json(answer: "Answer", first_s: float | None, whole_s: float) -> dict[str, Any]:
    finish = answer.sequences[0].finish if answer.sequences else None
    return {
        "text": answer.text,
        "finish_reason": finish.reason.value if finish else None,
        "output_tokens": answer.num_tokens,
        "prompt_tokens": answer.prompt.num_tokens if answer.prompt else None,
        "ttft_s": None if first_s is None else round(first_s, 6),
        "duration_s": round(whole_s, 6),
        "site": answer.ending.site,
        "attempts": answer.ending.attempts,
        "model": answer.ending.model,
        "request_id": answer.ending.request_id,
    }
