"""Which processes of this machine listen, and where, as Linux tells in /proc."""

import contextlib
import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"  # TCP_LISTEN, in include/net/tcp_states.h
COMMAND_CHARACTERS_MAX = 60


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket."""

    host: str
    port: int
    pid: int | None = None  # None: another user's process
    command: str = ""  # its command line; empty where it is not known

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def address(self) -> str:
        """host:port, as people and programs write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def holder(self) -> str:
        """Who it is, for people."""
        if self.pid is None:
            return "another user's process"
        command = self.command
        if len(command) > COMMAND_CHARACTERS_MAX:
            command = f"{command[:COMMAND_CHARACTERS_MAX]}..."
        return f"process {self.pid} ({command})"


def listeners(proc: Path = Path("/proc")) -> list[Listener]:
    """All of them, by port; none where the system has no /proc."""
    owners = dict(_owners(proc))
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == LISTENING:
                    host, port = _address(local)
                    pid = owners.get(f"socket:[{rest[5]}]")
                    found.add(Listener(host, port, pid, _command(proc, pid)))
    return sorted(found, key=lambda one: (one.port, one.host, one.pid or 0))


def _owners(proc: Path) -> Iterator[tuple[str, int]]:
    """Sockets with the process that has them; of several, as after a fork, the last."""
    for process in sorted(proc.glob("[0-9]*"), key=lambda one: -int(one.name)):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):  # it was closed meanwhile
                    target = str(descriptor.readlink())
                    if target.startswith("socket:"):
                        yield target, int(process.name)


def _command(proc: Path, pid: int | None) -> str:
    with contextlib.suppress(OSError):
        raw = (proc / str(pid) / "cmdline").read_bytes()
        return raw.replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _address(text: str) -> tuple[str, int]:
    """An address as the kernel prints it: words of 32 bits in the machine's order, in hex."""
    host, _, port = text.partition(":")
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), int(port, 16)
