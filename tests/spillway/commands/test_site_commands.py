"""`spillway site up`, `status`, `drain` and `down` against a dashboard and a router."""

import json

import pytest

from spillway import cli
from spillway.commands.failure import Outcome
from tests.spillway.commands.fake_dashboard import FakeDashboard
from tests.spillway.commands.fake_dashboard import serving as dashboard_serving
from tests.spillway.fake_router import FakeRouter
from tests.spillway.fake_router import serving as router_serving
from tests.spillway.probing.reporting_replica import ReportingReplica
from tests.spillway.probing.reporting_replica import serving as replica_serving

ACCEPTED = "i-accept-that-anyone-can-read-this"


@pytest.fixture
def site():
    """A replica, and the dashboard of the cluster that it would run on."""
    with (
        replica_serving(ReportingReplica()) as replica,
        dashboard_serving(FakeDashboard([replica.address])) as dashboard,
    ):
        yield dashboard


@pytest.fixture
def fleet(site, tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "sites:\n"
        f"  ridge: {{kind: home, ray: {{dashboard: '{site.url}'}}, model: tiny}}\n"
        "models: {tiny: {source: /models/tiny}}\n"
        "slo_classes: {chat: {ttft: 1s, itl: 1s}}\n"
    )
    return str(path)


def run(capsys, *arguments):
    code = cli.run(["site", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_dry_run_of_up_says_what_differs_and_asks_for_nothing(site, fleet, capsys):
    """First all of it, then what differs, then nothing."""
    code, out, _ = run(capsys, "up", "ridge", "--fleet", fleet, "--dry-run")
    assert (code, site.puts) == (0, [])
    assert out.splitlines()[0] == "deploy spillway"
    assert "+ model=/models/tiny" in out
    code, out, _ = run(capsys, "up", "ridge", "--fleet", fleet)
    assert (code, out.strip()) == (0, site.replicas[0])
    code, out, err = run(capsys, "up", "ridge", "--fleet", fleet, "--dry-run")
    assert (code, out) == (0, "")
    assert "nothing would change" in err
    more = ("--set", "requests_max=7", "--dry-run")
    code, out, _ = run(capsys, "up", "ridge", "--fleet", fleet, *more)
    assert out == "+ requests_max=7\n"
    assert len(site.puts) == 1


def test_status_tells_who_runs_there(site, fleet, capsys):
    """Replicas with their digests; the findings in JSON, what is wrong in the table."""
    code, out, _ = run(capsys, "status", "ridge", "--fleet", fleet)
    assert code == 1
    assert "problem\tapplication\tit is not deployed\tspillway site up" in out
    run(capsys, "up", "ridge", "--fleet", fleet)
    code, out, _ = run(capsys, "status", "ridge", "--fleet", fleet, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["status"] == "RUNNING"
    (replica,) = found["replicas"]
    assert (replica["model"], replica["weights_digest"]) == ("tiny", "w1")
    assert {"reached", "model", "digest", "capacity"} <= {f["check"] for f in found["findings"]}
    code, out, _ = run(capsys, "status", site.url)
    assert "\ttiny\ti1\tw1\t8\t4096\t" in out


def test_what_failed_is_told_with_what_to_do(site, fleet, capsys):
    """In the words of the cluster."""
    site.status = "DEPLOY_FAILED"
    code, _, err = run(capsys, "up", "ridge", "--fleet", fleet)
    assert code == Outcome.FAILED
    assert "no GPU is free" in err
    code, out, _ = run(capsys, "status", "ridge", "--fleet", fleet)
    assert code == 1
    assert "problem\tapplication\tDEPLOY_FAILED: no GPU is free" in out


def test_down_asks_first_and_a_script_has_to_say_yes(site, fleet, capsys):
    """Nothing is drained and nothing removed before."""
    run(capsys, "up", "ridge", "--fleet", fleet)
    code, _, err = run(capsys, "down", "ridge", "--fleet", fleet)
    assert code == Outcome.USAGE
    assert "--yes" in err
    assert set(site.applications) == {"spillway"}


def test_down_drains_through_the_router_and_then_removes(site, fleet, capsys):
    """Again it finds nothing; without a router it says how to go on."""
    run(capsys, "up", "ridge", "--fleet", fleet)
    code, _, err = run(capsys, "down", "ridge", "--fleet", fleet, "-y", "--address", "127.0.0.1:1")
    assert code == Outcome.UNREACHABLE
    assert "--no-drain" in err
    with router_serving(FakeRouter()) as router:
        at = ("--address", router.address)
        code, out, _ = run(capsys, "down", "ridge", "--fleet", fleet, "--dry-run", *at)
        assert code == 0
        assert out.splitlines()[0] == f"drain ridge through {router.address}"
        assert router.drained == []
        code, _, err = run(capsys, "down", "ridge", "--fleet", fleet, "--yes", *at)
        assert code == 0, err
        assert router.drained == ["ridge"]
    assert site.applications == {}
    code, _, err = run(capsys, "down", "ridge", "--fleet", fleet, "--yes")
    assert code == 0
    assert "not deployed" in err


def test_a_site_is_drained_until_no_stream_is_left(capsys):
    """Again it has nothing to wait for; a site that is none is told with those that are."""
    with router_serving(FakeRouter()) as router:
        at = ("--address", router.address)
        code, out, _ = run(capsys, "drain", "ridge", "--dry-run", *at)
        assert (code, router.drained) == (0, [])
        assert "ridge drains already: 0 streams are open" in out
        code, out, _ = run(capsys, "drain", "cellar", "--dry-run", *at)
        assert "cellar would drain: 2 streams are open, 4 sessions." in out
        for _ in range(2):
            code, out, err = run(capsys, "drain", "ridge", *at)
            assert code == 0, err
            assert "is drained" in out
        code, _, err = run(capsys, "drain", "nowhere", "--dry-run", *at)
        assert code == Outcome.FAILED
        assert "knows no site nowhere" in err


class Crowded(FakeDashboard):
    """Another operator deploys there at the same time, as often as is set."""

    def __init__(self, replicas):
        super().__init__(replicas)
        self.others = 0
        self.change = {}  # what they ask of our application, where they leave it in
        self.looked_before = False  # they tell it all that ran before we told it anything

    def put(self, config):
        before = [one["deployed_app_config"] for one in self.applications.values()]
        super().put(config)
        if self.others:
            self.others -= 1
            if self.looked_before:
                super().put({"applications": before})
                return
            kept = [{**one, "args": one["args"] | self.change} for one in config["applications"]]
            super().put({"applications": kept if self.change else []})


@pytest.fixture
def crowded(tmp_path):
    with (
        replica_serving(ReportingReplica()) as replica,
        dashboard_serving(Crowded([replica.address])) as dashboard,
    ):
        yield dashboard


def test_a_site_that_another_deployment_put_back_is_removed_again(crowded, capsys):
    """So often and no more: who will not give in is told that it is there."""
    arguments = ("--set", "model=/models/tiny")
    assert run(capsys, "up", crowded.url, *arguments)[0] == 0
    crowded.others, crowded.looked_before = 2, True
    code, _, err = run(capsys, "down", crowded.url, "--yes", "--timeout", "30")
    assert code == 0, err
    assert err.count("put back by another deployment there: removed again") == 2
    assert crowded.applications == {}
    assert run(capsys, "up", crowded.url, *arguments)[0] == 0
    crowded.others = 100
    code, _, err = run(capsys, "down", crowded.url, "--yes", "--timeout", "3")
    assert code == Outcome.FAILED
    assert err.count("removed again") == 3
    assert "still there after 3 s" in err


def test_a_deployment_that_another_one_left_out_is_asked_for_again(crowded, capsys):
    """Each tells the cluster all it shall run, so that of two at a time one is left out."""
    crowded.others = 2
    code, out, err = run(capsys, "up", crowded.url, "--set", "model=/models/tiny")
    assert (code, out.strip()) == (0, crowded.replicas[0]), err
    assert err.count("asked for again") == 2
    assert set(crowded.applications) == {"spillway"}


def test_a_deployment_that_is_left_out_for_ever_fails(crowded, capsys):
    """It is not fought for without end."""
    crowded.others = 100
    up = ("up", crowded.url, "--set", "model=/models/tiny", "--timeout", "3")
    code, _, err = run(capsys, *up)
    assert code == Outcome.FAILED
    assert "does not serve after 3 s: it is not listed" in err
    assert len(crowded.puts) < 10


def test_who_deploys_otherwise_at_the_same_time_is_told_of(crowded, capsys):
    """The site serves, but not what was asked for here."""
    crowded.others, crowded.change = 1, {"requests_max": 9}
    code, _, err = run(capsys, "up", crowded.url, "--set", "model=/models/tiny")
    assert code == Outcome.FAILED
    assert "somebody else deployed spillway otherwise meanwhile (- requests_max=9)" in err


def test_a_removal_that_fails_says_that_the_site_stays_drained(site, fleet, capsys):
    """Else nobody would wonder why no turn goes there."""
    run(capsys, "up", "ridge", "--fleet", fleet)
    with router_serving(FakeRouter()) as router:
        site.applications["spillway"]["source"] = "imperative"
        at = ("--address", router.address)
        code, _, err = run(capsys, "down", "ridge", "--fleet", fleet, "--yes", *at)
    assert code == Outcome.FAILED
    assert "remove it there" in err
    assert "ridge stays drained: `spillway undrain ridge`" in err
