"""The built-in model: tiny, made by rule, with checkable answers. Importing this needs no torch."""

from pathlib import Path

BUILT_IN = Path(__file__).parent / "tally"
"""The folder to give an engine as its model."""

BUILT_IN_NAME = "built-in"
"""What settings call it, so that they hold on every machine."""
