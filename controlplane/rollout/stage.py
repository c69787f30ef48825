"""What every group is shown: the one place that writes to the snapshot cache. No method waits for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from controlplane.model import Canary
from controlplane.placement import canary_of
from controlplane.rollout.edition import Edition, cured
from controlplane.rollout.group import Group
from controlplane.rollout.outcome import Reason
from controlplane.rollout.policies import composed
from controlplane.rollout.ports import Cache, Ledger, Placement
from controlplane.translate import SERVICES, Release
from controlplane.xds.answers import Answers

_Key = tuple[object, ...]


class Stage:
    """The groups that are live, the canary's nodes beside them, and the services behind all of them.

    Args:
        regroup: moves every stream to where ``placement`` says.
    """

    def __init__(self, *, cache: Cache, ledger: Ledger, placement: Placement, regroup: Callable[[], None]) -> None:
        self._cache = cache
        self._ledger = ledger
        self._placement = placement
        self._regroup = regroup
        self.groups: dict[str, Group] = {}
        self.services: Group | None = None
        self.tried: Mapping[str, Edition] = {}
        """What the canary's nodes have, by group."""
        self.apart: Mapping[str, Answers] = {}
        """What the canary's nodes say, by group."""
        self._is_split = False
        self._arriving: Edition | None = None
        self._is_beside = False
        self._shown_to_services: _Key = ()

    @property
    def followers(self) -> Iterator[Group]:
        """Every group, the services last."""
        yield from self.groups.values()
        if self.services is not None:
            yield self.services

    def place(self, release: Release, number: int, now: float) -> None:
        """Show every group its part, and bring whoever was apart back."""
        for name, edition in editions_of(release, number).items():
            group = self.groups.get(name)
            if group is None:
                group = self.groups[name] = Group(name, edition, now)
            else:
                group.publish(edition, now)
            self._show(name, group.live)
        self._placement.assign(release.node_groups)
        self.unite()
        for name in self.groups.keys() - release.groups.keys():
            del self.groups[name]
            self._cache.clear(name)
        self.expect(None, now)

    def split(self, canary: Canary) -> None:
        """Set the canary's nodes apart; they are shown nothing new."""
        self._is_split = True
        for name, group in self.groups.items():
            self._show(canary_of(name), group.live)
        self._placement.split(canary)
        self._regroup()
        self._ask()

    def try_out(self, editions: Mapping[str, Edition]) -> None:
        """Show them to the canary's nodes."""
        self.tried = editions
        for name, edition in editions.items():
            self._show(canary_of(name), edition)

    def unite(self) -> None:
        """The canary's nodes are like all others again."""
        self._placement.split(None)
        self._regroup()
        if self._is_split:
            for name in self.groups:
                self._cache.clear(canary_of(name))
        self._is_split, self.tried, self.apart = False, {}, {}

    def expect(self, arriving: Edition | None, now: float, *, beside: bool = False) -> bool:
        """Show the services the policies of what is about to go out; whether that is news to them.

        Args:
            arriving: what is about to go out; ``None`` when nothing is any more.
            now: seconds.
            beside: whether only a canary gets it, so that for all others nothing may change.
        """
        self._arriving, self._is_beside = arriving, beside
        return self.tell_services(now)

    def tell_services(self, now: float) -> bool:
        """Show the services what the groups need now; whether that is news to them."""
        newest = max((group.live for group in self.groups.values()), key=lambda edition: edition.number, default=None)
        top = self._arriving or newest
        if top is None:
            return False
        self._follow_services(policies_of(top), now)
        current = newest if self._is_beside and newest is not None else top
        others = list(self._needed())
        key = (_key(current), *map(_key, others))
        if key == self._shown_to_services:
            return False
        self._shown_to_services = key
        snapshot = composed(current.services, [edition.services for edition in others])
        shown = self._cache.get(SERVICES)
        if shown is not None and shown.versions == snapshot.versions:
            return False
        self._cache.set(SERVICES, snapshot)
        return True

    def look(self, now: float, at: datetime) -> list[Group]:
        """Hear what all nodes say, and take back what is refused; the groups to which that happened."""
        found = self._ask()
        rolled = [
            group for name, group in self.groups.items() if group.hear(found[name], now, at, apart=self.apart.get(name))
        ]
        if self.services is not None and SERVICES in found:
            rolled += self._hear_services(self.services, found[SERVICES], now, at)
        self._show_again(rolled, now)
        return rolled

    def take_back(self, reasons: Mapping[str, Reason], now: float) -> list[Group]:
        """Take groups back for what nodes said elsewhere; those that could go back and had not."""
        found = [self.groups[name] for name in reasons if name in self.groups]
        rolled = [group for group in found if group.live.is_as(group.desired) and group.fallback is not None]
        for group in rolled:
            group.roll_back(reasons[group.name], now)
        self._show_again(rolled, now)
        return rolled

    def _show_again(self, rolled: Iterable[Group], now: float) -> None:
        """Show what groups went back to."""
        for group in rolled:
            if group is not self.services:
                self._show(group.name, group.live)
                if self._is_split and group.name not in self.tried:
                    self._show(canary_of(group.name), group.live)
        self.tell_services(now)

    def _hear_services(self, services: Group, answers: Answers, now: float, at: datetime) -> list[Group]:
        """A policy that the services refuse takes all groups back whose routes count on it; if one can't, none goes."""
        culprit, fallback = services.live, services.fallback
        counting = [group for group in self.groups.values() if _key(group.live) == _key(culprit)]
        can_go = all(group.fallback is not None and _key(group.fallback) != _key(culprit) for group in counting)
        refusals = cured(answers.refusals, culprit, fallback) if can_go else ()
        if not services.hear(answers, now, at, may_roll_back=can_go):
            return []
        reason = Reason.of(refusals, at)
        for group in counting:
            group.roll_back(reason, now)
        if self._arriving is not None and _key(self._arriving) == _key(culprit):
            self._arriving = None
        return [services, *counting]

    def _follow_services(self, edition: Edition, now: float) -> None:
        if self.services is None:
            # What a service refuses that all have accepted may be any of the policies that travel together.
            self.services = Group(SERVICES, edition, now, probation=0)
        elif not edition.is_as(self.services.live):
            self.services.publish(edition, now)

    def _needed(self) -> Iterator[Edition]:
        """Whatever a node may run, newest first; never what the services have refused."""
        found = [edition for group in self.groups.values() for edition in group.needed()]
        found += [*self.tried.values(), *([self._arriving] if self._arriving else [])]
        seen: set[_Key] = set()
        for edition in sorted(found, key=lambda edition: edition.number, reverse=True):
            refused = self.services is not None and self.services.refusal_of(policies_of(edition)) is not None
            if not refused and _key(edition) not in seen:
                seen.add(_key(edition))
                yield edition

    def _show(self, key: str, edition: Edition) -> None:
        if self._cache.get(key) is not edition.snapshot:
            self._cache.set(key, edition.snapshot)

    def _ask(self) -> Mapping[str, Answers]:
        keys = [SERVICES, *self.groups, *(canary_of(name) for name in self.groups if self._is_split)]
        found = self._ledger.answers({key: shown for key in keys if (shown := self._cache.get(key)) is not None})
        if self._is_split:
            self.apart = {name: found[canary_of(name)] for name in self.groups}
        return found


def editions_of(release: Release, number: int) -> dict[str, Edition]:
    """What every group gets of ``release``."""
    return {name: Edition(number, snapshot, release.services) for name, snapshot in release.groups.items()}


def policies_of(edition: Edition) -> Edition:
    """The services' part of the same release."""
    return Edition(edition.number, edition.services, edition.services)


def _key(edition: Edition) -> _Key:
    return tuple(sorted(edition.services.versions.items()))
