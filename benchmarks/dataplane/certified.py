"""The certificates of a run with TLS: those of the engine, of the router and of the client."""

from datetime import UTC, datetime
from pathlib import Path

import grpc.aio

from router.live.settings import SiteTls, TlsSettings
from serving.listening import Listening
from spillway.certs.authority import CERTIFICATE, Authority
from spillway.certs.issuing import issue
from spillway.client import ClientTls
from wire.tls.files import TlsFiles

_ENGINE, _ROUTER, _CLIENT = "engine.example.org", "spiffe://example.org/router", "client"


class Certified:
    """A folder with all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = folder / CERTIFICATE

    @classmethod
    def make(cls, folder: Path) -> "Certified":
        """Makes them."""
        now = datetime.now(UTC)
        authority = Authority.create(folder, "benchmark", 2, now)
        for stem, names in (
            ("engine", [_ENGINE]),
            ("router", [_ROUTER, "127.0.0.1"]),
            ("client", [_CLIENT]),
        ):
            issue(authority, names, folder / stem, 1, now)
        return cls(folder)

    def _pair(self, who: str) -> tuple[Path, Path]:
        return self._folder / f"{who}.pem", self._folder / f"{who}.key"

    @property
    def engine(self) -> Listening:
        """It lets the router in, and nobody else."""
        return Listening(tls=TlsFiles(*self._pair("engine"), self._authority), accept=(_ROUTER,))

    @property
    def router(self) -> TlsSettings:
        """It lets the client in, and nobody else."""
        return TlsSettings(*self._pair("router"), self._authority, (_CLIENT,))

    @property
    def site(self) -> SiteTls:
        """The engine's."""
        return SiteTls(_ENGINE)

    @property
    def client(self) -> ClientTls:
        """It believes the router."""
        return ClientTls(self._authority, *self._pair("client"))


def channel_to(address: str, tls: ClientTls | None) -> grpc.aio.Channel:
    """A client's channel, in plaintext without `tls`."""
    return grpc.aio.insecure_channel(address) if tls is None else tls.open_aio(address)
