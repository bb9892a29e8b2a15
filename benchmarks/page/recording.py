"""What a router's page was sent, kept as it came, and sent again by a process that does only that.

A router, engines and sessions of sixteen sites fill two cores by themselves, and a person does not
look at the page from the router's machine. So what the browser does with the stream is measured
once all that has ended: `python -m benchmarks.page.recording FILE` prints a port, serves the page
there and sends each viewer the events of the file at the pace at which they came.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from aiohttp import web

from router.faces.page.files import INDEX, Files


async def record(url: str, seconds: float, path: Path) -> None:
    """Writes a line for each event of this time: when it came, in seconds, and what it was."""
    async with (
        aiohttp.ClientSession(read_bufsize=1 << 22) as http,
        http.get(f"{url}page/stream", headers={"Accept-Encoding": "identity"}) as response,
    ):
        began_s, lines = time.monotonic(), []
        while (now_s := time.monotonic() - began_s) < seconds:
            event = await response.content.readuntil(b"\n\n")
            lines.append(json.dumps([round(now_s, 3), event.decode()]))
    await asyncio.to_thread(path.write_text, "\n".join(lines))


def _streaming(path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    events = [json.loads(line) for line in path.read_text().splitlines()]

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        began_s = time.monotonic()
        with contextlib.suppress(ConnectionError):  # the browser has ended
            for at_s, event in events:
                await asyncio.sleep(at_s - (time.monotonic() - began_s))
                await response.write(event.encode())
        return response

    return stream


async def main() -> None:
    """Serve until standard input closes."""
    files = Files()
    app = web.Application()

    async def index(request: web.Request) -> web.Response:
        return files.response(INDEX, request)

    async def file(request: web.Request) -> web.Response:
        return files.response(request.match_info["name"], request)

    app.router.add_get("/", index)
    app.router.add_get("/page/stream", _streaming(Path(sys.argv[1])))
    app.router.add_get("/page/{name}", file)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
