"""One target, guided by what its inputs reach: `python -m benchmarks.fuzz.guided TARGET`.

Atheris (libFuzzer) keeps each input that reaches a branch of ours that none did before, and makes
the next out of those. What it keeps stays in a folder of the target's own, so that a later run goes
on from there. It ends the process where it finds something, with 77.
"""

import argparse
import sys
from collections.abc import Sequence
from hashlib import sha1
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from benchmarks.fuzz.target import Target

INPUT_BYTES_MAX: Final = 4_096
MEMORY_MIB_MAX: Final = 2_048
HANG_S: Final = 10
OURS: Final = ["router", "wire", "spillway", "serving"]
"""What is looked into: other libraries would have most of the branches."""


def main(arguments: Sequence[str]) -> int:
    """2 where atheris is not installed; else libFuzzer ends the process."""
    options = _parser().parse_args(arguments)
    try:
        atheris: Any = import_module("atheris")
    except ImportError:
        sys.stderr.write("atheris is not installed: pip install '.[fuzz]'\n")
        return 2
    with atheris.instrument_imports(include=OURS):
        from benchmarks.fuzz.targets import TARGETS  # noqa: PLC0415 - it is looked into as it comes
    if options.target not in TARGETS:
        sys.stderr.write(f"there is no target {options.target}; known: {', '.join(TARGETS)}\n")
        return 2
    target = TARGETS[options.target]
    folder: Path = options.corpus / target.name
    words = _begun(folder, target)
    options.finds.mkdir(parents=True, exist_ok=True)

    def run(raw: bytes) -> None:
        target.run(raw)

    atheris.Setup(
        [
            "guided",
            f"-max_total_time={options.seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-timeout={HANG_S}",
            f"-rss_limit_mb={MEMORY_MIB_MAX}",
            f"-artifact_prefix={options.finds}/{target.name}-",
            *([f"-dict={words}"] if target.words else []),
            "-print_final_stats=1",
            str(folder),
        ],
        run,
    )
    atheris.Fuzz()
    return 0


def _begun(folder: Path, target: "Target") -> Path:
    """Puts what is kept into the folder, and the target's words into a file, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in target.kept():
        # libFuzzer calls its own files so.
        (folder / sha1(one, usedforsecurity=False).hexdigest()).write_bytes(one)
    words = folder.with_name(f"{folder.name}.words")
    words.write_text("".join(f'"{_escaped(one)}"\n' for one in target.words))
    return words


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz.guided", description=__doc__)
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=600, help="at most")
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"), help="what it keeps")
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"), help="folder for finds")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
