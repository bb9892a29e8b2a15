"""The entry. It says so when the wrong Python runs it, so this file avoids newer syntax."""

import sys

WANTED = (3, 11)

if sys.version_info[:2] != WANTED:
    found = ".".join(map(str, sys.version_info[:2]))
    sys.stderr.write(
        "Spillway needs Python 3.11 and this is Python " + found + ": install Python 3.11, or name "
        "it with `make PYTHON=/path/to/python3.11 ...`.\n"
    )
    sys.exit(1)

from bootstrap.setup import main  # noqa: E402  (an older Python cannot read it)

sys.exit(main())
