"""Where each resource of a subscription stands with its client. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from controlplane.xds.knowledge import ABSENT
from controlplane.xds.snapshot import Resource
from controlplane.xds.subscription import Subscription, mentions


class Standing(Enum):
    """What the client has of one resource."""

    SYNCED = auto()
    """The newest, acknowledged."""
    NOT_SENT = auto()
    """Something older or nothing: the newest waits for its turn."""
    STALE = auto()
    """The newest is on its way."""
    REFUSED = auto()
    """It refuses the newest."""
    UNSURE = auto()
    """It refused a response with the newest in it, but means another resource of that response."""
    MISSING = auto()
    """There is none of that name, and it was told so."""


@dataclass(frozen=True, slots=True)
class ResourceStanding:
    """One resource."""

    name: str
    resource: Resource | None
    """The newest; ``None`` when there is none."""
    standing: Standing


def standings(subscription: Subscription) -> Iterator[ResourceStanding]:
    """Of every resource that the client asks for, by name."""
    resources = {} if subscription.target is None else subscription.target.resources
    interest = subscription.interest
    refused = frozenset(_refused(subscription))
    blamed = _blamed(refused, subscription.progress.error)
    in_flight = _in_flight(subscription)
    for name in sorted(interest.names.union(resources) if interest.wildcard else interest.names):
        resource = resources.get(name)
        if name in refused:
            standing = Standing.REFUSED if name in blamed else Standing.UNSURE
        elif name in in_flight:
            standing = Standing.STALE
        else:
            standing = _by_knowledge(subscription, name, resource)
        yield ResourceStanding(name, resource, standing)


def _by_knowledge(subscription: Subscription, name: str, resource: Resource | None) -> Standing:
    told = subscription.knowledge.told(name)
    if resource is not None:
        return Standing.SYNCED if told == resource.version else Standing.NOT_SENT
    return Standing.MISSING if told == ABSENT and subscription.target is not None else Standing.NOT_SENT


def _refused(subscription: Subscription) -> Iterator[str]:
    """Names in responses that were refused and in which nothing has changed since."""
    held = list(subscription.knowledge.held)
    if subscription.refused and not held and subscription.target is not None:
        yield from subscription.target.resources  # a whole, which is refused as one
    yield from held


def _blamed(refused: Collection[str], words: str) -> Collection[str]:
    """Those that the client means: the names in its words, or all when it names none."""
    return {name for name in refused if mentions(words, name)} or refused


def _in_flight(subscription: Subscription) -> frozenset[str]:
    outstanding = subscription.outstanding
    if outstanding is None:
        return frozenset()
    return frozenset(outstanding.told).union(resource.name for resource in (*outstanding.added, *outstanding.changed))
