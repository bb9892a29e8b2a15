"""What our own command line takes, without running it."""

import typer

from spillway.cli import app


def spillway_takes(arguments):
    """Reads arguments as the command does; raises what it would say to wrong ones."""
    command = typer.main.get_command(app)
    context = command.make_context("spillway", list(arguments))
    while isinstance(command, typer.core.TyperGroup):
        name, found, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        command, context = found, found.make_context(name, rest, parent=context)
