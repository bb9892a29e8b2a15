"""`python -m benchmarks.page`: whether the fleet page stays smooth, and what it sends.

A router, fake engines of many sites, as many sessions, and a headless Chromium, all here. What the
page was sent then is sent again once all but the browser has ended: it has the machine to itself.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.dataplane.process import cpu_s, running
from benchmarks.page.browser import browser, drawn, seen
from benchmarks.page.recording import record
from benchmarks.report import print_table
from benchmarks.report_page import Picture, add_options, publish
from spillway.progress import Progress

ENGINES = 2
"""Of each site."""

TOKENS = 40
"""Of an answer."""

SETTLES_S = 3.0
"""The first frames compile what draws the others."""

SEEN_S = 30.0
"""For what is killed to be seen: far above the two seconds in which it should be."""


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for first in range(20_000, 32_000, count):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise RuntimeError(f"no {count} free ports in a row")


async def sent(url: str, seconds: float, encoding: str) -> dict[str, float]:
    """What one viewer is sent in this time, after the beginning."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as http:
        headers = {"Accept-Encoding": encoding}
        async with http.get(f"{url}page/stream", headers=headers) as response:
            first = len(await response.content.readany())
            count, began_s = 0, time.monotonic()
            while time.monotonic() - began_s < seconds:
                count += len(await response.content.readany())
            return {"hello_bytes": first, "bytes_per_s": count / (time.monotonic() - began_s)}


async def killed_and_back(page: Any, home: int, first: int, itl_s: str) -> dict[str, float]:
    """After how many seconds the page shows that home died, and that it is back."""
    began_s = time.monotonic()
    os.kill(home, signal.SIGKILL)
    await seen(page, "home", down=True, within_s=SEEN_S)
    died_s = time.monotonic() - began_s
    async with running("benchmarks.page.engines", [str(first + 1), str(ENGINES), itl_s]):
        began_s = time.monotonic()  # it serves
        await seen(page, "home", down=False, within_s=SEEN_S)
        return {"death_seen_s": died_s, "return_seen_s": time.monotonic() - began_s}


async def measure(options: argparse.Namespace, recording: Path) -> dict[str, float]:
    """All of it, once."""
    sites, itl_s = options.sites, str(options.itl_ms / 1_000)
    first = free_ports(1 + sites * ENGINES)
    rest = [str(first + 1 + ENGINES), str((sites - 1) * ENGINES), itl_s]
    async with (
        running("benchmarks.page.engines", [str(first + 1), str(ENGINES), itl_s]) as home,
        running("benchmarks.page.engines", rest),
        running("benchmarks.page.router", [str(first), str(sites), str(ENGINES)]) as router,
        running(
            "benchmarks.page.sessions", [f"127.0.0.1:{first}", str(options.sessions), str(TOKENS)]
        ),
        browser() as chromium,
    ):
        url = f"http://127.0.0.1:{router.port}/"
        unseen_s, began_s = cpu_s(router.pid), time.monotonic()
        await asyncio.sleep(options.seconds)
        unseen = (cpu_s(router.pid) - unseen_s) / (time.monotonic() - began_s)
        page = await opened(chromium, url)
        seen_s, began_s = cpu_s(router.pid), time.monotonic()
        beside = await drawn(page, options.seconds)
        cpu = (cpu_s(router.pid) - seen_s) / (time.monotonic() - began_s)
        zipped = await sent(url, options.seconds / 2, "gzip")
        plain = await sent(url, options.seconds / 2, "identity")
        await record(url, options.seconds + SETTLES_S + 2, recording)
        if options.picture is not None:
            await page.screenshot(path=options.picture, full_page=True)
        sessions = await page.text_content("#headline-sessions")
        moved = await killed_and_back(page, home.pid, first, itl_s)
    return {
        **await alone(recording, options.seconds),
        "beside_the_fleet_frames_per_s": beside["frames_per_s"],
        "beside_the_fleet_task_share": beside["task_share"],
        **moved,
        "sessions": float((sessions or "0").replace("k", "e3")),
        "bytes_per_s": zipped["bytes_per_s"],
        "plain_bytes_per_s": plain["bytes_per_s"],
        "hello_bytes": zipped["hello_bytes"],
        "router_cpu_unseen": unseen,
        "router_cpu_seen": cpu,
    }


async def opened(chromium: Any, url: str) -> Any:
    """The page, once it is live."""
    page = await chromium.new_page(viewport={"width": 1440, "height": 1000})
    await page.goto(url)
    await page.wait_for_selector('#connection[data-state="live"]')
    await asyncio.sleep(SETTLES_S)
    return page


async def alone(recording: Path, seconds: float) -> dict[str, float]:
    """What the browser does with a recording, while nothing else runs."""
    async with (
        running("benchmarks.page.recording", [str(recording)]) as replay,
        browser() as chromium,
    ):
        page = await opened(chromium, f"http://127.0.0.1:{replay.port}/")
        return await drawn(page, seconds)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--sites", type=int, default=16)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--itl-ms", type=float, default=60.0, help="between an engine's tokens")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--picture", type=Path, help="take a screenshot there")
    parser.add_argument("--recording", type=Path, help="keep what the page was sent there")
    parser.add_argument("--replay", type=Path, help="measure the browser alone, with a recording")
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.sites < 2:
        parser.error("--sites: a home and at least one rented site")
    with tempfile.TemporaryDirectory() as folder, Progress("measuring the page"):
        recording = options.recording or Path(folder) / "recording"
        if options.replay is not None:
            figures = asyncio.run(alone(options.replay, options.seconds))
        else:
            figures = asyncio.run(measure(options, recording))
    of = options.replay or f"{options.sites} sites and {figures['sessions']:.0f} sessions"
    shown = print_table(
        f"The fleet page of {of}",
        ("what", "figure"),
        [[name.replace("_", " "), f"{value:,.3g}"] for name, value in figures.items()],
        note="bytes are of one viewer, compressed; CPU is of one core; shares are of its thread",
    )
    pictures = []
    if options.html is not None and options.picture is not None:
        pictures.append(Picture("The page as it was measured", options.picture.read_bytes()))
    found = {"sites": options.sites, "page": figures}
    publish(options, "The fleet page", found, [shown], pictures=pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
