"""A site's `scale` in a fleet file: how far it grows and shrinks, and what cannot be meant."""

from collections.abc import Iterator, Mapping
from typing import Any

from router.policy.scale import Scale
from spillway.fleet.problem import KeyPath
from spillway.fleet.quantity import DURATION
from spillway.fleet.schema import ScaleSection, SiteSection

_KEYS = {"start": "start_ns", "billing": "billing_ns", "spare": "spare_ns"}


def scale_of(site: SiteSection) -> Scale | None:
    """A site's bounds; None for one that stays as it is."""
    read = site.scale
    if read is None:
        return None
    given = {field: getattr(read, key) for key, field in _KEYS.items() if _is_given(read, key)}
    return Scale(read.min, read.max, **given)


def asks_of(site: SiteSection) -> dict[str, Any]:
    """Whom its autoscaler asks how many replicas are wanted; nothing where that is nobody."""
    read = site.scale
    if read is None or not read.routers:
        return {}
    paths = {"key_file": read.key_file, "authority": read.authority}
    named = {key: str(path) for key, path in paths.items() if path is not None}
    return {"routers": list(read.routers), **named}


def initial_replicas(site: SiteSection) -> int:
    """How many replicas `site up` deploys."""
    scale = scale_of(site)
    if site.capacity is not None:
        return site.capacity.replicas
    return 1 if scale is None else min(max(1, scale.replicas_min), scale.replicas_max)


def scale_findings(site: SiteSection) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with it, each with its path below the site."""
    read, capacity = site.scale, site.capacity
    if read is None:
        return
    if site.model is None:
        yield ("scale",), "only what `site up` deploys can scale; give ray.dashboard and model"
    if read.max < max(1, read.min):
        yield ("scale", "max"), f"expected at least {max(1, read.min)}, found {read.max}"
    elif capacity is not None and not read.min <= capacity.replicas <= read.max:
        message = f"expected {read.min} to {read.max}, as scale has it, found {capacity.replicas}"
        yield ("capacity", "replicas"), message
    for key in ("key_file", "authority"):
        if _is_given(read, key) and not read.routers:
            yield ("scale", key), "it is shown to routers, and scale.routers names none"
    if "autoscale" in site.serving:
        yield ("serving", "autoscale"), "set the site's own key scale instead"
    if _is_given(read, "billing") and not site.price.metered:
        yield ("scale", "billing"), "nothing is metered here; give price.metered or leave it out"


def written(scale: Scale | None, asks: Mapping[str, Any]) -> dict[str, Any]:
    """The key that reads back as these bounds, and as who is asked."""
    if scale is None:
        return {}
    usual = Scale(scale.replicas_min, scale.replicas_max)
    keys: dict[str, Any] = {"min": scale.replicas_min, "max": scale.replicas_max}
    for key, field in _KEYS.items():
        if getattr(scale, field) != getattr(usual, field):
            keys[key] = DURATION.write(getattr(scale, field))
    return {**keys, **asks}


def _is_given(read: ScaleSection, key: str) -> bool:
    return key in read.model_fields_set
