"""The answering side: a server that shows who it is, and asks who comes.

That a certificate is of an authority is judged in the handshake; whose it is, with each call.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing
from typing import Any, Final

import grpc

from wire.tls.files import Material, TlsFiles

HANDSHAKE_OPTIONS: Final = (("grpc.server_handshake_timeout_ms", 10_000),)
"""A connection that has not shaken hands by then is closed. gRPC's own default is two minutes."""

_NAMES_KEY: Final = "x509_subject_alternative_name"
_STRANGERS_MAX: Final = 100
"""Strangers that are logged, each once."""

_log = logging.getLogger(__name__)


def server_credentials(files: TlsFiles, *, asks: bool) -> grpc.ServerCredentials:
    """Credentials that are as the files are at each handshake.

    With `asks`, whoever connects has to show a certificate of the authority in `files`.
    """
    given = files.current()
    first = _configuration(given, asks=asks)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        material = files.current()
        if material is given:
            return None
        given = material
        return _configuration(material, asks=asks)

    return grpc.dynamic_ssl_server_credentials(first, fetch, require_client_authentication=asks)


def _configuration(material: Material, *, asks: bool) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], material.authority if asks else None
    )


class CertificateGate(grpc.aio.ServerInterceptor):
    """Lets calls in from these identities only, whatever they call."""

    def __init__(self, accepted: Collection[str]) -> None:
        """`accepted` are DNS names and SPIFFE ids, as certificates carry them."""
        self._accepted = frozenset(name.encode() for name in accepted)
        self._strangers: set[bytes] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """See grpc.aio.ServerInterceptor."""
        handler = await continuation(details)
        # Made for each call: who stands behind this one may have made its handler for one, too.
        return None if handler is None else self._behind(handler)

    def _behind(self, handler: Any) -> grpc.RpcMethodHandler:
        kinds = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
        kind = next(kind for kind in kinds if getattr(handler, kind) is not None)
        behaviour = getattr(handler, kind)

        async def answer(request: Any, context: Any) -> Any:
            await self._judge(context)
            return await behaviour(request, context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            await self._judge(context)
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield response

        build = getattr(grpc, f"{kind}_rpc_method_handler")
        gated: Any = stream if inspect.isasyncgenfunction(behaviour) else answer
        built: grpc.RpcMethodHandler = build(
            gated, handler.request_deserializer, handler.response_serializer
        )
        return built

    async def _judge(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        names = context.auth_context().get(_NAMES_KEY, ())
        if self._accepted.isdisjoint(names):
            shown = b", ".join(names)[:200]
            if shown not in self._strangers and len(self._strangers) < _STRANGERS_MAX:
                self._strangers.add(shown)
                _log.warning("refused a certificate of %r, which is not accepted here", shown)
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"a certificate of {shown.decode('ascii', 'backslashreplace') or 'nobody'} is not"
                " accepted here",
            )
