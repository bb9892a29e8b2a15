"""`spillway audit`: whether a router's audit log is as it was written, and what it says."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import Json
from spillway.commands.terminal import say, write, write_json, write_table

COLUMNS = ("at", "who", "action", "target", "outcome", "before", "after")

_DIGEST = re.compile("[0-9a-f]{64}")
_SHOWN_DIGITS = 16  # of a digest, for people

app = typer.Typer(help="What operators did.", no_args_is_help=True)

Logs = Annotated[
    list[Path],
    typer.Argument(
        help="Audit logs; the full files of each, PATH.NUMBER, are found beside it.",
        show_default=False,
    ),
]
Secret = Annotated[
    Path | None,
    typer.Option("--secret", help="The file with the secret that the records are sealed with."),
]
Expected = Annotated[
    str,
    typer.Option(
        "--head",
        help="A digest that the log has to have, as `spillway status` or the metrics said it.",
    ),
]
BeginsAt = Annotated[
    int | None,
    typer.Option(
        "--begins-at",
        help="The number of the first record, where you keep those before it elsewhere.",
        min=1,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        help="Only what happened from then on, in UTC.",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
    ),
]


@app.command("verify")
def verify_(
    logs: Logs,
    *,
    secret: Secret = None,
    head: Expected = "",
    begins_at: BeginsAt = None,
    json: Json = False,
) -> None:
    """Read audit logs to their ends; exits with 1 where one is not what was written."""
    from router.audit.verifying import verify

    key = _secret(secret)
    verdicts = [verify(path, key, head, begins_at) for path in logs]
    if json:
        write_json([_verdict(one) for one in verdicts])
    else:
        for one in verdicts:
            if one.is_whole:
                numbers = f"{one.first} to {one.head.number}"
                write(f"{one.path}: whole, records {numbers}; its head is {one.head.digest}")
                if one.pruned:
                    say(f"{one.path}: records 1 to {one.pruned} were removed, as the log says")
                if one.torn:
                    say(
                        f"{one.path}: its last line is cut off after {one.torn} bytes, as where a"
                        " process is killed while it writes; the next start seals it"
                    )
    broken = [one.problem for one in verdicts if one.problem]
    if broken:
        raise Failure("; ".join(broken), Outcome.FAILED)


@app.command("list")
def list_(logs: Logs, *, since: Since = None, secret: Secret = None, json: Json = False) -> None:
    """Show what was done, by whom, and how it stood before and after."""
    from router.audit.journal import files_of
    from router.audit.record import RecordError
    from router.audit.verifying import records

    since_ns = 0 if since is None else int(since.replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    asked: dict[tuple[Any, Any], dict[str, Any]] = {}
    shown: list[dict[str, Any]] = []
    try:
        if missing := [path for path in logs if not files_of(path)]:
            raise Failure(f"{missing[0]}: there is no audit log", Outcome.FAILED)
        for one in records(logs, _secret(secret)):
            if one.get("unix_ns", since_ns) >= since_ns:
                _tell(one, asked, shown)
    except (RecordError, OSError) as error:
        raise Failure(str(error), Outcome.FAILED) from error
    shown += [{**one, "stage": "unfinished"} for one in asked.values()]
    shown.sort(key=lambda one: int(one.get("unix_ns", 0)))
    if json:
        write_json(shown)
    else:
        write_table(COLUMNS, [_row(one) for one in shown])


def _tell(
    one: dict[str, Any],
    asked: dict[tuple[Any, Any], dict[str, Any]],
    shown: list[dict[str, Any]],
) -> None:
    """One line for what was asked and what became of it."""
    instance = one.get("instance")
    if one.get("stage") == "asked":
        asked[instance, one["number"]] = one
        return
    before = asked.pop((instance, one.get("of")), {})
    shown.append({**before, **one})


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    who = one.get("who", {})
    outcome = one.get("stage", "")
    if one.get("reason"):
        outcome = f"{outcome}: {one['reason']}"
    return (
        str(one.get("at", "-"))[:19],
        str(who.get("name", "-")),
        str(one.get("action", "-")),
        str(one.get("target", "-")),
        str(outcome),
        _flat(one.get("before")),
        _flat(one.get("after")),
    )


def _flat(values: Any) -> str:
    if not isinstance(values, Mapping):
        return "-"
    return ", ".join(f"{key} {_said(value)}" for key, value in values.items()) or "-"


def _said(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(_said, value)) or "none"
    if isinstance(value, Mapping):
        if "key" in value:  # of a reload
            return f"{value['key']}: {value['before'] or 'none'} -> {value['after'] or 'none'}"
        return " ".join(_said(one) for one in value.values())
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:_SHOWN_DIGITS]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _verdict(one: Any) -> dict[str, Any]:
    return {
        "path": str(one.path),
        "whole": one.is_whole,
        "records": one.records,
        "first": one.first,
        "last": one.head.number,
        "head": one.head.digest,
        "pruned": one.pruned,
        "torn_bytes": one.torn,
        "problem": one.problem,
    }


def _secret(path: Path | None) -> bytes | None:
    from router.audit.journal import AuditError, read_secret

    try:
        return None if path is None else read_secret(path)
    except AuditError as error:
        raise Failure(str(error), Outcome.USAGE) from error
