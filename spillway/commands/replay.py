"""`spillway replay`: whether a router's log is decided again as it was."""

from pathlib import Path
from typing import Annotated

import typer

from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import Json
from spillway.commands.terminal import write, write_json
from spillway.progress import Progress

SHOWN_MAX = 10

Log = Annotated[
    Path, typer.Argument(help="The decision log's newest file.", exists=True, dir_okay=False)
]


def replay(log: Log, *, json: Json = False) -> None:
    """Tell a decision log to a new core, and compare what it decides with what was decided.

    It exits with 1 where a decision differs, or where the log cannot be replayed.
    """
    from router.observe.decision_log import read_log
    from router.observe.lines import LineError
    from router.observe.replay import ReplayError
    from router.observe.replay import replay as replayed

    events = decisions = differing = 0
    first: list[str] = []
    try:
        with Progress("events read") as progress:
            history = list(progress.each(read_log(log)))
        for event in history:
            events += 1
            decisions += (event.decision is not None) + len(event.released)
        with Progress("events replayed", events) as progress:
            for divergence in replayed(progress.each(history)):
                differing += 1
                if len(first) < SHOWN_MAX:
                    event = divergence.event
                    first.append(
                        f"event {event.sequence}: {event.decision or event.released} was"
                        f" {divergence.decided or divergence.released} again"
                    )
    except (ReplayError, LineError, OSError) as error:
        raise Failure(f"{log} cannot be replayed: {error}", Outcome.FAILED) from error
    if json:
        write_json({"events": events, "decisions": decisions, "differing": differing})
    else:
        write(f"{events} events, {decisions} decisions, {differing} of them decided differently.")
        for line in first:
            write(line)
    if differing:
        raise Failure(f"{differing} decisions differ", Outcome.FAILED)
