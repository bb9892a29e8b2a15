"""The documents name every key, option and outcome that there is."""

from pathlib import Path

import pytest

from router.faces.kserve.request import Sampling
from router.faces.kserve.tensors import INPUTS, OUTPUTS
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.completion_request import CompletionRequest
from router.live.services import SERVICES
from spillway import cli, client
from spillway.commands import fleet, keys, site
from spillway.commands.failure import Outcome
from spillway.fleet.schema import (
    CapacitySection,
    FileSection,
    LendSection,
    LimitsSection,
    ModelSection,
    PriceSection,
    ProfileSection,
    RaySection,
    RouterSection,
    SiteSection,
    SloSection,
    TenantSection,
)

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "section",
    [
        FileSection,
        SiteSection,
        RaySection,
        CapacitySection,
        PriceSection,
        LendSection,
        TenantSection,
        ModelSection,
        ProfileSection,
        SloSection,
        LimitsSection,
        RouterSection,
    ],
)
def test_every_key_of_a_fleet_file_is_documented(section):
    """A key that nobody can find does not exist."""
    text = (DOCS / "fleet.md").read_text()
    assert [key for key in section.model_fields if f"`{key}`" not in text] == []


def test_every_command_is_documented():
    """By the line that is typed."""
    text = (DOCS / "cli.md").read_text()
    groups = {"": cli.app, "site ": site.app, "fleet ": fleet.app, "keys ": keys.app}
    names = [
        f"spillway {group}{command.name or command.callback.__name__}"
        for group, app in groups.items()
        for command in app.registered_commands
    ]
    assert len(names) > 10
    assert [name for name in names if f"`{name}" not in text] == []


@pytest.mark.parametrize("request_kind", [ChatRequest, CompletionRequest])
def test_every_parameter_of_openai_s_api_is_documented(request_kind):
    """Those that are honoured, and those that are refused."""
    text = (DOCS / "openai.md").read_text()
    assert [name for name in request_kind.model_fields if f"`{name}`" not in text] == []


def test_every_service_of_a_router_stands_in_the_conformance_page():
    """With who was tried on it, or as our own."""
    text = (DOCS / "conformance.md").read_text()
    assert [service for service in SERVICES if f"`{service}`" not in text] == []


def test_every_tensor_and_parameter_of_kserve_s_protocol_is_documented():
    """Those that are honoured, and those that are refused."""
    text = (DOCS / "kserve.md").read_text()
    names = [*Sampling.model_fields, *(tensor.name for tensor in (*INPUTS, *OUTPUTS))]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_exit_code_is_documented():
    """Scripts rely on them."""
    text = (DOCS / "cli.md").read_text()
    assert [code for code in Outcome if f"\n| {code.value} |" not in text] == []


def test_every_exception_is_documented():
    """Programs catch them."""
    text = (DOCS / "client.md").read_text()
    names = [name for name in client.__all__ if name.endswith("Error")]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_page_is_in_the_reading_order_once():
    """A page that nobody is led to is not read; one that is there twice was merged twice."""
    text = (DOCS / "ARCHITECTURE.md").read_text()
    names = [page.name for page in DOCS.glob("*.md") if page.name != "ARCHITECTURE.md"]
    assert [name for name in names if text.count(f"]({name}) ·") != 1] == []


def test_every_decision_has_a_number_of_its_own():
    """Code and documents name decisions by it."""
    pages = sorted((DOCS / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert len(set(numbers)) == len(numbers) > 10
    assert [p.name for p in pages if not p.read_text().startswith(f"# {int(p.name[:4])}. ")] == []
