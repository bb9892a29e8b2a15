"""What one reading of a fleet file says differently from another, key by key."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from router.live.reloading import Change, ReloadError
from spillway.fleet.values import FleetFile
from spillway.fleet.writing import content_of

RELOADED = ("router.authentication.keys_file", "router.drain_timeout")
"""What of the section `router` changes with a reload; all else is for a start."""

_DEFAULT = "its default"
_WHOLE = frozenset({"sites", "tenants", "slo_classes", "models"})
"""Sections of which each entry is named, and comes and goes as a whole."""


def changes(before: FleetFile, after: FleetFile) -> tuple[Change, ...]:
    """Every key that differs, in the order of the file as it is written."""
    return tuple(_differences("", _shown(before), _shown(after)))


def refuse_what_needs_a_start(found: tuple[Change, ...]) -> None:
    """Raises ReloadError, with every key, for what cannot change while a router runs."""
    fixed = [one for one in found if one.key.startswith("router.") and not _reloads(one)]
    if fixed:
        raise ReloadError(
            "; ".join(
                f"{one.key} cannot change without a restart: it is {one.before or _DEFAULT}, and"
                f" would be {one.after or _DEFAULT}"
                for one in fixed
            )
        )


def _shown(file: FleetFile) -> dict[str, Any]:
    """What a file says; of what may hold secrets (a runtime environment's variables) a digest."""
    content = content_of(file)
    for site in content.get("sites", {}).values():
        environment = site.get("ray", {}).get("runtime_env")
        if environment:
            said = json.dumps(environment, sort_keys=True, default=str)
            site["ray"]["runtime_env"] = f"sha256:{sha256(said.encode()).hexdigest()[:16]}"
    return content


def _reloads(one: Change) -> bool:
    """Keys do not begin to be asked for, or cease, while a router runs."""
    if one.key == "router.authentication.keys_file":
        return bool(one.before and one.after)
    return one.key in RELOADED


def _differences(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    whole = path.rpartition(".")[0] in _WHOLE and not (before and after)
    if whole or not (isinstance(before, Mapping | None) and isinstance(after, Mapping | None)):
        yield Change(path, _text(before), _text(after))
        return
    before, after = before or {}, after or {}
    for key in dict.fromkeys((*before, *after)):
        below = f"{path}.{key}" if path else str(key)
        yield from _differences(below, before.get(key), after.get(key))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
