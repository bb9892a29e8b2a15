"""What one decision costs in time, and an idle session in memory.

    python -m benchmarks.routing.decision [--decisions N] [--out FILE]
    python -m benchmarks.compiled benchmarks.routing.decision ...

The core is driven through its own entry points: each request is decided, gets its first token and
ends. Sessions return, prompts have hashed prefixes, endpoints hold four requests of this router and
two of others, which come and go, and report every 100 ms; a tenth of them has no free slot. 4,096
endpoints are arranged as sites of replicas: one router over 16 gateways, each over 256; a decision
is then both routers' together.
"""

import argparse
import gc
import random
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import report
from benchmarks.report_page import add_options, publish
from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S, NS_PER_US
from spillway.progress import Progress

_ENDPOINTS = (8, 64, 256)
_SITES, _REPLICAS = 16, 256
AIMS_US = {8: 30, 256: 150, _SITES * _REPLICAS: 300}  # of one decision, in the median
_SESSIONS = 1_000
_IN_FLIGHT = 4  # per endpoint
_SLOTS = 8
_BLOCKS = 32  # 16 tokens each


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds of one kind of call."""

    what: str
    endpoints: int
    least_us: float
    p50_us: float
    p99_us: float


def _fleet() -> Fleet:
    price = Price(metered_usd_per_replica_hour=3.0, egress_usd_per_gib=0.05)
    return Fleet(
        sites=(Site("home", SiteKind.HOME), Site("rented", SiteKind.RENTED, price=price)),
        slo_classes=(SloClass("chat", NS_PER_S, 200 * NS_PER_MS),),
        default_slo="chat",
    )


def _core(endpoints: int) -> RouterCore:
    core = RouterCore(_fleet())
    for index in range(endpoints):
        name = f"endpoint-{index}"
        core.on_endpoint_up(Endpoint(name, "rented" if index % 2 else "home", "m"), 0)
        core.on_rtt(name, NS_PER_MS, 0)
    return core


def _report(core: RouterCore, sequence: int, own: dict[str, int], now: int) -> None:
    """Every endpoint says what it has."""
    for index, (name, count) in enumerate(own.items()):
        others = _SLOTS if index % 10 == 0 else 1 + sequence % 2
        running = min(_SLOTS, count + others)
        report = LoadReport(
            name,
            "1",
            sequence,
            running=running,
            waiting=count + others - running,
            running_max=_SLOTS,
            kv_usage=0.5,
        )
        core.on_load(report, now)


def _request(number: int) -> Request:
    session = number % _SESSIONS
    first = 1_000 * session
    return Request(
        id=str(number),
        model="m",
        session=f"session-{session}",
        prompt_tokens=16 * _BLOCKS + 7,
        max_new_tokens=100,
        prefix=tuple(range(first, first + _BLOCKS)),
    )


def _finish(core: RouterCore, sent: Send, now: int, rng: random.Random) -> None:
    core.on_outcome(FirstToken(sent.request, sent.endpoint, 60 * NS_PER_MS), now, rng)
    done = Ended(
        sent.request,
        sent.endpoint,
        End.OK,
        output_tokens=90,
        messages=90,
        duration_ns=2 * NS_PER_S,
    )
    core.on_outcome(done, now, rng)


def _time(endpoints: int, decisions: int) -> list[Timing]:
    core, rng, now = _core(endpoints), random.Random(1), NS_PER_S
    spans: dict[str, list[int]] = {"on_request": [], "both outcomes": [], "explain": []}
    open_requests: list[Send] = []
    own = {f"endpoint-{index}": 0 for index in range(endpoints)}
    for number in range(decisions + _SESSIONS):
        now += NS_PER_MS
        if number % 100 == 0:
            _report(core, number // 100, own, now)
        request = _request(number)
        start = time.perf_counter_ns()
        decision = core.on_request(request, now, rng)
        decided = time.perf_counter_ns()
        if isinstance(decision, Send):
            open_requests.append(decision)
            own[decision.endpoint] += 1
        asked = time.perf_counter_ns()
        core.explain(request, now, rng)
        explained = time.perf_counter_ns()
        if len(open_requests) > _IN_FLIGHT * endpoints:
            ending = open_requests.pop(0)
            ends = time.perf_counter_ns()
            _finish(core, ending, now, rng)
            own[ending.endpoint] -= 1
            spans["both outcomes"].append(time.perf_counter_ns() - ends)
        if number >= _SESSIONS:
            spans["on_request"].append(decided - start)
            spans["explain"].append(explained - asked)
    return [_timing(what, endpoints, values) for what, values in spans.items()]


def _time_two_levels(decisions: int) -> Timing:
    """A request is decided by the fleet's router, and again by the gateway it chose."""
    rng, now = random.Random(1), NS_PER_S
    top, gateways = _core(_SITES), [_core(_REPLICAS) for _ in range(_SITES)]
    site_of = {f"endpoint-{index}": index for index in range(_SITES)}
    own = [{f"endpoint-{index}": 0 for index in range(_REPLICAS)} for _ in range(_SITES)]
    open_requests: list[tuple[Send, Send]] = []
    spans = []
    for number in range(decisions + _SESSIONS):
        now += NS_PER_MS
        if number % 100 == 0:
            for gateway, counts in zip(gateways, own, strict=True):
                _report(gateway, number // 100, counts, now)
        request = _request(number)
        start = time.perf_counter_ns()
        chosen = top.on_request(request, now, rng)
        if not isinstance(chosen, Send):
            continue
        site = site_of[chosen.endpoint]
        placed = gateways[site].on_request(request, now, rng)
        spans.append(time.perf_counter_ns() - start)
        if isinstance(placed, Send):
            own[site][placed.endpoint] += 1
            open_requests.append((chosen, placed))
        if len(open_requests) > _IN_FLIGHT * _SITES * 2:
            ending, inner = open_requests.pop(0)
            site = site_of[ending.endpoint]
            _finish(top, ending, now, rng)
            _finish(gateways[site], inner, now, rng)
            own[site][inner.endpoint] -= 1
    return _timing("on_request, both", _SITES * _REPLICAS, spans[_SESSIONS:])


def _timing(what: str, endpoints: int, spans: list[int]) -> Timing:
    ordered = sorted(spans)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / NS_PER_US

    return Timing(what, endpoints, ordered[0] / NS_PER_US, at(0.5), at(0.99))


def _bytes_of_idle_sessions() -> int:
    """What a thousand sessions hold that have had a turn each, prefix index included."""
    core, rng = _core(8), random.Random(1)
    gc.collect()
    tracemalloc.start()
    for number in range(_SESSIONS):
        decision = core.on_request(_request(number), NS_PER_S, rng)
        if isinstance(decision, Send):
            _finish(core, decision, NS_PER_S, rng)
        del decision
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--decisions", type=int, default=20_000, help="for each fleet size")
    add_options(parser)
    options = parser.parse_args(arguments)
    with Progress("sizes of a fleet", len(_ENDPOINTS)) as progress:
        timings = []
        for count in _ENDPOINTS:
            timings += _time(count, options.decisions)
            progress.advance()
    timings.append(_time_two_levels(options.decisions))
    held = _bytes_of_idle_sessions()
    shown = report.print_table(
        "What the core costs, in microseconds",
        ("call", "endpoints", "least", "p50", "p99"),
        [
            (t.what, str(t.endpoints), f"{t.least_us:.1f}", f"{t.p50_us:.1f}", f"{t.p99_us:.1f}")
            for t in timings
        ],
        note=f"{_SESSIONS} idle sessions and their prefixes hold {held / 1e6:.2f} MB; aims: "
        + ", ".join(f"{aim} us at {count:,}" for count, aim in AIMS_US.items()),
    )
    figures = {
        "decision_us": [
            {
                "call": t.what,
                "endpoints": t.endpoints,
                "least": t.least_us,
                "p50": t.p50_us,
                "p99": t.p99_us,
            }
            for t in timings
        ],
        "idle_sessions": {"count": _SESSIONS, "bytes": held},
    }
    publish(options, "What the core costs", figures, [shown])


if __name__ == "__main__":
    main()
