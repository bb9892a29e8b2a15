"""How Serve is told to place replicas. Nothing is started."""

from importlib import import_module

from serving.placement import WATCHERS_MAX, deployment_options, gpus_per_device
from serving.serve_environment import GRPC_SERVICES
from serving.settings import read_settings


def test_every_request_and_watcher_has_a_place_in_serve():
    """Serve's own limit of 5 calls would be met by the routers' watches alone."""
    options = deployment_options(read_settings({"model": "m", "requests_max": 10}), cluster_gpus=0)
    assert options["max_ongoing_requests"] == 10 + WATCHERS_MAX


def test_one_device_needs_no_placement_group():
    options = deployment_options(read_settings({"model": "m", "num_gpus": 1}), cluster_gpus=8)
    assert options["ray_actor_options"]["num_gpus"] == 1
    assert "placement_group_bundles" not in options


def test_several_devices_are_placed_together():
    """A tensor-parallel engine gets all its GPUs on one node, with the replica."""
    settings = read_settings(
        {"model": "m", "num_gpus": 1, "vllm.tensor_parallel_size": 4, "resources": {"rack": 1}}
    )
    options = deployment_options(settings, cluster_gpus=0)
    assert options["placement_group_bundles"] == [{"CPU": 1, "GPU": 4, "rack": 1}]
    assert options["placement_group_strategy"] == "STRICT_PACK"
    assert options["ray_actor_options"]["num_gpus"] == 4


def test_gpus_are_used_where_there_are_any():
    """A counting engine never needs one, and what is set goes before what is guessed."""
    assert gpus_per_device(read_settings({"model": "m"}), cluster_gpus=8) == 1
    assert gpus_per_device(read_settings({"model": "m"}), cluster_gpus=0) == 0
    assert gpus_per_device(read_settings({"model": "m", "engine": "fake"}), cluster_gpus=8) == 0
    assert gpus_per_device(read_settings({"model": "m", "num_gpus": 0.5}), cluster_gpus=8) == 0.5


def test_a_sites_environment_reaches_the_replica():
    options = deployment_options(
        read_settings({"model": "m", "env": {"OMP_NUM_THREADS": "2"}}), cluster_gpus=0
    )
    variables = options["ray_actor_options"]["runtime_env"]["env_vars"]
    assert variables["OMP_NUM_THREADS"] == "2"
    assert variables["RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD"] == "0"


def test_the_services_can_be_imported_by_name():
    """Serve imports them in each replica."""
    module, _, name = GRPC_SERVICES.rpartition(".")
    assert callable(getattr(import_module(module), name))
