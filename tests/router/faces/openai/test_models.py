"""What the names of models mean."""

from types import SimpleNamespace

import pytest

from router.faces.models import Served, find
from router.faces.openai.models import listed
from router.live.model_names import ModelNames
from router.policy.fleet import Tenant
from router.policy.identity import EngineIdentity
from router.policy.rollout import Rollout


def endpoint(*names, context=0, adapters=(), connected=True):
    """An endpoint as a roster has it, as far as it is looked at here."""
    server = SimpleNamespace(max_model_len=context)
    follower = SimpleNamespace(
        connected=connected,
        identity=SimpleNamespace(names=names, server=server) if names else None,
        engine=EngineIdentity(adapters=tuple((name, "digest") for name in adapters)),
    )
    return SimpleNamespace(follower=follower)


class Listed(list):
    """Endpoints as a roster lists them."""

    names = ModelNames([Rollout("chat", "large", "small", 0.5)])


ROSTER = Listed()
ROSTER += [
    endpoint("large", "l", context=1000, adapters=["polite"]),
    endpoint("large", context=500),
    endpoint("small", context=100),
    endpoint("gone", connected=False),
    endpoint(),  # connected, and it has not said who it is
]


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("large", Served("large", "", "large", [1000, 500])),
        ("l", Served("l", "", "l", [1000])),
        ("polite", Served("large", "polite", "polite", [1000])),
        ("", Served("large", "", "large", [1000, 500])),
        ("gone", Served("gone", "", "gone", ())),
        ("chat", Served("chat", "", "chat", [1000, 500, 100])),
    ],
)
def test_a_name_is_a_model_s_an_alias_or_an_adapter_s(name, served):
    """What nobody serves is the core's to refuse."""
    assert find(ROSTER, name) == served


def test_every_name_is_listed_once():
    models = {model["id"]: model for model in listed(ROSTER, created=7)}
    assert list(models) == ["chat", "l", "large", "polite", "small"]
    assert models["large"]["max_model_len"] == 1000
    assert models["polite"]["root"] == "large"


@pytest.mark.parametrize(
    ("prompt", "room"), [(10, 490), (499, 1), (500, 500), (999, 1), (1000, 1), (5000, 1)]
)
def test_what_fits_is_what_fits_the_smallest_that_the_prompt_fits(prompt, room):
    assert find(ROSTER, "large").room_after(prompt) == room


def test_a_context_that_is_not_known_has_no_room():
    assert Served("m", "", "m", ()).room_after(1) is None


def test_who_may_ask_for_a_name_sees_it_and_not_its_versions():
    """What a tenant is given under it is the operator's to choose."""
    tenant = Tenant("acme", models=("chat",), adapters=())
    assert [model["id"] for model in listed(ROSTER, 7, tenant)] == ["chat"]
    assert find(ROSTER, "chat", tenant).model == "chat"
