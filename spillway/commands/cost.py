"""`spillway cost`: what was spent, from a router's ledger."""

import csv as csv_format
import io
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.message import as_json
from spillway.commands.parameters import ADDRESS, Address, Json, as_text
from spillway.commands.terminal import say, write, write_json, write_table

if TYPE_CHECKING:
    from spillway.client import SyncClient
    from wire.spillway.v1.cost_pb2 import CostReport, CostSums, Reconciliation, SiteAccount

_KEYS = ("day", "tenant", "site", "model", "hardware")
_SUMS = (
    "requests", "attempts", "prompt tokens", "computed", "output tokens", "egress",
    "committed", "metered", "committed USD", "metered USD", "egress USD",
)  # fmt: skip
_CSV_SUMS = (
    "requests", "attempts", "prompt_tokens", "uncached_tokens", "output_tokens", "egress_bytes",
    "committed_gpu_s", "metered_gpu_s", "committed_usd", "metered_usd", "egress_usd",
)  # fmt: skip
_SITE_COLUMNS = (
    "site", "output tokens", "by its engines", "difference", "prompt tokens", "by its engines",
    "difference",
)  # fmt: skip
_LATE_S = 5.0  # in which a ledger is late enough to say so


def _read_keys(value: str) -> str:
    keys = [key.strip() for key in as_text(value).split(",") if key.strip()]
    if unknown := [key for key in keys if key not in _KEYS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(_KEYS)}")
    if len(set(keys)) != len(keys):
        raise typer.BadParameter("it names something twice")
    return ",".join(keys)


By = Annotated[
    str,
    typer.Option(
        "--by", help="What lines are told apart by: " + ", ".join(_KEYS) + ".", callback=_read_keys
    ),
]
Since = Annotated[
    str, typer.Option("--since", help="The first day (UTC), as 2026-11-29.", callback=as_text)
]
Until = Annotated[str, typer.Option("--until", help="The last day (UTC).", callback=as_text)]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]
Reconcile = Annotated[
    bool,
    typer.Option("--reconcile", help="Show the ledger beside what the sites' engines count."),
]


def cost(
    *,
    by: By = "tenant,site",
    since: Since = "",
    until: Until = "",
    reconcile: Reconcile = False,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    csv: Csv = False,
    json: Json = False,
) -> None:
    """Show what requests cost, from the ledger of a router."""
    from spillway.client import SyncClient

    if csv and json:
        raise typer.BadParameter("--csv and --json exclude each other")
    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        if reconcile:
            _show_accounts(client.reconcile(since, until), csv=csv, json=json)
        else:
            _show_cost(client, by.split(",") if by else [], since, until, csv=csv, json=json)


def _show_cost(
    client: "SyncClient", keys: list[str], since: str, until: str, *, csv: bool, json: bool
) -> None:
    report = client.cost(keys, since, until)
    if json:
        write_json({"by": keys, **as_json(report)})
    elif csv:
        rows = [(*line.key, *_figures(line.sums)) for line in report.lines]
        _write_csv((*keys, *_CSV_SUMS), rows)
    else:
        rows = [(*line.key, *_cells(line.sums)) for line in report.lines]
        if keys and len(rows) > 1:
            rows.append(("all", *("" for _ in keys[1:]), *_cells(report.total)))
        write_table((*keys, *_SUMS), rows)
    _warn(report)


def _show_accounts(found: "Reconciliation", *, csv: bool, json: bool) -> None:
    if json:
        write_json(as_json(found))
        return
    rows = [_account(site) for site in found.sites]
    if csv:
        columns = ("site", "output_tokens", "told_output_tokens", "output_difference",
                   "prompt_tokens", "told_prompt_tokens", "prompt_difference")  # fmt: skip
        _write_csv(columns, rows)
    else:
        write_table(_SITE_COLUMNS, rows)
    if found.lost_attempts:
        say(f"{found.lost_attempts} attempts ended that the ledger could not take.")
    if found.lag_s > _LATE_S:
        say(f"The ledger is {found.lag_s:.0f} s late.")


def _warn(report: "CostReport") -> None:
    if report.cut:
        say("There are more lines than an answer has: narrow it down with --since and --until.")
    if report.lag_s > _LATE_S:
        say(f"The ledger is {report.lag_s:.0f} s late.")


def _account(site: "SiteAccount") -> tuple[str, ...]:
    return (
        site.site,
        str(site.output_tokens),
        str(site.told_output_tokens),
        f"{site.output_tokens - site.told_output_tokens:+d}",
        str(site.prompt_tokens),
        str(site.told_prompt_tokens),
        f"{site.prompt_tokens - site.told_prompt_tokens:+d}",
    )


def _figures(sums: "CostSums") -> tuple[str, ...]:
    return tuple(repr(getattr(sums, one)) for one in _CSV_SUMS)


def _cells(sums: "CostSums") -> tuple[str, ...]:
    return (
        str(sums.requests),
        str(sums.attempts),
        str(sums.prompt_tokens),
        str(sums.uncached_tokens),
        str(sums.output_tokens),
        f"{sums.egress_bytes / (1 << 20):.1f} MiB",
        f"{sums.committed_gpu_s:.1f} GPU-s",
        f"{sums.metered_gpu_s:.1f} GPU-s",
        f"{sums.committed_usd:.4f}",
        f"{sums.metered_usd:.4f}",
        f"{sums.egress_usd:.4f}",
    )


def _write_csv(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv_format.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write(text.getvalue(), end="")
