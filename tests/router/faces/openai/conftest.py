"""A router that speaks OpenAI's API, over fake engines in this process, and its clients."""

import contextlib
import dataclasses

import aiohttp
import openai
import pytest

from tests.router.live.conftest import SETTINGS, address, engine, route

OPENAI_SETTINGS = dataclasses.replace(SETTINGS, openai_listen="127.0.0.1:0")


@dataclasses.dataclass
class Faced:
    """A router, OpenAI's client of it, and a bare HTTP one."""

    routed: object
    client: openai.AsyncOpenAI
    http: aiohttp.ClientSession

    async def post(self, path, **kwargs):
        """The status, headers and body of an answer."""
        async with self.http.post(path, **kwargs) as response:
            return response.status, response.headers, await response.json()


@contextlib.asynccontextmanager
async def faced(addresses, settings=OPENAI_SETTINGS, **kwargs):
    """A router over hand-listed addresses by site, and clients of its HTTP port."""
    async with route(addresses, settings, **kwargs) as routed:
        base = f"http://127.0.0.1:{routed.router.openai_port}"
        async with (
            openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as client,
            aiohttp.ClientSession(base_url=base) as http,
        ):
            yield Faced(routed, client, http)


@pytest.fixture
async def face():
    """A router over one engine that answers without pause."""
    async with engine(itl_s=0) as server, faced({"home": [address(server)]}) as running:
        yield running
