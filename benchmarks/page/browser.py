"""A headless Chromium in front of a page, and what it measures of it."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, CDPSession, Page, async_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    "--no-sandbox",  # who measures or tests may be root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

DRAWN = """(seconds) => new Promise((done) => {
  const begin = performance.now();
  let last = begin, frames = 0, longest = 0;
  const step = (now) => {
    frames += 1;
    longest = Math.max(longest, now - last);
    last = now;
    if (now - begin < seconds * 1000) requestAnimationFrame(step);
    else done({ frames_per_s: frames * 1000 / (now - begin), longest_ms: longest });
  };
  requestAnimationFrame(step);
})"""
"""What a frame of the screen takes while the page draws: at 60 a second nothing is late."""


MISSING: Final = "there is no Chromium here (Debian: apt-get install chromium)"


def chromium() -> str | None:
    """Where the machine's Chromium is; None where it has none. No package index has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """The machine's Chromium. Raises RuntimeError where there is none."""
    path = chromium()
    if path is None:
        raise RuntimeError(MISSING)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield running
        finally:
            await running.close()


def cpu_of_children_s(name: str) -> float:
    """What all processes of this name have used that descend from this one, in seconds."""
    parents, used = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, rest = status.read_text().rpartition(")")
            pid, fields = int(status.parent.name), rest.split()
            parents[pid] = int(fields[1])
            if name in head:
                used[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descends(pid: int) -> bool:
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        return pid == os.getpid()

    return sum(cpu_s for pid, cpu_s in used.items() if descends(pid))


async def drawn(page: Page, seconds: float) -> dict[str, Any]:
    """Frames a second, the longest in milliseconds, and what the page takes of its thread's time.

    A machine that does other things draws late, and the shares of the thread's time grow with what
    it waits for. `thread_cpu` is what the page is to blame for: processor time of its thread in a
    second. `browser_cpu` is that of all of the browser's processes, those that draw among them.
    """
    tools = await page.context.new_cdp_session(page)
    await tools.send("Performance.enable")
    before, used_s = await _computed(tools), cpu_of_children_s("chrom")
    measured: dict[str, Any] = await page.evaluate(DRAWN, seconds)
    after = await _computed(tools)
    measured["browser_cpu"] = (cpu_of_children_s("chrom") - used_s) / seconds
    took_s = after["Timestamp"] - before["Timestamp"]
    frames = measured["frames_per_s"] * seconds
    measured["thread_cpu"] = (after["ThreadTime"] - before["ThreadTime"]) / took_s
    measured["thread_ms_per_frame"] = 1e3 * measured["thread_cpu"] * took_s / frames
    measured["browser_ms_per_frame"] = 1e3 * measured["browser_cpu"] * seconds / frames
    for name in ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"):
        measured[f"{name.removesuffix('Duration').lower()}_share"] = (
            after[name] - before[name]
        ) / took_s
    return measured


async def _computed(tools: CDPSession) -> dict[str, float]:
    said = await tools.send("Performance.getMetrics")
    return {one["name"]: one["value"] for one in said["metrics"]}


async def seen(page: Page, site: str, *, down: bool, within_s: float) -> None:
    """Until the page shows a site as down, or not. Raises a TimeoutError of playwright."""
    state = '[data-state="down"]' if down else ':not([data-state="down"])'
    await page.wait_for_selector(f'[data-site="{site}"]{state}', timeout=within_s * 1_000)
