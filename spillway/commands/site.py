"""`spillway site`: the serving application on one site's Ray cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spillway.commands import site_add
from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import Json
from spillway.commands.terminal import say, write, write_json, write_table

if TYPE_CHECKING:
    from spillway.ray_serve import ApplicationStatus
    from spillway.site_application import SiteApplication

DEPLOY_TIMEOUT_S = 1800.0  # a large model is downloaded and loaded in that
REMOVE_TIMEOUT_S = 120.0  # replicas let their streams finish, and Serve kills what does not end

app = typer.Typer(help="Deploy, look at and remove a site's engines.", no_args_is_help=True)
app.command("add")(site_add.add)

Site = Annotated[
    str,
    typer.Argument(
        help="A site of the fleet file, or the URL of a Ray dashboard.", show_default=False
    ),
]
Fleet = Annotated[
    Path | None,
    typer.Option("--fleet", "-f", envvar="SPILLWAY_FLEET", help="The fleet file."),
]
Application = Annotated[
    str | None,
    typer.Option("--application", help="The Serve application's name, by default spillway."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="An argument of serving.app:build as NAME=VALUE, such as vllm.max_model_len=8192."
        " It goes before the fleet file's.",
    ),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it serves, or is gone.")]
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
) -> None:
    """Deploy the engines of a site. Done again, it changes what differs and nothing else."""
    found, arguments, runtime_env = _resolved(site, fleet, application)
    changed = found.deploy({**arguments, **_parsed(settings or [])}, runtime_env)
    say(
        f"{found.name} at {found.serve.dashboard_url}: {'deploying' if changed else 'runs already'}"
    )
    if wait:
        for address in found.wait_until_serving(timeout_s, say_status):
            write(address)


@app.command()
def status(
    site: Site, *, fleet: Fleet = None, application: Application = None, json: Json = False
) -> None:
    """Say how a site's engines are. The exit code is 1 where they do not run."""
    found, _, _ = _resolved(site, fleet, application)
    now = found.status()
    targets = found.targets()
    shown = {
        "application": found.name,
        "status": now.status if now else "NOT_DEPLOYED",
        "replicas_running": now.replicas_running if now else 0,
        "replicas_starting": now.replicas_starting if now else 0,
        "targets": targets,
        "message": now.message if now else "",
    }
    if json:
        write_json(shown)
    else:
        row = [
            ", ".join(value) if isinstance(value, list) else str(value) for value in shown.values()
        ]
        write_table(
            [key.replace("_", " ") for key in shown], [[" ".join(one.split()) for one in row]]
        )
    if now is None or now.status != "RUNNING":
        raise typer.Exit(Outcome.FAILED)


@app.command()
def down(
    site: Site,
    *,
    fleet: Fleet = None,
    application: Application = None,
    wait: Wait = True,
    timeout_s: TimeoutS = REMOVE_TIMEOUT_S,
) -> None:
    """Remove the engines of a site, and nothing else that runs on its cluster."""
    found, _, _ = _resolved(site, fleet, application)
    removed = found.remove()
    say(f"{found.name} at {found.serve.dashboard_url}: {'removing' if removed else 'not deployed'}")
    if removed and wait:
        found.serve.wait_until_gone(found.name, timeout_s)


def say_status(status: "ApplicationStatus") -> None:
    """Say how an application comes up."""
    running, starting = status.replicas_running, status.replicas_starting
    say(f"{status.name}: {status.status}, {running} replicas run, {starting} start")


def _resolved(
    site: str, fleet: Path | None, application: str | None
) -> tuple["SiteApplication", Mapping[str, Any], Mapping[str, Any]]:
    """The application at a site, and its arguments and environment by the fleet file."""
    from spillway.fleet import load
    from spillway.fleet.values import APPLICATION
    from spillway.ray_serve import RayServe
    from spillway.site_application import SiteApplication

    if site.startswith(("http://", "https://")):
        return SiteApplication(RayServe(site), application or APPLICATION), {}, {}
    if fleet is None:
        raise Failure(f"which fleet is {site} a site of? Name its file with --fleet", Outcome.USAGE)
    file = load(fleet)
    names = [one.name for one in file.fleet.sites]
    if site not in names:
        raise Failure(f"{fleet} has no site {site}; it has {', '.join(names)}", Outcome.USAGE)
    access = file.access_to(site)
    if access.dashboard_url is None:
        raise Failure(f"{fleet} names no Ray dashboard for {site}", Outcome.USAGE)
    deployed = any(one.site == site for one in file.deployments)
    return (
        SiteApplication(RayServe(access.dashboard_url), application or access.application or ""),
        file.serving_arguments(site) if deployed else {},
        file.deployment(site).runtime_env if deployed else {},
    )


def _parsed(settings: list[str]) -> dict[str, str]:
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise Failure(f"--set {setting}: expected NAME=VALUE", Outcome.USAGE)
        found[name] = value
    return found
