"""A process that writes an audit log, and says of each record that it is written, until killed."""

import sys
from pathlib import Path

from router.audit.journal import Journal
from router.audit.pruning import Keeping


def main() -> None:
    """Takes the path, the size of a file, how many there may be, and where to begin counting."""
    path, (bytes_max, files_max, count) = Path(sys.argv[1]), map(int, sys.argv[2:])
    journal = Journal(path, bytes_max, b"s" * 32, Keeping(files_max, kept_s=0.0))
    while True:
        journal.append({"count": count, "filler": "x" * (count % 400)})
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()
        count += 1


if __name__ == "__main__":
    main()
