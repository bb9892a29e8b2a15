"""The settings of a replica: what a site's config may say of its engine and its place.

They come as arguments of `serve run serving.app:build`, from a Serve config file or from a fleet
file, are the same in each, and an unknown or contradictory one is refused by its name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from serving.fake_engine import FakeSettings
from serving.models import BUILT_IN, BUILT_IN_NAME
from serving.replica import REQUESTS_MAX
from wire.logs.lines import LogFormat
from wire.tracing.settings import QUEUE_MAX, TracingSettings


class SettingsError(ValueError):
    """Settings that cannot be served, in one sentence."""


AdapterName = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[!-~]+$")]
"""What requests call an adapter."""

RunsCode = Literal["i-accept-that-whoever-made-this-model-runs-code-here"]
"""What has to be written before code that comes with a model runs."""

RUNS_CODE: Final[RunsCode] = "i-accept-that-whoever-made-this-model-runs-code-here"

TRUST: Final = "trust_remote_code"


class VllmSettings(BaseModel):
    """A vLLM engine. None leaves the choice to vLLM; on a CPU, to serving.engine_arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: str | None = None
    max_model_len: int | None = Field(default=None, ge=2)
    tensor_parallel_size: int = Field(default=1, ge=1)
    pipeline_parallel_size: int = Field(default=1, ge=1)
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    """Share of a device's memory for weights, activations and cache."""
    kv_cache_memory_bytes: int | None = Field(default=None, gt=0)
    attention_backend: str | None = None
    """A name in vLLM's registry, or "spillway" for the kernels of this project."""
    shared_prefix: bool = False
    """Whether decode rows that share leading pages read them once; needs "spillway" above."""
    loras: dict[AdapterName, str] = Field(default_factory=dict)
    """Adapters by the name that requests use: where each lies."""
    adapter_folder: str | None = Field(default=None, min_length=1)
    """Where further adapters lie, each in a folder that has its name."""
    max_loras: int | None = Field(default=None, ge=1)
    """Adapters that are computed together, each with its place in a device's memory."""
    max_cpu_loras: int | None = Field(default=None, ge=1)
    """Adapters that are kept loaded; beyond it the least recently used is forgotten."""
    model_code: RunsCode | None = None
    """Whether Python that lies beside the weights is run; None: it is refused."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Any other argument of vLLM's AsyncEngineArgs; it goes before a default of ours."""

    @field_validator("arguments")
    @classmethod
    def _no_code_by_the_way(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if _names(arguments, TRUST):
            raise ValueError(
                f"{TRUST} would run whatever whoever made the model put beside it; where that is"
                f" meant, say vllm.model_code: {RUNS_CODE}"
            )
        return arguments

    @model_validator(mode="after")
    def _sharing_is_ours(self) -> Self:
        if self.shared_prefix and self.attention_backend != "spillway":
            raise ValueError("shared_prefix needs attention_backend: spillway")
        return self

    @model_validator(mode="after")
    def _loaded_are_computed(self) -> Self:
        if self.max_loras and self.max_cpu_loras and self.max_cpu_loras < self.max_loras:
            raise ValueError("max_cpu_loras is below max_loras")
        return self

    @model_validator(mode="after")
    def _no_argument_twice(self) -> Self:
        own = set(type(self).model_fields) - {"arguments", "loras", "adapter_folder"}
        taken = sorted(own & set(self.arguments))
        if taken:
            raise ValueError(f"set {taken[0]} beside arguments, not in it")
        return self

    @property
    def world_size(self) -> int:
        """Devices of one engine."""
        return self.tensor_parallel_size * self.pipeline_parallel_size


class TracingArguments(BaseModel):
    """Where a replica reports its spans; see wire.tracing.settings for what is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str | None = Field(default=None, pattern=r"^https?://[^/@]+:[0-9]+/?$")
    sampled: float | None = Field(default=None, ge=0, le=1)
    queue_max: int = Field(default=QUEUE_MAX, ge=1)


class AutoscaleSettings(BaseModel):
    """By which routers a site's replicas become more and fewer; see serving.autoscaling."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: str = Field(min_length=1)
    """Its name in the fleet file."""
    routers: tuple[str, ...] = Field(min_length=1, max_length=64)
    """Where routers listen (host:port), as reached from the cluster's head."""
    min_replicas: int = Field(ge=0)
    max_replicas: int = Field(ge=1)
    target_ongoing_requests: float = Field(default=16.0, gt=0)
    """Of a replica, while no router says what it wants."""
    key_file: Path | None = None
    """A reader's API key, where routers ask for one."""
    authority: Path | None = None
    """Whose certificates routers show (PEM). None: they are reached in plaintext."""
    certificate: Path | None = None
    """What is shown to routers that ask for a certificate, and its key (PEM)."""
    key: Path | None = None
    identity: str | None = None
    """The name in the routers' certificates. None: that of their address."""
    each_address: bool = False
    """Whether every address of a name is a router, as with a headless Service of Kubernetes."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError("max_replicas is below min_replicas")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.authority is None and (self.certificate or self.identity):
            raise ValueError("certificate and identity are of TLS; give authority")
        return self


class ReplicaSettings(BaseModel):
    """One replica: its engine, the resources it takes, and how many there are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(default=BUILT_IN_NAME, min_length=1)
    """A local folder, a name at the Hugging Face hub or "built-in"; of a fake engine, any name."""
    served_names: tuple[str, ...] = ()
    """The names that requests use; the model's, or its folder's, where none is given."""
    engine: Literal["vllm", "fake"] = "vllm"
    vllm: VllmSettings = Field(default_factory=VllmSettings)
    fake: FakeSettings = Field(default_factory=FakeSettings)
    replicas: int = Field(default=1, ge=0)
    autoscale: AutoscaleSettings | None = None
    """How they become more and fewer by themselves; `replicas` is how many there are at first."""
    requests_max: int = Field(default=REQUESTS_MAX, ge=1)
    """Requests in flight at one replica; more are refused."""
    leases: Literal["open", "required"] = "open"
    """Whether requests come in without a lease or a router's pass."""
    lease_key_file: Path | None = None
    """The keys of leases, one a line. None: as the environment of the replica's process says."""
    tracing: TracingArguments = Field(default_factory=TracingArguments)
    log_format: LogFormat | None = None
    """The form of the lines of its log, of which each answer is one; None: none is."""
    num_cpus: float = Field(default=1, ge=0)
    """CPUs that Ray sets aside for a replica, beside its GPUs."""
    num_gpus: float | None = Field(default=None, ge=0)
    """GPUs for each device of the engine. None: 1 where the cluster has any, else 0."""
    resources: dict[str, float] = Field(default_factory=dict)
    """Further resources of a Ray node that a replica takes, such as {"site-a": 1}."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the replica's process."""

    @property
    def traced(self) -> TracingSettings:
        """Where spans go, as whoever makes them takes it."""
        return TracingSettings(**self.tracing.model_dump())

    @property
    def source(self) -> str:
        """What the engine loads, on the machine that asks."""
        return str(BUILT_IN) if self.model == BUILT_IN_NAME else self.model

    @property
    def names(self) -> tuple[str, ...]:
        """The names that requests use, the one to show first."""
        if self.served_names:
            return self.served_names
        return (Path(self.model).name if self.model[0] in "/.~" else self.model,)


def read_settings(args: Mapping[str, Any]) -> ReplicaSettings:
    """Settings from arguments, whose names may be dotted: `vllm.max_model_len`.

    Text is read as YAML where a number, a list or a mapping is expected, as it is all that a
    command line can give. Raises SettingsError.
    """
    nested: dict[str, Any] = {}
    for name, value in args.items():
        folder, (*path, leaf) = nested, name.split(".")
        for part in path:
            folder = folder.setdefault(part, {})
            if not isinstance(folder, dict):
                raise SettingsError(f"{name}: {part} is set to a value and to a mapping")
        folder[leaf] = _plain(value, dotted=bool(path))
    try:
        return ReplicaSettings.model_validate(nested)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        what = "is not a setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise SettingsError(f"{where}: {what}") from error


def _plain(value: object, *, dotted: bool) -> object:
    """What is meant by a text that is a mapping, a list or, in a dotted name, a scalar."""
    if isinstance(value, str) and (dotted or value[:1] in "{["):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    return value


def _names(value: Any, key: str) -> bool:
    """Whether a key is in it, at any depth; however it is written, as vLLM takes both."""
    if isinstance(value, Mapping):
        return any(
            str(one).replace("-", "_").lower() == key or _names(inner, key)
            for one, inner in value.items()
        )
    if isinstance(value, str):  # some arguments are JSON
        return key in value.replace("-", "_").lower()
    return isinstance(value, list | tuple) and any(_names(one, key) for one in value)
