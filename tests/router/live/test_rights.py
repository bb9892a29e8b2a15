"""Which role may call what: every method has a row, in the code and in docs/tenants.md."""

import re
from pathlib import Path

from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2

from router.live.services import SERVICES
from router.policy.caller import ANYBODY, RIGHTS, Caller, Right, Role, may_call
from wire.kserve import inference_pb2 as kserve
from wire.spillway.v1 import cost_pb2, fleet_pb2, link_pb2, load_pb2, tokenizer_pb2
from wire.vllm import control_pb2, inference_pb2

TENANTS = Path(__file__).parents[3] / "docs" / "tenants.md"
MODULES = (
    *(kserve, cost_pb2, fleet_pb2, link_pb2, load_pb2, tokenizer_pb2, control_pb2, inference_pb2),
    health_pb2,
)
NEWER = {"/grpc.health.v1.Health/List"}
"""What the installed health protocol may have, or may not have yet."""

CALLERS = {
    "tenant": Caller(Role.TENANT, "acme"),
    "reader": Caller(Role.READER, "ops"),
    "operator": Caller(Role.OPERATOR, "ops"),
}


def methods():
    """Every method of the services that a router has, from their descriptors."""
    known = {name for module in MODULES for name in module.DESCRIPTOR.services_by_name}
    assert known
    for service in (*SERVICES, "grpc.health.v1.Health"):
        described = descriptor_pool.Default().FindServiceByName(service)
        for method in described.methods:
            yield f"/{service}/{method.name}"


def test_every_method_has_a_right_and_no_right_is_of_a_method_that_is_not():
    """A new RPC without a row fails here: say whose it is."""
    assert set(RIGHTS) - NEWER == set(methods()) - NEWER


def test_reading_and_acting_are_two_roles():
    """Who reads all changes nothing; a tenant has what is its own."""
    for method in methods():
        may = {role for role, caller in CALLERS.items() if may_call(caller, method)}
        expected = {
            Right.OPEN: {"tenant", "reader", "operator"},
            Right.OWN: {"tenant", "reader", "operator"},
            Right.LEVELS: {"reader", "operator"},
            Right.READ: {"reader", "operator"},
            Right.ACT: {"operator"},
        }
        assert may == expected[RIGHTS[method]], method
        assert may_call(ANYBODY, method)


def test_a_method_that_nobody_listed_is_for_operators():
    """Of ours: what is forgotten is closed, and not open."""
    assert not may_call(CALLERS["reader"], "/spillway.v1.Fleet/Explode")
    assert may_call(CALLERS["operator"], "/spillway.v1.Fleet/Explode")


def test_the_page_on_tenants_has_a_row_for_each():
    """By service and method, under the word for its right."""
    rows = re.findall(r"^\| `(\w[\w.]*)` \| (.+?) \| (\w+) \|", TENANTS.read_text(), re.MULTILINE)
    said = {
        f"/{service}/{method}": right
        for service, listed, right in rows
        for method in re.findall(r"`(\w+)`", listed)
    }
    assert said == {method: right.value for method, right in RIGHTS.items()}
