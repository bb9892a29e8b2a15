"""The tables of a ledger.

`attempts` has a row for each attempt, for some weeks. `days` has their sums, for years, and is what
reports are made of. `routers` says up to which number the attempts of each router process are in
the ledger: whatever comes again is known by it, and a gap in the numbers is a loss that shows.
`engines` has what each engine has counted since it started, and `counts` what that comes to by day.
"""

from typing import Final

from router.ledger.database import Database, LedgerError

VERSION: Final = 1

SUMS: Final = (
    "attempts",
    "requests",
    "prompt_tokens",
    "uncached_tokens",
    "output_tokens",
    "egress_bytes",
    "committed_gpu_s",
    "metered_gpu_s",
    "committed_usd",
    "metered_usd",
    "egress_usd",
)
"""What is added up of attempts."""

_TABLES: Final = (
    """
    CREATE TABLE IF NOT EXISTS routers (
        router TEXT PRIMARY KEY,
        last_number BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        written_unix_ns BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS attempts (
        router TEXT NOT NULL,
        number BIGINT NOT NULL,
        ended_unix_ns BIGINT NOT NULL,
        request TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        kind TEXT NOT NULL,
        tenant TEXT NOT NULL,
        site TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        model TEXT NOT NULL,
        hardware TEXT NOT NULL,
        outcome TEXT NOT NULL,
        prompt_tokens BIGINT NOT NULL,
        uncached_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL,
        egress_bytes BIGINT NOT NULL,
        lasted_ns BIGINT NOT NULL,
        committed_gpu_s DOUBLE PRECISION NOT NULL,
        metered_gpu_s DOUBLE PRECISION NOT NULL,
        committed_usd DOUBLE PRECISION NOT NULL,
        metered_usd DOUBLE PRECISION NOT NULL,
        egress_usd DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (router, number)
    )
    """,
    "CREATE INDEX IF NOT EXISTS attempts_by_end ON attempts (ended_unix_ns)",
    "CREATE INDEX IF NOT EXISTS attempts_by_request ON attempts (request)",
    """
    CREATE TABLE IF NOT EXISTS days (
        day TEXT NOT NULL,
        tenant TEXT NOT NULL,
        site TEXT NOT NULL,
        model TEXT NOT NULL,
        hardware TEXT NOT NULL,
        attempts BIGINT NOT NULL,
        requests BIGINT NOT NULL,
        prompt_tokens BIGINT NOT NULL,
        uncached_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL,
        egress_bytes BIGINT NOT NULL,
        committed_gpu_s DOUBLE PRECISION NOT NULL,
        metered_gpu_s DOUBLE PRECISION NOT NULL,
        committed_usd DOUBLE PRECISION NOT NULL,
        metered_usd DOUBLE PRECISION NOT NULL,
        egress_usd DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (day, tenant, site, model, hardware)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS engines (
        endpoint TEXT NOT NULL,
        instance TEXT NOT NULL,
        output_tokens BIGINT NOT NULL,
        prompt_tokens BIGINT NOT NULL,
        cached_tokens BIGINT NOT NULL,
        heard_unix_ns BIGINT NOT NULL,
        PRIMARY KEY (endpoint, instance)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS counts (
        day TEXT NOT NULL,
        site TEXT NOT NULL,
        output_tokens BIGINT NOT NULL,
        prompt_tokens BIGINT NOT NULL,
        cached_tokens BIGINT NOT NULL,
        PRIMARY KEY (day, site)
    )
    """,
)


def prepare(database: Database) -> None:
    """Makes the tables where there are none. Raises LedgerError for those of a later version."""
    with database.transaction(alone=True):
        database.execute("CREATE TABLE IF NOT EXISTS ledger (version BIGINT PRIMARY KEY)")
        check(database)
        for table in _TABLES:
            database.execute(table)
        statement = "INSERT INTO ledger (version) VALUES (?) ON CONFLICT DO NOTHING"
        database.execute(statement, (VERSION,))


def check(database: Database) -> None:
    """Raises LedgerError for tables of a later version."""
    (newest,) = database.execute("SELECT max(version) FROM ledger")
    if newest[0] is not None and newest[0] > VERSION:
        raise LedgerError(
            f"the ledger was written by a later Spillway (its version is {newest[0]}, the one known"
            f" here {VERSION}); update this one"
        )
