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
from controlplane.xds.ledger import EndedClient, Ledger
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
    refused: str | None
    """The node's words when it refuses what it should have."""
    refused_last: str | None
    """Its words when it last refused something, even if that is over."""
    refused_at: datetime | None
    """When that was."""


class NodeOut(BaseModel):
    """One stream of a proxy or a service."""

    id: str
    group: str
    user_agent: str
    peer: str
    connected_since: datetime
    disconnected_at: datetime | None
    synced: bool
    types: list[TypeOut]


def nodes_router(ledger: Ledger) -> APIRouter:
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
            node
            for node in _nodes(ledger)
            if (group is None or node.group == group)
            and (connected is None or connected == (node.disconnected_at is None))
            and (after is None or node.id > after)
        ]
        return sorted(found, key=lambda node: (node.id, node.user_agent))[:limit]

    @router.get("/nodes/{id:path}", responses=declared(404, 422))
    async def get_node(
        node_id: Annotated[str, Path(alias="id", min_length=1, max_length=1000)], _access: Access = Depends(may_read)
    ) -> NodeOut:
        """One node: its newest stream."""
        found = [node for node in _nodes(ledger) if node.id == node_id]
        if not found:
            raise ApiError(404, "no-such-node", "No node of this id was seen.")
        return max(found, key=lambda node: (node.disconnected_at is None, node.connected_since))

    return router


def _nodes(ledger: Ledger) -> list[NodeOut]:
    here = [
        EndedClient(
            node=client.node,
            group=client.group,
            peer=client.peer,
            connected_at=client.connected_at,
            disconnected_at=0.0,
            types=ledger.statuses(client),
        )
        for client in ledger.clients()
    ]
    known = {client.node.id for client in here}
    gone = {client.node.id: client for client in ledger.ended() if client.node.id not in known}
    return [*(_node(client, None) for client in here), *(_node(one, one.disconnected_at) for one in gone.values())]


def _node(client: EndedClient, gone_at: float | None) -> NodeOut:
    types = [_type(status) for status in client.types]
    return NodeOut(
        id=client.node.id,
        group=client.group,
        user_agent=client.node.user_agent,
        peer=client.peer,
        connected_since=datetime.fromtimestamp(client.connected_at, UTC),
        disconnected_at=_at(gone_at),
        synced=all(one.synced for one in types),
        types=types,
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
        refused=status.error if status.refused else None,
        refused_last=status.error or None,
        refused_at=_at(status.error_at),
    )


def _at(moment: float | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC)
