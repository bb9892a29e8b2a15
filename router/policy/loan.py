"""What an operator lends of a site by hand, beside its schedule, and takes back of either.

A site has at most one loan; lending again sets it anew. What the loan and the schedule's open
windows give away adds up, as windows do, and is never more than the site has. Taking back begins
with the loan. What is taken back of the schedule stays back until the schedule lends nothing, so
that one evening's decision does not outlive the night.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from router.policy.lending import NS_PER_MINUTE, Lending

LOAN_MAX_NS: Final = 14 * 24 * 60 * NS_PER_MINUTE
"""The longest loan: one that nobody remembers must not outlast a holiday."""

REASON_CHARS_MAX: Final = 200
"""Of why something is lent: it is shown in one line of a table."""


class LoanError(ValueError):
    """What cannot be lent or taken back so. `field` names what is wrong; the message is for it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Loan:
    """So many replicas are given to other work, from one time of the wall clock until another."""

    replicas: int
    of: int  # replicas that the site had, those lent included
    since_unix_ns: int
    until_unix_ns: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Recall:
    """So many of the replicas that the schedule lends are not lent until this time."""

    replicas: int
    until_unix_ns: int


@dataclass(frozen=True, slots=True)
class SiteLoans:
    """What operators have said of one site; nothing by default. Of two, the later one holds."""

    loan: Loan | None = None
    recall: Recall | None = None
    first: tuple[str, ...] = ()  # the endpoints that go first; the others follow by name
    said_unix_ns: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing beside the schedule holds."""
        return self.loan is None and self.recall is None


@dataclass(frozen=True, slots=True)
class Away:
    """How many of a site's replicas are lent at some time, by whom and until when."""

    loaned: int = 0
    loaned_until_unix_ns: int = 0
    scheduled: int = 0
    scheduled_until_unix_ns: int = 0  # when the schedule lends fewer

    @property
    def replicas(self) -> int:
        """All that are lent."""
        return self.loaned + self.scheduled

    @property
    def until_unix_ns(self) -> int:
        """When fewer are; 0 where none is."""
        ends = (
            (self.loaned, self.loaned_until_unix_ns),
            (self.scheduled, self.scheduled_until_unix_ns),
        )
        return min((until_ns for replicas, until_ns in ends if replicas), default=0)


NOTHING: Final = SiteLoans()


def away_at(lending: Lending | None, loans: SiteLoans, unix_ns: int) -> Away:
    """What is lent of a site at this time."""
    loan, recall = loans.loan, loans.recall
    scheduled = lending.lent_at(unix_ns) if lending else 0
    if recall is not None and unix_ns < recall.until_unix_ns:
        scheduled = max(0, scheduled - recall.replicas)
    has = max(lending.replicas if lending else 0, loan.of if loan else 0)
    scheduled = min(scheduled, has)
    until_ns = lending.less_at(unix_ns) if lending and scheduled else 0
    if loan is None or not loan.since_unix_ns <= unix_ns < loan.until_unix_ns:
        return Away(scheduled=scheduled, scheduled_until_unix_ns=until_ns)
    loaned = min(loan.replicas, has - scheduled)
    return Away(loaned, loan.until_unix_ns, scheduled, until_ns)


def current(loans: SiteLoans, unix_ns: int) -> SiteLoans:
    """Without what is over; who went first for a loan does not for the next one."""
    loan, recall, first = loans.loan, loans.recall, loans.first
    if loan is not None and unix_ns >= loan.until_unix_ns:
        loan, first = None, ()
    if recall is not None and unix_ns >= recall.until_unix_ns:
        recall = None
    return replace(loans, loan=loan, recall=recall, first=first)


def lend(loans: SiteLoans, loan: Loan, first: Iterable[str]) -> SiteLoans:
    """The site's loan is this one; the endpoints in `first` go first, if none do already.

    Raises LoanError. The same again changes nothing.
    """
    if loan.replicas < 1:
        raise LoanError("replicas", "at least one replica has to be lent")
    if loan.replicas > loan.of:
        have = "1 replica" if loan.of == 1 else f"{loan.of} replicas"
        raise LoanError("replicas", f"it has {have}, and cannot lend {loan.replicas}")
    if loan.until_unix_ns <= loan.since_unix_ns:
        raise LoanError("until", "the loan would be over before it begins: until is in the past")
    if loan.until_unix_ns > loan.since_unix_ns + LOAN_MAX_NS:
        days = LOAN_MAX_NS // (24 * 60 * NS_PER_MINUTE)
        raise LoanError("until", f"a loan lasts at most {days} days; lend again when it is over")
    if len(loan.reason) > REASON_CHARS_MAX:
        raise LoanError("reason", f"a reason has at most {REASON_CHARS_MAX} characters")
    if not loan.reason.isprintable():
        raise LoanError("reason", "a reason is one line of printable characters")
    now, before = loan.since_unix_ns, loans.loan
    if before is not None:
        loan = replace(loan, since_unix_ns=before.since_unix_ns)
        if loan == before:
            return loans
    # What has gone first stays gone: nothing moves for a loan that only becomes longer.
    order = tuple(dict.fromkeys((*loans.first, *first)))
    return SiteLoans(loan, loans.recall, order, _later(loans, now))


def reclaim(
    lending: Lending | None, loans: SiteLoans, replicas: int | None, unix_ns: int
) -> SiteLoans:
    """So many are taken back, all of them where no number is given: first those of the loan.

    Raises LoanError. Where nothing is lent, taking all of it back changes nothing.
    """
    away = away_at(lending, loans, unix_ns)
    wanted = away.replicas if replicas is None else replicas
    if wanted > away.replicas:
        lends = f"{away.replicas} of its replicas" if away.replicas else "nothing"
        raise LoanError("replicas", f"it lends {lends}, and {wanted} cannot be taken back")
    if replicas is not None and replicas < 1:
        raise LoanError("replicas", "at least one replica has to be taken back")
    loans = current(loans, unix_ns)
    loan, recall = loans.loan, loans.recall
    of_loan = min(wanted, away.loaned)
    if loan is not None:
        left = away.loaned - of_loan
        loan = replace(loan, replicas=left) if left else None
    of_schedule = wanted - of_loan
    if of_schedule and lending is not None:
        back = of_schedule + (recall.replicas if recall else 0)
        recall = Recall(back, lending.idle_at(unix_ns))
    if not wanted:
        return loans
    first = loans.first if loan is not None else ()
    return SiteLoans(loan, recall, first, _later(loans, unix_ns))


def _later(loans: SiteLoans, unix_ns: int) -> int:
    """When something is said after this: later than it, whatever another machine's clock said."""
    return max(unix_ns, loans.said_unix_ns + 1)


def chosen(names: Iterable[str], count: int, first: Iterable[str]) -> tuple[str, ...]:
    """Which of a site's endpoints are lent: those named first, then the last by name."""
    left = sorted(names, reverse=True)
    order = {name: place for place, name in enumerate(dict.fromkeys(first))}
    left.sort(key=lambda name: order.get(name, len(order)))
    return tuple(sorted(left[: max(0, count)]))
