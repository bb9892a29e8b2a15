"""The planner's demand, from a trace or drawn."""

import json

import pytest

from router.policy.units import NS_PER_S
from spillway import cli
from spillway.commands.failure import Outcome
from spillway.planning.lengths import LogNormal
from spillway.planning.trace import Drawn, Recorded


def test_rates_are_followed_and_lengths_have_their_means(tmp_path):
    """A busy spell between two quiet ones."""
    path = tmp_path / "rates.csv"
    path.write_text("at_s,per_s\n0,0\n100,20\n200,0\n300,0\n")
    found = list(Drawn(path, LogNormal(500), LogNormal(50)))
    assert 1_800 < len(found) < 2_200
    assert all(100 * NS_PER_S <= session.at_ns < 200 * NS_PER_S for session in found)
    prompts = [session.turns[0].prompt_tokens for session in found]
    assert 400 < sum(prompts) / len(prompts) < 600


@pytest.mark.parametrize("text", ["at_s,per_s\n0,1\n", "a,b\n0,x\n1,1\n", "a,b\n5,1\n4,1\n"])
def test_a_shape_that_makes_no_sense_is_refused(tmp_path, text):
    """Too short, not numbers, out of order."""
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="expected"):
        list(Drawn(path, LogNormal(500), LogNormal(50)))


def test_a_conversation_without_names_shares_its_own_history(tmp_path):
    """And nothing with the next one."""
    path = tmp_path / "trace.jsonl"
    rows = [
        {"at_s": at, "session": name, "prompt_tokens": tokens, "output_tokens": 64}
        for name, at, tokens in (("a", 0, 128), ("a", 0, 256), ("b", 1, 128), ("b", 1, 256))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = Recorded(path, 64, 2.0)
    assert first.turns[1].blocks[:3] == first.turns[0].blocks
    assert not set(first.turns[1].blocks) & set(second.turns[1].blocks)
    assert second.at_ns == NS_PER_S // 2


def test_a_plan_needs_one_demand(capsys, tmp_path):
    """Neither none nor two."""
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "sites: {home: {kind: home, endpoints: ['127.0.0.1:1']}}\n"
        "slo_classes: {a: {ttft: 1s, itl: 1s}}\n"
    )
    assert cli.run(["plan", str(fleet)]) == Outcome.USAGE
    assert "--trace or as --rates" in capsys.readouterr().err


@pytest.mark.outside
def test_a_plan_from_the_command_line(capsys, tmp_path):
    """Home alone, a light load: one row for the plan, as JSON."""
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "sites: {home: {kind: home, endpoints: ['127.0.0.1:1']}}\n"
        "slo_classes: {a: {ttft: 2s, itl: 1s}}\n"
    )
    rates = tmp_path / "rates.csv"
    rates.write_text("at_s,per_s\n0,0.5\n60,0\n")
    asked = ["--rates", str(rates), "--attainment", "0.9", "--committed", "home=10", "--json"]
    assert cli.run(["plan", str(fleet), *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["best"]["replicas"] == {"home": 1}
    assert told["best"]["usd_per_month"] == 7300
    assert cli.run(["plan", str(fleet), "--rates", str(rates), "--rtt", "away=3"]) == Outcome.USAGE
    assert "SITE=VALUE" in capsys.readouterr().err


def test_rates_by_the_minute_are_told_by_their_header(tmp_path):
    """Sixty turns a minute for two minutes, and again the same ones."""
    path = tmp_path / "rates.csv"
    path.write_text("# read off a plot\nminute,rpm\n0,60\n2,0\n")
    drawn = Drawn(path, LogNormal(500), LogNormal(50))
    found = list(drawn)
    assert 90 < len(found) < 150
    assert list(drawn) == found
