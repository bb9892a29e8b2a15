"""What others than this machine can reach: listening sockets here, and what the fleet file opens.

Ray has no callers' names: whoever reaches its dashboard or its GCS runs programs on the cluster.
"""

import socket
import ssl
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from router.live.address import split_address
from spillway.doctor.finding import Finding, ok, warning
from spillway.doctor.listeners import Listener, listeners
from spillway.doctor.programs import Program, program_of
from spillway.fleet import FleetFile
from wire.tls.plaintext import is_loopback

HANDSHAKE_S = 1.0
PRIVATE = (
    "keep it on a private network: a firewall, a NetworkPolicy, or --node-ip-address=127.0.0.1"
)
RUNS = "whoever reaches it runs programs on the cluster"
MEANS = {
    Program.GCS: RUNS,
    Program.DASHBOARD: RUNS,
    Program.NODE: RUNS,
    Program.WORKER: "its gRPC has no TLS and asks nobody's name",
    Program.CLIENT_SERVER: RUNS,
    Program.RAY_OTHER: "it has no TLS",
    Program.STORE: "who reaches it reads and changes shared budgets",
    Program.ENGINE: "it has no TLS: whoever reaches it uses it",
    Program.ROUTER: "it has no TLS: whoever is on the way reads prompts and answers",
    Program.DOOR: "it passes on what comes",
}
"""What it means that others reach a program."""

GUARD = "spillway up --local"
"""It keeps ports from others by listening, and answers nobody; its parts are processes, too."""

SPEAK_TLS = frozenset({Program.ENGINE, Program.ROUTER})
SHOWN_MAX = 6  # ports of one process in a line; a Ray worker has a few, a head dozens


def host(found: Sequence[Listener] | None = None) -> Iterator[Finding]:
    """What listens here beyond the loopback interface and is ours or Ray's."""
    found = listeners() if found is None else found
    open_to_others: dict[Program, list[Listener]] = {}
    for one in found:
        program = program_of(one.command)
        if program is None or one.is_loopback or GUARD in one.command:
            continue
        if program in SPEAK_TLS and _speaks_tls(one):
            yield ok("exposed", f"{program.value} listens at {one.address} with TLS")
            continue
        open_to_others.setdefault(program, []).append(one)
    for program, ones in open_to_others.items():
        places = [one.address for one in ones]
        more = f" and {len(places) - SHOWN_MAX} more" if len(places) > SHOWN_MAX else ""
        at = f"{', '.join(places[:SHOWN_MAX])}{more}"
        said = f"{program.value} listens beyond this machine at {at}: {MEANS[program]}"
        yield warning("exposed", said, PRIVATE)
    if not open_to_others:
        yield ok("exposed", "nothing of Ray or Spillway listens beyond this machine without TLS")


def fleet(file: FleetFile) -> Iterator[Finding]:
    """What the fleet file opens, or has travel in plaintext."""
    router, before = file.router, 0
    secured = router.tls.certificate is not None
    for key in ("listen", "metrics_listen", "openai_listen"):
        address = getattr(router, key)
        if address is None or is_loopback(split_address(address)[0]) or secured:
            continue
        before += 1
        said = f"router.{key} is {address} without TLS: it can be read on its way"
        yield warning("exposed", said, "give router.tls a certificate and key (docs/trust.md)")
    if router.authentication.anonymous:
        before += 1
        do = "name a keys_file or an issuer of tokens instead (docs/tenants.md)"
        yield warning("exposed", "router.authentication.anonymous lets in whoever comes", do)
    for way in file.access:
        if way.plaintext is not None:
            before += 1
            said = f"site {way.site} is reached in plaintext: anyone on the way can read it"
            yield warning("exposed", said, "put a router with TLS in front of it (docs/trust.md)")
        url = urlsplit(way.dashboard_url or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            before += 1
            said = f"site {way.site}: its Ray dashboard is reached at {way.dashboard_url}"
            yield warning("exposed", f"{said}, where it takes orders from whoever comes", PRIVATE)
    if not before:
        yield ok("exposed", "the fleet file opens nothing to others without TLS and names")


def _speaks_tls(listener: Listener) -> bool:
    """Whether a handshake is answered as one, be it with a refusal for want of a certificate."""
    at = "127.0.0.1" if listener.host == "0.0.0.0" else listener.host  # noqa: S104 - it is compared
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((at, listener.port), HANDSHAKE_S) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except ssl.SSLError as error:
        return "alert" in str(error).lower()
    except OSError:
        return False
