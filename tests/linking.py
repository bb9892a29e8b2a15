"""The other side of a link: what it says, and what it hears of sessions."""

import asyncio

import grpc

from tests.waiting import DEADLINE_S
from wire.spillway.v1.link_pb2 import Down, Hello, Open
from wire.spillway.v1.load_pb2 import WatchLoadRequest
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse, StoppingCriteria

CREDIT = 64 * 1024
WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", CREDIT))
STREAMED = "/spillway.v1.Link/Connect"


def hello(credit_bytes=CREDIT, message_bytes_max=1 << 20):
    return Hello(
        watch=WatchLoadRequest(max_silence_ms=60_000),
        message_bytes_max=message_bytes_max,
        credit_bytes=credit_bytes,
    )


def opened(session, text="7", tokens=5, **fields):
    """A session that counts on from text."""
    request = GenerateRequest(
        text=text, stopping=StoppingCriteria(max_new_tokens=tokens), request_id=f"r{session}"
    )
    return Open(session=session, request=request.SerializeToString(), **fields)


class Router:
    """What a router hears on a link, and what it says."""

    def __init__(self, call):
        self.call = call
        self.frames = []
        self.texts = {}
        self.ended = {}

    async def say(self, up):
        await self.call.write(up if isinstance(up, bytes) else up.SerializeToString())

    async def hear(self):
        """One frame."""
        raw = await self.call.read()
        if raw is grpc.aio.EOF:
            return None
        down = Down.FromString(raw)
        self.frames.append(down)
        for session, chunk in zip(down.sessions, down.chunks, strict=True):
            said = GenerateResponse.FromString(chunk).outputs.text
            self.texts[session] = self.texts.get(session, "") + said
        self.ended.update({ended.session: ended for ended in down.ended})
        return down

    async def until(self, condition, within_s=DEADLINE_S):
        """Hears until something is so."""
        async with asyncio.timeout(within_s):
            while not condition():
                assert await self.hear() is not None, "the link has ended"

    async def end(self):
        """The code and the details with which the link ends."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                while await self.hear() is not None:
                    pass
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details()
            return await self.call.code(), await self.call.details()
