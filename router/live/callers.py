"""Who calls: the one place where credentials are read, for every face of the router.

A client shows an API key, or a token of the fleet's identity provider, as `authorization: Bearer`,
over gRPC and HTTP alike. What is shown is never logged and goes no further than here.
"""

import re
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import grpc
from google.rpc.error_details_pb2 import ErrorInfo

from router.live.key_file import KeyFile, read_keys
from router.live.openness import AuthenticationError, why_not_open
from router.live.settings import RouterSettings, TokenSettings
from router.live.token_rules import token_problems
from router.policy.api_key import KEY_PREFIX, Fault, KeyRing
from router.policy.caller import ANYBODY, OPEN_METHODS, Caller, Right, Role, may, may_call
from router.policy.fleet import Tenant
from wire.status import CallError, failure

if TYPE_CHECKING:
    from router.live.tokens import Tokens

AUTHORIZATION: Final = "authorization"

_CREDENTIALS_CHARS_MAX: Final = 8 * 1024
"""A token of an identity provider has one or two thousand."""

_BEARER: Final = re.compile(r"(?i:bearer) +([!-~]+) *")

_SAID: Final = {
    Fault.MISSING: "this router wants to know who asks: send authorization: Bearer KEY",
    Fault.UNKNOWN: "these credentials are not known here",
    Fault.EXPIRED: "these credentials are no longer valid",
    Fault.NOT_YET: "these credentials are not valid yet",
    Fault.NO_TENANT: "these credentials are of no tenant here",
}

Pairs = Sequence[tuple[str, str | bytes]]


class Callers:
    """Tells who calls. Where nothing says who may come in and nobody is far, it is anybody."""

    def __init__(
        self,
        settings: RouterSettings,
        tenants: Sequence[Tenant],
    ) -> None:
        """Raises KeyFileError, and AuthenticationError where nothing says who may come in."""
        why_not = why_not_open(settings)
        if why_not:
            raise AuthenticationError(why_not)
        said = settings.authentication
        self.tenants = {tenant.name: tenant for tenant in tenants}
        self._keys = KeyFile(said.keys_file, self.tenants) if said.keys_file is not None else None
        self._tokens = self._tokens_of(said.tokens) if said.tokens.issuer else None
        self._operators = frozenset(settings.tls.operators)
        self.required = self._keys is not None or self._tokens is not None

    def _tokens_of(self, settings: TokenSettings) -> "Tokens":
        from router.live.tokens import Tokens  # noqa: PLC0415 - brings cryptography, for few

        for key, problem in token_problems(settings):
            raise AuthenticationError(f"authentication.tokens.{key}: {problem}")
        return Tokens(settings, self.tenants)

    def prepared(self, settings: RouterSettings, tenants: Sequence[Tenant]) -> KeyRing | None:
        """The keys of these settings and tenants. Raises KeyFileError; nothing has changed."""
        path = settings.authentication.keys_file
        return None if path is None else KeyRing(read_keys(path, {one.name for one in tenants}))

    def adopt(
        self, settings: RouterSettings, keys: KeyRing | None, tenants: Sequence[Tenant]
    ) -> None:
        """These are the tenants and keys from now on. Whether keys are asked for stays as it is."""
        self.tenants.clear()  # the very mapping that others hold
        self.tenants.update({tenant.name: tenant for tenant in tenants})
        path = settings.authentication.keys_file
        if self._keys is not None and keys is not None and path is not None:
            self._keys.adopt(path, keys)
        if self._tokens is not None:
            self._tokens.forget()

    def look(self) -> None:
        """Reads keys again where that is due. Call it about once a second."""
        if self._keys is not None:
            self._keys.look()
        if self._tokens is not None:
            self._tokens.look()

    async def close(self) -> None:
        """Ends what is under way."""
        if self._tokens is not None:
            await self._tokens.close()

    def of(self, metadata: Pairs) -> Caller:
        """Who sent this metadata. Raises CallError (UNAUTHENTICATED, PERMISSION_DENIED)."""
        if not self.required:
            return ANYBODY
        shown = [value for key, value in metadata if key == AUTHORIZATION]
        if not shown:
            raise _unknown(Fault.MISSING)
        found = self._shown_by(shown[0]) if len(shown) == 1 else Fault.UNKNOWN
        if isinstance(found, Fault):
            raise _unknown(found)
        return found

    def may_not_act(self, caller: Caller, names: Collection[str]) -> str:
        """Why a caller may not act, with these names in its certificate; empty where it may."""
        if not may(caller, Right.ACT):
            return "this is for operators"
        if caller.role is not Role.ANYBODY or not self._operators:
            return ""
        if self._operators.isdisjoint(names):
            return "this is for the operators whom router.tls.operators names"
        return ""

    async def newcomer(self, metadata: Pairs) -> Caller:
        """The same of somebody whose token may name a key that is to be asked for first."""
        if self._tokens is not None:
            shown = [value for key, value in metadata if key == AUTHORIZATION]
            token = _bearer(shown[0]) if len(shown) == 1 else ""
            if token and not token.startswith(KEY_PREFIX):
                await self._tokens.look_for_key_of(token)
        return self.of(metadata)

    async def admit(self, metadata: Pairs, method: str) -> None:
        """Lets a call in, of a method as `/package.Service/Method`.

        Raises CallError (UNAUTHENTICATED, PERMISSION_DENIED).
        """
        if method in OPEN_METHODS:
            return
        if not may_call(await self.newcomer(metadata), method):
            info = ErrorInfo(reason="NOT_YOURS_TO_CALL", domain="spillway")
            message = "this is for operators"
            raise failure(grpc.StatusCode.PERMISSION_DENIED, message, info)

    def _shown_by(self, value: str | bytes) -> Caller | Fault:
        text = _bearer(value)
        if self._tokens is not None and text and not text.startswith(KEY_PREFIX):
            return self._tokens.find(text, time.time())
        if self._keys is None:
            return Fault.UNKNOWN
        key = self._keys.ring.find(text, time.time())
        if isinstance(key, Fault):
            return key
        role = Role.OPERATOR if key.operator else Role.READER if key.reader else Role.TENANT
        return Caller(role, key.tenant, f"key:{key.id}")


def _bearer(value: str | bytes) -> str:
    """The key or token of a header; empty where it is none of them."""
    if not isinstance(value, str) or len(value) > _CREDENTIALS_CHARS_MAX:
        return ""
    bearer = _BEARER.fullmatch(value)
    return bearer[1] if bearer else ""


def _unknown(fault: Fault) -> CallError:
    info = ErrorInfo(reason=fault.value, domain="spillway")
    denied = fault is Fault.NO_TENANT
    code = grpc.StatusCode.PERMISSION_DENIED if denied else grpc.StatusCode.UNAUTHENTICATED
    return failure(code, _SAID[fault], info)
