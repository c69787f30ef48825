"""What one node group gets of one release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.xds.answers import Refusal
from controlplane.xds.snapshot import Snapshot

_VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Edition:
    """A snapshot, and the policies that its routes count on."""

    number: int
    """Of the release, in the order in which they were published."""
    snapshot: Snapshot
    services: Snapshot

    @property
    def version(self) -> str:
        """Hash of the snapshot: equal content has an equal version on every replica."""
        return version_of(self.snapshot)

    def is_as(self, other: Edition | None) -> bool:
        """Whether nodes get the same of both, whatever the services get."""
        return other is not None and self.snapshot.versions == other.snapshot.versions

    def is_wholly(self, other: Edition) -> bool:
        """Whether nodes and services get the same of both."""
        return self.is_as(other) and self.services.versions == other.services.versions


def version_of(snapshot: Snapshot) -> str:
    """A short hash of everything in ``snapshot``."""
    versions = "".join(f"{url}={version};" for url, version in sorted(snapshot.versions.items()))
    return hashlib.sha256(versions.encode()).hexdigest()[:_VERSION_DIGITS]


def is_cured(refusal: Refusal, live: Edition, other: Edition) -> bool:
    """Whether ``other`` has anything else than ``live`` in the place of what a node refuses."""
    mine, theirs = live.snapshot.set_of(refusal.type_url), other.snapshot.set_of(refusal.type_url)
    if refusal.resources is None:
        return mine.version != theirs.version
    return any(mine.version_of(name) != theirs.version_of(name) for name in refusal.resources)


def cured(refusals: Iterable[Refusal], live: Edition, other: Edition | None) -> tuple[Refusal, ...]:
    """The refusals that are over when ``other`` takes the place of ``live``."""
    return () if other is None else tuple(refusal for refusal in refusals if is_cured(refusal, live, other))
