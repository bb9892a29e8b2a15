"""What a fleet file says of TLS and of plaintext, and what of it cannot be meant.

Between machines there is TLS, with an identity on both sides, or a sentence in the file that says
that there is none.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from router.live.settings import RouterSettings, SiteTls, TlsSettings
from spillway.fleet.problem import KeyPath
from spillway.fleet.schema import SiteSection
from spillway.fleet.section import built
from wire.tls.identity import is_dns_name, is_identity, is_spiffe_id
from wire.tls.plaintext import ACCEPTED, is_loopback

Finding = tuple[KeyPath, str]

_EITHER = f"or accept it with plaintext: {ACCEPTED}"


def site_trust(site: SiteSection, own: TlsSettings) -> Iterator[Finding]:
    """What is wrong with a site's keys, each with its path below the site.

    `own` is what the router has of its own.
    """
    given: Any = site.tls  # of a class that was made from SiteTls
    if given is not None:
        yield from _protected(site, built(SiteTls, given), own)
    elif site.plaintext is None:
        yield from _unprotected(site)


def _protected(site: SiteSection, tls: SiteTls, own: TlsSettings) -> Iterator[Finding]:
    if site.plaintext is not None:
        yield ("plaintext",), "there is tls; leave one of the two out"
    if is_spiffe_id(tls.identity):
        message = (
            "expected the DNS name in the site's certificate: a router checks it as it connects"
        )
        yield ("tls", "identity"), f"{message}, where a SPIFFE id cannot be"
    elif not is_dns_name(tls.identity):
        message = "expected the DNS name in the site's certificate, such as ridge.example.org"
        yield ("tls", "identity"), message
    if tls.authority is None and own.authority is None:
        yield ("tls",), "whose certificates are believed? give authority, here or in router.tls"
    if own.certificate is None:
        yield ("tls",), "the site has to know this router; give router.tls a certificate and a key"
    if site.ray is not None:
        message = "Ray Serve's own ports have no TLS; put a router at the site and list it under"
        yield ("tls",), f"{message} endpoints (docs/trust.md)"
    if site.door is not None:
        yield ("door",), "no client goes there: endpoints with tls know their routers only"


def _unprotected(site: SiteSection) -> Iterator[Finding]:
    for place, address in enumerate(site.endpoints):
        host = address.rpartition(":")[0]
        if not is_loopback(host):
            message = f"{host} is not this machine; give the site tls (identity and authority)"
            yield ("endpoints", place), f"{message}, {_EITHER}"
    if site.ray is not None:
        hosts = (urlsplit(site.ray.dashboard).hostname, site.ray.host)
        away = next((host for host in hosts if host and not is_loopback(host)), None)
        if away is not None:
            message = (
                f"{away} is not this machine, and Ray's ports have no TLS; reach the site by a"
            )
            yield ("ray",), f"{message} router there, with tls, {_EITHER}"
    if site.door is not None and not is_loopback(site.door.rpartition(":")[0]):
        yield ("door",), f"a door has no TLS; reach it by a tunnel, {_EITHER}"


def router_trust(router: RouterSettings) -> Iterator[Finding]:
    """What is wrong with the router's keys, each with its path below `router`."""
    tls = router.tls
    if (tls.certificate is None) != (tls.key is None):
        yield ("tls",), "certificate and key belong together; give both"
    for place, identity in enumerate(tls.accept):
        if not is_identity(identity):
            message = "expected a DNS name or a SPIFFE id in a router's certificate, such as"
            yield ("tls", "accept", place), f"{message} spiffe://example.org/router/front"
    if tls.accept and tls.authority is None:
        yield ("tls", "accept"), "whose certificates are believed? give authority beside it"
    if tls.accept and tls.certificate is None:
        yield (
            ("tls", "accept"),
            "nobody shows a certificate to who has none; give certificate and key",
        )
    for place, identity in enumerate(tls.operators):
        if identity not in tls.accept:
            yield ("tls", "operators", place), "is in nobody's certificate who may come: see accept"
    if tls.certificate is None:
        yield from _open_listeners(router)
    elif router.plaintext is not None:
        yield ("plaintext",), "there is tls; leave one of the two out"


def _open_listeners(router: RouterSettings) -> Iterator[Finding]:
    for key in ("listen", "metrics_listen", "openai_listen"):
        address = getattr(router, key)
        if address is None or router.plaintext is not None:
            continue
        if not is_loopback(address.rpartition(":")[0]):
            message = "others can reach it; give router.tls a certificate and a key"
            yield (key,), f"{message}, {_EITHER} in router"
