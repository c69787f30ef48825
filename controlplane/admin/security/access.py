"""What each operation needs: a role, and a scope that reaches it. An operation that says nothing is not served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_origin

from fastapi import FastAPI, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Route

from controlplane.admin.audit_trail import AuditTrail, Deed
from controlplane.admin.errors import ApiError, MistakeOut, invalid, pointer_to
from controlplane.admin.routing import BASE
from controlplane.admin.security.guard import peer_address, unauthorized
from controlplane.admin.security.identity import Identity, Role
from controlplane.config.problems import suggestion

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who does what: given to an operation that may go on."""

    identity: Identity
    deed: Deed
    """What the audit log says of it."""
    dry_run: bool = False


class Needs:
    """A dependency that lets a role use an operation which changes nothing."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Access:
        """Check it.

        Raises:
            ApiError: 403, the role or the scopes are not enough.
        """
        identity = _identity(request)
        deed = Deed(actor=identity.name, address=peer_address(request.scope), action="read", target=_path(request))
        refusal = _refusal(identity, self.role, deed.target)
        if refusal is not None:
            raise refusal
        _check_parameters(request)
        return Access(identity=identity, deed=deed)


class NeedsToWrite:
    """A dependency that lets a role use an operation which changes something; refusals are in the audit log too."""

    def __init__(self, role: Role, action: str, trail: AuditTrail) -> None:
        self.role = role
        self._action = action
        self._trail = trail

    async def __call__(self, request: Request) -> Access:
        """Check it.

        Raises:
            ApiError: 403, the role or the scopes are not enough.
        """
        return await self._check(request, self.role, dry_run=False)

    async def _check(self, request: Request, role: Role, *, dry_run: bool) -> Access:
        identity = _identity(request)
        deed = Deed(
            actor=identity.name, address=peer_address(request.scope), action=self._action, target=_path(request)
        )
        refusal = _refusal(identity, role, deed.target)
        if refusal is not None:
            if not dry_run:
                await self._trail.refused(deed, refusal)
            raise refusal
        _check_parameters(request)
        return Access(identity=identity, deed=deed, dry_run=dry_run)


class NeedsToChange(NeedsToWrite):
    """As :class:`NeedsToWrite`, for operators; with ``dry_run`` nothing is changed, and viewers may."""

    def __init__(self, action: str, trail: AuditTrail) -> None:
        super().__init__(Role.OPERATOR, action, trail)

    async def __call__(
        self,
        request: Request,
        dry_run: Annotated[bool, Query(description="Change nothing; answer with the plan.")] = False,
    ) -> Access:
        """Check it.

        Raises:
            ApiError: 403, the role or the scopes are not enough.
        """
        return await self._check(request, Role.VIEWER if dry_run else self.role, dry_run=dry_run)


class UnguardedOperationError(Exception):
    """An operation says not who may use it. It is a mistake in this program."""


def check_every_operation(app: FastAPI) -> None:
    """Refuse to serve an application in which some operation names no role.

    Raises:
        UnguardedOperationError: there is one.
    """
    for route in app.routes:
        if not isinstance(route, Route):  # a router that was included as a whole can't be looked into
            raise UnguardedOperationError(f"{route} may hold operations that name no role")
    for route in api_routes(app):
        if role_of(route) is None:
            raise UnguardedOperationError(f"{route.methods} {route.path} names no role")


def api_routes(app: FastAPI) -> Iterator[APIRoute]:
    """The operations."""
    return (route for route in app.routes if isinstance(route, APIRoute) and route.path.startswith("/api/"))


def role_of(route: APIRoute) -> Role | None:
    """The role that an operation needs."""
    return next((call.role for call in _calls(route.dependant) if isinstance(call, (Needs, NeedsToWrite))), None)


def _calls(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)


def _identity(request: Request) -> Identity:
    identity = getattr(request.state, "identity", None)
    if not isinstance(identity, Identity):
        raise unauthorized("The admin API needs a bearer token or a client certificate.", given=False)
    return identity


def _path(request: Request) -> str:
    return str(request.scope["path"]).removeprefix(BASE)


def _check_parameters(request: Request) -> None:
    """Refuse a query parameter that means nothing here: who misspells ``dry_run`` must not change anything.

    Raises:
        ApiError: 422, there is one, or one that counts only once stands there twice.
    """
    route = request.scope.get("route")
    known = dict(_query_names(route.dependant)) if isinstance(route, APIRoute) else {}
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = [name for name in dict.fromkeys(given) if name not in known or (given.count(name) > 1 and not known[name])]
    if wrong:
        mistakes = [
            MistakeOut(
                pointer=pointer_to(("query", name)),
                code="unknown-parameter" if name not in known else "duplicate-parameter",
                message="this means nothing here" if name not in known else "this stands here twice",
                hint=suggestion(name, known),
            )
            for name in wrong[:_MOST_NAMED]
        ]
        raise invalid(mistakes, detail="The query holds what it should not.", code="invalid-request")


def _query_names(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The parameters that mean something, and whether they may stand there several times."""
    yield from ((field.alias, get_origin(field.field_info.annotation) is list) for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _query_names(inner)


def _refusal(identity: Identity, needed: Role, path: str) -> ApiError | None:
    if identity.role is None:
        return _forbidden("no-role", f"Nobody gave {identity.name} a role; this needs {needed}.", needed)
    if not identity.role.covers(needed):
        return _forbidden("role", f"This needs the role {needed}; {identity.name} is {identity.role}.", needed)
    if not identity.reaches(path):
        return _forbidden("scope", "This is outside of the scopes of these credentials.", needed)
    return None


def _forbidden(why: str, detail: str, needed: Role) -> ApiError:
    challenge = f'Bearer realm="gateway", error="insufficient_scope", scope="{needed}"'
    return ApiError(403, f"forbidden-{why}", detail, headers={"www-authenticate": challenge}, needed_role=needed.value)
