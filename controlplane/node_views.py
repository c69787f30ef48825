"""A node as it is shown, and as it is stored. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.placement import BESIDE_RELEASES
from controlplane.store.nodes import NodeRecord
from controlplane.translate import SERVICES
from controlplane.xds.instances import Instance, software
from controlplane.xds.status import TypeStatus

_FIELDS = [field.name for field in fields(TypeStatus)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One proxy or service. Times are by the clock of the replica that it is or was connected to."""

    id: str
    """What it says it is called. Not unique: a service may be called like the proxy beside it."""
    user_agent: str
    """Name and version of its software."""
    group: str
    replica: str
    """The control plane that it is, or was last, connected to."""
    peer: str
    connected_at: datetime
    disconnected_at: datetime | None
    last_seen: datetime
    types: tuple[TypeStatus, ...]
    """One for each type that it asks for; times are seconds since the epoch."""

    @property
    def synced(self) -> bool:
        """Whether it has, or had at its end, all that it should."""
        return all(status.synced for status in self.types)

    @property
    def key(self) -> str:
        """What it is kept by: its name and its software, which is another's with the same name."""
        return key_of(self.id, self.user_agent)

    @property
    def standing(self) -> tuple[bool, datetime]:
        """Of two views of one node the greater is to be believed: the connected one, then the newer."""
        return (self.disconnected_at is None, self.last_seen)


def key_of(node_id: str, user_agent: str) -> str:
    """See :attr:`NodeView.key`."""
    return f"{node_id} {software(user_agent)}"


def view_of(instance: Instance, *, replica: str, now: datetime) -> NodeView:
    """What the ledger knows of a client."""
    gone_at = None if instance.disconnected_at is None else datetime.fromtimestamp(instance.disconnected_at, UTC)
    return NodeView(
        id=instance.node.id,
        user_agent=instance.node.user_agent,
        group=SERVICES if instance.group in BESIDE_RELEASES.values() else instance.group,
        replica=replica,
        peer=instance.peer,
        connected_at=datetime.fromtimestamp(instance.connected_at, UTC),
        disconnected_at=gone_at,
        last_seen=gone_at or now,
        types=instance.types,
    )


def record_of(view: NodeView) -> NodeRecord:
    """As it is stored."""
    return NodeRecord(
        id=view.key,
        replica=view.replica,
        service=view.user_agent,
        group=view.group,
        peer=view.peer,
        connected_at=view.connected_at,
        disconnected_at=view.disconnected_at,
        last_seen=view.last_seen,
        types={status.type_url: asdict(status) for status in view.types},
    )


def view_of_record(record: NodeRecord, *, now: datetime, dead_after: timedelta) -> NodeView:
    """What was stored. A node that nobody has seen for ``dead_after`` went when it was last seen."""
    view = NodeView(
        id=record.id.rpartition(" ")[0],
        user_agent=record.service,
        group=record.group,
        replica=record.replica,
        peer=record.peer,
        connected_at=record.connected_at,
        disconnected_at=record.disconnected_at,
        last_seen=record.last_seen,
        types=tuple(_statuses(record.types)),
    )
    is_dead = view.disconnected_at is None and now - view.last_seen > dead_after
    return replace(view, disconnected_at=view.last_seen) if is_dead else view


def _statuses(types: Mapping[str, Any]) -> Iterator[TypeStatus]:
    """Those that can be read: another version of this program may have written others."""
    for stored in types.values():
        if isinstance(stored, dict) and stored.keys() >= set(_FIELDS):
            yield TypeStatus(**{name: stored[name] for name in _FIELDS})
