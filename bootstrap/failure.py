"""Turns the output of a failed installer into the one sentence that says what to do."""

import re
from dataclasses import dataclass

TORCH_INDEX_VARIABLE = "SPILLWAY_TORCH_INDEX"


class SetupError(Exception):
    """Setup cannot go on; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Symptom:
    """What a failed installer prints, and what a person does about it."""

    pattern: re.Pattern[str]
    sentence: str


def _symptom(pattern: str, sentence: str) -> Symptom:
    return Symptom(re.compile(pattern, re.IGNORECASE), sentence)


# In order: an index out of reach also reports missing packages, and a full disk breaks anything.
SYMPTOMS = (
    _symptom(
        r"no space left on device|disk quota exceeded|os error 28",
        "The disk is full: free some space (`df -h . ~/.cache` shows where) and run it again.",
    ),
    _symptom(
        r"(failed to establish a new|refused|reset).{0,20}connection"
        r"|connection (refused|reset|timed out)|newconnectionerror|connecttimeout|readtimeout"
        r"|name or service not known|temporary failure in name resolution|dns error"
        r"|no route to host|network is unreachable|error sending request|failed to fetch"
        r"|certificate verify failed|invalid peer certificate|proxyerror",
        "The package index cannot be reached: check the network, or name an index that can be "
        "(`pip config set global.index-url URL`), and run it again.",
    ),
    _symptom(
        r"(no matching distribution found for|could not find a version that satisfies).{0,40}"
        r"torch==\S+\+cpu",
        "The package index has no CPU build of PyTorch: set "
        f"{TORCH_INDEX_VARIABLE} to an index that has one (docs/local.md) and run it again.",
    ),
    _symptom(
        r"command '\S*(gcc|g\+\+|cc|c\+\+|clang)\S*' failed|no such file or directory: '(gcc|cc)'"
        r"|unable to find a compiler|no .{0,20}compiler (was )?found|microsoft visual",
        "A package has no ready-made build for this machine and there is no C compiler: install "
        "one (Debian: `apt-get install g++`) and run it again.",
    ),
    _symptom(
        r"no matching distribution found|could not find a version|no solution found"
        r"|was not found in the package registry|no matching (version|wheel)",
        "The package index lacks a version that Spillway pins: use an index that mirrors all of "
        "the Python Package Index (`pip config set global.index-url URL`) and run it again.",
    ),
    _symptom(
        r"permission denied",
        "A file cannot be written: make this folder and ~/.cache writable and run it again.",
    ),
)


def explain(output: str, returncode: int) -> str:
    """The sentence for an installer that ended with `returncode` after printing `output`."""
    for symptom in SYMPTOMS:
        if symptom.pattern.search(output):
            return symptom.sentence
    if returncode in {-9, 137}:
        return "The installer was killed, most likely for memory: free some and run it again."
    return "The installer failed for the reason above: mend it and run it again."
