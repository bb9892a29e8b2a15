"""The command line: `aot` looks at compiled code and needs no GPU, `time` measures on one."""

import argparse
import sys

from benchmarks.kernels import aot, timing


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    aot.add_command(commands)
    timing.add_command(commands)
    args = parser.parse_args(argv)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())
