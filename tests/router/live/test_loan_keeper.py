"""A cluster does what is lent there, and any router that asks it knows what that is."""

import asyncio
import contextlib
from dataclasses import dataclass

import aiohttp
import pytest

from router.live import background
from router.live.dashboard_http import DiscoveryError
from router.live.lender import Lender
from router.live.loan_keeper import LoanKeeper
from router.live.ray_cluster import RayCluster
from router.live.settings import SiteAccess
from router.policy.fleet import Site, SiteKind
from router.policy.lending import NS_PER_MINUTE, Reclaim
from tests.router.live.fake_cluster import APPLICATION, fake_cluster
from tests.router.live.test_lending import Core, Listed
from tests.waiting import DEADLINE_S, until

HOUR_NS = 60 * NS_PER_MINUTE
OLD, NEW = "home/10.0.0.5:1", "home/10.0.0.5:2"


@dataclass
class Kept:
    """A router's part in a site's loans, with clocks that stand until they are set."""

    lender: Lender
    keeper: LoanKeeper
    core: Core
    roster: list
    unix_ns: int = 100 * HOUR_NS
    now_ns: int = 0
    streams: int = 0


@contextlib.asynccontextmanager
async def keeping(cluster, application=APPLICATION):
    """One router, of as many as a test likes."""
    core = Core({OLD: 0, NEW: 3})
    roster = [Listed(name) for name in core.streams]
    site = Site("home", SiteKind.HOME, reclaim=Reclaim(grace_ns=10))
    access = SiteAccess("home", cluster.url, application)
    async with aiohttp.ClientSession() as http:
        lender = Lender(core, roster, [site], lambda: kept.unix_ns)
        keeper = LoanKeeper(
            site.name,
            lender,
            RayCluster(http, access, 10.0),
            0,
            lambda _: kept.streams,
            lambda: kept.now_ns,
            lambda: kept.unix_ns,
        )
        kept = Kept(lender, keeper, core, roster)
        yield kept


def lend(kept, replicas=1, hours=1):
    kept.lender.lend("home", replicas, kept.unix_ns + hours * HOUR_NS, "training")


async def looks(kept, count=11):
    """As many as an idle site takes until it asks its cluster."""
    for _ in range(count):
        await kept.keeper.look()


async def test_serve_is_told_once_the_loan_is_written_down_and_no_stream_is_left():
    """What Serve would stop is what is lent, though another has fewer streams."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        lend(kept)
        assert kept.core.lent() == (OLD,)
        kept.streams = 1
        await kept.keeper.look()
        assert kept.core.lent() == (NEW,)
        await kept.keeper.look()
        assert cluster.target == 2
        kept.streams = 0
        await kept.keeper.look()
        assert next(what for what, _ in cluster.done) == "submit"
        assert cluster.done[-1] == ("scale", 1)
        cluster.ports.pop()
        kept.roster.pop()
        await looks(kept)
        assert cluster.target == 1
        assert kept.lender.progress("home").stopping == 0


async def test_taken_back_replicas_return_and_who_is_in_their_place_ends():
    """Serve is told at once; the job has its grace, and is told once."""
    async with fake_cluster(1) as cluster, keeping(cluster) as kept:
        cluster.configured = 2
        cluster.borrow("job")
        cluster.borrow("another", status="PENDING")
        lend(kept)
        kept.roster.pop()
        await kept.keeper.look()
        kept.lender.reclaim("home", None)
        await kept.keeper.look()
        assert cluster.target == 2
        cluster.waiting = 1
        await kept.keeper.look()
        assert kept.lender.progress("home").returning == 1
        assert ("stop", "job") not in cluster.done
        kept.now_ns = 10
        await looks(kept, 3)
        assert [did for did in cluster.done if did[0] == "stop"] == [("stop", "job")]
        cluster.waiting, cluster.ports = 0, [1, 3]
        await kept.keeper.look()
        assert kept.lender.progress("home").returning == 0


async def test_a_job_that_was_not_reached_is_told_again():
    """Else nobody ever tells it, and the replica waits for as long as it runs."""
    async with fake_cluster(1) as cluster, keeping(cluster) as kept:
        cluster.configured = cluster.target = 2
        cluster.waiting = 1
        cluster.borrow("job")
        await kept.keeper.look()
        kept.now_ns, cluster.refuses = 10, (503, "")
        with pytest.raises(DiscoveryError):
            await looks(kept)
        assert cluster.done == []
        cluster.refuses = None
        await looks(kept)
        assert cluster.done == [("stop", "job")]


async def test_a_router_that_is_started_anew_knows_the_loan():
    """So does another one; what either is told later holds for both."""
    async with fake_cluster(1, 2) as cluster:
        async with keeping(cluster) as kept:
            lend(kept, hours=2)
            await looks(kept, 3)
        async with keeping(cluster) as anew, keeping(cluster) as other:
            await anew.keeper.look()
            await other.keeper.look()
            assert anew.lender.loans("home") == kept.lender.loans("home")
            assert cluster.target == 1
            other.lender.reclaim("home", None)
            await other.keeper.look()
            await anew.keeper.look()
            assert anew.lender.away("home").replicas == 0
            assert cluster.target == 2
            other.unix_ns += HOUR_NS
            await looks(other, 11)
            other.now_ns += HOUR_NS
            await looks(other, 11)
            assert cluster.jobs == {}


async def test_a_loan_that_was_struck_out_has_ended():
    """For a router that did not hear of its end while that was written down."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        lend(kept)
        await looks(kept, 3)
        cluster.jobs.clear()
        await looks(kept, 2)
        assert kept.lender.away("home").replicas == 0
        assert cluster.target == 2


