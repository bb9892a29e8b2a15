"""The story while it runs: a table on a terminal, a line every two seconds elsewhere."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from benchmarks.demo.story import PHASES, phase_at
from benchmarks.demo.watch import FleetWatch
from wire.spillway.v1 import fleet_pb2

LINE_INTERVAL_S = 2.0
COLUMNS = ("site", "sessions", "streams", "turns", "overflow", "tokens/s", "TTFT p50", "cost")


@dataclass(slots=True)
class Tally:
    """What the clients have seen so far."""

    done: int = 0
    wrong: int = 0


class Screen:
    """Shows the watch and the tally; `clock` gives the story's offset in seconds."""

    def __init__(self, watch: FleetWatch, tally: Tally, clock: Callable[[], float]) -> None:
        self._watch = watch
        self._tally = tally
        self._clock = clock
        self._console = Console(stderr=True)
        self._next_line_s = 0.0
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._table,
                refresh_per_second=4,
                transient=True,
            )

    def tick(self) -> None:
        """Called often; prints a line when one is due and nothing is rewritten in place."""
        offset_s = self._clock()
        if self._live is None and offset_s >= self._next_line_s:
            self._next_line_s = offset_s + LINE_INTERVAL_S
            sys.stderr.write(self._line(offset_s) + "\n")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _line(self, offset_s: float) -> str:
        sites = "   ".join(
            f"{site.name} {site.sessions} sessions {self._watch.tokens_per_s(site.name):.0f} tok/s"
            for site in self._watch.state.sites
        )
        return (
            f"{offset_s:6.1f} s  {phase_at(offset_s).name:10}  {sites}   "
            f"{self._tally.done} turns, {self._tally.wrong} wrong"
        )

    def _table(self) -> Group:
        offset_s = self._clock()
        now = phase_at(offset_s)
        phases = Text("  ").join(
            Text(phase.name, style="bold reverse" if phase is now else "dim") for phase in PHASES
        )
        clients = Text(f"{self._tally.done} turns answered, {self._tally.wrong} wrong", "dim")
        table = Table(*COLUMNS, title=f"{offset_s:.0f} s", title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for site in self._watch.state.sites:
            table.add_row(*self._row(site))
        return Group(phases, table, clients)

    def _row(self, site: fleet_pb2.SiteState) -> list[str]:
        return [
            site.name,
            str(site.sessions),
            str(site.open_streams),
            str(site.turns),
            str(site.overflow_turns),
            f"{self._watch.tokens_per_s(site.name):.0f}",
            f"{site.ttft_s_p50 * 1000:.0f} ms",
            f"${site.cost_usd:.5f}",
        ]
