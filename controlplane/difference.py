"""What changes from one gateway to another, in words of the document, and from one snapshot to another, in xDS's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from difflib import SequenceMatcher
from types import MappingProxyType
from typing import Literal, TypeAlias

from controlplane.model import Gateway, IdentityProvider, Listener, NodeGroup, RateLimit, Route, Upstream
from controlplane.xds.snapshot import Snapshot

_Named: TypeAlias = Listener | Upstream | Route | IdentityProvider | RateLimit | NodeGroup
_Section: TypeAlias = Literal[
    "listeners",
    "upstreams",
    "routes",
    "identity_providers",
    "rate_limits",
    "node_groups",
    "rollout",
    "security_headers",
]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value that is another now. ``None`` stands for one that is not there, too."""

    path: str
    """As in ``match.path.value``; ``position`` is the place of a route or group among those that are tried, from 1."""
    before: object
    """Plain data, as JSON has it."""
    after: object


_NONE: Mapping[str, FieldChange] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that came, went, or is not what it was."""

    section: _Section
    name: str
    kind: Literal["added", "removed", "changed"]
    fields: tuple[FieldChange, ...] = ()
    """What changed about it; empty when it came or went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChanges:
    """What changes among the xDS resources of one type, by name, sorted."""

    type_url: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def compare_gateways(before: Gateway, after: Gateway) -> tuple[Change, ...]:
    """Everything that differs: by section, then in the order of ``after``, then what is gone. Equal ones give ()."""
    return (
        *_section("listeners", before.listeners, after.listeners),
        *_section("upstreams", before.upstreams, after.upstreams),
        *_section("routes", before.routes, after.routes, ordered=True),
        *_section("identity_providers", before.identity_providers, after.identity_providers),
        *_section("rate_limits", before.rate_limits, after.rate_limits),
        *_section("node_groups", before.node_groups, after.node_groups, ordered=True),
        *_changes("rollout", _rollout(before), _rollout(after)),
        *_changes("security_headers", _headers(before), _headers(after)),
    )


def compare_snapshots(before: Snapshot, after: Snapshot) -> tuple[ResourceChanges, ...]:
    """The types of which something differs, sorted by type URL."""
    types = sorted({*before.resources, *after.resources})
    return tuple(changes for url in types if (changes := _resources(url, before, after)) is not None)


def _section(
    section: _Section, before: Sequence[_Named], after: Sequence[_Named], *, ordered: bool = False
) -> Iterator[Change]:
    old = {one.name: one for one in before}
    new = {one.name: one for one in after}
    return _changes(section, old, new, _moved(list(old), list(new)) if ordered else {})


def _rollout(gateway: Gateway) -> Mapping[str, object]:
    return {} if gateway.canary is None else {"canary": gateway.canary}


def _headers(gateway: Gateway) -> Mapping[str, object]:
    return {name: {"value": value} for name, value in gateway.security_headers.items()}


def _changes(
    section: _Section, old: Mapping[str, object], new: Mapping[str, object], moved: Mapping[str, FieldChange] = _NONE
) -> Iterator[Change]:
    for name, one in new.items():
        if name not in old:
            yield Change(section=section, name=name, kind="added")
            continue
        changes = [*_fields("", old[name], one), *([moved[name]] if name in moved else [])]
        if changes:
            yield Change(section=section, name=name, kind="changed", fields=tuple(changes))
    for name in old:
        if name not in new:
            yield Change(section=section, name=name, kind="removed")


def _moved(before: Sequence[str], after: Sequence[str]) -> Mapping[str, FieldChange]:
    """Who stands elsewhere among those that are in both. What others' coming and going shifts has not moved."""
    old = [name for name in before if name in set(after)]
    new = [name for name in after if name in set(before)]
    kept = {
        name
        for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        for name in old[block.a : block.a + block.size]
    }
    return {
        name: FieldChange("position", before.index(name) + 1, after.index(name) + 1) for name in new if name not in kept
    }


def _fields(path: str, before: object, after: object) -> Iterator[FieldChange]:
    if before == after:
        return
    old, new = _members(before), _members(after)
    if old is not None and new is not None and type(before) is type(after):
        for name in {**old, **new}:
            yield from _fields(f"{path}.{name}" if path else name, old.get(name), new.get(name))
        return
    # A provider of another kind has nothing in common with the one of its name.
    yield FieldChange(path or "kind", _plain(before), _plain(after))


def _members(value: object) -> Mapping[str, object] | None:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value if isinstance(value, Mapping) else None


def _plain(value: object) -> object:
    members = _members(value)
    if members is not None:
        return {name: _plain(member) for name, member in members.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(member) for member in value]
    return value


def _resources(url: str, before: Snapshot, after: Snapshot) -> ResourceChanges | None:
    old, new = before.of_type(url), after.of_type(url)
    changes = ResourceChanges(
        type_url=url,
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name].version != new[name].version)),
    )
    return changes if changes.added or changes.removed or changes.changed else None
