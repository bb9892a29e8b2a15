"""`spillway site`: the serving application on one site's Ray cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spillway.commands import site_add, site_drain, site_status
from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.confirming import confirm
from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import ADDRESS, Address
from spillway.commands.site_target import Application, Fleet, Site, resolved
from spillway.commands.terminal import say, write

if TYPE_CHECKING:
    from spillway.client.tls import ClientTls
    from spillway.ray_serve import ApplicationStatus
    from spillway.site_application import SiteApplication

DEPLOY_TIMEOUT_S = 1800.0  # a large model is downloaded and loaded in that
AGAIN_MAX = 3  # times that one is told again what others, who told it at once, have undone
REMOVE_TIMEOUT_S = 120.0  # replicas let their streams finish, and Serve kills what does not end

app = typer.Typer(help="Deploy, look at and remove a site's engines.", no_args_is_help=True)
app.command("add")(site_add.add)
app.command("status")(site_status.status)
app.command("drain")(site_drain.drain)

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="An argument of serving.app:build as NAME=VALUE, such as vllm.max_model_len=8192."
        " It goes before the fleet file's.",
    ),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it serves, or is gone.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
]
TimeoutS = Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds to wait.")]


@app.command()
def up(
    site: Site,
    *,
    fleet: Fleet = None,
    application: Application = None,
    settings: Settings = None,
    wait: Wait = True,
    timeout_s: TimeoutS = DEPLOY_TIMEOUT_S,
    dry_run: DryRun = False,
) -> None:
    """Deploy the engines of a site. Done again, it changes what differs and nothing else.

    A file of Ray's cluster launcher instead of a site starts the cluster first, over SSH.
    """
    if site.endswith((".yaml", ".yml")):
        site = _launched(Path(site), dry_run=dry_run)
        if not site:
            return
    found, arguments, runtime_env = resolved(site, fleet, application)
    arguments = {**arguments, **_parsed(settings or [])}
    if dry_run:
        changes = found.changes(arguments, runtime_env)
        for line in changes:
            write(line)
        say(
            "Nothing is changed."
            if changes
            else f"{found.name} runs just so: nothing would change."
        )
        return
    changed = found.deploy(arguments, runtime_env)
    say(
        f"{found.name} at {found.serve.dashboard_url}: {'deploying' if changed else 'runs already'}"
    )
    if wait:
        for address in _waited(found, arguments, runtime_env, timeout_s):
            write(address)


@app.command()
def down(
    site: Site,
    *,
    fleet: Fleet = None,
    application: Application = None,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    drain: Annotated[
        bool, typer.Option("--drain/--no-drain", help="Whether its router drains it before.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = True,
    timeout_s: TimeoutS = REMOVE_TIMEOUT_S,
    dry_run: DryRun = False,
) -> None:
    """Remove the engines of a site, and nothing else that runs on its cluster.

    A site of the fleet file is drained through its router first. The cluster itself goes on.
    """
    found, _, _ = resolved(site, fleet, application)
    name = "" if site.startswith(("http://", "https://")) or not drain else site
    where = f"{found.name} at {found.serve.dashboard_url}"
    if found.status() is None:
        say(f"{where}: not deployed")
        return
    if dry_run:
        if name:
            write(f"drain {name} through {address}")
        write(f"remove {where}: {len(found.targets())} replicas")
        return
    confirm(f"Remove {where} with {len(found.targets())} replicas?", yes=yes)
    if name:
        _drain(name, address, tls_of(ca, cert, key))
    try:
        removed = found.remove()
        say(f"{where}: {'removing' if removed else 'not deployed'}")
        if removed and wait:
            _wait_until_gone(found, timeout_s)
    finally:
        if name:
            say(f"{name} stays drained: `spillway undrain {name}` once it is up again.")


def _waited(
    found: "SiteApplication",
    arguments: Mapping[str, Any],
    runtime_env: Mapping[str, Any],
    timeout_s: float,
) -> list[str]:
    """The addresses, once it serves as it was asked for."""
    times_left = AGAIN_MAX

    def again() -> None:
        nonlocal times_left
        if times_left and found.deploy(arguments, runtime_env):
            times_left -= 1
            say(f"{found.name} was left out by another deployment there: asked for again")

    addresses = found.wait_until_serving(timeout_s, say_status, again)
    if others := found.changes(arguments, runtime_env):
        raise Failure(
            f"somebody else deployed {found.name} otherwise meanwhile ({'; '.join(others)[:200]}):"
            " agree with them, and run this again if yours is to hold"
        )
    return addresses


def _wait_until_gone(found: "SiteApplication", timeout_s: float) -> None:
    """Until it is listed no more."""
    times_left = AGAIN_MAX

    def again() -> None:
        nonlocal times_left
        if times_left and found.remove():
            times_left -= 1
            say(f"{found.name} was put back by another deployment there: removed again")

    found.serve.wait_until_gone(found.name, timeout_s, again)


def _drain(name: str, address: str, tls: "ClientTls | None") -> None:
    from spillway.client import SyncClient, UnavailableError
    from spillway.commands.site_drain import DRAIN_TIMEOUT_S
    from spillway.sites.draining import drain

    try:
        with SyncClient(address, tls=tls) as client:
            drain(client, name, DRAIN_TIMEOUT_S, say)
    except UnavailableError as error:
        raise Failure(
            f"{error}; name the router that sends turns to {name} with --address, or give"
            " --no-drain where none does",
            Outcome.UNREACHABLE,
        ) from None


def _launched(path: Path, *, dry_run: bool) -> str:
    """The dashboard of the cluster that a launcher's file describes; empty after a dry run."""
    from spillway.sites.launching import launch, read_launch, shown

    found = read_launch(path)
    hosts = f" on {', '.join(found.hosts)}" if found.hosts else ""
    if dry_run:
        write(shown(found.command))
        write(shown(found.head_command))
        say(
            f"{path} is right: cluster {found.cluster}{hosts}. Then the engines are deployed there."
        )
        return ""
    say(f"Cluster {found.cluster}{hosts}: {shown(found.command)}")
    return launch(found)


def say_status(status: "ApplicationStatus") -> None:
    """Say how an application comes up."""
    running, starting = status.replicas_running, status.replicas_starting
    say(f"{status.name}: {status.status}, {running} replicas run, {starting} start")


def _parsed(settings: list[str]) -> dict[str, str]:
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise Failure(f"--set {setting}: expected NAME=VALUE", Outcome.USAGE)
        found[name] = value
    return found
