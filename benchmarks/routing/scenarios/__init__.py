"""The seven scenarios, one a file, by name."""

from collections.abc import Callable

from benchmarks.routing.scenarios import burst
from benchmarks.routing.setup import Options, Setup

SCENARIOS: dict[str, Callable[[Options], Setup]] = {
    "burst": burst.build,
}
