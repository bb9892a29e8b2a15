"""`spillway bench`: the benchmark harness against the router."""

import typer

from spillway.commands.parameters import ADDRESS, Address

PASS_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],  # --help is the harness's own
}


def bench(context: typer.Context, *, address: Address = ADDRESS) -> None:
    """Measure the service: runs `python -m benchmarks.serving` with all further options.

    `spillway bench compare A.json B.json` compares two results instead.
    """
    import subprocess
    import sys

    asked = ["benchmarks.serving", "--address", address, *context.args]
    if context.args[:1] == ["compare"]:
        asked = ["benchmarks.compare", *context.args[1:]]
    command = [sys.executable, "-m", *asked]
    child = subprocess.Popen(command)  # noqa: S603  (our own harness, as who asks for it)
    while True:
        try:
            raise typer.Exit(child.wait())
        except KeyboardInterrupt:
            continue  # the harness has it too, and ends as it must