async def test_a_loan_ends_at_its_time():
    """Nobody has to say so."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        lend(kept)
        await looks(kept, 3)
        assert cluster.target == 1
        kept.unix_ns += HOUR_NS
        kept.lender.look()
        await looks(kept, 11)
        assert cluster.target == 2


async def test_what_others_wrote_down_is_left_alone():
    """Jobs of no loan, loans of another application, and what cannot be read."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        loan = {"spillway": "loan", "spillway_terms": "{}"}
        cluster.jobs = {
            "plain": {"status": "RUNNING", "metadata": None},
            "theirs": {
                "status": "SUCCEEDED",
                "metadata": loan | {"spillway_application": "another"},
            },
        }
        before = dict(cluster.jobs)
        lend(kept)
        await looks(kept, 3)
        assert cluster.target == 1
        assert before.items() <= cluster.jobs.items()


def written(said_ns, terms, status="SUCCEEDED"):
    """A record as some version wrote it."""
    metadata = {"spillway": "loan", "spillway_application": APPLICATION}
    metadata |= {} if terms is None else {"spillway_terms": terms}
    return {f"spillway-loan-{said_ns}": {"status": status, "metadata": metadata}}


NEWER_TERMS = '{"loans": [{"gpus": 3}], "said_unix_ns": "later"}'


async def test_what_a_newer_version_wrote_down_is_not_acted_against(caplog):
    """It stays written down, and nothing is scaled or ended that it may have meant to be so."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        cluster.configured, cluster.target = 3, 2  # the newer one lends a replica
        cluster.jobs = written(kept.unix_ns, NEWER_TERMS)
        for _ in range(2):
            with pytest.raises(DiscoveryError, match="another version wrote down in the job spill"):
                await looks(kept)
            kept.now_ns += HOUR_NS
        assert (cluster.target, cluster.done) == (2, [])
        assert len(cluster.jobs) == 1
        assert caplog.text.count("cannot be read") == 1


async def test_a_later_word_than_one_that_cannot_be_read_holds():
    """An operator who went back to an older version is not shut out; the old record stays."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        cluster.jobs = written(kept.unix_ns - 1, NEWER_TERMS)
        lend(kept)
        await looks(kept, 3)
        kept.now_ns += HOUR_NS
        await looks(kept, 3)
        assert cluster.target == 1
        assert f"spillway-loan-{kept.unix_ns - 1}" in cluster.jobs


