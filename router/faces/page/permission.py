"""Who may look at the page, and act from it. The whole policy is here.

Where callers prove who they are, the page is for operators: the browser asks for a key, as the
password of whatever name, and an operator may act from anywhere. Where nobody has to prove
anything, whoever reaches the router's HTTP port may look, and to act a request must

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

from router.live.callers import AUTHORIZATION, Callers
from router.policy.caller import Caller, Role, may_call
from wire.status import CallError

TOKEN_HEADER: Final = "X-Spillway-Token"  # noqa: S105 - the name of a header

_DRAIN: Final = "/spillway.v1.Fleet/Drain"
"""Whoever may call this is an operator, or nobody has to be one."""

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
        if not may_call(caller, _DRAIN):
            raise web.HTTPForbidden(text="this page is for operators\n")
        return caller

    def token_for(self, request: web.Request, viewer: Caller) -> str:
        """What the page is to send with what it does; empty where its viewer may not act."""
        return self._token if _may_act(request, viewer) else ""

    def refusal(self, request: web.Request, viewer: Caller) -> str:
        """Why a request may not act, in a sentence; empty where it may."""
        if not _may_act(request, viewer):
            return "acting is for the router's own machine: open the page there, or use `spillway`"
        if not is_same_origin(request):
            return "only this page itself may act"
        given = request.headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return "the page is of an earlier router: reload it"
        return ""


def is_same_origin(request: web.Request) -> bool:
    """Whether the browser says that a page of this origin sends it."""
    origin = urlsplit(request.headers.get("Origin", ""))
    return origin.scheme in {"http", "https"} and origin.netloc == request.host


def _may_act(request: web.Request, viewer: Caller) -> bool:
    return viewer.role is Role.OPERATOR or _is_local(request)


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
