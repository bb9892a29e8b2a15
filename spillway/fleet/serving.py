"""Checks a site's `serving` section against the settings that its replicas will read."""

from collections.abc import Iterator

from pydantic import ValidationError

from serving.settings import ReplicaSettings
from spillway.fleet.problem import Problem
from spillway.fleet.refusal import problems
from spillway.fleet.schema import FileSection
from spillway.fleet.source import Source

OWN = ("model", "served_names", "replicas")
"""Settings that a fleet file says elsewhere."""


def serving_problems(file: FileSection, source: Source) -> Iterator[Problem]:
    """What the replicas would refuse, found before they are deployed."""
    for name, site in file.sites.items():
        settings = {key: value for key, value in site.serving.items() if key not in OWN}
        try:
            ReplicaSettings.model_validate({"model": site.model or name, **settings})
        except ValidationError as error:
            yield from problems(error, source, ReplicaSettings, ("sites", name, "serving"))
