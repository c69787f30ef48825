"""What the services get: the policies of what is live, and beside them those that other proxies run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import structlog
from google.protobuf.any_pb2 import Any

from controlplane.xds.snapshot import Resource, Snapshot, encode_bytes
from servicekit.contracts import MOST_OTHERS, AuthPolicy, AuthRules, LimitPolicy, Limits

T = TypeVar("T")

_log = structlog.get_logger(__name__)


def composed(current: Snapshot, others: Iterable[Snapshot]) -> Snapshot:
    """``current`` with what ``others`` have and it has not, the first of which counts most.

    A rule's id means the same in every policy, so only rules that ``current`` has not are carried. A limit is carried
    unless ``current`` has one of its name and ``by``.
    """
    others = list(others)
    for resource in _resources(current, AuthPolicy.TYPE_URL):
        found = [_value(one) for other in others for one in _resources(other, AuthPolicy.TYPE_URL)]
        policy = AuthPolicy.decode(_value(resource))
        beside = _bounded(_rules_beside(policy, (AuthPolicy.decode(value) for value in found)))
        if beside:
            current = _with(current, resource, policy.model_copy(update={"others": beside}).encode())
    for resource in _resources(current, LimitPolicy.TYPE_URL):
        found = [_value(one) for other in others for one in _resources(other, LimitPolicy.TYPE_URL)]
        limits = LimitPolicy.decode(_value(resource))
        kept = _bounded(_limits_beside(limits, (LimitPolicy.decode(value) for value in found)))
        if kept:
            current = _with(current, resource, limits.model_copy(update={"others": kept}).encode())
    return current


def _rules_beside(policy: AuthPolicy, others: Iterable[AuthPolicy]) -> Iterator[AuthRules]:
    known = set(policy.rules)
    for other in others:
        rules = {rule_id: rule for rule_id, rule in other.rules.items() if rule_id not in known}
        known.update(rules)
        if rules:
            named = {name for rule in rules.values() for name in rule.any_of}
            providers = tuple(provider for provider in other.providers if provider.name in named)
            yield AuthRules(providers=providers, rules=rules, identity_headers=other.identity_headers)


def _limits_beside(policy: LimitPolicy, others: Iterable[LimitPolicy]) -> Iterator[Limits]:
    known = {(limit.name, limit.by) for limit in policy.limits}
    for other in others:
        limits = tuple(limit for limit in other.limits if (limit.name, limit.by) not in known)
        known.update((limit.name, limit.by) for limit in limits)
        if limits:
            yield Limits(limits=limits)


def _bounded(beside: Iterable[T]) -> tuple[T, ...]:
    found = tuple(beside)
    if len(found) > MOST_OTHERS:
        _log.error("nodes run more different policies than services can hold; the oldest are left out", n=len(found))
    return found[:MOST_OTHERS]


def _resources(snapshot: Snapshot, type_url: str) -> list[Resource]:
    return list(snapshot.of_type(type_url).values())


def _value(resource: Resource) -> bytes:
    return Any.FromString(resource.body).value


def _with(snapshot: Snapshot, resource: Resource, value: bytes) -> Snapshot:
    return snapshot.with_resource(encode_bytes(resource.name, resource.type_url, value))
