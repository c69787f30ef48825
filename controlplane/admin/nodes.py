"""``/api/v1/nodes``: who is connected, and what each has."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel

from controlplane.xds.ledger import Client, Ledger
from controlplane.xds.subscription import Subscription


class TypeOut(BaseModel):
    """One resource type on one stream."""

    type_url: str
    desired: str | None
    """Version that the node should have; ``None`` when that is not known yet."""
    acked: str
    """Version that it has acknowledged whole; empty before the first."""
    synced: bool
    refused: str | None
    """The node's words when it refuses what it should have."""


class NodeOut(BaseModel):
    """One connected stream."""

    id: str
    group: str
    user_agent: str
    peer: str
    connected_since: datetime
    synced: bool
    types: list[TypeOut]


def nodes_router(ledger: Ledger) -> APIRouter:
    """Routes about proxies and services."""
    router = APIRouter(tags=["nodes"])

    @router.get("/nodes")
    async def nodes() -> list[NodeOut]:
        """Every proxy and service that is connected now."""
        return sorted((_node(client) for client in ledger.clients()), key=lambda node: (node.id, node.user_agent))

    return router


def _node(client: Client) -> NodeOut:
    types = [_type(subscription) for subscription in client.state.subscriptions.values()]
    return NodeOut(
        id=client.node.id,
        group=client.group,
        user_agent=client.node.user_agent,
        peer=client.peer,
        connected_since=datetime.fromtimestamp(client.connected_at, UTC),
        synced=all(one.synced for one in types),
        types=types,
    )


def _type(subscription: Subscription) -> TypeOut:
    return TypeOut(
        type_url=subscription.type_url,
        desired=subscription.target.version if subscription.target else None,
        acked=subscription.progress.acked_version,
        synced=subscription.synced,
        refused=subscription.progress.error if subscription.refused else None,
    )
