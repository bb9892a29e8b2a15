"""`spillway explain`: where a request would go, and why."""

from typing import TYPE_CHECKING

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
from spillway.commands.looking import INTERVAL_S, Count, Interval, Part, Watch, looks, show
from spillway.commands.message import as_json
from spillway.commands.parameters import (
    ADDRESS,
    Adapter,
    Address,
    Json,
    MaxNewTokens,
    Model,
    Session,
    Slo,
    options_of,
)
from spillway.commands.prompt import Prompt, read_prompt
from spillway.commands.shown import line_of
from spillway.commands.terminal import FoldedTable, seconds

if TYPE_CHECKING:
    from wire.spillway.v1.fleet_pb2 import Candidate, Decision

COLUMNS = (
    "site", "endpoint", "meets", "ttft", "network", "queue", "adapter", "prefill", "uncached",
    "cached", "price", "report age", "excluded",
)  # fmt: skip


def explain(
    prompt: Prompt,
    *,
    address: Address = ADDRESS,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    model: Model = "",
    adapter: Adapter = "",
    session: Session = "",
    slo: Slo = "",
    max_new_tokens: MaxNewTokens = 256,
    watch: Watch = False,
    interval_s: Interval = INTERVAL_S,
    count: Count = None,
    json: Json = False,
) -> None:
    """Ask the router where it would send a request, without sending it."""
    from spillway.client import SyncClient

    options = options_of(model, session, slo, max_new_tokens, adapter=adapter)
    asked = read_prompt(prompt)
    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        show(
            looks(
                lambda: client.explain(asked, **options),
                watch=watch,
                interval_s=interval_s,
                count=count,
            ),
            _parts,
            json=as_json if json else None,
            in_place=watch or count is not None,
        )


def _parts(decision: "Decision") -> list[Part]:
    table = FoldedTable(COLUMNS, [_row(one) for one in decision.candidates])
    return [_verdict(decision), line_of(decision.reason), "", table]


def _verdict(decision: "Decision") -> str:
    if decision.action == decision.SEND:
        answers = f", to {decision.model}," if decision.model else ""
        return f"Goes to {decision.endpoint}{answers} at {decision.site} ({decision.rule})."
    if decision.action == decision.WAIT:
        return f"Waits in the router ({decision.rule}), for {seconds(decision.wait_s)}."
    return f"Is refused ({decision.rule})."


def _row(candidate: "Candidate") -> tuple[str, ...]:
    return (
        candidate.site,
        candidate.endpoint,
        "yes" if candidate.meets_objective else "no",
        seconds(candidate.ttft_s),
        seconds(candidate.network_s),
        seconds(candidate.queue_s),
        seconds(candidate.adapter_s),
        seconds(candidate.prefill_s),
        str(candidate.uncached_tokens),
        str(candidate.cached_tokens),
        f"{candidate.price_usd:.6f} USD",
        seconds(candidate.report_age_s),
        candidate.excluded or "-",
    )
