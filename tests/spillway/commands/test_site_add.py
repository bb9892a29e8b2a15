"""`spillway site add` against real engines: looked at, timed, and written behind the others."""

import pytest

from spillway import cli
from spillway.commands.failure import Outcome
from spillway.fleet import load
from spillway.local.engine_site import EngineSite
from spillway.sites import adding

COUNTING = {"model": "counting", "engine": "fake", "fake.itl_s": 0.01, "fake.max_running": 4}


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """Addresses of three engines, of which the last has other weights."""
    folder = tmp_path_factory.mktemp("engines")
    alike = EngineSite("alike", 2, COUNTING, folder)
    other = EngineSite("other", 1, COUNTING | {"fake.weights": "else"}, folder)
    try:
        alike.wait_until_serving()
        other.wait_until_serving()
        yield [*alike.addresses(), *other.addresses()]
    finally:
        alike.stop()
        other.stop()


@pytest.fixture
def fleet(engines, tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(
        f"# ours\nsites:\n  home:\n    kind: home\n    endpoints: [{engines[0]}] # desk\n"
        "\n# in time\nslo_classes:\n  chat: {ttft: 5s, itl: 500ms}\n"
    )
    return path


def add(fleet, address, *more):
    price = ("--metered", "2.49 USD/h")
    return cli.run(
        ["site", "add", "ridge", "--fleet", str(fleet), "--endpoint", address, *price, *more]
    )


def test_a_dry_run_shows_what_would_change_and_changes_nothing(fleet, engines, capsys):
    """The checks are made, as they change nothing either."""
    before = fleet.read_text()
    assert add(fleet, engines[1], "--dry-run") == 0
    out = capsys.readouterr().out
    assert "ok\tdigest\tweights" in out
    assert "+  ridge:\n+    kind: rented\n" in out
    assert fleet.read_text() == before


def test_a_dry_run_that_is_to_time_the_site_shows_its_profile(fleet, engines, capsys):
    """A job has no file to change, and its log has what belongs into one."""
    before = fleet.read_text()
    assert add(fleet, engines[1], "--dry-run", "--calibrate") == 0
    out = capsys.readouterr().out
    assert "+    profile:\n" in out
    assert fleet.read_text() == before


def test_a_site_is_added_with_its_profile_and_again_changes_nothing(fleet, engines, capsys):
    """The file keeps its comments."""
    assert add(fleet, engines[1]) == 0
    text = fleet.read_text()
    assert "# desk" in text
    assert "# in time" in text
    ridge = load(fleet).fleet.site("ridge")
    assert ridge.profile is not None
    assert ridge.profile.itl_ns > 1_000_000
    assert "4 streams side by side" in capsys.readouterr().out
    assert add(fleet, engines[1]) == 0
    assert "already; nothing is changed" in capsys.readouterr().err
    assert fleet.read_text() == text
    assert add(fleet, engines[2]) == Outcome.FAILED
    assert "reached otherwise" in capsys.readouterr().err
    assert add(fleet, engines[1], "--metered", "3 USD/h", "--region", "far") == Outcome.FAILED
    assert "with another price.metered and region: change it" in capsys.readouterr().err


def test_a_site_with_other_weights_is_not_added_and_says_why(fleet, engines, capsys):
    """It would be asked to go on with streams of another model."""
    before = fleet.read_text()
    assert add(fleet, engines[2]) == Outcome.FAILED
    captured = capsys.readouterr()
    assert "with other weights (fake-else) than home" in captured.out
    assert "ridge is not added: it failed a check" in captured.err
    assert fleet.read_text() == before


def test_a_site_that_is_not_there_is_not_added(fleet, capsys):
    """With the reason that gRPC gives."""
    assert add(fleet, "127.0.0.1:1") == Outcome.FAILED
    assert "problem\treached\t127.0.0.1:1: " in capsys.readouterr().out


def test_what_is_no_site_is_refused_as_in_the_file(fleet, engines, capsys):
    """Before anybody is asked."""
    assert cli.run(["site", "add", "a b", "--fleet", str(fleet), "--endpoint", "x:1"]) == 2
    capsys.readouterr()
    code = cli.run(["site", "add", "ridge", "--fleet", str(fleet), "--endpoint", engines[1]])
    assert code == Outcome.FLEET_FILE
    assert "sites.ridge: a rented site costs something" in capsys.readouterr().err


def test_a_file_that_others_change_meanwhile_keeps_what_both_wrote(
    fleet, engines, capsys, monkeypatch
):
    """Looking at a site takes a while, and nobody's work is lost for it, nor done twice."""
    look = adding.look

    async def looks(file, *arguments):
        fleet.write_text(f"{fleet.read_text()}# theirs\n")
        return await look(file, *arguments)

    monkeypatch.setattr(adding, "look", looks)
    assert add(fleet, engines[1], "--no-calibrate") == 0
    assert "was changed meanwhile, and is read again" in capsys.readouterr().err
    assert "# theirs" in fleet.read_text()
    assert load(fleet).fleet.site("ridge")
