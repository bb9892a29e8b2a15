"""The ledger itself: what is written to it, and how each attempt comes to be there once.

A batch of attempts is one transaction: their rows, their sums by day and the number up to which the
router's attempts are in. A batch that is written again, because nobody knows whether it went
through, is known by those numbers, and what of it is there already is left out.
"""

from collections.abc import Sequence
from typing import Final

from router.ledger.database import Database, LedgerError
from router.ledger.entry import COUNT_MAX, EngineCount, Entry, day_of, days_of, storable
from router.ledger.schema import SUMS, prepare
from router.policy.month_cap import Spent

_FIRST: Final = frozenset({"first", "lease"})
"""The kinds of attempt of which each request has one."""

_ATTEMPT_COLUMNS: Final = 22
_PRUNED_AT_ONCE: Final = 5_000
"""Rows of one deletion: the writer is back at its work within some tens of milliseconds."""

_HEARD_EACH_NS: Final = 3_600 * 1_000_000_000
"""So often at least is written down that an engine is there which has nothing to do."""

_IDLE_NS: Final = 24 * _HEARD_EACH_NS
"""Routers and engines that were not there for so long do not come back by the same name."""

_DayKey = tuple[str, str, str, str, str]

_INSERT_ATTEMPT: Final = f"INSERT INTO attempts VALUES ({', '.join('?' * _ATTEMPT_COLUMNS)})"
_ADD_TO_DAY: Final = (
    f"INSERT INTO days VALUES ({', '.join('?' * (5 + len(SUMS)))})"
    " ON CONFLICT (day, tenant, site, model, hardware) DO UPDATE SET "
    + ", ".join(f"{one} = days.{one} + excluded.{one}" for one in SUMS)
)
_MARK_ROUTER: Final = (
    "INSERT INTO routers VALUES (?, ?, ?, ?) ON CONFLICT (router) DO UPDATE SET"
    " last_number = excluded.last_number, attempts = routers.attempts + excluded.attempts,"
    " written_unix_ns = excluded.written_unix_ns"
)
_SEE_ENGINE: Final = (
    "INSERT INTO engines VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (endpoint, instance) DO UPDATE SET"
    " output_tokens = excluded.output_tokens, prompt_tokens = excluded.prompt_tokens,"
    " cached_tokens = excluded.cached_tokens, heard_unix_ns = excluded.heard_unix_ns"
)
_ADD_TO_COUNTS: Final = (
    "INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT (day, site) DO UPDATE SET"
    " output_tokens = counts.output_tokens + excluded.output_tokens,"
    " prompt_tokens = counts.prompt_tokens + excluded.prompt_tokens,"
    " cached_tokens = counts.cached_tokens + excluded.cached_tokens"
)


