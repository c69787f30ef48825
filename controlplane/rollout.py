"""Publishing a snapshot in two steps: policies first, the rest when the services have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog

from controlplane.store import Outcome
from controlplane.xds.snapshot import Snapshot
from servicekit.contracts import AuthPolicy, LimitPolicy

POLICY_TYPES = (AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL)

_log = structlog.get_logger(__name__)


class Cache(Protocol):
    """Where nodes take their snapshot from."""

    def get(self, group: str, /) -> Snapshot | None:
        """What ``group`` should have; ``None`` before the first snapshot."""

    def set(self, group: str, snapshot: Snapshot, /) -> None:
        """Let ``group`` have ``snapshot``."""


class Acknowledged(Protocol):
    """How a wait for ACKs ended."""

    @property
    def complete(self) -> bool:
        """Whether every connected client has ACKed."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Ids of the nodes that refuse, and their words."""


class Ledger(Protocol):
    """Who has what."""

    async def wait_acked(
        self, group: str, snapshot: Snapshot, type_urls: tuple[str, ...], seconds: float, /
    ) -> Acknowledged:
        """Wait until each connected client of ``group`` that takes one of ``type_urls`` has answered."""


class Rollout:
    """Brings snapshots to one node group. See docs/decisions/0003-policies-before-routes.md."""

    def __init__(self, *, cache: Cache, ledger: Ledger, group: str, policy_deadline: float) -> None:
        self._cache = cache
        self._ledger = ledger
        self._group = group
        self._policy_deadline = policy_deadline

    async def outcome(self, snapshot: Snapshot, seconds: float) -> Outcome:
        """What has become of ``snapshot``, when each connected node has answered or after ``seconds``."""
        answered = await self._ledger.wait_acked(self._group, snapshot, tuple(snapshot.versions), seconds)
        if answered.refused:
            _log.error("nodes refuse what is live", nodes=dict(answered.refused))
            return Outcome.REFUSED
        return Outcome.APPLIED if answered.complete else Outcome.TIMED_OUT

    async def publish(self, snapshot: Snapshot) -> bool:
        """Make ``snapshot`` what the group should have; return whether that was a change.

        Waits at most ``policy_deadline`` seconds for the services: one that is down must not stop a change. The first
        snapshot goes out whole: nodes that outlived a control plane hold more than policies, and a step without the
        rest would take it from them.
        """
        current = self._cache.get(self._group)
        if current is not None:
            if current.versions == snapshot.versions:
                return False
            await self._publish_policies(current, snapshot)
        self._cache.set(self._group, snapshot)
        return True

    async def _publish_policies(self, current: Snapshot, snapshot: Snapshot) -> None:
        changed = tuple(url for url in POLICY_TYPES if current.version(url) != snapshot.version(url))
        if not changed:
            return
        self._cache.set(self._group, current.replacing(snapshot, changed))
        outcome = await self._ledger.wait_acked(self._group, snapshot, changed, self._policy_deadline)
        if not outcome.complete:
            _log.warning("services have not all acknowledged their policy; going on", outcome=str(outcome))
