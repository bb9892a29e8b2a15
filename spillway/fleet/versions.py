"""A model's versions: what a fleet file may say of them, and the roll-out that it means."""

from collections.abc import Iterator
from typing import Any

from router.policy.rollout import Rollout
from spillway.fleet.problem import KeyPath
from spillway.fleet.schema import FileSection, ModelSection


def version_findings(file: FileSection) -> Iterator[tuple[KeyPath, str]]:
    """What cannot be meant."""
    for name, model in file.models.items():
        if model.source is None and not model.versions:
            yield ("models", name), "nothing says what it is; give source, or versions"
        for below, message in _versions(file, name, model):
            yield ("models", name, "versions", *below), message
    for name, site in file.sites.items():
        chosen = file.models.get(site.model or "")
        if chosen is not None and chosen.source is None:
            instead = " or ".join(version.served for version in chosen.versions)
            message = f"{site.model} is a name of versions and has no source; deploy {instead}"
            yield ("sites", name, "model"), message


def rollouts_of(file: FileSection) -> tuple[Rollout, ...]:
    """The models that versions serve."""
    return tuple(
        Rollout(
            name,
            model.versions[0].served,
            model.versions[1].served if len(model.versions) > 1 else "",
            (model.versions[1].share or 0.0) if len(model.versions) > 1 else 0.0,
            tuple(model.aliases),
        )
        for name, model in file.models.items()
        if model.versions
    )


def written(rollout: Rollout | None) -> list[dict[str, Any]]:
    """The versions as a file has them."""
    if rollout is None:
        return []
    versions: list[dict[str, Any]] = [{"served": rollout.standing}]
    if rollout.new:
        versions.append({"served": rollout.new, "share": rollout.share})
    return versions


def _versions(file: FileSection, name: str, model: ModelSection) -> Iterator[tuple[KeyPath, str]]:
    seen: set[str] = set()
    owner_of = {alias: owner for owner, one in file.models.items() for alias in one.aliases}
    for place, version in enumerate(model.versions):
        served = version.served
        if not place and version.share is not None:
            yield (place, "share"), "the first version has what the second one's share leaves"
        if place and version.share is None:
            yield (place,), "give share, of the new sessions, that this version has"
        if served in seen:
            yield (place, "served"), f"{served} is a version of {name} already"
        seen.add(served)
        other = file.models.get(served)
        if served != name and other is not None and other.versions:
            yield (place, "served"), f"{served} has versions itself; name what endpoints serve"
        if served in owner_of:
            yield (place, "served"), f"{served} is an alias of {owner_of[served]}; name the model"
