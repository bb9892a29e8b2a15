"""A drill on a fleet that serves others takes a site away by a drain, and gives it back."""

import asyncio
import contextlib

import grpc
import pytest

from spillway.client import Client
from spillway.drills.on_fleet import FleetDrillError, run_on_fleet
from spillway.drills.scene import FAR, NEAR, Kind, local_scene, site_in
from tests.spillway.fake_router import FakeRouter
from tests.spillway.fake_router import serving as router_serving
from tests.waiting import until


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("nowhere", "knows no site nowhere"),
        ("ridge", "drains already"),
        ("cellar", "the only site"),
    ],
)
async def test_what_cannot_be_taken_away_is_left_alone(site, said):
    """Before anything is done."""
    with router_serving(FakeRouter()) as router:
        async with Client(router.address) as client:
            with pytest.raises(FleetDrillError, match=said):
                await run_on_fleet("site-lost", client, site, 0.1, lambda _: None)
        assert router.drained == []


async def test_a_refused_drain_is_said_and_nothing_is_undone(monkeypatch):
    """Whoever may not drain may not undrain either: there is nothing that had to be healed."""
    undrained = []

    def refuses(_, request, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "only an operator may do this")

    monkeypatch.setattr(FakeRouter, "Drain", refuses)
    monkeypatch.setattr(FakeRouter, "Undrain", lambda *_: undrained.append(1))
    monkeypatch.setattr("spillway.drills.on_fleet._require_another", lambda *_: None)
    said = []
    with router_serving(FakeRouter()) as router:
        async with Client(router.address) as client:
            with pytest.raises(FleetDrillError, match=r"only an operator.*Nothing was done"):
                await run_on_fleet("site-lost", client, "ridge", 0.1, said.append)
    assert undrained == []
    assert said == []


@pytest.mark.slow
async def test_a_site_is_taken_away_and_given_back():
    """Small requests are answered meanwhile."""
    async with local_scene(Kind()) as scene:
        report = await run_on_fleet("site-lost", scene.client, FAR, 1.0, lambda _: None)
        assert report.held, report.lines()
        assert not site_in(await scene.state(), FAR).draining


@pytest.mark.slow
async def test_cut_short_it_is_undone():
    """As by Ctrl-C, in the middle of the hold."""
    async with local_scene(Kind()) as scene:
        said = []
        drill = asyncio.create_task(
            run_on_fleet("site-lost", scene.client, NEAR, 600.0, said.append)
        )
        await until(lambda: any("held for" in line for line in said))
        assert site_in(await scene.state(), NEAR).draining
        drill.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drill
        assert not site_in(await scene.state(), NEAR).draining
        assert "takes turns again" in said[-1]
