"""Who calls, and which calls are theirs to make.

A key or a token proves a tenant; a key may also prove who reads all or, another one, who acts.
Where nobody has to prove anything, or where certificates let in the routers above and nobody else,
a caller is anybody, and a tenant's name is what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final


class Role(Enum):
    """What a caller has proved to be."""

    ANYBODY = "anybody"
    TENANT = "tenant"
    READER = "reader"  # sees all, and changes nothing
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls. `tenant` is proved, and empty for anybody; `name` says by what."""

    role: Role
    tenant: str = ""
    name: str = field(default="", compare=False)  # key:ID or token:SUBJECT

    def own(self, name: str) -> str:
        """A name that callers choose themselves, as it is known here: tenants do not meet in it."""
        return f"{self.tenant}\0{name}" if self.tenant and name else name

    @property
    def sees_all(self) -> bool:
        """Whether what other tenants do is theirs to see."""
        return self.role is not Role.TENANT


ANYBODY: Final = Caller(Role.ANYBODY)


class Right(Enum):
    """What a method is: whose it is to call follows from it."""

    OPEN = "open"  # whether it lives: all that a stranger is told
    OWN = "own"  # what is the caller's own: its requests, the models it may ask for, what it sees
    LEVELS = "levels"  # what routers above hear, of all that is done here
    READ = "read"  # what is everybody's, for those who watch
    ACT = "act"  # what changes something for others than the caller


RIGHTS: Final[Mapping[str, Right]] = MappingProxyType(
    {
        "/grpc.health.v1.Health/Check": Right.OPEN,
        "/grpc.health.v1.Health/List": Right.OPEN,
        "/grpc.health.v1.Health/Watch": Right.OPEN,
        "/inference.GRPCInferenceService/ServerLive": Right.OPEN,
        "/inference.GRPCInferenceService/ServerReady": Right.OPEN,
        "/inference.GRPCInferenceService/ModelConfig": Right.OWN,
        "/inference.GRPCInferenceService/ModelInfer": Right.OWN,
        "/inference.GRPCInferenceService/ModelMetadata": Right.OWN,
        "/inference.GRPCInferenceService/ModelReady": Right.OWN,
        "/inference.GRPCInferenceService/ModelStreamInfer": Right.OWN,
        "/inference.GRPCInferenceService/RepositoryIndex": Right.OWN,
        "/inference.GRPCInferenceService/ServerMetadata": Right.OWN,
        "/vllm.grpc.engine.VllmEngine/Abort": Right.OWN,
        "/vllm.grpc.engine.VllmEngine/Generate": Right.OWN,
        "/vllm.grpc.engine.VllmEngine/GetLoads": Right.LEVELS,
        "/vllm.grpc.engine.VllmEngine/GetModelInfo": Right.OWN,
        "/vllm.grpc.engine.VllmEngine/GetServerInfo": Right.OWN,
        "/vllm.grpc.engine.VllmEngine/GetTokenizer": Right.OWN,
        "/vllm.grpc.engine.VllmEngine/HealthCheck": Right.OPEN,
        "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics": Right.LEVELS,
        "/vllm.Inference/Generate": Right.OWN,
        "/vllm.Inference/GenerateStream": Right.OWN,
        "/vllm.Control/Abort": Right.OWN,
        "/vllm.Control/GetModelInfo": Right.OWN,
        "/vllm.Control/GetServerInfo": Right.OWN,
        "/spillway.v1.Tokenizer/ReadTokenizer": Right.OWN,
        "/spillway.v1.Fleet/Explain": Right.OWN,
        "/spillway.v1.Fleet/ListSessions": Right.OWN,
        "/spillway.v1.Fleet/Place": Right.OWN,
        "/spillway.v1.Fleet/Report": Right.OWN,
        "/spillway.v1.Fleet/Watch": Right.OWN,
        "/spillway.v1.Fleet/ListLent": Right.READ,
        "/spillway.v1.Fleet/ListQuarantine": Right.READ,
        "/spillway.v1.Cost/Reconcile": Right.READ,
        "/spillway.v1.Cost/Report": Right.OWN,
        "/spillway.v1.Fleet/Drain": Right.ACT,
        "/spillway.v1.Fleet/Lend": Right.ACT,
        "/spillway.v1.Fleet/Reclaim": Right.ACT,
        "/spillway.v1.Fleet/ReleaseQuarantine": Right.ACT,
        "/spillway.v1.Fleet/Reload": Right.ACT,
        "/spillway.v1.Fleet/ResumeRollout": Right.ACT,
        "/spillway.v1.Fleet/ReturnRollout": Right.ACT,
        "/spillway.v1.Fleet/Undrain": Right.ACT,
        "/spillway.v1.Link/Connect": Right.LEVELS,
        "/spillway.v1.Load/Watch": Right.LEVELS,
    }
)
"""Every method of every service of a router, as `/package.Service/Method`. A test compares."""

OPEN_METHODS: Final = frozenset(one for one, right in RIGHTS.items() if right is Right.OPEN)

_OURS: Final = "/spillway.v1."

_ROLES: Final = {
    Role.ANYBODY: frozenset(Right),
    Role.OPERATOR: frozenset(Right),
    Role.READER: frozenset(Right) - {Right.ACT},
    Role.TENANT: frozenset({Right.OPEN, Right.OWN}),
}


def may(caller: Caller, right: Right) -> bool:
    """Whether this kind of call is this caller's to make."""
    return right in _ROLES[caller.role]


def right_of(method: str) -> Right:
    """What a method is; one of ours that is not listed is an action."""
    return RIGHTS.get(method, Right.ACT if method.startswith(_OURS) else Right.OWN)


def may_call(caller: Caller, method: str) -> bool:
    """Whether a method is this caller's to call."""
    return may(caller, right_of(method))
