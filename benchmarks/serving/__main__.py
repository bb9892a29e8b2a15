"""`python -m benchmarks.serving`: drive, measure, print a table, write JSON and a picture."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Console
from rich.live import Live
from rich.text import Text

from benchmarks.report import write_json
from benchmarks.report_page import picture, write_page
from benchmarks.serving import table
from benchmarks.serving.driver import Driver
from benchmarks.serving.options import parser, plan, tls_of, warmup_plan
from benchmarks.serving.picture import draw
from benchmarks.serving.record import Record
from benchmarks.serving.summary import Objective, summarize
from benchmarks.serving.target import connected
from benchmarks.workloads.prompts import CheckedPrompter, FillerPrompter, Prompter
from benchmarks.workloads.traces import TraceError
from spillway.client.options import OptionError
from wire.tls.files import TlsError

EXIT_FAILED = 1  # the run was done, and turns failed or were answered wrongly
EXIT_USAGE = 2  # the run could not be done


def main() -> int:
    """Run the command; the exit status."""
    options = parser().parse_args()
    try:
        records = asyncio.run(_run(options))
    except (TraceError, OptionError, TlsError) as error:
        return _complain(str(error), EXIT_USAGE)
    except ExceptionGroup as group:  # a trace is read while its sessions run
        broken = group.subgroup(TraceError)
        if broken is None:
            raise
        return _complain(str(broken.exceptions[0]), EXIT_USAGE)
    except TimeoutError:
        return _complain(f"nobody answers at {options.address}: is a router up?", EXIT_USAGE)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    objective = Objective(options.slo_ttft, options.slo_itl)
    whole = summarize(records, objective)
    sites = table.by_site(records, objective)
    shown = table.show(whole, sites, objective)
    asked = {key: _plain(value) for key, value in vars(options).items()}
    if options.out is not None:
        write_json(
            options.out,
            {
                "options": asked,
                "summary": whole.as_json(),
                "sites": {site: part.as_json() for site, part in sites.items()},
                "turns": [{**asdict(record), "gaps_s": list(record.gaps_s)} for record in records],
            },
        )
    if options.picture is not None:
        draw(records, options.slo_ttft, options.picture)
    if options.html is not None:
        drawn = picture(
            "Time to first token, and the share of each site, as the run went",
            lambda path: draw(records, options.slo_ttft, path),
        )
        title = f"Serving at {options.address}"
        write_page(options.html, title, [shown], asked, [drawn])
    if not records:
        return _complain("the plan held no session", EXIT_USAGE)
    return EXIT_FAILED if whole.errors or whole.wrong else 0


async def _run(options: argparse.Namespace) -> list[Record]:
    records: list[Record] = []
    prompter: Prompter = CheckedPrompter()
    if options.bytes_per_token is not None:
        prompter = FillerPrompter(options.bytes_per_token)
    async with connected(
        options.address,
        model=options.model,
        slo=options.slo,
        deadline_s=options.deadline,
        connections=options.connections,
        tls=tls_of(options),
    ) as target:
        warm_up = Driver(target, prompter, on_record=lambda _record: None)
        await warm_up.closed_loop(warmup_plan(options), concurrency=2)
        with _progress() as progress:

            def on_record(record: Record) -> None:
                records.append(record)
                progress(records)

            driver = Driver(target, prompter, on_record)
            if options.mode == "open":
                await driver.open_loop(plan(options))
            else:
                await driver.closed_loop(plan(options), options.concurrency)
    return records


class _Progress:
    """A line that says how far the run is; silent where nobody watches."""

    def __init__(self, live: Live | None) -> None:
        self._live = live

    def __call__(self, records: list[Record]) -> None:
        if self._live is not None:
            failed = sum(record.status != "OK" for record in records[-1000:])
            tokens = sum(record.output_tokens for record in records[-1000:])
            self._live.update(
                Text(f"{len(records)} turns; of the last 1000: {tokens} tokens, {failed} failed")
            )


@contextlib.contextmanager
def _progress() -> Iterator[_Progress]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Progress(None)
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield _Progress(live)


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str | None) else str(value)


def _complain(sentence: str, status: int) -> int:
    print(f"benchmarks.serving: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
