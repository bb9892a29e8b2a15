"""Where a standalone replica listens, who it says it is, and which routers it lets in.

Arguments of serving.standalone: `host` and `port`; with `certificate` and `key` it speaks TLS, with
`authority` and `accept` (identities, with commas between them) it lets in those routers only. On an
address that other machines reach it needs all four, or `plaintext` with the words that accept it.
"""

from dataclasses import dataclass
from pathlib import Path

import grpc

from serving.settings import SettingsError
from wire.tls.files import TlsFiles
from wire.tls.identity import is_identity
from wire.tls.plaintext import ACCEPTED, is_loopback
from wire.tls.server import CertificateGate, server_credentials


@dataclass(frozen=True, slots=True)
class Listening:
    """An address, and what is asked of whoever comes there. Without `tls` it is plaintext."""

    port: int = 0  # 0: a free one
    host: str = "127.0.0.1"
    tls: TlsFiles | None = None
    accept: tuple[str, ...] = ()  # identities of routers

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    def interceptors(self) -> tuple[grpc.aio.ServerInterceptor, ...]:
        """What the server is made with."""
        return (CertificateGate(self.accept),) if self.tls is not None else ()

    def add_port(self, server: grpc.aio.Server) -> int:
        """Binds it; the port it got. Raises RuntimeError where the address cannot be had."""
        if self.tls is None:
            port: int = server.add_insecure_port(self.address)
        else:
            port = server.add_secure_port(self.address, server_credentials(self.tls, asks=True))
        return port


def read_listening(arguments: dict[str, str]) -> Listening:
    """Takes what it is told by out of `arguments`. Raises SettingsError and TlsError."""
    host = arguments.pop("host", "127.0.0.1")
    port = arguments.pop("port", "0")
    if not port.isdecimal():
        raise SettingsError(f"port: expected a number, found {port!r}")
    plaintext = arguments.pop("plaintext", None)
    if plaintext not in {None, ACCEPTED}:
        raise SettingsError(f"plaintext: expected {ACCEPTED}, found {plaintext!r}")
    keys = ("certificate", "key", "authority", "accept")
    given = {key: arguments.pop(key) for key in keys if key in arguments}
    if given:
        missing = [key for key in keys if not given.get(key)]
        if missing:
            raise SettingsError(f"{' and '.join(given)} without {' and '.join(missing)}")
        accept = tuple(given["accept"].split(","))
        for identity in accept:
            if not is_identity(identity):
                raise SettingsError(f"accept: {identity!r} is no DNS name and no SPIFFE id")
        files = TlsFiles(*(Path(given[key]) for key in keys[:3]))
        return Listening(int(port), host, files, accept)
    if plaintext is None and not is_loopback(host):
        raise SettingsError(
            f"others can reach {host}; give {', '.join(keys)}, or accept it with"
            f" plaintext={ACCEPTED}"
        )
    return Listening(int(port), host)
