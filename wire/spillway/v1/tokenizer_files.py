"""The files that a model keeps of its tokenizer, and the digest that names them.

A replica states the digest in its load reports; whoever fetched the files can check it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

TOKENIZER_FILES: Final = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tekken.json",
)
"""All that formats in use keep of a tokenizer. The digest is of these, in this order."""

TEMPLATE_FILE: Final = "chat_template.jinja"
"""The chat template, where it is not in tokenizer_config.json. It is no part of the digest."""

FILES_BYTES_MAX: Final = 128 * 1024**2
"""Of all files of one tokenizer: the largest in use take some 40 MB."""

PIECE_BYTES: Final = 1024**2
"""Of a message: well below the 4 MB that gRPC takes by default."""

_DIGEST_BYTES: Final = 16


def parts_digest(parts: Iterable[bytes]) -> str:
    """Of the parts in order; empty where there are none."""
    digest, some = hashlib.blake2b(digest_size=_DIGEST_BYTES), False
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
        some = True
    return digest.hexdigest() if some else ""


def named_part(name: str, content: bytes) -> bytes:
    """A file as a part of a digest."""
    return name.encode() + b"\0" + content


def tokenizer_digest(files: Mapping[str, bytes]) -> str:
    """The digest of a tokenizer's files by their names; empty where none of them is known."""
    return parts_digest(named_part(name, files[name]) for name in TOKENIZER_FILES if name in files)
