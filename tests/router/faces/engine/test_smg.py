"""The gateway smg, started for real, in front of a router: it drives the whole fleet."""

from tests.gateway import gateway
from tests.router.live.conftest import address, at_rest, engine, route
from tests.waiting import until

ASKED = {"model": "fake", "messages": [{"role": "user", "content": "count 41"}], "max_tokens": 24}
RIGHT = " 42 43 44 45 46 47 48 49"


async def test_it_takes_a_router_for_a_vllm_and_answers_through_it():
    """Whole and streamed; a death behind the router is not seen in front of smg."""
    async with engine(itl_s=0.01) as one, engine(itl_s=0.01) as other:
        servers = [one, other]
        async with (
            route({"home": [address(server) for server in servers]}) as routed,
            gateway(f"127.0.0.1:{routed.router.port}", model="fake") as smg,
        ):
            [worker] = (await smg.get("/workers"))["workers"]
            assert worker["runtime_type"] == "vllm"
            assert worker["labels"]["max_num_seqs"] == "512"
            whole = await smg.client.chat.completions.create(**ASKED)
            assert whole.choices[0].message.content == RIGHT
            stream = await smg.client.chat.completions.create(**ASKED, stream=True)
            text = ""
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                busy = [server for server in servers if server.replica.in_flight]
                if len(servers) == 2 and busy:
                    servers.remove(busy[0])
                    busy[0].replica.engine.die()
            assert text == RIGHT
            assert len(servers) == 1


async def test_who_goes_frees_the_engine():
    """A client that leaves smg in the middle of an answer."""
    async with (
        engine(itl_s=0.01) as server,
        route({"home": [address(server)]}) as routed,
        gateway(f"127.0.0.1:{routed.router.port}", model="fake") as smg,
    ):
        long = ASKED | {"max_tokens": 30_000, "stream": True}
        stream = await smg.client.chat.completions.create(**long)
        await until(lambda: server.replica.in_flight)
        await stream.close()
        await at_rest(routed, server)
