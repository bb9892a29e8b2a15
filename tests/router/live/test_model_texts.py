"""A model's tokenizer comes from an endpoint that serves it, once, and is the one it says."""

import asyncio
import contextlib
import dataclasses

import grpc
import pytest

from router.live.model_texts import ModelTexts
from router.prompt.tokenizer import TOKENIZER_FILE
from serving.fake_engine import TOKENIZER
from tests.router.live.conftest import address, engine, route
from tests.router.live.scripted import Scripted, says, scripted
from tests.waiting import until
from wire.spillway.v1 import load_pb2
from wire.spillway.v1 import tokenizer_pb2 as pb
from wire.spillway.v1.tokenizer_files import FILES_BYTES_MAX, TEMPLATE_FILE, tokenizer_digest
from wire.spillway.v1.tokenizer_pb2_grpc import TokenizerStub
from wire.status import CallError

FILES = {path.name: path.read_bytes() for path in TOKENIZER.iterdir()}


@dataclasses.dataclass
class Giving(Scripted):
    """A server that serves a tokenizer as well: what is in `pieces`, after the gate."""

    pieces: tuple = ()
    gate: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    read: int = 0

    async def read_tokenizer(self, _request, context):
        self.read += 1
        await self.gate.wait()
        for name, content in self.pieces:
            await context.write(pb.TokenizerPiece(file=name, content=content))

    def services(self):
        method = grpc.unary_stream_rpc_method_handler(
            self.read_tokenizer,
            pb.ReadTokenizerRequest.FromString,
            pb.TokenizerPiece.SerializeToString,
        )
        return super().services() | {"spillway.v1.Tokenizer": {"ReadTokenizer": method}}


@contextlib.asynccontextmanager
async def giving(*pieces):
    """A router over a server that gives these pieces, and its texts."""
    server = Giving(says("7"), pieces=pieces)
    server.gate.set()
    await server.start()
    try:
        async with route({"home": [server.address]}) as routed:
            yield server, ModelTexts(routed.router._roster)
    finally:
        await server.die()


async def test_it_is_fetched_once():
    """However many ask, and for as long as the endpoint stays what it is."""
    async with giving(*FILES.items()) as (server, texts):
        server.gate.clear()
        asking = [asyncio.create_task(texts.get(name)) for name in ("fake", "", "fake")]
        await until(lambda: server.read)
        server.gate.set()
        one, two, three = await asyncio.gather(*asking)
        assert one is two is three is await texts.get("fake")
        assert one.tokenizer.encode("a") == [ord("a")]
        assert one.template is not None
        assert server.read == 1


async def test_models_with_the_same_tokenizer_have_each_its_own_template():
    """The digest is not of the template: fine-tuned models differ in it alone."""
    base = Giving(says("7"), names=("base",), pieces=FILES.items())
    template = (TEMPLATE_FILE, b"tuned: {{ messages[0].content }}")
    tuned = Giving(says("7"), names=("tuned",), pieces=(*FILES.items(), template))
    for server in (base, tuned):
        server.gate.set()
        await server.start()
    try:
        async with route({"home": [base.address, tuned.address]}) as routed:
            texts = ModelTexts(routed.router._roster)
            for one in routed.router._roster:
                digest = tokenizer_digest(FILES)
                one.follower.engine = dataclasses.replace(one.follower.engine, tokenizer=digest)
            said = [{"role": "user", "content": "hi"}]
            assert (await texts.get("base")).template.render(said) != "tuned: hi"
            assert (await texts.get("tuned")).template.render(said) == "tuned: hi"
            assert (base.read, tuned.read) == (1, 1)
    finally:
        await base.die()
        await tuned.die()


async def test_a_template_that_a_restart_has_changed_is_noticed():
    """Under the same name and digest: asked behind the next request, and known after it."""
    said = [{"role": "user", "content": "hi"}]
    async with giving(*FILES.items(), (TEMPLATE_FILE, b"old")) as (server, texts):
        (one,) = texts._roster
        digest = tokenizer_digest(FILES)
        one.follower.engine = dataclasses.replace(one.follower.engine, tokenizer=digest)
        one.follower.load.last = load_pb2.LoadReport(instance_id="before")
        assert (await texts.get("fake")).template.render(said) == "old"
        server.pieces = (*FILES.items(), (TEMPLATE_FILE, b"new"))
        assert (await texts.get("fake")).template.render(said) == "old"
        assert server.read == 1
        one.follower.load.last = load_pb2.LoadReport(instance_id="after")
        assert (await texts.get("fake")).template.render(said) == "old"
        await until(lambda: not texts._fetching)
        assert (await texts.get("fake")).template.render(said) == "new"
        assert server.read == 2


