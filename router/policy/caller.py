"""Who calls, and which calls are theirs to make.

A key or a token proves a tenant, or an operator. Where nobody has to prove anything, or where
certificates let in the routers above and nobody else, a caller is anybody, and a tenant's name is
what it says.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Role(Enum):
    """What a caller has proved to be."""

    ANYBODY = "anybody"
    TENANT = "tenant"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls. `tenant` is proved, and empty for anybody."""

    role: Role
    tenant: str = ""

    def own(self, name: str) -> str:
        """A name that callers choose themselves, as it is known here: tenants do not meet in it."""
        return f"{self.tenant}\0{name}" if self.tenant and name else name

    @property
    def sees_all(self) -> bool:
        """Whether what other tenants do is theirs to see."""
        return self.role is not Role.TENANT


ANYBODY: Final = Caller(Role.ANYBODY)

OPEN_METHODS: Final = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
    }
)
"""Whether it lives, that is all that a stranger is told."""

_OPERATORS: Final = frozenset(
    {
        "/spillway.v1.Fleet/Drain",
        "/spillway.v1.Fleet/Undrain",
        "/spillway.v1.Fleet/Lend",
        "/spillway.v1.Fleet/Reclaim",
        "/spillway.v1.Fleet/ListLent",
        "/spillway.v1.Fleet/ListQuarantine",
        "/spillway.v1.Fleet/ReleaseQuarantine",
        "/spillway.v1.Cost/Reconcile",
    }
)
_LEVELS: Final = ("/spillway.v1.Load/", "/spillway.v1.Link/")
"""What routers above hear of all that is done here."""


def may_call(caller: Caller, method: str) -> bool:
    """Whether a method, as `/package.Service/Method`, is this caller's to call."""
    return caller.sees_all or not (method in _OPERATORS or method.startswith(_LEVELS))
