"""Proxies and services: who is connected, who was, and what each has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from controlplane.admin.errors import ApiError, declared
from controlplane.admin.routing import api_router
from controlplane.admin.security.access import Access, Needs
from controlplane.admin.security.identity import Role
from controlplane.node_book import NodeBook, NodeView
from controlplane.xds.status import TypeStatus


class TypeOut(BaseModel):
    """One resource type on one stream."""

    type_url: str
    desired: str | None
    """Version that the node should have; null when that is not known yet."""
    sent: str
    """Version of the last response; empty before the first."""
    sent_at: datetime | None
    acked: str
    """Version that it has acknowledged whole; empty before the first."""
    acked_at: datetime | None
    synced: bool
    behind_since: datetime | None
    """Since when it has something else than it should; null when it has that."""
    refused: str | None
    """The node's words when it refuses what it should have."""
    refused_last: str | None
    """Its words when it last refused something, even if that is over."""
    refused_at: datetime | None
    """When that was."""


class NodeOut(BaseModel):
    """One proxy or service, with all of its streams."""

    id: str
    group: str
    user_agent: str
    """Name and version of its software. A service may have the id of the proxy beside it, but never its software."""
    replica: str
    """The control plane that it is, or was last, connected to."""
    peer: str
    connected_since: datetime
    disconnected_at: datetime | None
    last_seen: datetime
    synced: bool
    types: list[TypeOut]


def nodes_router(book: NodeBook) -> APIRouter:
    """Routes about proxies and services."""
    router = api_router("nodes")
    may_read = Needs(Role.VIEWER)

    @router.get("/nodes", responses=declared(422))
    async def list_nodes(
        group: str | None = Query(None, max_length=253, description="Only this node group."),
        connected: bool | None = Query(None, description="Only who is connected, or only who is not."),
        limit: Annotated[int, Query(ge=1, le=10_000, description="How many at most.")] = 1000,
        after: str | None = Query(None, max_length=1000, description="Only ids that come after this one."),
        _access: Access = Depends(may_read),
    ) -> list[NodeOut]:
        """Who is connected, and who was; by id."""
        found = [
            view
            for view in await book.nodes()
            if (group is None or view.group == group)
            and (connected is None or connected == (view.disconnected_at is None))
            and (after is None or view.id > after)
        ]
        return [_node(view) for view in found[:limit]]

    @router.get("/nodes/{id:path}", responses=declared(404, 422))
    async def get_node(
        node_id: Annotated[str, Path(alias="id", min_length=1, max_length=1000)],
        user_agent: str = Query("", max_length=253, description="What its software's name begins with."),
        _access: Access = Depends(may_read),
    ) -> NodeOut:
        """One node; of several with this id one that is connected, else the one last seen."""
        found = [view for view in await book.node(node_id) if view.user_agent.startswith(user_agent)]
        if not found:
            raise ApiError(404, "no-such-node", "No node of this id was seen.")
        return _node(found[0])

    return router


def _node(view: NodeView) -> NodeOut:
    return NodeOut(
        id=view.id,
        group=view.group,
        user_agent=view.user_agent,
        replica=view.replica,
        peer=view.peer,
        connected_since=view.connected_at,
        disconnected_at=view.disconnected_at,
        last_seen=view.last_seen,
        synced=view.synced,
        types=[_type(status) for status in view.types],
    )


def _type(status: TypeStatus) -> TypeOut:
    return TypeOut(
        type_url=status.type_url,
        desired=status.desired,
        sent=status.sent,
        sent_at=_at(status.sent_at),
        acked=status.acked,
        acked_at=_at(status.acked_at),
        synced=status.synced,
        behind_since=_at(status.behind_since),
        refused=status.error if status.refused else None,
        refused_last=status.error or None,
        refused_at=_at(status.error_at),
    )


def _at(moment: float | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC)
