"""A paced engine behind HTTP, as OpenAI's API streams it: what the rivals stand in front of.

`python -m benchmarks.chaos.rivals.backend` prints its port and serves until its input closes.
"""

import asyncio
import json
import logging
import sys

from aiohttp import web

MODEL = "paced"
ITL_S = 0.02


async def _complete(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    for number in range(asked["max_tokens"]):
        due_s += ITL_S
        await asyncio.sleep(due_s - loop.time())
        chunk = {
            "id": "paced",
            "object": "text_completion",
            "created": 0,
            "model": MODEL,
            "choices": [{"index": 0, "text": f" {number}", "finish_reason": None}],
        }
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def _fine(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})


async def _info(_request: web.Request) -> web.Response:
    return web.json_response({"model_path": MODEL, "served_model_name": MODEL, "version": "1"})


async def main() -> None:
    """Serve until standard input closes."""
    # Some rivals try gRPC first, and aiohttp has much to say of that.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    app = web.Application()
    app.add_routes([
        web.post("/v1/completions", _complete),
        web.get("/v1/models", _models),
        *(web.get(path, _fine) for path in ("/health", "/health_generate")),
        *(web.get(path, _info) for path in ("/get_model_info", "/get_server_info", "/server_info")),
        web.get("/model_info", _info),
    ])  # fmt: skip
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
