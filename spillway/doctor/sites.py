"""Every site as a router would reach it: distance, clock, bandwidth, and whether they are alike."""

import asyncio
from collections.abc import Iterator, Sequence

from spillway.doctor.finding import Finding, ok, problem, warning
from spillway.fleet import FleetFile
from spillway.probing.endpoint import EndpointFound
from spillway.probing.site import SiteFound, ask_site

ASK_S = 3.0  # for one answer; a check has a few of them to wait for
CLOCK_WARNING_S, CLOCK_PROBLEM_S = 0.5, 15.0  # passes live a minute, tokens have 30 s of leeway
RTT_WARNING_S = 0.2  # of a site's objective for the first token there is little left then
DASHBOARD_DOUBT_S = 0.5  # its Date has whole seconds
MB = 1_000_000
BANDWIDTH_WARNING_BYTES_PER_S = 2 * MB  # a prompt of 100,000 tokens takes a quarter of a second


def sites(file: FleetFile, ask_s: float = ASK_S) -> Iterator[Finding]:
    """All of them, asked side by side."""
    found = asyncio.run(_ask(file, ask_s))
    for site in found:
        yield from _site(site)
    yield from alike(found)


async def _ask(file: FleetFile, ask_s: float) -> list[SiteFound]:
    asked = (ask_site(way, file.router, ask_s, bulk=True) for way in file.access)
    return list(await asyncio.gather(*asked))


def _site(site: SiteFound) -> Iterator[Finding]:
    name = f"site {site.site}"
    if site.why_not:
        yield problem(name, site.why_not, f"spillway site status {site.site} --fleet FILE")
        return
    if not site.endpoints:
        yield problem(name, "it lists no endpoint", f"spillway site up {site.site} --fleet FILE")
    for one in site.endpoints:
        if not one.reached:
            do = "look at its process and the way there; docs/trust.md where it is a certificate"
            yield problem(name, f"{one.address} is not reached: {one.why_not}", do)
    for one in site.reached:
        yield from _endpoint(name, one)
    told = any(one.clock_ahead_ns is not None for one in site.reached)
    if not told and site.dashboard_ahead_s is not None:
        yield _clock(name, "its dashboard", site.dashboard_ahead_s, DASHBOARD_DOUBT_S)


def _endpoint(name: str, one: EndpointFound) -> Iterator[Finding]:
    rtt_s = one.rtt_ns / 1e9
    server = one.identity.server if one.identity else None
    model = one.identity.names[0] if one.identity else "?"
    engine = f", {server.engine_version}" if server and server.engine_version else ""
    said = f"{one.address} serves {model}{engine}, {rtt_s * 1000:.1f} ms away"
    if rtt_s > RTT_WARNING_S:
        yield warning(name, said, "a site nearer by, or wider objectives for what goes there")
    else:
        yield ok(name, said)
    if one.clock_ahead_ns is not None:
        yield _clock(name, one.address, one.clock_ahead_ns / 1e9, rtt_s / 2)
    if one.upload_bytes_per_s is not None:
        way = f"{one.upload_bytes_per_s / MB:.1f} MB/s to {one.address}, in one MiB"
        if one.upload_bytes_per_s < BANDWIDTH_WARNING_BYTES_PER_S:
            yield warning(name, way, "long prompts wait for the way; look at the link")
        else:
            yield ok(name, way)


def _clock(name: str, address: str, ahead_s: float, doubt_s: float) -> Finding:
    which = "ahead of" if ahead_s > 0 else "behind"
    said = f"the clock of {address} is {abs(ahead_s):.3f} s {which} this one (±{doubt_s:.3f} s)"
    do = "have both follow a time server (chrony); leases, tokens and certificates go by clocks"
    off_s = max(0.0, abs(ahead_s) - doubt_s)
    if off_s > CLOCK_PROBLEM_S:
        return problem(name, said, do)
    return warning(name, said, do) if off_s > CLOCK_WARNING_S else ok(name, said)


def alike(found: Sequence[SiteFound]) -> Iterator[Finding]:
    """Whether endpoints that serve a model by one name have its weights and its tokenizer."""
    first: dict[str, tuple[str, EndpointFound]] = {}
    unlike = False
    for site in found:
        for one in site.reached:
            if one.identity is None or not one.engine.is_known:
                continue
            model = one.identity.names[0]
            beside, known = first.setdefault(model, (site.site, one))
            if known.engine.is_like(one.engine):
                continue
            unlike = True
            what = "weights" if known.engine.weights != one.engine.weights else "tokenizer"
            said = f"{model} has another {what} at {site.site}/{one.address} than at {beside}"
            do = "streams cannot go on between them: serve the same files, or under another name"
            yield warning("models", said, do)
    if first and not unlike:
        yield ok("models", f"{', '.join(first)}: the same weights and tokenizer wherever served")
