"""`spillway plan`: what to rent."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import FleetPath, Json
from spillway.commands.terminal import say, write, write_json, write_table
from spillway.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spillway.fleet import FleetFile
    from spillway.planning.demand import Demand
    from spillway.planning.offer import Offer
    from spillway.planning.search import Plan

PROCESSES_MAX = 8  # as many plans are tried side by side, and hardly ever more

Trace = Annotated[
    Path | None, typer.Option("--trace", help="The demand: a trace file.", exists=True)
]
Rates = Annotated[
    Path | None,
    typer.Option(help="Or the demand's shape: CSV of seconds and turns per second.", exists=True),
]
PromptTokens = Annotated[
    str,
    typer.Option(
        metavar="MEAN|FILE",
        help="With --rates, the prompts' mean length, or CSV of tokens and cumulated percent.",
    ),
]
OutputTokens = Annotated[
    str, typer.Option(metavar="MEAN|FILE", help="With --rates, the same of the answers.")
]
Speed = Annotated[float, typer.Option(min=1e-6, help="The trace arrives so many times as fast.")]
Attainment = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="The share of turns to answer in time.")
]
Hardware = Annotated[
    list[str] | None, typer.Option(help="SITE=h100 or a100: nodes of eight. h100 by default.")
]
Replicas = Annotated[
    list[str] | None, typer.Option(help="SITE=N at most; by default as in the fleet file.")
]
Rtt = Annotated[list[str] | None, typer.Option(help="SITE=MS, the round trip. 0.5 home, else 30.")]
Committed = Annotated[
    list[str] | None,
    typer.Option(
        help="SITE=USD an hour of a committed replica, home's included; by default 0.6 of the"
        " metered price, and for home of the dearest."
    ),
]
Begins = Annotated[
    str, typer.Option(help="When the demand begins, UTC: matters where home lends by the hour.")
]


def plan(
    path: FleetPath,
    *,
    trace: Trace = None,
    rates: Rates = None,
    prompt_tokens: PromptTokens = "1000",
    output_tokens: OutputTokens = "200",
    speed: Speed = 1.0,
    attainment: Attainment = 0.99,
    hardware: Hardware = None,
    replicas: Replicas = None,
    rtt: Rtt = None,
    committed: Committed = None,
    begins: Begins = "mon 00:00",
    picture: Annotated[Path | None, typer.Option(help="Draw cost against attainment here.")] = None,
    json: Json = False,
) -> None:
    """Find the cheapest replicas, committed and metered, that keep the objectives.

    Plans are tried in the simulator with the router's own decisions.
    """
    from spillway.fleet import load
    from spillway.planning import outcome
    from spillway.planning.demand import sample
    from spillway.planning.lengths import lengths_of
    from spillway.planning.settings import minute_of, offers_of
    from spillway.planning.trace import Drawn, Recorded

    if (trace is None) == (rates is None):
        raise Failure("give the demand as --trace or as --rates", Outcome.USAGE)
    file = load(path)
    try:
        offers = offers_of(file, hardware or (), replicas or (), rtt or (), committed or ())
        lendings = [site.lending for site in file.fleet.sites if site.lending is not None]
        sessions: Recorded | Drawn
        if trace is not None:
            sessions = Recorded(trace, offers[0].profile.block_tokens, speed)
        elif rates is not None:
            lengths = lengths_of(prompt_tokens), lengths_of(output_tokens)
            sessions = Drawn(rates, *lengths, speed)
        with Progress("reading the demand"):
            demand = sample(sessions, minute_of(begins), lendings)
    except ValueError as error:
        raise Failure(str(error), Outcome.USAGE) from error
    found = _search(file, offers, demand, attainment)
    if picture:
        from spillway.planning.picture import draw

        draw(found, picture)
    if json:
        write_json(outcome.as_json(found))
        return
    write(outcome.sentence(found, offers))
    write("")
    write_table(outcome.COLUMNS, outcome.rows(found))
    days = demand.lasts_s / 86_400
    span = f"{days:.1f} days" if days >= 1 else f"{24 * days:.1f} hours"
    share = sum(len(spell.sessions) for spell in demand.spells)
    say(
        f"{found.trials} plans tried on {share:,} sessions that stand for {demand.sessions:,} in"
        f" {span}."
    )


def _search(
    file: "FleetFile", offers: "Sequence[Offer]", demand: "Demand", attainment: float
) -> "Plan":
    from spillway.planning.search import Planner

    with Progress("plans tried") as bar:

        def progress(what: str) -> None:
            bar.advance(said=what)

        planner = Planner(
            file.fleet,
            offers,
            demand,
            progress,
            notice_s=file.router.drain_timeout_s,
            processes=min(PROCESSES_MAX, len(os.sched_getaffinity(0))),
        )
        return planner.plan(attainment)
