"""`spillway rollout`: how the versions of models do, and which of them has the sessions."""

from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json, as_text
from spillway.commands.terminal import write, write_json, write_table

if TYPE_CHECKING:
    from wire.spillway.v1.fleet_pb2 import RolloutState, VersionState

COLUMNS = ("model", "version", "of new sessions", "ended", "failed", "first tokens", "late", "slow")

app = typer.Typer(
    help="The versions of models, and which of them has the sessions.", no_args_is_help=True
)

Model = Annotated[
    str,
    typer.Argument(
        help="What clients ask for, as `status` shows it.", show_default=False, callback=as_text
    ),
]
Reason = Annotated[
    str, typer.Option("--reason", "-r", help="Why; shown with the roll-out.", callback=as_text)
]


@app.command()
def status(
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Show every model that two versions serve, and how the answers of each were."""
    from spillway.client import SyncClient
    from spillway.client.defaults import ASK_DEADLINE_S

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        rollouts = next(client.watch_fleet(deadline_s=ASK_DEADLINE_S)).rollouts
    if json:
        write_json([as_json(one) for one in rollouts])
        return
    write_table(COLUMNS, [row for one in rollouts for row in _rows(one)])
    for one in rollouts:
        write(f"{one.name}: {one.said}.")


@app.command("return")
def return_(
    model: Model,
    *,
    reason: Reason = "",
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Take the new version back: its sessions go to the standing one with their next turns."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        state = client.return_rollout(model, reason)
    write(f"{model}: {state.said}.")


@app.command()
def resume(
    model: Model,
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Give a version that was taken back its share again; it is judged anew."""
    from spillway.client import SyncClient

    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        state = client.resume_rollout(model)
    write(f"{model}: {state.said}.")


def _rows(one: "RolloutState") -> tuple[tuple[str, ...], ...]:
    share = 0.0 if one.returned else one.share
    return (
        _row(one.name, one.standing, f"{1.0 - share:.0%}"),
        _row(one.name, one.new, "returned" if one.returned else f"{share:.0%}"),
    )


def _row(name: str, version: "VersionState", share: str) -> tuple[str, ...]:
    counts = (version.answers, version.failed, version.first_tokens, version.late, version.slow)
    return (name, version.model, share, *map(str, counts))
