"""The seven scenarios, one a file, by name."""

from collections.abc import Callable

from benchmarks.routing.scenarios import (
    burst,
    chat,
    prefix,
    shared_prompt,
    steady,
    tenants,
    week,
)
from benchmarks.routing.setup import Options, Setup

SCENARIOS: dict[str, Callable[[Options], Setup]] = {
    "burst": burst.build,
    "steady": steady.build,
    "prefix": prefix.build,
    "sessions": chat.build,
    "week": week.build,
    "tenants": tenants.build,
    "shared-prompt": shared_prompt.build,
}
