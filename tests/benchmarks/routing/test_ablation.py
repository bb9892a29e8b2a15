"""The ablation runs each variant of ours and writes what it found."""

import json
from dataclasses import replace

from benchmarks.routing.ablation import VARIANTS, main
from benchmarks.routing.scenarios import SCENARIOS
from benchmarks.routing.setup import Options


def test_it_writes_a_line_for_each_variant(traces, tmp_path, capsys):
    """Three kinds of change: of ours, of what it is told, of the world."""
    only = ["ours", "without the queue in the router", "no prefix hashes", "2 routers"]
    where = ["--traces", str(traces), "--out", str(tmp_path)]
    assert main([*where, "--scenario", "burst", "--only", *only]) == 0
    written = json.loads((tmp_path / "ablation-burst.json").read_text(encoding="utf-8"))
    written.pop("environment")
    assert set(written) == set(only)
    assert all(summary["turns"] == 40 for summary in written.values())
    assert "no prefix hashes" in capsys.readouterr().out


def test_every_change_changes_something(traces):
    """A variant that is ours under another name would prove nothing."""
    setup = SCENARIOS["burst"](Options(traces))
    ours = VARIANTS["ours"]
    for name, variant in VARIANTS.items():
        if name != "ours":
            changed = replace(variant.change(setup), sessions=setup.sessions)
            assert changed != setup or variant.make is not ours.make, name
