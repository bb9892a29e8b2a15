"""`spillway up`: a whole fleet in the foreground."""

from pathlib import Path
from typing import Annotated

import typer

from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import ADDRESS, as_local_address
from spillway.commands.site import DEPLOY_TIMEOUT_S, say_status
from spillway.commands.terminal import say

OPENAI_ADDRESS = "127.0.0.1:7080"  # of OpenAI's API, where it is free


def up(
    fleet: Annotated[
        Path | None, typer.Argument(help="The fleet file.", show_default=False)
    ] = None,
    *,
    local: Annotated[
        bool, typer.Option("--local", help="Two sites on this machine, and no fleet file.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="With --local: a model's folder, not the built-in one."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            help=f"With --local: the router's address; otherwise {ADDRESS}, or any if it is taken.",
            callback=as_local_address,
        ),
    ] = None,
    fake: Annotated[
        bool, typer.Option("--fake", help="With --local: engines that count, without a model.")
    ] = False,
    gateways: Annotated[
        bool,
        typer.Option("--gateways", help="With --local: a router in front of each site as well."),
    ] = False,
) -> None:
    """Start a fleet and run its router until Ctrl-C.

    With a fleet file, the engines of its sites are deployed as `site up` does, and stay when the
    router ends. With --local all of it runs on this machine, and nothing stays.
    """
    if local == (fleet is not None):
        raise Failure("give either a fleet file or --local", Outcome.USAGE)
    if fleet is None:
        _up_local(model, listen, fake=fake, gateways=gateways)
    elif model or listen or fake or gateways:
        raise Failure(
            "--model, --listen, --fake and --gateways are for --local; a fleet file says what they"
            " do",
            Outcome.USAGE,
        )
    else:
        _up(fleet)


def _up_local(model: str | None, listen: str | None, *, fake: bool, gateways: bool) -> None:
    from spillway.local.foreground import run_in_foreground
    from spillway.local.ports import is_free
    from spillway.local.two_sites import built_in_model, fake_engine, two_sites

    settings = fake_engine() if fake else built_in_model()
    if model is not None:
        if not (Path(model) / "config.json").is_file():
            raise Failure(f"--model {model}: no folder with a config.json there", Outcome.USAGE)
        settings = settings | {"model": str(Path(model).resolve())}  # engines run elsewhere
    if listen is None and is_free(int(ADDRESS.rpartition(":")[2])):
        listen = ADDRESS
    openai = OPENAI_ADDRESS if is_free(int(OPENAI_ADDRESS.rpartition(":")[2])) else None
    plan = two_sites(settings, listen=listen, openai_listen=openai, gateways=gateways)
    run_in_foreground(plan)


def _up(path: Path) -> None:
    from spillway import routing
    from spillway.fleet import load
    from spillway.ray_serve import RayServe
    from spillway.site_application import SiteApplication

    file = load(path)
    applications = []
    for deployment in file.deployments:
        access = file.access_to(deployment.site)
        application = SiteApplication(
            RayServe(access.dashboard_url or ""), access.application or ""
        )
        application.deploy(file.serving_arguments(deployment.site), deployment.runtime_env)
        say(f"Site {deployment.site}: deploying {deployment.model}")
        applications.append(application)
    for application in applications:
        application.wait_until_serving(DEPLOY_TIMEOUT_S, say_status)
    if routing.run(file, say):
        raise typer.Exit(Outcome.INTERRUPTED)
