"""What a client holds of one type, as far as the server can know: what it was told last of each name.

Kept as a step from a shared :class:`~controlplane.xds.snapshot.ResourceSet`, so that a client that has everything costs
one reference and not a copy of all names.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final

from controlplane.xds.changes import Differ
from controlplane.xds.interest import Interest
from controlplane.xds.snapshot import EMPTY_SET, ResourceSet

ABSENT: Final = ""
"""The client was told that there is nothing of this name."""

UNSURE: Final = "?"
"""The client may hold any version, or none: whatever it should have has to be said again."""


class Knowledge:
    """Names to the versions that the client was told. Only meant for names that it subscribes to."""

    __slots__ = ("_base", "_differ", "_holds", "_patch")

    def __init__(self, differ: Differ) -> None:
        self._differ = differ
        self._base = EMPTY_SET
        self._patch: dict[str, str | None] = {}
        self._holds: list[dict[str, str]] = []

    def told(self, name: str) -> str | None:
        """The version that the client was told, :data:`ABSENT`, :data:`UNSURE`, or ``None``: it awaits an answer."""
        if name in self._patch:
            return self._patch[name]
        return self._base.version_of(name) or ABSENT

    def differing(self, target: ResourceSet, interest: Interest) -> Iterator[str]:
        """Subscribed names of which the client was told something else than ``target`` says."""
        for name in self._candidates(target, interest):
            if interest.covers(name) and self.told(name) != (target.version_of(name) or ABSENT):
                yield name

    def _candidates(self, target: ResourceSet, interest: Interest) -> Iterable[str]:
        changed = self._differ.between(self._base, target)
        if not interest.wildcard and len(interest.names) <= len(changed) + len(self._patch):
            return sorted(interest.names)
        if not self._patch:
            return changed
        return dict.fromkeys((*changed, *self._patch))

    def learn(self, versions: Mapping[str, str]) -> None:
        """The client was told these versions (or :data:`ABSENT`)."""
        self._patch.update(versions)

    def await_answer(self, names: Iterable[str]) -> None:
        """The client asks for these, whatever it was told before, even if it refused them."""
        for name in names:
            self._patch[name] = None
            self._unhold(name)

    def drop(self, names: Iterable[str]) -> None:
        """The client is not interested in these any more."""
        for name in names:
            self._patch.pop(name, None)
            self._unhold(name)

    def widen(self, interest: Interest) -> None:
        """The client begins with the wildcard, or asks for it anew: it was told nothing but its explicit names."""
        patch: dict[str, str | None] = dict.fromkeys((*self._base.resources, *self._patch), UNSURE)
        patch.update((name, self.told(name)) for name in interest.names)
        self._base, self._patch = EMPTY_SET, patch
        self._keep_holds(interest.names)

    def settle(self, target: ResourceSet) -> None:
        """The client was told everything that ``target`` says of the names that it subscribes to."""
        self._base = target
        if self._patch:
            self._patch = {}

    @property
    def holds(self) -> bool:
        """Whether the client refused something that is still the newest there is."""
        return bool(self._holds)

    @property
    def held(self) -> Iterator[str]:
        """Names of what the client refused and what has not changed since."""
        return iter(dict.fromkeys(name for hold in self._holds for name in hold))

    def is_held(self, name: str) -> bool:
        """Whether the client refused a response with this resource, and nothing in that response has changed since."""
        return any(name in hold for hold in self._holds)

    def hold(self, refused: Mapping[str, str]) -> None:
        """The client refused a response of these names and versions: none of them is sent again as it is."""
        if refused:
            self._patch.update(refused)
            self._holds.append(dict(refused))

    def release(self, target: ResourceSet) -> None:
        """Give up the holds of which ``target`` has anything else than was refused.

        A client may have applied any part of what it refused, so all of it is unsure then.
        """
        kept = []
        for hold in self._holds:
            if all((target.version_of(name) or ABSENT) == version for name, version in hold.items()):
                kept.append(hold)
            else:
                self._patch.update(dict.fromkeys(hold, UNSURE))
        self._holds = kept

    def prune(self, interest: Interest) -> None:
        """Forget the holds of names that nobody subscribes to any more."""
        if not interest.wildcard:
            self._keep_holds(interest.names)

    def _keep_holds(self, names: Container[str]) -> None:
        if self._holds:
            kept = ({name: version for name, version in hold.items() if name in names} for hold in self._holds)
            self._holds = [hold for hold in kept if hold]

    def _unhold(self, name: str) -> None:
        if self._holds:
            for hold in self._holds:
                hold.pop(name, None)
            self._holds = [hold for hold in self._holds if hold]
