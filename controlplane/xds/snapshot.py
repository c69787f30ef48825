"""A snapshot: everything that one node group should have, each resource encoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from controlplane.xds.fields import field_head, string_field

_VERSION_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Resource:
    """One named resource, ready to send. Equal content has an equal version on every replica."""

    name: str
    type_url: str
    body: bytes
    """The serialized ``google.protobuf.Any``."""
    version: str
    """Hash of :attr:`body`, and of :attr:`ttl` if there is one."""
    ttl: float = 0.0
    """Seconds after which a client that has heard nothing more drops it; 0 is never. Whole milliseconds."""
    alias_of: str = ""
    """The name that the client knows the resource by, where :attr:`name` is only what it may be asked for by."""
    delta_head: bytes = field(init=False, repr=False, compare=False)
    """What stands before :attr:`body` in a serialized ``DeltaDiscoveryResponse``: the field, name and version."""
    sotw_head: bytes = field(init=False, repr=False, compare=False)
    """What stands before :attr:`body` in a serialized ``DiscoveryResponse``."""

    def __post_init__(self) -> None:
        any_head = field_head(2, len(self.body)) if self.body else b""
        names = string_field(3, self.alias_of or self.name) + (string_field(4, self.name) if self.alias_of else b"")
        inner = names + string_field(1, self.version) + any_head
        object.__setattr__(self, "sotw_head", any_head)
        object.__setattr__(self, "delta_head", field_head(2, len(inner) + len(self.body)) + inner)


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """All resources of one type at one moment. Equal versions mean equal content."""

    version: str
    resources: Mapping[str, Resource]
    least_ttl: float = 0.0
    """The shortest that is not 0; 0 when there is none."""

    def version_of(self, name: str) -> str | None:
        """The version of one resource; ``None`` when there is none of that name."""
        resource = self.resources.get(name)
        return None if resource is None else resource.version


def encode_message(name: str, message: Message, *, ttl: float = 0.0) -> Resource:
    """Encode a protobuf message, maps sorted, so that equal messages give equal bytes."""
    type_url = f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
    return encode_bytes(name, type_url, message.SerializeToString(deterministic=True), ttl=ttl)


def alias(name: str, of: Resource) -> Resource:
    """Let ``of`` be asked for as ``name`` too; only where a type has aliases (virtual hosts, on demand)."""
    return replace(of, name=name, alias_of=of.name)


def nothing_called(name: str, type_url: str) -> Resource:
    """What says of a name that was asked for on demand that there is nothing: it is its own alias and has no body."""
    return Resource(name, type_url, b"", "", alias_of=name)


def encode_bytes(name: str, type_url: str, value: bytes, *, ttl: float = 0.0) -> Resource:
    """Wrap bytes that are already the value of an ``Any`` (the policies' JSON)."""
    body = Any(type_url=type_url, value=value).SerializeToString(deterministic=True)
    digest = hashlib.sha256(body + f" {ttl}".encode() if ttl else body)
    return Resource(name, type_url, body, digest.hexdigest()[:_VERSION_DIGITS], ttl)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Resources by type URL and name, with one version per type. Immutable."""

    resources: Mapping[str, Mapping[str, Resource]]
    versions: Mapping[str, str]
    """Type URL to the hash of its names and versions: what state-of-the-world calls ``version_info``."""
    ttls: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Type URL to the shortest time to live of its resources, where any has one."""

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Snapshot:
        """Group resources by type; names are sorted.

        Raises:
            ValueError: two resources of one type share a name.
        """
        grouped: dict[str, dict[str, Resource]] = {}
        for resource in sorted(resources, key=lambda r: (r.type_url, r.name)):
            names = grouped.setdefault(resource.type_url, {})
            if resource.name in names:
                raise ValueError(f"two resources of type {resource.type_url} are called {resource.name!r}")
            names[resource.name] = resource
        return cls(
            MappingProxyType({url: MappingProxyType(names) for url, names in grouped.items()}),
            MappingProxyType({url: _set_version(names.values()) for url, names in grouped.items()}),
            {url: ttl for url, names in grouped.items() if (ttl := _least_ttl(names.values()))},
        )

    def of_type(self, type_url: str) -> Mapping[str, Resource]:
        """The resources of one type; empty when there are none."""
        return self.resources.get(type_url, _NONE)

    def version(self, type_url: str) -> str:
        """The version of one type; that of the empty set when there is none."""
        return self.versions.get(type_url, _EMPTY_VERSION)

    def set_of(self, type_url: str) -> ResourceSet:
        """Version and resources of one type."""
        return ResourceSet(self.version(type_url), self.of_type(type_url), self.ttls.get(type_url, 0.0))

    def with_resource(self, resource: Resource) -> Snapshot:
        """This snapshot with one resource added, or put in the place of the one of its name."""
        return self.with_type(resource.type_url, {**self.of_type(resource.type_url), resource.name: resource})

    def without_resource(self, type_url: str, name: str) -> Snapshot:
        """This snapshot without one resource; this snapshot itself when it has none of that name."""
        names = self.of_type(type_url)
        if name not in names:
            return self
        return self.with_type(type_url, {kept: resource for kept, resource in names.items() if kept != name})

    def with_type(self, type_url: str, names: Mapping[str, Resource]) -> Snapshot:
        """This snapshot with ``names`` for everything of one type."""
        resources = {url: held for url, held in self.resources.items() if url != type_url}
        versions = {url: held for url, held in self.versions.items() if url != type_url}
        ttls = {url: held for url, held in self.ttls.items() if url != type_url}
        if names:
            one = resource_set(names.values())
            resources[type_url], versions[type_url] = one.resources, one.version
            if one.least_ttl:
                ttls[type_url] = one.least_ttl
        return Snapshot(MappingProxyType(resources), MappingProxyType(versions), ttls)

    def replacing(self, other: Snapshot, type_urls: Iterable[str]) -> Snapshot:
        """This snapshot with ``type_urls`` taken from ``other``: a step of a rollout in phases."""
        taken = set(type_urls)
        kept = [r for url, names in self.resources.items() if url not in taken for r in names.values()]
        return Snapshot.of([*kept, *(r for url in taken for r in other.of_type(url).values())])


def resource_set(resources: Iterable[Resource]) -> ResourceSet:
    """Resources of one type and distinct names, sorted by name, and their common version."""
    ordered = {resource.name: resource for resource in sorted(resources, key=lambda r: r.name)}
    return ResourceSet(_set_version(ordered.values()), MappingProxyType(ordered), _least_ttl(ordered.values()))


def extended(base: ResourceSet, more: Iterable[Resource]) -> ResourceSet:
    """``base`` and more resources of other names. The version is made from that of ``base``, not from all resources."""
    added = {resource.name: resource for resource in more}
    version = f"{base.version}+{_set_version(added.values())}"
    least = min(filter(None, (base.least_ttl, _least_ttl(added.values()))), default=0.0)
    return ResourceSet(version, MappingProxyType({**base.resources, **added}), least)


def _least_ttl(resources: Iterable[Resource]) -> float:
    return min((resource.ttl for resource in resources if resource.ttl), default=0.0)


def _set_version(resources: Iterable[Resource]) -> str:
    digest = hashlib.sha256()
    for resource in resources:
        name = resource.name.encode()
        digest.update(len(name).to_bytes(4) + name + resource.version.encode())
    return digest.hexdigest()[:_VERSION_DIGITS]


_NONE: Mapping[str, Resource] = MappingProxyType({})
_EMPTY_VERSION = _set_version(())
EMPTY = Snapshot.of(())
"""A group that should have nothing."""
EMPTY_SET = ResourceSet(_EMPTY_VERSION, _NONE)
"""A type of which there is nothing."""
