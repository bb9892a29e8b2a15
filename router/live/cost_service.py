"""The service spillway.v1.Cost: what the ledger says to whom."""

import re
from typing import Any, Final

import grpc

from router.ledger.database import LedgerError
from router.ledger.report import Question, Reconciled, Sums
from router.ledger.schema import SUMS
from router.live.accounts import Accounts
from router.live.callers import Callers
from wire.spillway.v1 import cost_pb2 as pb
from wire.spillway.v1.cost_pb2_grpc import CostServicer
from wire.status import CallError, bad_field, failure

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BY_MAX: Final = 8


class CostService(CostServicer):
    """Report and Reconcile."""

    def __init__(self, accounts: Accounts, callers: Callers) -> None:
        self._accounts = accounts
        self._callers = callers

    async def Report(self, request: pb.CostRequest, context: Any) -> pb.CostReport:  # noqa: N802 - the wire's name
        """What attempts cost; a tenant is told of its own."""
        try:
            caller = self._callers.of(context.invocation_metadata() or ())
            tenant = "" if caller.sees_all else caller.tenant
            question = _question(request.since, request.until, tuple(request.by), tenant)
            self._look_for_ledger()
            found = await self._accounts.report(question)
        except ValueError as error:
            bad_field("by", str(error)).set_on(context)
        except LedgerError as error:
            _unreadable(error).set_on(context)
        except CallError as error:
            error.set_on(context)
        else:
            return pb.CostReport(
                lines=[pb.CostLine(key=line.key, sums=_sums(line.sums)) for line in found.lines],
                total=_sums(found.total),
                cut=found.is_cut,
                lag_s=self._accounts.lag_s,
            )
        return pb.CostReport()

    async def Reconcile(self, request: pb.ReconcileRequest, context: Any) -> pb.Reconciliation:  # noqa: N802 - the wire's name
        """The ledger beside the sites' own counts."""
        try:
            question = _question(request.since, request.until)
            self._look_for_ledger()
            found = await self._accounts.reconcile(question)
        except LedgerError as error:
            _unreadable(error).set_on(context)
        except CallError as error:
            error.set_on(context)
        else:
            return pb.Reconciliation(
                sites=[_account(site) for site in found.sites],
                lost_attempts=found.lost_attempts,
                lag_s=self._accounts.lag_s,
            )
        return pb.Reconciliation()

    def _look_for_ledger(self) -> None:
        if not self._accounts.is_kept:
            message = "this router keeps no ledger; give it router.ledger in its fleet file"
            raise failure(grpc.StatusCode.FAILED_PRECONDITION, message)


def _question(since: str, until: str, by: tuple[str, ...] = (), tenant: str = "") -> Question:
    for field, day in (("since", since), ("until", until)):
        if day and not _DAY.fullmatch(day):
            raise bad_field(field, "expected a day (UTC), such as 2026-11-29")
    if len(by) > _BY_MAX or len(set(by)) != len(by):
        raise bad_field("by", "names something twice")
    return Question(by, since, until, tenant)


def _unreadable(error: LedgerError) -> CallError:
    return failure(grpc.StatusCode.UNAVAILABLE, str(error))


def _sums(sums: Sums) -> pb.CostSums:
    return pb.CostSums(**{one: getattr(sums, one) for one in SUMS})


def _account(site: Reconciled) -> pb.SiteAccount:
    return pb.SiteAccount(
        site=site.site,
        told_output_tokens=site.told_output_tokens,
        told_prompt_tokens=site.told_prompt_tokens,
        told_cached_tokens=site.told_cached_tokens,
        output_tokens=site.output_tokens,
        prompt_tokens=site.prompt_tokens,
        uncached_tokens=site.uncached_tokens,
    )
