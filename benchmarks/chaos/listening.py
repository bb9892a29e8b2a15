"""Which TCP ports a process listens at, as Linux tells in /proc."""

import contextlib
from pathlib import Path

_LISTENING = "0A"  # TCP_LISTEN, in include/net/tcp_states.h


def listening_ports(pid: int) -> frozenset[int]:
    """The ports; none where the process has ended or is another user's."""
    process = Path("/proc") / str(pid)
    held = set()
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # it was closed meanwhile
                held.add(str(descriptor.readlink()))
    ports = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (process / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING and f"socket:[{rest[5]}]" in held:
                    ports.add(int(local.rpartition(":")[2], 16))
    return frozenset(ports)
