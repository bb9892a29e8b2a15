"""Make the built-in model and check it: `python -m serving.models.make OUT`."""

import sys
from pathlib import Path

from safetensors.torch import save_file

from serving.models import check, files, rules, weights


def make(folder: Path) -> None:
    """Write the model's files. There is no chance in them: the same program, the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    known = list(rules.rules())
    files.write(folder, neurons=weights.intermediate(known))
    save_file(weights.tensors(known), folder / "model.safetensors", metadata={"format": "pt"})


def main(arguments: list[str]) -> int:
    """Make it, then check every start and every passage; 1 if an answer is wrong."""
    if len(arguments) != 1:
        print("usage: python -m serving.models.make OUT", file=sys.stderr)  # noqa: T201
        return 2
    folder = Path(arguments[0])
    make(folder)
    return check.main(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
