"""Findings as lines: for people with colour, for scripts with tabs between the fields."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spillway.commands.terminal import is_terminal, terminal, write

if TYPE_CHECKING:
    from spillway.doctor.finding import Finding

STYLES = {"OK": "green", "WARNING": "yellow", "PROBLEM": "bold red"}


def write_findings(findings: Iterable["Finding"]) -> None:
    """A line each, with what to do."""
    for finding in findings:
        write_finding(finding)


def write_finding(finding: "Finding") -> None:
    """One."""
    level, check = finding.level.name, finding.check
    what, do = " ".join(finding.what.split()), " ".join(finding.do.split())
    if not is_terminal():
        write(f"{level.lower()}\t{check}\t{what}\t{do}")
        return
    from rich.markup import escape

    out = terminal()
    out.print(f"[{STYLES[level]}]{level.lower():8}[/] {check}: {escape(what)}")
    if do:
        out.print(f"         [dim]→ {escape(do)}[/]")


def as_json(finding: "Finding") -> dict[str, str]:
    """The same for `--json`."""
    return {
        "check": finding.check,
        "level": finding.level.name.lower(),
        "what": finding.what,
        "do": finding.do,
    }
