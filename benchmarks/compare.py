"""`python -m benchmarks.compare A.json B.json`: how the second result stands to the first.

The ratio is B over A, beside how far chance alone could have moved it.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.ratios import Ratio, UnlikeError, ratios
from benchmarks.report import print_table
from benchmarks.report_page import add_option, write_page

EXIT_USAGE: Final = 2
COLUMNS: Final = ("measure", "A", "B", "B/A", "spread", "so B is")


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 where the two cannot be compared."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("a", type=Path, help="a result, as --out wrote it")
    parser.add_argument("b", type=Path, help="another of the same command")
    add_option(parser)
    options = parser.parse_args(arguments)
    try:
        before, after = _read(options.a), _read(options.b)
        found = ratios(before, after)
    except UnlikeError as error:
        print(f"benchmarks.compare: {error}", file=sys.stderr)
        return EXIT_USAGE
    except (KeyError, TypeError, AttributeError) as error:
        print(f"benchmarks.compare: a file is no result of ours ({error!r})", file=sys.stderr)
        return EXIT_USAGE
    notes = list(differences(before, after))
    shown = print_table(
        f"{options.b.name} over {options.a.name}",
        COLUMNS,
        [_row(one) for one in found],
        note="spread: the middle nine tenths of what drawing sessions or repeats anew gives",
    )
    for note in notes:
        print(note)
    if options.html is not None:
        write_page(options.html, shown.title, [shown], vars(options), notes=notes)
    return 0


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What else differs between two results, a sentence each: the ratios may come from that."""
    machines = [result.get("environment", {}).get("machine") for result in (before, after)]
    if machines[0] != machines[1]:
        yield f"The machines differ: {_said(machines[0])}; {_said(machines[1])}."
    versions = [result.get("environment", {}).get("versions", {}) for result in (before, after)]
    asked = [result.get("options", {}) for result in (before, after)]
    for what, (one, other) in (("version of", versions), ("option", asked)):
        for name in sorted({*one, *other} - {"out", "picture", "html"}):
            if one.get(name) != other.get(name):
                yield f"The {what} {name} differs: {one.get(name)}, {other.get(name)}."


def _said(machine: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in (machine or {}).items()) or "not said"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnlikeError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UnlikeError(f"{path} is no JSON") from error
    if not isinstance(found, dict):
        raise UnlikeError(f"{path} is no result of a benchmark")
    return found


def _row(one: Ratio) -> tuple[str, ...]:
    ratio = "-" if one.value is None else f"{one.value:.3f}"
    spread = "-" if one.spread is None else f"{one.spread[0]:.3f} to {one.spread[1]:.3f}"
    return (one.measure, f"{one.before:.4g}", f"{one.after:.4g}", ratio, spread, one.verdict)


if __name__ == "__main__":
    sys.exit(main())
