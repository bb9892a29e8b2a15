"""Who an engine is: what must be equal for a stream to go on at another one.

Digests name what they are made of, so that two sites that load the same files agree without talking
to each other. What cannot be read has an empty digest, which equals nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wire.spillway.v1.tokenizer_files import TOKENIZER_FILES, named_part, parts_digest

SAMPLE_BYTES = 4_096
"""Of each end and of the middle of a tensor. A model that was trained on differs in nearly all."""

WHOLE_BYTES_MAX = 64 * 1024**2
"""Files up to this size are read whole, in a tenth of a second."""

HEADER_BYTES_MAX = 100 * 1024**2
"""What the safetensors format allows a header to be."""

MODEL_FILES = ("config.json", "generation_config.json")
"""The shape of the model, and how it samples by default."""

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """See spillway.v1.Identity."""

    weights_digest: str = ""
    tokenizer_digest: str = ""
    numerics_digest: str = ""
    restores: tuple[str, ...] = ()
    adapters: Mapping[str, str] = field(default_factory=dict)


def weights_digest(folder: Path, defaults: Mapping[str, object]) -> str:
    """The digest of a model's folder, and of what holds for requests that do not say it.

    Empty where the folder has no safetensors.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        return ""
    settings = settings_digest(defaults).encode()
    return parts_digest([*_files(folder, MODEL_FILES), *map(_tensors, weights), settings])


def tokenizer_digest(folder: Path) -> str:
    """The digest of a tokenizer's folder; empty where none of its files is known."""
    return parts_digest(_files(folder, TOKENIZER_FILES))


def adapter_digest(folder: Path) -> str:
    """The digest of a LoRA adapter's folder; empty where it has no safetensors."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        return ""
    return parts_digest([*_files(folder, ("adapter_config.json",)), *map(_tensors, weights)])


def settings_digest(settings: Mapping[str, object]) -> str:
    """The digest of settings by their names, in any order."""
    return parts_digest([json.dumps(settings, sort_keys=True, default=str).encode()])


def _files(folder: Path, names: Iterable[str]) -> Iterator[bytes]:
    """The names and contents of those files that are there."""
    for name in names:
        path = folder / name
        if path.is_file():
            yield named_part(name, path.read_bytes())


def _tensors(path: Path) -> bytes:
    """A hash of a safetensors file: of all of it, or of its header and of samples of each tensor.

    The format is an 8-byte length, a JSON header of that length with the place of each tensor, and
    the tensors.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_BYTES_MAX:
            digest.update(file.read())
            return digest.digest()
        length = int.from_bytes(file.read(8), "little")
        if length > min(HEADER_BYTES_MAX, size - 8):
            raise ValueError(f"{path} is no safetensors file")
        header = file.read(length)
        digest.update(header)
        for name, tensor in sorted(json.loads(header).items()):
            if name == "__metadata__":
                continue
            start, end = (8 + length + offset for offset in tensor["data_offsets"])
            for place in (start, (start + end - SAMPLE_BYTES) // 2, end - SAMPLE_BYTES):
                file.seek(max(place, start))
                digest.update(file.read(min(SAMPLE_BYTES, end - start)))
    return digest.digest()
