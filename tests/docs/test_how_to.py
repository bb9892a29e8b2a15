"""The how-to pages for which fake engines and a router are enough, as their reader types them."""

import pytest

from tests.docs.blocks import DOCS
from tests.docs.how_to import Reader

LIVE = {"model.md", "two-clusters.md"}
"""Those that start Ray clusters: see test_how_to_live.py."""

pytestmark = pytest.mark.slow


@pytest.fixture
def reader(tmp_path):
    """Somebody with an empty folder."""
    with Reader(tmp_path) as reader:
        yield reader


def test_a_plain_server_of_vllms_api_is_asked_through_a_router(reader):
    """The page ends with an answer, and with why it was given there."""
    reader.follow("how-to/vllm-server.md")
    assert "418 419" in reader.said["spillway fleet check fleet.yaml"]


def test_a_rented_site_is_added_while_the_router_runs(reader):
    """It is in the file with what was measured of it, and turns overflow there."""
    reader.follow("how-to/rented-site.md")
    text = (reader.folder / "fleet.yaml").read_text()
    assert "ridge:" in text
    assert "profile:" in text
    after = next(said for line, said in reader.said.items() if line.startswith("spillway bench"))
    assert "ridge" in after
    assert "drain" in reader.said["spillway site drain ridge"]


def test_a_budget_is_set_while_the_router_runs(reader):
    """The reload says which, and the status shows it."""
    reader.follow("how-to/budget.md")
    changed = reader.said["spillway fleet check fleet.yaml"]
    assert "sites.ridge.price.budget_hourly" in changed
    assert "ridge" in next(iter(reader.said.values()))


def test_capacity_is_planned_from_the_shape_of_a_demand(reader):
    """The answer is a sentence and the frontier."""
    reader.follow("how-to/plan.md")
    (said,) = reader.said.values()
    assert "home" in said
    assert "near" in said


def test_the_fleet_page_is_there_to_be_read(reader):
    """And the same in a terminal."""
    reader.follow("how-to/read-the-page.md")
    assert "<title>" in (reader.folder / "page.html").read_text()


def test_what_makes_a_first_token_slow_is_found(reader):
    """By the commands of the page, whose files are what they say."""
    reader.follow("how-to/slow-first-token.md")
    assert (reader.folder / "explained.json").read_text().startswith("{")
    assert "0 of them decided differently" in reader.said["spillway replay decisions.jsonl"]


def test_every_how_to_page_is_run_by_a_test():
    """Here, or by the live ones."""
    here = (DOCS.parent / "tests" / "docs" / "test_how_to.py").read_text()
    live = (DOCS.parent / "tests" / "docs" / "test_how_to_live.py").read_text()
    for page in (DOCS / "how-to").glob("*.md"):
        ran = live if page.name in LIVE else here
        assert f'follow("how-to/{page.name}"' in ran
