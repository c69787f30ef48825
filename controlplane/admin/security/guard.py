"""The door: every request is counted, and nothing behind it is reached by somebody who is not known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import structlog
from cachetools import TTLCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controlplane.admin.errors import ApiError
from controlplane.admin.security.headers import host_of, with_security_headers
from controlplane.admin.security.identity import Authenticator, Credentials, Identity, Unprovable
from controlplane.admin.security.limits import Buckets, Rate, address_key
from servicekit.client_names import CLIENT_NAMES

OPEN = frozenset({"/health/live", "/health/ready", "/health/startup", "/metrics"})
"""What needs no credentials."""

_log = structlog.get_logger(__name__)

_TRUSTED_SECONDS = 3600.0
_TRUSTED = 10_000
_LONGEST_BEARER = 8192


class Guard:
    """ASGI middleware. What it lets through finds who is asking in ``scope["state"]["identity"]``.

    Args:
        authenticator: who says who is asking.
        caller: how often one who is known may ask.
        address: how often one address may ask.
        failure: how often one address may fail to prove who it is.
        hosts: names by which this server may be called, ``None`` for any.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        caller: Rate,
        address: Rate,
        failure: Rate,
        hosts: frozenset[str] | None,
        clock: Callable[[], float],
    ) -> None:
        self.app = app
        """What is behind it."""
        self._authenticator = authenticator
        self._callers = Buckets(caller, clock=clock)
        self._addresses = Buckets(address, clock=clock)
        self._failures = Buckets(failure, clock=clock)
        # Who was let in lately is not kept out by failures of others behind the same address.
        self._trusted: TTLCache[bytes, None] = TTLCache(_TRUSTED, _TRUSTED_SECONDS, timer=clock)
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer it."""
        if scope["type"] != "http":
            return  # WebSockets are not spoken here
        send = with_security_headers(send)
        if scope["method"] == "HEAD":
            scope, send = _asked_by_head(scope, send)
        try:
            self._check_host(scope)
            if scope["path"] not in OPEN:
                identity = await self._admit(scope)
                scope = {**scope, "state": {**scope.get("state", {}), "identity": identity}}
        except ApiError as error:
            await error.response(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check_host(self, scope: Scope) -> None:
        if self._hosts is not None and host_of(scope["headers"]) not in self._hosts:
            raise ApiError(
                421, "wrong-host", "This server is not called by that name: use localhost or its IP address."
            )

    async def _admit(self, scope: Scope) -> Identity:
        address = address_key(peer_address(scope))
        _or_wait(self._addresses.take(address))
        credentials = read_credentials(scope)
        if credentials.empty:
            raise unauthorized("The admin API needs a bearer token or a client certificate.", given=False)
        digest = _digest(credentials)
        if digest not in self._trusted:
            _or_wait(self._failures.wait(address))
        try:
            identity = await self._authenticator.identify(credentials)
        except Unprovable as error:
            raise ApiError(503, "cannot-authenticate", f"{error}.", headers={"retry-after": "5"}) from error
        if identity is None:
            self._failures.take(address)
            _log.warning("somebody could not log in to the admin API", address=peer_address(scope))
            self._trusted.pop(digest, None)
            raise unauthorized("These credentials are unknown, expired or revoked.", given=True)
        self._trusted[digest] = None
        _or_wait(self._callers.take(identity.key))
        return identity


def peer_address(scope: Scope) -> str:
    """Who is at the other end of the connection. No header has a say in it."""
    client = scope.get("client")
    return str(client[0]) if client else "unix"


def read_credentials(scope: Scope) -> Credentials:
    """What the request brings: one Authorization header, and what TLS has verified."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) > 1:
        raise ApiError(400, "several-authorizations", "A request has one Authorization header at most.")
    names = tuple(scope.get(CLIENT_NAMES, ()))
    if not given:
        return Credentials(names=names)
    scheme, _, value = given[0].decode("latin-1").partition(" ")
    token = value.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_BEARER:
        raise unauthorized("The Authorization header holds no bearer token.", given=True)
    return Credentials(bearer=token, names=names)


def unauthorized(detail: str, *, given: bool) -> ApiError:
    """401 with the challenge of RFC 6750."""
    challenge = 'Bearer realm="gateway", error="invalid_token"' if given else 'Bearer realm="gateway"'
    return ApiError(401, "unauthorized", detail, headers={"www-authenticate": challenge})


def _or_wait(seconds: int) -> None:
    if seconds:
        raise ApiError(429, "too-many-requests", "Too many requests.", headers={"retry-after": str(seconds)})


def _digest(credentials: Credentials) -> bytes:
    return hashlib.sha256("\n".join([credentials.bearer or "", *credentials.names]).encode()).digest()


def _asked_by_head(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """A HEAD request as the GET that it stands for (RFC 9110 §9.3.2), and its answer without the content."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return {**scope, "method": "GET", "state": {**scope.get("state", {}), "head": True}}, sending
