"""What a fleet file says, as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet

APPLICATION = "spillway"
"""The Serve application of a site whose file names no other."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that sites serve under one name."""

    name: str
    source: str  # what the engine loads: a folder on the site's nodes, or a name at a hub; empty
    # for a name that versions serve, which are models of their own
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployment:
    """What `spillway site up` deploys to a site."""

    site: str
    model: str
    replicas: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)  # more for serving.app:build
    runtime_env: Mapping[str, Any] = field(default_factory=dict)  # of the Serve application
    asks: Mapping[str, Any] = field(default_factory=dict)  # routers, by the keys of `scale`


OfSite = TypeVar("OfSite", Deployment, SiteAccess)


@dataclass(frozen=True, slots=True)
class FleetFile:
    """A whole fleet file.

    `fleet` is what every router of the fleet shares; `access` and `router` belong to the processes
    that read this file. `path` and `digest` say which file that was, where it was one.
    """

    fleet: Fleet
    access: tuple[SiteAccess, ...]
    router: RouterSettings = field(default_factory=RouterSettings)
    models: tuple[Model, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    path: Path | None = field(default=None, compare=False)  # that it was read from
    digest: str = field(default="", compare=False)  # SHA-256 of its bytes

    def serving_arguments(self, site: str) -> dict[str, Any]:
        """The arguments of serving.app:build at a site. KeyError where it has no deployment."""
        deployment = self.deployment(site)
        model = next(one for one in self.models if one.name == deployment.model)
        return {
            "model": model.source,
            "served_names": [model.name, *model.aliases],
            "replicas": deployment.replicas,
            **self._autoscale(deployment),
            **deployment.arguments,
        }

    def _autoscale(self, deployment: Deployment) -> dict[str, Any]:
        """How its replicas follow what routers want; nothing where it asks none."""
        scale = self.fleet.site(deployment.site).scale
        if scale is None or not deployment.asks:
            return {}
        bounds = {"min_replicas": scale.replicas_min, "max_replicas": scale.replicas_max}
        return {"autoscale": {"site": deployment.site, **bounds, **deployment.asks}}

    def deployment(self, site: str) -> Deployment:
        """What is deployed to a site; KeyError where nothing is."""
        return _of_site(self.deployments, site)

    def access_to(self, site: str) -> SiteAccess:
        """How a site is reached; KeyError where there is none of this name."""
        return _of_site(self.access, site)


def _of_site(values: Iterable[OfSite], site: str) -> OfSite:
    for one in values:
        if one.site == site:
            return one
    raise KeyError(site)
