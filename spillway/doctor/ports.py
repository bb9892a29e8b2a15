"""The ports that a router and a Ray head want here: free, or held by whom."""

from collections.abc import Iterator, Sequence

from router.live.settings import RouterSettings
from spillway.doctor.finding import Finding, ok, problem, warning
from spillway.doctor.listeners import Listener, listeners
from spillway.doctor.programs import Program, program_of

RAY_PORTS = {6379: "Ray's GCS", 8265: "Ray's dashboard"}


def ports(settings: RouterSettings, found: Sequence[Listener] | None = None) -> Iterator[Finding]:
    """Those of a router with these settings, and those of a Ray head."""
    found = listeners() if found is None else found
    wanted = {
        "router.listen": settings.listen,
        "router.metrics_listen": settings.metrics_listen,
        "router.openai_listen": settings.openai_listen,
        "router.health_listen": settings.health_listen,
    }
    for key, address in wanted.items():
        port = int(address.rpartition(":")[2]) if address else 0
        if port:
            yield _wanted(key, port, _holders(found, port))
    for port, use in RAY_PORTS.items():
        holders = _holders(found, port)
        if not holders:
            yield ok("ports", f"{port} ({use}) is free")
        elif any(program.is_ray for program in _programs(holders)):
            yield ok("ports", f"{port} ({use}) is held by {holders[0].holder}")
        else:
            said = f"{port} ({use}) is held by {holders[0].holder}"
            yield warning("ports", said, "start Ray at other ports, or end what holds it")


def _wanted(key: str, port: int, holders: Sequence[Listener]) -> Finding:
    if not holders:
        return ok("ports", f"{port} ({key}) is free")
    said = f"{port} ({key}) is held by {holders[0].holder}"
    if Program.ROUTER in _programs(holders):
        return ok("ports", said)
    return problem("ports", said, f"end it, or give {key} another port")


def _programs(holders: Sequence[Listener]) -> list[Program]:
    found = (program_of(one.command) for one in holders)
    return [program for program in found if program is not None]


def _holders(found: Sequence[Listener], port: int) -> list[Listener]:
    return [one for one in found if one.port == port]
