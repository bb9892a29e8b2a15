"""The commands that the pages name: where each stands, and its words as a shell has them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "deploy", "kernels", "serving", "benchmarks")

PROGRAMS = ("spillway", "python", "ray", "make")
"""Whose commands are ours to keep right."""

NO_COMMANDS = {"spillway queue", "spillway link", "spillway VERSION"}
"""What is written like a command and is the name of a span, of a middle, and of a version."""

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}.*\n)+", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_HEREDOC = re.compile(r"<<'?(\w+)'?\n.*?^\1$", re.MULTILINE | re.DOTALL)
_SHELLS = {"", "sh", "bash", "console"}
_ENDS = {"|", "||", "&", "&&", ";", ">", ">>", "<"}
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")


class Command(NamedTuple):
    """One command of a page. One in a line of text (`is_whole` False) may leave its rest out."""

    words: tuple[str, ...]
    place: str
    is_whole: bool


def pages():
    """Every page of the repository but its changelog, which tells of what was."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return found + [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))]


def commands(page):
    """Those of a page, in their order."""
    text = page.read_text()
    name = page.relative_to(ROOT)
    found = []
    rest = text
    for block in [*_FENCED.finditer(text), *_INDENTED.finditer(_blanked(text, _FENCED))]:
        fenced = len(block.groups()) == 2
        if fenced and block.group(1) not in _SHELLS:
            continue
        at = text.count("\n", 0, block.start()) + 1
        found += [
            Command(words, f"{name}:{at}", is_whole=True)
            for words in _typed(block.group(2) if fenced else block.group())
        ]
    rest = _blanked(_blanked(text, _FENCED), _INDENTED)
    for inline in _INLINE.finditer(rest):
        place = f"{name}:{text.count(chr(10), 0, inline.start()) + 1}"
        if inline.group(1) not in NO_COMMANDS:
            for words in _typed(inline.group(1)):
                found.append(Command(words, place, is_whole=False))
    return found


def _blanked(text, pattern):
    """The text without what matches, each line where it was."""
    return pattern.sub(lambda found: "\n" * found.group().count("\n"), text)


def _typed(text):
    """The words of each of our commands in a piece; of a session, what follows a prompt."""
    lines = _HEREDOC.sub("", text).replace("\\\n", " ").splitlines()
    if any(line.lstrip().startswith("$ ") for line in lines):
        lines = [line.lstrip()[2:] for line in lines if line.lstrip().startswith("$ ")]
    for line in lines:
        first = line.split()[:1]
        if first and (Path(first[0]).name in PROGRAMS or _ASSIGNED.match(first[0])):
            yield from _of_line(line)


def _of_line(line):
    words = []
    for word in [*_split(line), ";"]:
        if word not in _ENDS:
            words.append(word)
            continue
        while words and _ASSIGNED.match(words[0]):
            words.pop(0)
        if words and Path(words[0]).name in PROGRAMS:
            yield (Path(words[0]).name, *words[1:])
        words = []
        if word not in {"&&", ";", "||", "|"}:
            return


def _split(line):
    """Words and marks of a shell; a synopsis has brackets round what may be left out."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    reader.whitespace_split = True
    words = [word.strip("[]") for word in reader]
    return [word for word in words if word not in {"...", "…"}]
