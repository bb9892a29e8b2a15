"""`python -m benchmarks.serving`: drive, measure, print a table, write JSON and a picture."""

import argparse
import asyncio
import sys
from dataclasses import asdict

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
from spillway.progress import Progress
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
        with Progress("turns") as progress:

            def on_record(record: Record) -> None:
                records.append(record)
                if progress.is_due:
                    progress.at(len(records), _said(records))

            driver = Driver(target, prompter, on_record)
            if options.mode == "open":
                await driver.open_loop(plan(options))
            else:
                await driver.closed_loop(plan(options), options.concurrency)
    return records


def _said(records: list[Record]) -> str:
    failed = sum(record.status != "OK" for record in records[-1000:])
    tokens = sum(record.output_tokens for record in records[-1000:])
    return f"of the last 1000: {tokens} tokens, {failed} failed"


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str | None) else str(value)


def _complain(sentence: str, status: int) -> int:
    print(f"benchmarks.serving: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
