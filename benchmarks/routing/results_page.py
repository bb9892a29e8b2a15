"""Put the tables of a comparison into the page of results; what is written around them stays.

    python -m benchmarks.routing.results_page --from OUT [--page docs/routing-results.md]

OUT is where `python -m benchmarks.routing` wrote. Its `aims.md` replaces the page's first table,
and `margins.md` and a scenario's `NAME.md` the sections of their names, which are added where the
page has none.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.routing import margins
from benchmarks.routing.scenarios import SCENARIOS

EXIT_USAGE = 2
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


def page(text: str, aims: str, sections: dict[str, str]) -> str:
    """The page with these tables."""
    text = _TABLE.sub(lambda _: aims, text, count=1)
    for name, section in sections.items():
        found = re.search(rf"^## {re.escape(name)}\n(?:(?!## ).*\n?)*", text, re.MULTILINE)
        if found:
            text = f"{text[: found.start()]}{section.rstrip()}\n\n{text[found.end() :]}"
        else:
            text = f"{text.rstrip()}\n\n{section.rstrip()}\n"
    return text.rstrip() + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.routing.results_page",
        description=(__doc__ or "").split("\n", maxsplit=1)[0],
    )
    parser.add_argument("--from", dest="source", type=Path, required=True, help="what was written")
    parser.add_argument("--page", type=Path, default=Path("docs/routing-results.md"))
    asked = parser.parse_args(arguments)
    try:
        aims = (asked.source / "aims.md").read_text(encoding="utf-8")
        paths = {name: asked.source / f"{name}.md" for name in SCENARIOS}
        paths |= {margins.TITLE: asked.source / "margins.md"}
        sections = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
        text = page(asked.page.read_text(encoding="utf-8"), aims, sections)
        asked.page.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"benchmarks.routing.results_page: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
