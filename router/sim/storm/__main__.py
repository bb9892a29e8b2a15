"""`python -m router.sim.storm`: thousands of seeded storms; what breaks a rule names its seed."""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from router.policy.units import seconds
from router.sim.storm.plan import storm_of
from router.sim.storm.run import run
from router.sim.storm.trial import try_seed
from router.sim.storm.turn import BrokenError

BROKEN_SHOWN = 10
SHOWN_EVERY = 20  # storms: some seconds of them


def main() -> int:
    """0 where every rule holds in every storm, 1 otherwise."""
    options = _parser().parse_args()
    if options.seed is not None:
        return _replay(options.seed)
    began_s = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    totals: Counter[str] = Counter()
    broken: list[tuple[int, str]] = []
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        tried = enumerate(pool.imap_unordered(try_seed, seeds, chunksize=50), start=1)
        for number, (seed, counts, sentence) in tried:
            _show(number, len(seeds))
            totals.update(counts)
            if sentence:
                broken.append((seed, sentence))
    for seed, sentence in sorted(broken)[:BROKEN_SHOWN]:
        _say(f"seed {seed}: {sentence}\n    python -m router.sim.storm --seed {seed}")
    _say(
        f"{len(seeds)} storms, {len(broken)} broke a rule; {totals['turns']} streams,"
        f" {totals['complete']} complete, {totals['resumed']} resumed,"
        f" {totals['late_tokens']} late tokens kept away, {totals['hedges']} hedged,"
        f" {totals['quarantined']} prompts quarantined for {totals['poisoned']} crashes;"
        f" {time.monotonic() - began_s:.0f} s"
    )
    return 1 if broken else 0


def _show(tried: int, seeds: int) -> None:
    """How far it is, on a terminal, in a line that is gone at the end."""
    if sys.stderr.isatty() and (tried % SHOWN_EVERY == 0 or tried == seeds):
        sys.stderr.write("\r\x1b[K" if tried == seeds else f"\r{tried:,} of {seeds:,} storms")
        sys.stderr.flush()


def _replay(seed: int) -> int:
    """The same storm again, with everything that the core was asked and told."""
    storm = storm_of(seed)
    for strike in storm.strikes:
        _say(
            f"{seconds(strike.at_ns):8.3f} to {seconds(strike.until_ns):.3f} s:"
            f" {strike.target} {strike.kind.value}"
        )
    try:
        outcome = run(storm, lambda now, line: _say(f"{seconds(now):8.3f} {line}"))
    except BrokenError as error:
        _say(f"broken: {error}")
        return 1
    _say(f"{outcome}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m router.sim.storm", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many storms")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one storm, with its decision log")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
