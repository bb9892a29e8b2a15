"""Who may look at the page, and act from it. The whole policy is here.

Where callers prove who they are, the page is for operators, and for readers to look: the browser
asks for a key, as the password of whatever name, and an operator may act from anywhere. Where
nobody has to prove anything, whoever reaches the router's HTTP port may look, and to act a request
must

- come from this machine, itself and not through a proxy here, which would make anybody local;
- be for a name of this machine, so that no page of another name that resolves to it (DNS
  rebinding) is its origin.

In both cases a request that acts must come from a page of this very origin, as the browser says,
and carry the token that only such a page could read.
"""

import ipaddress
import secrets
from typing import Final
from urllib.parse import urlsplit

from aiohttp import BasicAuth, web

from router.live.acting import Actor
from router.live.callers import AUTHORIZATION, Callers
from router.policy.caller import Caller, Right, Role, may
from wire.status import CallError
from wire.tls.http import names_of

TOKEN_HEADER: Final = "X-Spillway-Token"  # noqa: S105 - the name of a header

_PROXY_HEADERS: Final = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")


class Permission:
    """Judges requests to one router process, whose token it made."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._token = secrets.token_urlsafe(32)

    def viewer(self, request: web.Request) -> Caller:
        """Who looks. Raises HTTPUnauthorized and HTTPForbidden."""
        try:
            key = BasicAuth.decode(request.headers.get("Authorization", "")).password
        except ValueError:
            key = ""
        try:
            caller = self._callers.of([(AUTHORIZATION, f"Bearer {key}")] if key else [])
        except CallError as error:
            raise web.HTTPUnauthorized(
                text=f"{error.message.partition(':')[0]}\n",
                headers={"WWW-Authenticate": 'Basic realm="Spillway operators", charset="UTF-8"'},
            ) from error
        if not may(caller, Right.READ):
            raise web.HTTPForbidden(text="this page is for operators\n")
        return caller

    def token_for(self, request: web.Request, viewer: Caller) -> str:
        """What the page is to send with what it does; empty where its viewer may not act."""
        return self._token if self._may_act(request, viewer) else ""

    def refusal(self, request: web.Request, viewer: Caller) -> str:
        """Why a request may not act, in a sentence; empty where it may."""
        if viewer.role is Role.READER:
            return "this key is for looking: acting is for operators"
        if not self._may_act(request, viewer):
            return "acting is for the router's own machine: open the page there, or use `spillway`"
        if not is_same_origin(request):
            return "only this page itself may act"
        given = request.headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(given.encode(errors="replace"), self._token.encode()):
            return "the page is of an earlier router: reload it"
        return ""

    def _may_act(self, request: web.Request, viewer: Caller) -> bool:
        if viewer.role is Role.ANYBODY:
            return _is_local(request) and not self._callers.may_not_act(viewer, _names(request))
        return viewer.role is Role.OPERATOR


def actor_at(request: web.Request, viewer: Caller) -> Actor:
    """Who acts from the page."""
    names = _names(request)
    name = viewer.name or (f"certificate:{names[0]}" if names else viewer.role.value)
    return Actor(name, viewer.role.value, viewer.tenant, f"page:{request.remote or ''}")


def _names(request: web.Request) -> tuple[str, ...]:
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    return tuple(names_of(certificate))


def is_same_origin(request: web.Request) -> bool:
    """Whether the browser says that a page of this origin sends it."""
    origin = request.headers.get("Origin", "")
    return origin in {f"http://{request.host}", f"https://{request.host}"}


def _is_local(request: web.Request) -> bool:
    if any(header in request.headers for header in _PROXY_HEADERS):
        return False
    host = urlsplit(f"//{request.host}").hostname or ""
    return _is_loopback(request.remote or "") and (host == "localhost" or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
