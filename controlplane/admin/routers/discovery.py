"""Lists of endpoints that are kept elsewhere: what was found in them, and since when they are no good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from controlplane.admin.errors import ApiError, declared
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs
from controlplane.admin.security.identity import Role
from controlplane.discovery import Standing


class FoundEndpointOut(BaseModel):
    """One endpoint that was found."""

    host: str
    port: int
    weight: int
    priority: int
    region: str
    zone: str
    labels: dict[str, str]


class ListOut(BaseModel):
    """The list of one upstream of the live document, as this control plane sees it."""

    upstream: str
    kind: Literal["file", "http"]
    endpoints: int
    """How many are live: those of the last good list."""
    changed_at: datetime | None
    """Since when they have been these; null before there were any."""
    good_at: datetime | None
    """When the list was last seen to be good; null before the first time."""
    failing_since: datetime | None
    """Since when it has not been; null while it is."""
    error: str | None
    """Why it is not."""


class FoundOut(ListOut):
    """The list of one upstream, and what was found in it."""

    found: list[FoundEndpointOut]


def discovery_router(standings: Callable[[], Sequence[Standing]]) -> APIRouter:
    """Routes about lists of endpoints."""
    router = api_router("discovery")
    may_read = Needs(Role.VIEWER)

    @router.get("/discovery", responses=declared(422))
    async def list_discovery(_access: Access = Depends(may_read)) -> list[ListOut]:
        """How things are with every list that the live document names, by upstream.

        Each control plane reads for itself: this is what the one says that was asked.
        """
        return [ListOut(**_shown(one)) for one in standings()]

    @router.get("/discovery/{name}", responses=declared(404, 422))
    async def get_discovery(
        name: Annotated[str, Path(max_length=253)], _access: Access = Depends(may_read)
    ) -> FoundOut:
        """One list, with the endpoints that are live because of it."""
        for one in standings():
            if one.upstream == name:
                found = [
                    FoundEndpointOut.model_validate({**asdict(each), "labels": dict(each.labels)})
                    for each in one.endpoints or ()
                ]
                return FoundOut(**_shown(one), found=found)
        raise ApiError(404, "no-such-list", "The live document has no upstream of this name with a list of endpoints.")

    return router


def _shown(one: Standing) -> dict[str, object]:
    return {
        "upstream": one.upstream,
        "kind": one.kind,
        "endpoints": len(one.endpoints or ()),
        "changed_at": one.changed_at,
        "good_at": one.good_at,
        "failing_since": one.failing_since,
        "error": one.error or None,
    }
