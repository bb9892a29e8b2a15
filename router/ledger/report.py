"""Reading the ledger: what was spent, by whom and where, and what the sites themselves counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from router.ledger.database import Database
from router.ledger.schema import SUMS, check

KEYS: Final = ("day", "tenant", "site", "model", "hardware")
"""By which sums can be told apart."""

ROWS_MAX: Final = 10_000
"""Of one report: more is not read, and says so."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Days are in UTC, as 2026-11-29, the last one included; empty: any."""

    by: tuple[str, ...] = ()  # of KEYS
    since: str = ""
    until: str = ""
    tenant: str = ""  # that it is about; empty: all


@dataclass(frozen=True, slots=True)
class Sums:
    """What attempts come to. Money is in US dollars."""

    attempts: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    uncached_tokens: int = 0
    output_tokens: int = 0
    egress_bytes: int = 0
    committed_gpu_s: float = 0.0
    metered_gpu_s: float = 0.0
    committed_usd: float = 0.0
    metered_usd: float = 0.0
    egress_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """The sums of what has these keys in common."""

    key: tuple[str, ...]  # in the order that was asked for
    sums: Sums


@dataclass(frozen=True, slots=True)
class Report:
    """The answer, in the order of its keys."""

    lines: tuple[Line, ...]
    total: Sums  # of the lines
    is_cut: bool = False  # there are more lines


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A site by both accounts: they differ by what engines did for others than these routers."""

    site: str
    told_output_tokens: int  # by the site's engines
    told_prompt_tokens: int
    told_cached_tokens: int
    output_tokens: int  # by the ledger
    prompt_tokens: int
    uncached_tokens: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The sites, and the attempts of which only the number is known: those that were lost."""

    sites: tuple[Reconciled, ...]
    lost_attempts: int


def report(database: Database, question: Question) -> Report:
    """Answers from the sums by day. Raises LedgerError; ValueError for what is no key."""
    if unknown := set(question.by) - set(KEYS):
        raise ValueError(f"{', '.join(sorted(unknown))} is none of {', '.join(KEYS)}")
    check(database)
    keys = ", ".join(question.by)
    sums = ", ".join(f"sum({one})" for one in SUMS)
    where, parameters = _where(question)
    grouped = f" GROUP BY {keys} ORDER BY {keys}" if keys else ""
    statement = f"SELECT {f'{keys}, ' if keys else ''}{sums} FROM days{where}{grouped} LIMIT ?"
    rows = database.execute(statement, (*parameters, ROWS_MAX + 1))
    width = len(question.by)
    lines = tuple(
        Line(tuple(row[:width]), _sums(row[width:])) for row in rows[:ROWS_MAX] if row[width]
    )
    return Report(lines, total_of(lines), is_cut=len(rows) > ROWS_MAX)


def reconcile(database: Database, question: Question) -> Reconciliation:
    """Both accounts of each site. `by` and `tenant` mean nothing: engines know no tenants."""
    check(database)
    where, parameters = _where(Question(since=question.since, until=question.until))
    told = database.execute(
        "SELECT site, sum(output_tokens), sum(prompt_tokens), sum(cached_tokens)"
        f" FROM counts{where} GROUP BY site",
        parameters,
    )
    kept = database.execute(
        "SELECT site, sum(output_tokens), sum(prompt_tokens), sum(uncached_tokens)"
        f" FROM days{where} GROUP BY site",
        parameters,
    )
    told_by = {site: tuple(map(int, counts)) for site, *counts in told}
    kept_by = {site: tuple(map(int, counts)) for site, *counts in kept}
    nothing = (0, 0, 0)
    sites = tuple(
        Reconciled(site, *told_by.get(site, nothing), *kept_by.get(site, nothing))
        for site in sorted({*told_by, *kept_by})
    )
    (lost,) = database.execute("SELECT sum(last_number - attempts) FROM routers")
    return Reconciliation(sites, int(lost[0] or 0))


def total_of(lines: Sequence[Line]) -> Sums:
    """All lines together."""
    found = [sum(getattr(line.sums, one) for line in lines) for one in SUMS]
    return Sums(*found)


def _sums(row: Sequence[Any]) -> Sums:
    """PostgreSQL adds whole numbers up to decimals."""
    money = SUMS.index("committed_gpu_s")
    return Sums(*map(int, row[:money]), *map(float, row[money:]))


def _where(question: Question) -> tuple[str, tuple[str, ...]]:
    asked = (
        ("day >= ?", question.since),
        ("day <= ?", question.until),
        ("tenant = ?", question.tenant),
    )
    terms = [(term, value) for term, value in asked if value]
    if not terms:
        return "", ()
    return f" WHERE {' AND '.join(term for term, _ in terms)}", tuple(v for _, v in terms)
