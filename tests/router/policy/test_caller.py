"""Which calls are whose to make."""

import pytest

from router.policy.caller import ANYBODY, Caller, Role, may_call

TENANT, OPERATOR = (
    Caller(Role.TENANT, "acme"),
    Caller(Role.OPERATOR, "ops"),
)
GENERATE, DRAIN, LOAD = (
    "/vllm.Inference/GenerateStream",
    "/spillway.v1.Fleet/Drain",
    "/spillway.v1.Load/Watch",
)


@pytest.mark.parametrize(
    ("caller", "methods"),
    [
        (ANYBODY, {GENERATE, DRAIN, LOAD}),
        (TENANT, {GENERATE}),
        (OPERATOR, {GENERATE, DRAIN, LOAD}),
    ],
)
def test_each_role_has_its_calls(caller, methods):
    """Where nobody proves anything, everything is everybody's."""
    assert {one for one in (GENERATE, DRAIN, LOAD) if may_call(caller, one)} == methods


def test_names_that_callers_choose_are_known_by_tenant():
    """Two tenants may use the same one; no name of one is that of another."""
    assert TENANT.own("1") != OPERATOR.own("1")
    assert TENANT.own("") == ""
    assert ANYBODY.own("1") == "1"
