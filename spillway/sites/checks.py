"""Whether a site may join a fleet: who it is, what it runs, how much it holds.

Each check is a finding; a site with a problem is not let in.
"""

from collections.abc import Iterator, Sequence

from router.live.settings import SiteAccess
from spillway.doctor.finding import Finding, ok, problem, warning
from spillway.probing.endpoint import EndpointFound
from spillway.probing.site import SiteFound

DIGEST_CHARACTERS = 12  # of a digest, shown


def check_site(
    found: SiteFound, way: SiteAccess, fellows: Sequence[SiteFound], model: str = ""
) -> Iterator[Finding]:
    """All that is to be said of a site beside its fellows; `model` is what it should serve."""
    yield from _reached(found, way)
    if not found.reached:
        return
    yield from _instances(found, fellows)
    yield from _model(found, model)
    yield from _alike(found, fellows)
    yield from _capacity(found, fellows)
    yield from _versions(found, fellows)


def digest(text: str) -> str:
    """A digest as people compare it; a dash where it is unknown."""
    return text[:DIGEST_CHARACTERS] or "-"


def _reached(found: SiteFound, way: SiteAccess) -> Iterator[Finding]:
    if found.why_not:
        yield problem("reached", found.why_not, "is it up, and is the address that of a dashboard?")
        return
    if not found.endpoints:
        yield problem("reached", "no replica listens there", "spillway site up deploys the engines")
        return
    for one in found.endpoints:
        if not one.reached:
            do = "look at its process, the way there, and docs/trust.md where it is a certificate"
            yield problem("reached", f"{one.address}: {one.why_not}", do)
    if found.reached:
        rtts = [one.rtt_ns / 1e6 for one in found.reached]
        far = f"{min(rtts):.1f} to {max(rtts):.1f} ms away"
        said = f"{len(found.reached)} of {found.listed} endpoints answer, {far}"
        if way.tls is not None:
            yield ok("identity", f"they show a certificate of {way.tls.identity}")
        yield ok("reached", said)


def _instances(found: SiteFound, fellows: Sequence[SiteFound]) -> Iterator[Finding]:
    """No engine may be two endpoints: what is sent to one would be counted at none."""
    known = {
        _instance(one): f"{fellow.site}/{one.address}"
        for fellow in fellows
        for one in fellow.reached
    }
    for one in found.reached:
        instance = _instance(one)
        if not instance:
            said = f"{one.address} does not say which instance it is"
            yield warning("identity", said, "leases and restarts cannot be told apart there")
        elif instance in known:
            said = f"{one.address} is the same engine as {known[instance]}"
            yield problem("identity", said, "one engine is one endpoint: leave one of them out")
        known[instance or one.address] = one.address


def _model(found: SiteFound, model: str) -> Iterator[Finding]:
    names = {name for one in found.reached if one.identity for name in one.identity.names}
    first = sorted({one.identity.names[0] for one in found.reached if one.identity})
    if model and model not in names:
        said = f"it serves {', '.join(first)}, and not {model}"
        yield problem("model", said, "deploy that model there, or add the site for what it serves")
    else:
        yield ok("model", f"it serves {', '.join(first)}")


def _alike(found: SiteFound, fellows: Sequence[SiteFound]) -> Iterator[Finding]:
    """Endpoints of one name are one model, at this site and at its fellows."""
    told: set[str] = set()
    others = [(fellow.site, one) for fellow in fellows for one in fellow.reached]
    others += [(found.site, one) for one in found.reached[:1]]
    for one in found.reached:
        if not one.engine.is_known:
            said = f"{one.address} does not say which weights it runs"
            yield warning("digest", said, "no stream can go on there that began elsewhere")
            continue
        for site, other in others:
            if other is one or not _same_name(one, other) or not other.engine.is_known:
                continue
            yield from _compared(one, site, other, told)
    first = found.reached[0]
    if first.engine.is_known and not told:
        engine = first.engine
        said = f"weights {digest(engine.weights)}, tokenizer {digest(engine.tokenizer)}"
        beside = {site for site, other in others if site != found.site and _same_name(first, other)}
        fellow = f", as at {', '.join(sorted(beside))}" if beside else ""
        yield ok("digest", f"{said}{fellow}")


def _compared(
    one: EndpointFound, site: str, other: EndpointFound, told: set[str]
) -> Iterator[Finding]:
    engine, known, name = one.engine, other.engine, one.identity.names[0] if one.identity else ""
    if not engine.is_like(known):
        what = "weights" if engine.weights != known.weights else "tokenizer"
        mine, theirs = getattr(engine, what), getattr(known, what)
        key = f"{one.address} {what} {site}"
        if key not in told:
            told.add(key)
            said = (
                f"{one.address} serves {name} with other {what} ({digest(mine)}) than"
                f" {site} ({digest(theirs)})"
            )
            do = "serve the same files there, or give what it serves another name"
            yield problem("digest", said, do)
    elif not engine.rounds_like(known) and f"numerics {site}" not in told:
        told.add(f"numerics {site}")
        said = f"{one.address} rounds differently from {site} (engine, dtype, device or attention)"
        do = "streams go on between them; a greedy one may continue in other words"
        yield warning("digest", said, do)


def _capacity(found: SiteFound, fellows: Sequence[SiteFound]) -> Iterator[Finding]:
    slots = sum(one.report.max_running_requests for one in found.reached if one.report)
    tokens = sum(one.report.kv_tokens_max for one in found.reached if one.report)
    contexts = [c for one in found.reached if (c := _context(one))]
    said = f"{len(found.reached)} replicas, {slots or '?'} requests at once"
    context = f", a context of {min(contexts)}" if contexts else ""
    yield ok("capacity", f"{said}, {tokens or '?'} tokens of KV cache{context}")
    for one in found.reached:
        if one.report is None:
            said = f"{one.address} gives no load reports"
            yield warning("capacity", said, "routers see only what they send there themselves")
        elif one.report.draining:
            said = f"{one.address} drains: it takes no new turns"
            yield problem("capacity", said, "wait until it is replaced, and run this again")
    longest = max((_context(one) for fellow in fellows for one in fellow.reached), default=0)
    if contexts and min(contexts) < longest:
        said = f"its context is {min(contexts)} tokens, that of others {longest}"
        yield warning("capacity", said, "longer prompts do not go there; set vllm.max_model_len")


def _versions(found: SiteFound, fellows: Sequence[SiteFound]) -> Iterator[Finding]:
    mine = {_version(one) for one in found.reached} - {""}
    theirs = {_version(one) for fellow in fellows for one in fellow.reached} - {""}
    said = ", ".join(sorted(mine)) or "unknown"
    if theirs and mine - theirs:
        other = ", ".join(sorted(theirs))
        do = "deploy the same version where answers have to be the same"
        yield warning("versions", f"engine {said}; its fellows run {other}", do)
    else:
        yield ok("versions", f"engine {said}")


def _instance(one: EndpointFound) -> str:
    return one.identity.server.instance_id if one.identity else ""


def _context(one: EndpointFound) -> int:
    return one.identity.server.max_model_len if one.identity else 0


def _version(one: EndpointFound) -> str:
    return one.identity.server.engine_version if one.identity else ""


def _same_name(one: EndpointFound, other: EndpointFound) -> bool:
    mine, theirs = one.identity, other.identity
    return mine is not None and theirs is not None and bool({*mine.names} & {*theirs.names})
