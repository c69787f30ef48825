"""What one subscription has come to, as a value that outlives its stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    )
