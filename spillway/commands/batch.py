"""`spillway batch`: a file of requests, answered in the time that nobody else needs."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from spillway.commands.client_tls import Ca, Cert, Key, http_context_of
from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import DEADLINE_S, DeadlineS, Json
from spillway.commands.terminal import say, write, write_json
from spillway.progress import Progress

if TYPE_CHECKING:
    import ssl

    from spillway.batch.line import BatchLine
    from spillway.batch.results import Results
    from spillway.batch.run import Terms

BASE_URL = "http://127.0.0.1:7080/v1"
_KEYS = ("SPILLWAY_API_KEY", "OPENAI_API_KEY")
_FILES_BESIDE = 256  # that a process has open beside its connections


def batch(
    requests: Annotated[Path, typer.Argument(metavar="IN", help="Requests, a line of JSON each.")],
    answers: Annotated[Path, typer.Argument(metavar="OUT", help="Where their answers go.")],
    *,
    base_url: Annotated[
        str,
        typer.Option("--base-url", envvar="OPENAI_BASE_URL", help="OpenAI's API of the router."),
    ] = BASE_URL,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    slo: Annotated[
        str, typer.Option("--slo", help="The class to ask for: the one that is served last.")
    ] = "batch",
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=4096, help="Requests at a time at most.")
    ] = 64,
    deadline_s: DeadlineS = DEADLINE_S,
    patience_s: Annotated[
        float, typer.Option("--patience", min=0.0, help="Seconds without any answer to wait out.")
    ] = 600.0,
    json: Json = False,
) -> None:
    """Answer a file of requests in OpenAI's batch format. Run again, it goes on where it was."""
    import asyncio

    from spillway.batch.errors import BadRequestsError
    from spillway.batch.results import Results
    from spillway.batch.run import Terms
    from spillway.batch.source import Source

    headers = _headers(base_url, slo)
    context = http_context_of(ca, cert, key)
    terms = Terms(parallel, deadline_s, patience_s)
    try:
        with Progress(f"looking through {requests}"):
            source = Source(requests)
    except BadRequestsError as error:
        for problem in error.problems:
            say(problem)
        raise Failure(f"nothing of {requests} was sent", Outcome.USAGE) from error
    with Results(answers) as results:
        before = len(results.done)
        left = source.without(results.done)
        try:
            with Progress("answered", len(source)) as progress:
                progress.at(before)
                advance = progress.advance
                asyncio.run(_run(left, results, base_url, headers, context, terms, advance))
        finally:
            _tell(len(source), results, before, json=json)


def _headers(base_url: str, slo: str) -> dict[str, str]:
    from wire.metadata import SLO_KEY
    from wire.tls.plaintext import is_loopback

    try:
        url = urlsplit(base_url)
        host, port = url.hostname or "", url.port
    except ValueError:  # such as a port above all ports
        host, port = "", None
    if not host or port == 0 or url.scheme not in {"http", "https"}:
        raise typer.BadParameter(f"--base-url {base_url!r} is no http:// or https:// URL")
    headers = {SLO_KEY: slo} if slo else {}
    key = next((value for name in _KEYS if (value := os.environ.get(name))), "")
    if not key:
        return headers
    if url.scheme == "http" and not is_loopback(host):
        raise typer.BadParameter(
            f"--base-url {base_url!r} would carry the key of {' or '.join(_KEYS)} in plaintext to"
            " another machine: use https://"
        )
    return headers | {"Authorization": f"Bearer {key}"}


async def _run(
    left: "Iterator[BatchLine]",
    results: "Results",
    base_url: str,
    headers: dict[str, str],
    context: "ssl.SSLContext",
    terms: "Terms",
    advance: Callable[[], None],
) -> None:
    import resource

    import aiohttp

    from spillway.batch.run import Batch
    from spillway.batch.sender import Sender

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, terms.parallel_max + _FILES_BESIDE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
    connector = aiohttp.TCPConnector(limit=terms.parallel_max, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as http:
        sender = Sender(http, base_url, headers, terms.deadline_s)
        await Batch(sender, results, terms, advance).run(left)


def _tell(total: int, results: "Results", before: int, *, json: bool) -> None:
    done = len(results.done)
    if json:
        told = {"requests": total, "answered": done, "failed": results.failed, "before": before}
        write_json(told)
        return
    write(f"{done} of {total} requests are answered, {results.failed} of them with an error.")
    if done < total:
        say("The same command goes on where this one ended.")
