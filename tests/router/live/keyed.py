"""Routers that want to know who asks, and keys for them."""

import asyncio
import contextlib
import dataclasses
import tempfile
from pathlib import Path

import grpc

from router.live.key_file import line_of
from router.live.settings import Authentication
from router.policy.api_key import ApiKey, digest_of, id_of, key_text
from router.policy.fleet import Tenant
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, fleet_of, route
from tests.waiting import DEADLINE_S

ACME, BOLT, OPS, GONE = (
    key_text(name, "k" * 43) for name in (b"acme--", b"bolt--", b"ops---", b"gone--")
)


def lines():
    """The file of keys: one for each tenant, an operator's, and one that has ended."""
    ended = {"not_after_unix_s": 1.0}
    for text, tenant, more in (
        (ACME, "acme", {}),
        (BOLT, "bolt", {}),
        (OPS, "ops", {"operator": True}),
        (GONE, "acme", ended),
    ):
        yield line_of(ApiKey(id_of(text), digest_of(text), tenant, **more))


def bearer(key):
    """What a call carries."""
    return (("authorization", f"Bearer {key}"),)


def fleet_with(*tenants, **limits):
    """A fleet with acme, bolt and ops, or what else there is of these names."""
    named = {one.name: one for one in (Tenant("acme"), Tenant("bolt"), Tenant("ops"), *tenants)}
    return dataclasses.replace(fleet_of(HOME, CLOUD, **limits), tenants=tuple(named.values()))


@contextlib.contextmanager
def keyed(settings=SETTINGS):
    """Settings with a file of keys."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        path.write_text("\n".join(lines()))
        yield dataclasses.replace(settings, authentication=Authentication(path))


async def to_its_end(call):
    """Reads what comes until nothing does; raises what a call ends with that is no success."""
    async with asyncio.timeout(DEADLINE_S):
        while await call.read() is not grpc.aio.EOF:
            pass


def shows(key):
    """Interceptors of a client that shows a key with every call that shows none itself."""

    async def intercept(_self, continuation, details, request):
        given = tuple(details.metadata or ())
        if not any(name == "authorization" for name, _ in given):
            shown = grpc.aio.Metadata(*given, *bearer(key))
            details = details._replace(metadata=shown)
        return await continuation(details, request)

    kinds = {
        "intercept_unary_unary": grpc.aio.UnaryUnaryClientInterceptor,
        "intercept_unary_stream": grpc.aio.UnaryStreamClientInterceptor,
    }
    return [type("Shows", (kind,), {name: intercept})() for name, kind in kinds.items()]


@contextlib.asynccontextmanager
async def route_keyed(addresses, fleet=None, settings=SETTINGS, **more):
    """A router that wants keys; calls without one of their own show the operator's."""
    with keyed(settings) as with_keys:
        async with route(
            addresses, with_keys, fleet or fleet_with(), interceptors=shows(OPS), **more
        ) as routed:
            yield routed
