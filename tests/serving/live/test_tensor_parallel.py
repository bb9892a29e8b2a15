"""An engine of two ranks in a replica of Ray Serve, placed by a placement group."""

import json
import urllib.request
from pathlib import Path

import grpc
import pytest

from serving.models.answers import answer, count_prompt, recite_prompt
from spillway.local.descendants import descendants
from tests.serving.live.conftest import Live, local_site
from tests.waiting import DEADLINE_S
from wire.vllm import control_pb2, inference_pb2

pytestmark = [pytest.mark.live]

IDS = inference_pb2.ResponseOptions(output_token_ids=True)
RANKS = 2


@pytest.fixture(scope="module")
def pair():
    """A site whose one replica has an engine of two ranks."""
    engine = {"tensor_parallel_size": RANKS, "kv_cache_memory_bytes": 64 * 1024**2}
    with local_site("pair", num_cpus=RANKS, vllm=engine) as site:
        yield site


@pytest.fixture
async def two(pair):
    """Stubs of its replica."""
    async with grpc.aio.insecure_channel(pair.replica_addresses()[-1]) as channel:
        yield Live(channel)


def said(chunks):
    """The text and the tokens of a stream."""
    outputs = [chunk.outputs for chunk in chunks]
    return "".join(one.text for one in outputs), [i for one in outputs for i in one.token_ids]


def groups_of(site):
    """The placement groups that hold something in a site's cluster."""
    url = f"{site.ports.dashboard_url}/api/v0/placement_groups?detail=true"
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answered:
        found = json.load(answered)["data"]["result"]["result"]
    return [group for group in found if group["state"] == "CREATED"]


def names_below(site):
    """What the processes of a site call themselves."""
    return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid, _ in descendants(site.kept.pid)]


async def test_two_ranks_say_what_one_says(two):
    """Token by token, what is known of the model: test_ray_serve has it of one rank."""
    for prompt, count in ((count_prompt(7), 200), (recite_prompt(), 300)):
        stopping = inference_pb2.StoppingCriteria(max_new_tokens=count)
        text, ids = said(await two.stream(text=prompt, stopping=stopping, response=IDS))
        expected = answer(prompt, count)
        assert (text, ids) == (expected.text, list(expected.token_ids))


async def test_they_are_placed_together_by_a_placement_group(two, pair):
    """One bundle on one node has the devices of both, and the ranks are the replica's processes."""
    info = await two.control.GetServerInfo(control_pb2.GetServerInfoRequest())
    assert info.parallelism.tensor_parallel_size == info.parallelism.world_size == RANKS
    [group] = groups_of(pair)
    [bundle] = group["bundles"]
    assert bundle["unit_resources"] == {"CPU": RANKS}
    assert bundle["node_id"]
    assert sum(b"VLLM::Worker" in name for name in names_below(pair)) == RANKS


async def test_they_are_the_same_model_that_rounds_in_its_own_way(two):
    """A stream may go on there; test_vllm_identity has how the digests differ."""
    identity = (await two.report_where(lambda report: report.HasField("identity"))).identity
    assert identity.weights_digest
    assert identity.tokenizer_digest
    assert identity.numerics_digest
    assert "text" in identity.restores
