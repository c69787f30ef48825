"""From a source's documents to what is live, and the memory of what was refused."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from controlplane.config import ConfigError, GatewayConfig, Problem
from controlplane.history import History
from controlplane.model import Gateway
from controlplane.preflight import EnvoyPreflight, PreflightUnavailableError, check_groups
from controlplane.resolve import resolve
from controlplane.rollout import Rollout
from controlplane.sources import Loaded, Source
from controlplane.store import Outcome
from controlplane.translate import Release, translate, translate_release
from controlplane.xds.snapshot import Snapshot

OUTCOME_SECONDS = 10.0
"""How long the nodes have to answer before a revision counts as timed out."""

_log = structlog.get_logger(__name__)


class Compiled(NamedTuple):
    """What a document means, and what nodes would get."""

    gateway: Gateway
    snapshot: Snapshot
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is live, and what was refused last."""

    origin: str = ""
    """Where the live document came from."""
    digest: str = ""
    """Hash of everything that the live document means; empty before the first."""
    number: int | None = None
    """Its number in the history; ``None`` when it is not there."""
    outcome: Outcome = Outcome.PENDING
    """What became of it on the nodes that are connected."""
    live_since: datetime | None = None
    gateway: Gateway | None = None
    refused: tuple[Problem, ...] = ()
    """Why the newest document is not live; empty when it is."""
    refused_at: datetime | None = None


class Pipeline:
    """Follows one source: each good document goes live, each bad one is named and changes nothing.

    Args:
        preflight: asks the real Envoy before anything goes live; ``None`` where there is no binary.
        listen_address: IP address of listeners that name none.
    """

    def __init__(
        self,
        *,
        source: Source,
        rollout: Rollout,
        history: History,
        preflight: EnvoyPreflight | None,
        listen_address: str,
        registry: CollectorRegistry,
    ) -> None:
        self._source = source
        self._rollout = rollout
        self._history = history
        self._following: asyncio.Task[None] | None = None
        self._preflight = preflight
        self._listen_address = listen_address
        self.status = Status()
        self._loads = Counter(
            "gateway_config_loads", "Documents read, by what became of them.", ["outcome"], registry=registry
        )
        self._live_since = Gauge(
            "gateway_config_live_timestamp_seconds", "When the live document went live.", registry=registry
        )

    async def run(self) -> None:
        """Follow the source for ever."""
        if self._preflight is None:
            _log.warning("no Envoy binary here: snapshots go live without having been shown to one")
        async for loaded in self._source.documents():
            await self.take(loaded)

    def complaint(self) -> str | None:
        """Why this control plane can't serve: nothing has gone live yet."""
        return None if self.status.live_since else "no document is live yet"

    async def take(self, loaded: Loaded) -> None:
        """Bring one document live, or remember why not."""
        try:
            compiled = await asyncio.to_thread(self._compile_loaded, loaded)
        except ConfigError as error:
            self._refuse(loaded.origin, error)
            return
        changed = await self._rollout.publish(compiled.release)
        self._loads.labels("applied" if changed else "unchanged").inc()
        if changed or not self.status.live_since:
            number = await self._history.record(loaded)
            self._goes_live(loaded.origin, compiled, number)
        else:
            self.status = replace(self.status, refused=(), refused_at=None)

    def compile(self, document: GatewayConfig) -> Compiled:
        """What ``document`` means on this gateway, shown to Envoy. Blocks.

        Raises:
            ConfigError: its parts don't fit together, or Envoy refuses what it becomes.
        """
        gateway, release = self._translate(document)
        if self._preflight is not None:
            try:
                check_groups(self._preflight, document, release.groups, lambda other: self._translate(other)[1].groups)
            except PreflightUnavailableError as error:
                _log.warning("a snapshot goes live without having been shown to Envoy", reason=str(error))
        return Compiled(gateway, translate(gateway), release)

    def _translate(self, document: GatewayConfig) -> tuple[Gateway, Release]:
        gateway = resolve(document, listen_address=self._listen_address)
        return gateway, translate_release(gateway)

    def _compile_loaded(self, loaded: Loaded) -> Compiled:
        if isinstance(loaded.content, ConfigError):
            raise loaded.content
        return self.compile(loaded.content)

    def _goes_live(self, origin: str, compiled: Compiled, number: int | None) -> None:
        now = datetime.now(UTC)
        digest = _digest(compiled.snapshot)
        self.status = Status(origin=origin, digest=digest, number=number, live_since=now, gateway=compiled.gateway)
        self._live_since.set(now.timestamp())
        _log.info(
            "document is live", origin=origin, revision=number, digest=digest, routes=len(compiled.gateway.routes)
        )
        if self._following is not None:
            self._following.cancel()  # what becomes of a revision that is not live any more is of no interest
        self._following = asyncio.create_task(self._follow(compiled.release, number), name="outcome")

    async def _follow(self, release: Release, number: int | None) -> None:
        """Write down when every node has what is live, or that one has not."""
        outcome = (await self._rollout.settle(release, OUTCOME_SECONDS)).outcome
        self.status = replace(self.status, outcome=outcome)
        _log.info("nodes have answered", outcome=outcome, revision=number)
        await self._history.mark(number, outcome)

    def _refuse(self, origin: str, error: ConfigError) -> None:
        self._loads.labels("refused").inc()
        self.status = replace(self.status, refused=error.problems, refused_at=datetime.now(UTC))
        _log.error("document refused; what was live stays live", origin=origin, problems=str(error).splitlines())


def _digest(snapshot: Snapshot) -> str:
    versions = "".join(f"{url}={version};" for url, version in sorted(snapshot.versions.items()))
    return hashlib.sha256(versions.encode()).hexdigest()[:12]
