"""Authentication as it is now: the keys that every ext_authz verifies tokens with."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from controlplane.admin.errors import declared
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs
from controlplane.admin.security.identity import Role
from controlplane.auth_services import AuthServices
from servicekit.contracts.key_report import ReportedSource


class AuthServiceOut(BaseModel):
    """One ext_authz."""

    service: str
    """Where it was asked."""
    error: str | None
    """Why it said nothing; null when it did."""
    sources: list[ReportedSource]
    """The keys of each provider of tokens. Times are seconds, counted from this answer."""


def auth_router(services: AuthServices) -> APIRouter:
    """Routes about authentication."""
    router = api_router("auth")
    may_read = Needs(Role.VIEWER)

    @router.get("/auth/keys", responses=declared(422))
    async def list_auth_keys(_access: Access = Depends(may_read)) -> list[AuthServiceOut]:
        """Name, kind, algorithms and thumbprint (RFC 7638) of every key, its age and the last error.

        Every ext_authz that `GATEWAY_AUTH_TARGETS` names is asked now; one that does not answer says so here.
        """
        return [
            AuthServiceOut(service=one.service, error=one.error, sources=list(one.report.sources) if one.report else [])
            for one in await services.keys()
        ]

    return router
