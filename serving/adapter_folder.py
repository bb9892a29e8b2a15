"""The LoRA adapters that lie in a site's folder, each in a folder that has its name.

The folder is read once, when an engine starts. What a request names is looked up in the list that
was read then, and never on a disk.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from serving.settings import ReplicaSettings, SettingsError

ADAPTERS_MAX = 4_096
"""Of one replica: a router remembers as many names of a model's."""

CONFIG = "adapter_config.json"
"""The file that makes a folder an adapter, as PEFT writes it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a folder may be called to be an adapter: no path, nothing hidden, nothing to quote."""

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM can be told to be the largest rank of its adapters."""

RANK_ARGUMENT = "max_lora_rank"


def with_adapters(settings: ReplicaSettings) -> ReplicaSettings:
    """The settings with the adapters of their folder among `vllm.loras`. It reads files.

    vLLM is told the largest rank among them all, unless it is told one already. Raises
    SettingsError.
    """
    vllm, found = settings.vllm, dict(settings.vllm.loras)
    if vllm.adapter_folder is not None:
        for name, place in _in_folder(Path(vllm.adapter_folder)):
            if name in found:
                raise SettingsError(
                    f"vllm.loras.{name}: {vllm.adapter_folder} has an adapter of this name as well;"
                    " call one of them otherwise"
                )
            found[name] = str(place)
    if len(found) > ADAPTERS_MAX:
        raise SettingsError(
            f"vllm.adapter_folder: there are {len(found)} adapters, more than {ADAPTERS_MAX}"
        )
    arguments = dict(vllm.arguments)
    if found and RANK_ARGUMENT not in arguments:
        rank = max(_rank(name, Path(place)) for name, place in found.items())
        allowed = [most for most in RANKS if most >= rank]
        if not allowed:
            raise SettingsError(f"vllm.loras: vLLM takes ranks up to {RANKS[-1]}, not {rank}")
        if rank:
            arguments[RANK_ARGUMENT] = max(allowed[0], 16)  # 16 is vLLM's own
    update: Mapping[str, Any] = {"loras": found, "arguments": arguments}
    return settings.model_copy(update={"vllm": vllm.model_copy(update=update)})


def _in_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    """The adapters there, by name. Raises SettingsError."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise SettingsError(f"vllm.adapter_folder: {folder} cannot be read: {error}") from error
    root = folder.resolve()
    for entry in entries:
        if entry.name.startswith(".") or not (entry / CONFIG).is_file():
            continue
        if not NAME.fullmatch(entry.name):
            raise SettingsError(
                f"vllm.adapter_folder: {entry.name!r} is no name for an adapter; letters, digits,"
                " dots, dashes and underscores are"
            )
        if not (entry / CONFIG).resolve().is_relative_to(root):
            raise SettingsError(
                f"vllm.adapter_folder: {entry.name} leads out of {folder}; name it in vllm.loras"
                " if that is meant"
            )
        yield entry.name, entry


def _rank(name: str, place: Path) -> int:
    """The rank of an adapter; 0 where its files are not here, or do not say."""
    try:
        said = json.loads((place / CONFIG).read_text())
    except (OSError, ValueError):
        return 0  # vLLM may find it elsewhere, and says what is wrong when it is loaded
    ranks = (
        [said.get("r"), *dict(said.get("rank_pattern") or {}).values()]
        if isinstance(said, dict)
        else []
    )
    whole = [rank for rank in ranks if isinstance(rank, int) and rank > 0]
    if not whole:
        raise SettingsError(f"vllm.loras.{name}: {place / CONFIG} states no rank (r)")
    return max(whole)
