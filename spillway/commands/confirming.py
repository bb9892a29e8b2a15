"""Asks before something is done that others will notice."""

import sys

import typer

from spillway.commands.failure import Failure, Outcome


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person, who may have said yes already. Ends the command where the answer is no.

    Where nobody can answer, as in a script, it has to be said beforehand.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise Failure(f"{question} Say so with --yes where nobody can be asked", Outcome.USAGE)
    typer.confirm(question, abort=True, err=True)
