"""A process that writes an audit log, and says of each record that it is written, until killed."""

import sys
from pathlib import Path

from router.audit.journal import Journal


def main() -> None:
    """Takes the path, the size of a file and where to begin counting."""
    path, bytes_max, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    journal = Journal(path, bytes_max, b"s" * 32)
    while True:
        journal.append({"count": count, "filler": "x" * (count % 400)})
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()
        count += 1


if __name__ == "__main__":
    main()