@pytest.mark.parametrize("terms", [None, "", "{", "[]"])
async def test_a_loan_without_terms_is_in_nobody_s_way(terms):
    """A job that somebody marked as a loan by hand: lending goes on beside it."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        (job,) = written(0, terms).values()
        cluster.jobs = {"by-hand": job}
        lend(kept)
        await looks(kept, 3)
        kept.now_ns += HOUR_NS
        await looks(kept, 3)
        assert cluster.target == 1
        assert "by-hand" in cluster.jobs


async def test_a_job_that_does_not_end_is_told_of():
    """In what the site lends, for whoever wonders where the replica is."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        lend(kept)
        await looks(kept, 2)
        cluster.ports, cluster.waiting = [1], 1
        kept.roster.pop()
        kept.lender.reclaim("home", None)
        await looks(kept, 2)
        kept.now_ns += HOUR_NS
        running = asyncio.create_task(kept.keeper.run())
        try:
            await until(lambda: "no job there" in kept.lender.progress("home").trouble)
        finally:
            await background.end(running)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({}, "is not a Ray dashboard"),
        ([], "is not a Ray dashboard"),
        ({"applications": {}, "target_groups": []}, "of none, the fleet file has to name one"),
        ({"applications": {APPLICATION: {"deployments": {}}}}, "has 0 deployments"),
    ],
)
async def test_a_cluster_that_cannot_be_told_says_why(answers, says):
    """And nothing is done to it."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        cluster.answers = answers
        lend(kept)
        with pytest.raises(DiscoveryError, match=says):
            await kept.keeper.look()
        assert cluster.done == []


async def test_what_serve_refuses_is_said_in_its_words():
    """An application that was deployed without leave to be scaled has to be deployed again."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        cluster.refuses = (412, "external_scaler_enabled is false")
        lend(kept)
        with pytest.raises(DiscoveryError, match=r"412 .*external_scaler_enabled is false"):
            await kept.keeper.look()
        cluster.refuses = None
        for configured in ("auto", None):
            cluster.configured = configured
            with pytest.raises(DiscoveryError, match="takes no other word"):
                await kept.keeper.look()


async def test_a_look_that_fails_of_a_defect_is_not_the_last(monkeypatch, caplog):
    """What is lent would never come back."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        sight, looks_left = RayCluster.sight, [1, 2, 3]

        async def fails_at_first(cluster):
            if looks_left.pop() > 1:
                raise ZeroDivisionError
            monkeypatch.setattr(RayCluster, "sight", sight)
            return await sight(cluster)

        monkeypatch.setattr(RayCluster, "sight", fails_at_first)
        lend(kept)
        running = asyncio.create_task(kept.keeper.run())
        try:
            await until(lambda: cluster.target == 1)
        finally:
            await background.end(running)
        assert caplog.text.count("Traceback") == 1


async def test_it_ends_when_it_is_told_to_just_as_an_operator_speaks():
    """Else a router that stops would wait for it for ever."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        running = asyncio.create_task(kept.keeper.run())
        await until(lambda: kept.keeper._looks)
        async with asyncio.timeout(DEADLINE_S):
            await until(lambda: kept.lender.wakes("home")._waiters)
            kept.lender.wakes("home").set()
            await asyncio.sleep(0)  # so that the wait is over, and nobody has seen that yet
            await background.end(running)


async def test_a_site_that_lends_nothing_is_in_nobodys_way(caplog):
    """That Serve scales it by itself is worth a word only once something is lent."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster) as kept:
        cluster.configured = None
        running = asyncio.create_task(kept.keeper.run())
        try:
            await until(lambda: kept.keeper._looks > 1)
            assert not caplog.records
            lend(kept)
            await until(lambda: kept.lender.progress("home").trouble)
            assert "takes no other word" in caplog.text
        finally:
            await background.end(running)


async def test_an_application_that_is_alone_need_not_be_named():
    """As discovery has it."""
    async with fake_cluster(1, 2) as cluster, keeping(cluster, None) as kept:
        lend(kept)
        await looks(kept, 2)
        assert cluster.target == 1
