"""What one subscription has come to, as a value that outlives its stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from controlplane.xds.subscription import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeStatus:
    """One type on one stream. Times are seconds since the epoch; ``None`` is never."""

    type_url: str
    wildcard: bool
    names: int
    """Resources asked for by name."""
    desired: str | None
    """Version that the client should have; ``None`` when that is not known."""
    sent: str
    """Version of the last response; empty before the first."""
    sent_at: float | None
    acked: str
    """Version that the client has acknowledged whole; empty before the first."""
    acked_at: float | None
    refused: bool
    """Whether the client refuses what it should have."""
    error: str
    """The client's words when it last refused something, even if that is over."""
    error_at: float | None
    synced: bool
    """Whether the client has acknowledged everything that it should have."""
    behind_since: float | None
    """Since when it does not have what it should (drift)."""


def status_of(subscription: Subscription, *, to_epoch: Callable[[float], float]) -> TypeStatus:
    """The status now; ``to_epoch`` turns the times of the stream's clock into seconds since the epoch."""

    def at(moment: float | None) -> float | None:
        return None if moment is None else to_epoch(moment)

    progress = subscription.progress
    return TypeStatus(
        type_url=subscription.type_url,
        wildcard=subscription.interest.wildcard,
        names=len(subscription.interest.names),
        desired=subscription.target.version if subscription.target else None,
        sent=progress.sent_version,
        sent_at=at(progress.sent_at),
        acked=progress.acked_version,
        acked_at=at(progress.acked_at),
        refused=subscription.refused,
        error=progress.error,
        error_at=at(progress.refused_at),
        synced=subscription.synced,
        behind_since=None if subscription.synced else at(progress.behind_since),
    )


def merged(statuses: Iterable[TypeStatus]) -> tuple[TypeStatus, ...]:
    """One status for each type, of a client that asks for a type on several streams (Envoy does without ADS)."""
    by_type: dict[str, TypeStatus] = {}
    for status in statuses:
        held = by_type.get(status.type_url)
        by_type[status.type_url] = status if held is None else _both(held, status)
    return tuple(by_type.values())


def _both(one: TypeStatus, other: TypeStatus) -> TypeStatus:
    """What is worst of both, and otherwise what is newest."""
    newest, older = (one, other) if (one.sent_at or 0.0) >= (other.sent_at or 0.0) else (other, one)
    words = older if older.refused or not newest.error else newest
    behind = [status.behind_since for status in (one, other) if status.behind_since is not None]
    return replace(
        newest,
        wildcard=one.wildcard or other.wildcard,
        names=one.names + other.names,
        refused=one.refused or other.refused,
        error=words.error,
        error_at=words.error_at,
        synced=one.synced and other.synced,
        behind_since=min(behind, default=None),
    )