async def test_what_is_known_stays_where_it_cannot_be_fetched_again():
    """The next request asks anew."""
    async with giving(*FILES.items()) as (server, texts):
        (one,) = texts._roster
        digest = tokenizer_digest(FILES)
        one.follower.engine = dataclasses.replace(one.follower.engine, tokenizer=digest)
        known = await texts.get("fake")
        server.pieces = ((TOKENIZER_FILE, b"{"),)
        one.follower.load.last = load_pb2.LoadReport(instance_id="after")
        assert await texts.get("fake") is known
        await until(lambda: not texts._fetching)
        server.pieces = FILES.items()
        assert await texts.get("fake") is known
        await until(lambda: not texts._fetching)
        assert await texts.get("fake") is not known
        assert server.read == 3


async def test_one_who_stops_waiting_does_not_stop_the_others():
    async with giving(*FILES.items()) as (server, texts):
        server.gate.clear()
        first, second = (asyncio.create_task(texts.get("fake")) for _ in range(2))
        await until(lambda: server.read)
        first.cancel()
        server.gate.set()
        assert (await second).tokenizer is not None
        assert first.cancelled() or first.cancelling()
        await texts.close()


async def test_a_large_file_comes_in_pieces():
    """In order, each added to what came of the same file."""
    whole = FILES[TOKENIZER_FILE]
    pieces = [(TOKENIZER_FILE, whole[i : i + 100]) for i in range(0, len(whole), 100)]
    async with giving(*pieces) as (_, texts):
        text = await texts.get("fake")
        assert text.tokenizer.encode("ab") == [97, 98]
        assert text.template is None


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ([(TOKENIZER_FILE, b"{")], "cannot be read"),
        ([("x", b"0" * 2**20)] * (FILES_BYTES_MAX // 2**20 + 1), "sends more than"),
    ],
)
async def test_what_cannot_be_used_is_unavailable(pieces, says):
    """And is asked for again by the next one who needs it."""
    async with giving(*pieces) as (server, texts):
        for count in (1, 2):
            with pytest.raises(CallError, match=says) as caught:
                await texts.get("fake")
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE
            assert server.read == count


async def test_files_that_the_digest_is_not_of_are_refused():
    """An engine states the digest of its tokenizer; what it sends has to be that."""
    async with engine(itl_s=0) as server:
        fake = server.replica.engine
        honest = fake.info
        another = dataclasses.replace(honest.identity, tokenizer_digest="another")
        for identity in (another, honest.identity):
            fake._info = dataclasses.replace(honest, identity=identity)
            async with route({"home": [address(server)]}) as routed:
                [endpoint] = routed.router._roster
                stated = identity.tokenizer_digest
                await until(lambda at=endpoint, to=stated: at.follower.engine.tokenizer == to)
                asked = ModelTexts(routed.router._roster).get("fake")
                if identity is another:
                    with pytest.raises(CallError, match="other files than its digest is of"):
                        await asked
                else:
                    assert (await asked).tokenizer is not None
                    assert stated == tokenizer_digest(FILES)


async def test_a_server_without_the_service_has_neither():
    """Such as a plain vLLM server."""
    async with scripted(says("7")) as server, route({"home": [server.address]}) as routed:
        text = await ModelTexts(routed.router._roster).get("fake")
        assert (text.template, text.tokenizer) == (None, None)


async def test_a_model_that_nobody_serves_is_not_found():
    async with giving(*FILES.items()) as (_, texts):
        with pytest.raises(CallError) as caught:
            await texts.get("other")
        assert caught.value.code is grpc.StatusCode.NOT_FOUND


async def test_a_model_is_known_while_its_endpoints_are_gone():
    """So that the core says how it stands with them, and not this."""
    async with giving(*FILES.items()) as (_, texts):
        known = await texts.get("fake")
        [endpoint] = texts._roster
        endpoint.follower.connected = False
        assert await texts.get("fake") is known


async def test_a_router_passes_on_its_endpoints_files():
    """For a router above it, and for clients."""
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}) as below,
        route({"home": [f"127.0.0.1:{below.router.port}"]}) as above,
    ):
        stub = TokenizerStub(below.channel)
        got = {}
        async for piece in stub.ReadTokenizer(pb.ReadTokenizerRequest(model="fake")):
            got[piece.file] = got.get(piece.file, b"") + piece.content
        assert got == FILES
        assert (await ModelTexts(above.router._roster).get("fake")).tokenizer is not None
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ReadTokenizer(pb.ReadTokenizerRequest(model="x")).read()
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        ring = (("x-spillway-hops", below.router.id),)
        with pytest.raises(grpc.aio.AioRpcError, match="in a circle"):
            await stub.ReadTokenizer(pb.ReadTokenizerRequest(), metadata=ring).read()
