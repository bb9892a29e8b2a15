"""What HAProxy is told: which endpoints there are, and what clients may ask of them.

A client names the endpoint that its lease is for as the authority of its connection. Only endpoints
of the site are gone to, and only what a client with a lease needs goes through: its stream, and the
question whether the endpoint lives. Whether the lease is good is the endpoint's to say.
"""

import re
from collections.abc import Iterable
from typing import Final

ENDPOINTS_MAX: Final = 1_000
"""As many as a site may list by hand."""

STREAMS_MAX: Final = 65_536  # on one connection
CONNECTIONS_MAX: Final = 8_192
"""Of clients; fewer where the machine lets HAProxy open fewer files."""

SILENCE_S: Final = 3_600
"""Of a stream, in either direction: the client gives up one that is silent long before."""

CONNECT_S: Final = 2
OLD_S: Final = 3_600
"""How long streams may go on that were open before the list of endpoints changed."""

ALLOWED: Final = ("/vllm.Inference/GenerateStream", "/grpc.health.v1.Health/Check")

_ERRORS: Final = (502, 503, 504)  # an endpoint broke off, cannot be reached, or does not answer

# Addresses come from a cluster's dashboard, too: nothing else may get into the configuration.
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*\.?"
_ADDRESS: Final = re.compile(rf"(?:{_NAME}|\[[0-9A-Fa-f:.]+\]):([0-9]{{1,5}})")
_PORT_MAX: Final = 65_535


def configuration(
    listen: str, endpoints: Iterable[str], connections_max: int = CONNECTIONS_MAX
) -> str:
    """The file for a door that listens on host:port; what is no host:port is left out."""
    allowed = f"{{ path {' '.join(ALLOWED)} }}"
    known = sorted(one for one in set(endpoints) if _is_address(one))[:ENDPOINTS_MAX]
    rules = [
        f"    use_backend endpoint-{number} if {{ req.hdr(host) -i {endpoint} }}"
        for number, endpoint in enumerate(known)
    ]
    backends = [
        f"backend endpoint-{number}\n    server endpoint {endpoint} proto h2\n"
        for number, endpoint in enumerate(known)
    ]
    return "\n".join(
        (
            "global",
            f"    maxconn {connections_max}",
            f"    hard-stop-after {OLD_S}s",
            f"    tune.h2.fe.max-concurrent-streams {STREAMS_MAX}",
            f"    tune.h2.be.max-concurrent-streams {STREAMS_MAX}",
            "defaults",
            "    mode http",
            "    retries 0",  # trying again is the client's to decide
            "    http-reuse always",
            f"    timeout connect {CONNECT_S}s",
            f"    timeout client {SILENCE_S}s",
            f"    timeout server {SILENCE_S}s",
            # Without a page, which would be no message: what gRPC makes of them is UNAVAILABLE.
            *(f"    http-error status {status} hdr x-spillway-door closed" for status in _ERRORS),
            # One name that cannot be resolved closes its own endpoint, not the whole door.
            "    default-server init-addr last,libc,none",
            "frontend door",
            f"    bind {listen} proto h2",
            f"    {_refusal(7, 'this door has no such method')} unless {allowed}",
            *rules,
            "    default_backend nowhere",
            "backend nowhere",
            f"    {_refusal(14, 'no endpoint of this name is behind this door')}",
            *backends,
            "",  # HAProxy takes no file whose last line has no end
        )
    )


def _is_address(said: str) -> bool:
    found = _ADDRESS.fullmatch(said)
    return found is not None and 1 <= int(found[1]) <= _PORT_MAX


def _refusal(code: int, reason: str) -> str:
    """Answers as a server of gRPC that refuses a call."""
    said = reason.replace(" ", "%20")  # as gRPC has it, and so that HAProxy's words stay apart
    grpc = f"hdr grpc-status {code} hdr grpc-message {said.replace('%', '%%')}"
    return f"http-request return status 200 {grpc}"
