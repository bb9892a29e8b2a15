"""The GPU profiles: the chart and our settings take them, and they fit where they are meant to."""

import re

import pytest
import yaml

from serving.engine_arguments import engine_arguments
from serving.placement import deployment_options
from serving.settings import read_settings
from spillway.fleet import read
from tests.deploy.helm import ROOT, overlay, render
from tests.deploy.pods import of_kind
from tests.deploy.test_site_chart import amount, vllm_arguments

FOLDER = ROOT / "deploy" / "profiles"
PAGE = (ROOT / "docs" / "gpu-profiles.md").read_text()
GIB = 1024**3
GPU_BYTES = 79 * GIB  # of 80 GB, as CUDA has them
BESIDE_BYTES = 4 * GIB  # activations and CUDA graphs
SHAPES = {"8b": (8.03e9, 32), "70b": (70.6e9, 80)}  # parameters and layers of Llama 3's
HEADS, HEAD_DIM = 8, 128  # of keys and of values in a layer
FP8 = "fp8"


@pytest.fixture(params=sorted(path.stem for path in FOLDER.glob("*.yaml")))
def name(request):
    """Of a profile: the GPU and the size of the model."""
    return request.param


@pytest.fixture
def pool(name):
    """The pool that a profile describes."""
    [(key, found)] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["pools"].items()
    assert key == name
    return found


@pytest.fixture
def settings(pool):
    """An engine's, as a fleet file has them."""
    return read_settings({"model": "/models/m"} | pool["serving"])


def room_tokens(name, vllm):
    """How many tokens the KV cache of an engine holds."""
    parameters, layers = SHAPES[name.partition("-")[2]]
    weights = parameters * (1 if vllm.arguments.get("quantization") == FP8 else 2)
    token = (
        2 * layers * HEADS * HEAD_DIM * (1 if vllm.arguments.get("kv_cache_dtype") == FP8 else 2)
    )
    left = vllm.gpu_memory_utilization * GPU_BYTES - weights / vllm.world_size - BESIDE_BYTES
    return left * vllm.world_size / token


def test_the_chart_takes_a_profile_as_the_pools_of_a_site(name, pool):
    """Beside the values of a site that has none; the engines are as the profile says."""
    values = overlay("site-home") | {"pools": {name: pool}}
    things = render("spillway-site", values)
    [service] = of_kind(things, "RayService")
    [application] = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    args = application["args"]
    assert pool["serving"].items() <= args.items()
    options = deployment_options(read_settings(args), cluster_gpus=pool["gpusPerNode"])
    gpus, cpus = options["ray_actor_options"]["num_gpus"], pool["serving"]["num_cpus"]
    assert pool["replicas"] * gpus == pool["gpusPerNode"] * pool["nodes"]["max"]  # none is idle
    assert pool["replicas"] * cpus <= amount(pool["resources"]["cpu"]) * pool["nodes"]["max"]


def test_vllm_is_told_what_the_profile_says(pool, settings):
    """Nothing that vLLM does not know, and on a GPU nothing is changed on the way."""
    said = engine_arguments(settings, vllm_arguments(), on_cpu=False)
    vllm = pool["serving"]["vllm"]
    assert vllm["arguments"].items() <= said.items()
    for key in vllm.keys() - {"arguments"}:
        assert said[key] == vllm[key]
    assert not said.get("enforce_eager")  # CUDA graphs
    spread = settings.vllm.world_size > 1
    assert said.get("distributed_executor_backend") == ("mp" if spread else None)


def test_a_fleet_file_takes_its_engines(pool):
    """For hosts, where no chart is."""
    text = yaml.safe_dump(
        {
            "sites": {
                "home": {
                    "kind": "home",
                    "ray": {"dashboard": "http://127.0.0.1:8265"},
                    "model": "m",
                    "capacity": {"replicas": pool["replicas"]},
                    "serving": pool["serving"],
                }
            },
            "models": {"m": {"source": "/models/m"}},
            "slo_classes": {"chat": {"ttft": "1s", "itl": "50ms"}},
        }
    )
    assert pool["serving"].items() <= read(text).serving_arguments("home").items()


def test_only_hopper_computes_in_fp8(name, settings):
    arguments = settings.vllm.arguments
    fp8 = {arguments.get("quantization"), arguments.get("kv_cache_dtype")}
    assert fp8 == ({FP8} if name.startswith("h100") else {None})


def test_the_cache_has_room_for_what_may_run(name, settings):
    """A useful length for each sequence, and some of the longest there may be."""
    vllm = settings.vllm
    room = room_tokens(name, vllm)
    assert room >= 1_500 * vllm.arguments["max_num_seqs"]
    assert room >= 8 * vllm.max_model_len
    assert settings.requests_max >= 2 * vllm.arguments["max_num_seqs"]


def test_the_page_says_what_the_profile_has(name, settings):
    """Its row: GPUs, types, room, tokens of a step and sequences; and that nobody measured it."""
    [row] = re.findall(rf"^\| `{name}\.yaml` \| (.*) \|$", PAGE, re.MULTILINE)
    gpus, weights, cache, room, step, sequences = row.split(" | ")
    vllm = settings.vllm
    fp8 = vllm.arguments.get("kv_cache_dtype") == FP8
    assert (weights, cache) == (("FP8", "FP8") if fp8 else ("bfloat16", "bfloat16"))
    assert int(gpus) == vllm.world_size
    assert abs(int(room.replace(",", "")) / room_tokens(name, vllm) - 1) < 0.02
    assert int(step) == vllm.arguments["max_num_batched_tokens"]
    assert int(sequences) == vllm.arguments["max_num_seqs"]
    assert "has not measured them" in PAGE


def test_every_row_has_its_profile():
    rows = set(re.findall(r"^\| `([a-z0-9-]+)\.yaml`", PAGE, re.MULTILINE))
    assert rows == {path.stem for path in FOLDER.glob("*.yaml")}
