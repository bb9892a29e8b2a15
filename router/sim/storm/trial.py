"""One seed tried: in a file of its own, so that other processes find it by its name."""

import traceback
from dataclasses import asdict

from router.sim.storm.plan import storm_of
from router.sim.storm.run import run
from router.sim.storm.turn import BrokenError


def try_seed(seed: int) -> tuple[int, dict[str, int], str]:
    """The seed, what its storm came to, and the rule it broke; empty where it broke none."""
    try:
        outcome = run(storm_of(seed))
    except BrokenError as error:
        return seed, {}, str(error)
    except Exception:  # noqa: BLE001 - whatever the core raises is a rule broken, with its seed
        return seed, {}, traceback.format_exc(limit=-3)
    return seed, asdict(outcome), ""
