"""`spillway chat`: a conversation in one session."""

import contextlib
import sys
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.failure import Outcome, failure_of
from spillway.commands.generate import summary
from spillway.commands.parameters import (
    ADDRESS,
    Adapter,
    Address,
    MaxNewTokens,
    Model,
    Seed,
    Session,
    Slo,
    Temperature,
    Template,
    options_of,
)
from spillway.commands.terminal import is_terminal, say, warn, write, write_answer

if TYPE_CHECKING:
    from spillway.client import Chunk, Options, SyncClient


def chat(
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    model: Model = "",
    adapter: Adapter = "",
    session: Session = "",
    slo: Slo = "",
    system: Annotated[str, typer.Option("--system", help="What the model is told first.")] = "",
    max_new_tokens: MaxNewTokens = 512,
    temperature: Temperature = None,
    seed: Seed = None,
    template: Template = None,
) -> None:
    """Talk with a model, a line at a time; the session stays where its cache is.

    Ctrl-C stops an answer; Ctrl-D ends the conversation. On a terminal an answer that fails does
    not end it: what was asked is forgotten, and can be asked again.
    """
    from spillway.client import ChatTemplate, SpillwayError, SyncClient
    from spillway.commands.traced import traced

    session = session or uuid.uuid4().hex
    options = options_of(model, session, slo, max_new_tokens, temperature, seed, adapter)
    messages = [{"role": "system", "content": system}] if system else []
    known = ChatTemplate.load(template) if template else None
    tls = tls_of(ca, cert, key)
    with traced(), SyncClient(address, chat_template=known, tls=tls) as client:
        for line in _lines():
            messages.append({"role": "user", "content": line})
            try:
                answer = _answer(client, messages, options)
            except SpillwayError as error:
                if not is_terminal():
                    raise
                warn(str(failure_of(error)))
                messages.pop()
            else:
                messages.append({"role": "assistant", "content": answer})


def _lines() -> Iterator[str]:
    """What the person says, until the end of the input."""
    asked = sys.stdin.isatty() and is_terminal()
    if asked:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (gives `input` its editing and history)
    while True:
        try:
            line = input("> " if asked else "")
        except EOFError:
            return
        except KeyboardInterrupt:
            say("")
            raise typer.Exit(Outcome.INTERRUPTED) from None
        if line.strip():
            yield line


def _answer(client: "SyncClient", messages: list[dict[str, str]], options: "Options") -> str:
    """Print the answer as it comes; what was said of it, if it was stopped."""
    from spillway.client import SpillwayError
    from spillway.client.chunk import answer_of

    started = time.monotonic()
    first_s = 0.0
    chunks: list[Chunk] = []
    stopped = False
    with client.stream(messages=messages, **options) as stream:
        try:
            for chunk in stream:
                first_s = first_s or time.monotonic() - started
                chunks.append(chunk)
                write_answer(chunk.text)
        except SpillwayError:
            if chunks and is_terminal():
                write("")
            raise
        except KeyboardInterrupt:
            if not is_terminal():
                raise
            stopped = True
    write("")
    answer = answer_of(chunks, stream.ending)
    if is_terminal():
        say("[stopped]" if stopped else summary(answer, first_s, time.monotonic() - started))
    return answer.text
