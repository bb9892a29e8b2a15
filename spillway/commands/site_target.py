"""The site that a command of `spillway site` is about: by its name, or by its dashboard."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spillway.commands.failure import Failure, Outcome

if TYPE_CHECKING:
    from spillway.site_application import SiteApplication

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


def resolved(
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
