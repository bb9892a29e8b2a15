"""`spillway explain`: where a request would go, and why."""

from typing import TYPE_CHECKING

from spillway.commands.client_tls import Ca, Cert, Key, tls_of
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
from spillway.commands.terminal import seconds, write, write_json, write_table

if TYPE_CHECKING:
    from wire.spillway.v1.fleet_pb2 import Candidate

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
    json: Json = False,
) -> None:
    """Ask the router where it would send a request, without sending it."""
    from spillway.client import SyncClient

    options = options_of(model, session, slo, max_new_tokens, adapter=adapter)
    with SyncClient(address, tls=tls_of(ca, cert, key)) as client:
        decision = client.explain(read_prompt(prompt), **options)
    if json:
        write_json(as_json(decision))
        return
    if decision.action == decision.SEND:
        write(f"Goes to {decision.endpoint} at {decision.site} ({decision.rule}).")
    elif decision.action == decision.WAIT:
        write(f"Waits in the router ({decision.rule}), for {seconds(decision.wait_s)}.")
    else:
        write(f"Is refused ({decision.rule}).")
    write(line_of(decision.reason))
    write("")
    write_table(COLUMNS, [_row(one) for one in decision.candidates])


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
