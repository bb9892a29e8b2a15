"""Who calls, and which calls are theirs to make.

A key or a token proves a tenant, or an operator; a pass proves a router of the fleet, which speaks
for the tenants of the requests that it brings. Where nobody has to prove anything, a caller is
anybody, and a tenant's name is only what the caller says.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Role(Enum):
    """What a caller has proved to be."""

    ANYBODY = "anybody"
    TENANT = "tenant"
    OPERATOR = "operator"
    ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls. `tenant` is proved, and empty for anybody and for a router."""

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
        # Without it no router above could learn to whom its pass has to be made out.
        "/vllm.Control/GetServerInfo",
    }
)
"""Whether it lives and which one it is, that is all that a stranger is told."""

_OPERATORS: Final = frozenset(
    {
        "/spillway.v1.Fleet/Drain",
        "/spillway.v1.Fleet/Undrain",
        "/spillway.v1.Fleet/ListQuarantine",
        "/spillway.v1.Fleet/ReleaseQuarantine",
    }
)
_LEVELS: Final = ("/spillway.v1.Load/", "/spillway.v1.Link/")
"""What routers above hear of all that is done here."""


def may_call(caller: Caller, method: str) -> bool:
    """Whether a method, as `/package.Service/Method`, is this caller's to call."""
    if caller.role in {Role.ANYBODY, Role.OPERATOR}:
        return True
    if method in _OPERATORS:
        return False
    return caller.role is Role.ROUTER or not method.startswith(_LEVELS)
