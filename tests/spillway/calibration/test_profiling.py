"""A real endpoint is timed, and what is found is what it was made with."""

import random

import pytest

from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from spillway.calibration.asking import Asker, AskError
from spillway.calibration.profiling import calibrate
from spillway.probing.site import ask_site
from tests.router.live.conftest import address, engine

SLO = SloClass("chat", ttft_ns=10 * NS_PER_S, itl_ns=NS_PER_S)


async def timed(server, slo=SLO):
    way = SiteAccess("ridge", endpoints=(address(server),))
    found = await ask_site(way, RouterSettings())
    asker = Asker(way, RouterSettings(), found.reached[0], random.Random(1))
    try:
        return await calibrate(asker, found.reached[0], slo)
    finally:
        await asker.close()


async def test_the_profile_is_what_the_engine_was_made_with():
    """A pace of its own between tokens, and a time for each token of the prompt."""
    settings = {"itl_s": 0.02, "prefill_tokens_per_s": 20_000, "max_running": 4}
    async with engine(max_model_len=4_096, **settings) as server:
        found = await timed(server)
    assert found.profile.itl_ns > 10 * NS_PER_MS
    assert 25_000 < found.profile.ttft_ns_per_prompt_token < 1_000_000
    assert (found.streams, found.streams_tried) == (4, 4)
    assert found.meets_alone
    assert found.longest_tokens <= 4_096


async def test_an_engine_that_is_too_slow_alone_is_told():
    """Not even one stream is in time."""
    async with engine(itl_s=0.02, max_running=4) as server:
        found = await timed(server, SloClass("chat", 10 * NS_PER_S, NS_PER_MS))
    assert (found.streams, found.meets_alone) == (0, False)


async def test_an_endpoint_that_refuses_is_an_error_in_its_own_words():
    """Here, all that is asked is too long for it."""
    async with engine(itl_s=0, max_model_len=16) as server:
        with pytest.raises(AskError, match="INVALID_ARGUMENT"):
            await timed(server)