class Ledger:
    """Used from one thread. Everything raises LedgerError, and has then had no effect."""

    def __init__(self, database: Database, router: str) -> None:
        """`router` is the id of the process whose attempts are written."""
        self._database = database
        self._router = router
        try:
            prepare(database)
        except LedgerError:
            database.close()
            raise

    def write(self, entries: Sequence[Entry], now_unix_ns: int) -> None:
        """These attempts are in the ledger once it returns: each once, however often they come.

        They are in the order of their numbers.
        """
        with self._database.transaction():
            statement = "SELECT last_number FROM routers WHERE router = ?"
            found = self._database.execute(statement, (self._router,))
            last = found[0][0] if found else 0
            fresh = [entry for entry in entries if entry.charge.number > last]
            if not fresh:
                return
            rows = [_row(self._router, entry) for entry in fresh]
            self._database.execute_many(_INSERT_ATTEMPT, rows)
            self._database.execute_many(_ADD_TO_DAY, _by_day(fresh))
            mark = (self._router, fresh[-1].charge.number, len(fresh), now_unix_ns)
            self._database.execute(_MARK_ROUTER, mark)

    def count(self, counts: Sequence[EngineCount], now_unix_ns: int) -> None:
        """What engines have counted, as far as it is more than was known of them.

        What one had counted before it was first heard of is nobody's here to account for.
        """
        day = day_of(now_unix_ns)
        with self._database.transaction(alone=True):
            # All routers in one order, so that none waits in a circle.
            for one in sorted(map(_storable, counts)):
                known = self._database.execute(
                    "SELECT output_tokens, prompt_tokens, cached_tokens, heard_unix_ns FROM engines"
                    " WHERE endpoint = ? AND instance = ?",
                    (one.endpoint, one.instance),
                )
                told = (one.output_tokens, one.prompt_tokens, one.cached_tokens)
                before = known[0][:3] if known else told
                more = tuple(max(0, now - then) for now, then in zip(told, before, strict=True))
                if known and not any(more) and now_unix_ns - known[0][3] < _HEARD_EACH_NS:
                    continue
                upto = tuple(max(now, then) for now, then in zip(told, before, strict=True))
                engine = (one.endpoint, one.instance, *upto, now_unix_ns)
                self._database.execute(_SEE_ENGINE, engine)
                self._database.execute(_ADD_TO_COUNTS, (day, one.site, *more))

    def spent(self, month: int) -> Spent:
        """What was spent in a month, by all who write here."""
        rows = self._database.execute(
            "SELECT site, tenant, sum(metered_usd + egress_usd) FROM days"
            " WHERE day >= ? AND day < ? GROUP BY site, tenant",
            days_of(month),
        )
        sites: dict[str, float] = {}
        tenants: dict[str, float] = {}
        for site, tenant, usd in rows:
            sites[site] = sites.get(site, 0.0) + usd
            tenants[tenant] = tenants.get(tenant, 0.0) + usd
        return Spent(month, tuple(sorted(sites.items())), tuple(sorted(tenants.items())))

    def prune(
        self, attempts_before_unix_ns: int, days_before: str, attempts_max: int, now_unix_ns: int
    ) -> bool:
        """Deletes some of what is kept no longer; whether there is more to delete.

        Their sums by day stay until `days_before`. Of the attempts at most `attempts_max` stay. A
        router that is there goes on with its numbers, and is remembered even if it has no work.
        """
        with self._database.transaction(alone=True):
            execute = self._database.execute
            execute("DELETE FROM days WHERE day < ?", (days_before,))
            execute("DELETE FROM counts WHERE day < ?", (days_before,))
            seen = "UPDATE routers SET written_unix_ns = ? WHERE router = ?"
            execute(seen, (now_unix_ns, self._router))
            idle = (min(attempts_before_unix_ns, now_unix_ns - _IDLE_NS),)
            execute("DELETE FROM routers WHERE written_unix_ns < ?", idle)
            execute("DELETE FROM engines WHERE heard_unix_ns < ?", idle)
            oldest = execute(
                "SELECT ended_unix_ns FROM attempts ORDER BY ended_unix_ns DESC LIMIT 1 OFFSET ?",
                (attempts_max,),
            )
            upto = max(attempts_before_unix_ns, oldest[0][0] + 1 if oldest else 0)
            gone = execute(
                "DELETE FROM attempts WHERE (router, number) IN (SELECT router, number"
                " FROM attempts WHERE ended_unix_ns < ? ORDER BY ended_unix_ns LIMIT ?)"
                " RETURNING 1",
                (upto, _PRUNED_AT_ONCE),
            )
        return len(gone) == _PRUNED_AT_ONCE

    def close(self) -> None:
        """Lets go of the database."""
        self._database.close()


def _storable(one: EngineCount) -> EngineCount:
    """What an engine says of itself, as there is room for it."""
    site, endpoint, instance, *told = one
    return EngineCount(
        site, storable(endpoint), storable(instance), *(min(count, COUNT_MAX) for count in told)
    )


def _row(router: str, entry: Entry) -> tuple[object, ...]:
    charge, ended_unix_ns = entry
    return (
        router,
        charge.number,
        ended_unix_ns,
        charge.request,
        charge.attempt,
        charge.kind,
        charge.tenant,
        charge.site,
        storable(charge.endpoint),
        storable(charge.model),
        charge.hardware,
        charge.end.value,
        charge.prompt_tokens,
        charge.uncached_tokens,
        min(charge.output_tokens, COUNT_MAX),
        min(charge.egress_bytes, COUNT_MAX),
        charge.lasted_ns,
        charge.committed_gpu_s,
        charge.metered_gpu_s,
        charge.committed_usd,
        charge.metered_usd,
        charge.egress_usd,
    )


def _by_day(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """The sums of entries by what `days` tells apart, in one order for all routers."""
    found: dict[_DayKey, list[float]] = {}
    for charge, ended_unix_ns in entries:
        model = storable(charge.model)
        key = (day_of(ended_unix_ns), charge.tenant, charge.site, model, charge.hardware)
        sums = found.setdefault(key, [0] * len(SUMS))
        added = (
            1,
            charge.kind in _FIRST,
            charge.prompt_tokens,
            charge.uncached_tokens,
            min(charge.output_tokens, COUNT_MAX),
            min(charge.egress_bytes, COUNT_MAX),
            charge.committed_gpu_s,
            charge.metered_gpu_s,
            charge.committed_usd,
            charge.metered_usd,
            charge.egress_usd,
        )
        for place, value in enumerate(added):
            sums[place] += value
    return [(*key, *sums) for key, sums in sorted(found.items())]
