"""How Ray Serve is to place replicas and to treat them: values that need no Ray to make."""

from typing import Any

from serving.serve_environment import REPLICA_ENVIRONMENT
from serving.settings import AutoscaleSettings, ReplicaSettings

WATCHERS_MAX = 256
"""Routers and probes that may listen to one replica, beside its requests."""

HEALTH_CHECK_PERIOD_S = 1.0
"""Serve gives up a replica at the third check that fails."""

HEALTH_CHECK_TIMEOUT_S = 10.0
"""An engine that loads a large batch may keep the event loop for a while."""

AUTOSCALING_POLICY = "serving.autoscaling:RouterWants"

GRACEFUL_SHUTDOWN_S = 60.0
"""How long a replica that is replaced may go on with its streams."""


def deployment_options(settings: ReplicaSettings, *, cluster_gpus: float) -> dict[str, Any]:
    """How Serve is to place and treat the replicas.

    An engine of several devices gets them together, on one node, by a placement group.
    """
    devices = settings.vllm.world_size if settings.engine == "vllm" else 1
    gpus = devices * gpus_per_device(settings, cluster_gpus)
    options: dict[str, Any] = {
        "num_replicas": settings.replicas,
        "max_ongoing_requests": settings.requests_max + WATCHERS_MAX,
        "health_check_period_s": HEALTH_CHECK_PERIOD_S,
        "health_check_timeout_s": HEALTH_CHECK_TIMEOUT_S,
        "graceful_shutdown_timeout_s": GRACEFUL_SHUTDOWN_S,
        "graceful_shutdown_wait_loop_s": 0.2,
        # A line for each call would cost more than many a call.
        "logging_config": {"enable_access_log": False},
        "ray_actor_options": {
            "num_cpus": settings.num_cpus,
            "num_gpus": gpus,
            "resources": dict(settings.resources),
            "runtime_env": {"env_vars": REPLICA_ENVIRONMENT | settings.env},
        },
    }
    if settings.autoscale is not None:
        del options["num_replicas"]
        options["autoscaling_config"] = _autoscaling(settings.autoscale, settings.replicas)
    if devices > 1:
        bundle = {"CPU": settings.num_cpus, "GPU": gpus, **settings.resources}
        options["placement_group_bundles"] = [{k: v for k, v in bundle.items() if v}]
        options["placement_group_strategy"] = "STRICT_PACK"
    return options


def _autoscaling(scale: AutoscaleSettings, replicas: int) -> dict[str, Any]:
    """Serve's autoscaler with the policy that asks the routers. They wait, so it does not."""
    return {
        "min_replicas": scale.min_replicas,
        "max_replicas": scale.max_replicas,
        "initial_replicas": min(max(replicas, scale.min_replicas), scale.max_replicas),
        "upscale_delay_s": 0.0,
        "downscale_delay_s": 0.0,
        "policy": {
            "policy_function": AUTOSCALING_POLICY,
            "policy_kwargs": {
                "site": scale.site,
                "routers": list(scale.routers),
                "target_ongoing_requests": scale.target_ongoing_requests,
                "key_file": str(scale.key_file) if scale.key_file else None,
                "each_address": scale.each_address,
                "tls": {
                    "authority": str(scale.authority),
                    "certificate": str(scale.certificate) if scale.certificate else None,
                    "key": str(scale.key) if scale.key else None,
                    "identity": scale.identity,
                }
                if scale.authority
                else None,
            },
        },
    }


def gpus_per_device(settings: ReplicaSettings, cluster_gpus: float) -> float:
    """What is set, or else one where there are any and the engine can use them."""
    if settings.num_gpus is not None:
        return settings.num_gpus
    return 1.0 if settings.engine == "vllm" and cluster_gpus > 0 else 0.0
