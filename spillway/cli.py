"""The command `spillway`: its subcommands, and how it ends.

A command imports what it needs when it runs, so that help and completion are quick.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from spillway.commands import (
    audit,
    batch,
    bench,
    certs,
    chat,
    cost,
    doctor,
    door,
    drain,
    drill,
    explain,
    fleet,
    generate,
    keys,
    lend,
    plan,
    quarantine,
    reload,
    replay,
    rollout,
    route,
    sessions,
    site,
    status,
    top,
    up,
)
from spillway.commands.failure import Failure, Outcome, failure_of
from spillway.commands.terminal import say, warn

app = typer.Typer(
    name="spillway",
    help="One inference service over a home GPU cluster and rented ones.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(fleet.app, name="fleet")
app.add_typer(site.app, name="site")
app.add_typer(certs.app, name="certs")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(rollout.app, name="rollout")
app.command("up")(up.up)
app.command("route")(route.route)
app.command("door")(door.door)
app.command("chat")(chat.chat)
app.command("generate")(generate.generate)
app.command("status")(status.status)
app.command("sessions")(sessions.sessions)
app.command("top")(top.top)
app.command("cost")(cost.cost)
app.command("explain")(explain.explain)
app.command("plan")(plan.plan)
app.command("doctor")(doctor.doctor)
app.command("replay")(replay.replay)
app.command("reload")(reload.reload)
app.command("drill")(drill.drill)
app.command("drain")(drain.drain)
app.command("undrain")(drain.undrain)
app.command("lend")(lend.lend)
app.command("reclaim")(lend.reclaim)
app.command("batch")(batch.batch)
app.command("bench", context_settings=bench.PASS_ON)(bench.bench)


def main() -> None:
    """Run the command of this process's arguments, and exit as docs/cli.md says."""
    # What gRPC's C core logs comes as an error of ours too, and in words for who runs this.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of the command with these arguments."""
    try:
        code = app(args=arguments, prog_name="spillway", standalone_mode=False)
    except Abort:
        return Outcome.INTERRUPTED
    except TyperException as error:
        if message := error.format_message():  # a group without a command has shown its help
            warn(f"{message} ({_asked(error)} --help lists what there is)")
        return Outcome.USAGE
    except Failure as failure:
        warn(str(failure))
        return failure.outcome
    except Exception as error:
        known = failure_of(error)
        if known is None:
            raise  # a defect, which a traceback shows best
        # The problems of a fleet file are a line each, which editors can jump to.
        (say if known.outcome is Outcome.FLEET_FILE else warn)(str(known))
        return known.outcome
    return code if isinstance(code, int) else Outcome.DONE


def _asked(error: TyperException) -> str:
    """The command, as far as it was understood, whose arguments are wrong."""
    context = getattr(error, "ctx", None)
    return context.command_path if context else "spillway"


def _say_version(asked: bool) -> None:
    """Before the arguments are looked at further: with this option there need be no command."""
    if asked:
        try:
            typer.echo(f"spillway {version('spillway')}")
        except PackageNotFoundError:  # run from a folder of the source, not installed
            typer.echo("spillway, not installed")
        raise typer.Exit


@app.callback()
def _spillway(
    *,
    version_asked: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which version this is.", is_eager=True, callback=_say_version
        ),
    ] = False,
) -> None:
    """Has the options of the command itself."""
