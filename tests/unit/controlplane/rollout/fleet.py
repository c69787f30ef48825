"""Nodes that do what a test says, in the place of the ledger, the placement and the xDS server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from prometheus_client import CollectorRegistry

from controlplane.model import Canary, NodeGroup
from controlplane.placement import canary_of
from controlplane.rollout import Rollout
from controlplane.rollout.outcome import GroupState
from controlplane.translate import SERVICES, Release
from controlplane.xds import types
from controlplane.xds.answers import Answers, Refusal
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.load_book import Load
from controlplane.xds.snapshot import Snapshot, encode_bytes
from servicekit.contracts import ApiKeyProvider, AuthPolicy, AuthRule, Limit, LimitPolicy

ROUTES = types.ROUTE_CONFIGURATION


@dataclass
class FleetNode:
    """One client."""

    name: str
    group: str = "edge"
    in_canary: bool = False
    refuses: set[str] = field(default_factory=set)
    """Contents that it refuses."""
    is_silent: bool = False
    has: str | None = None
    """The content that it runs."""


class Fleet:
    """The nodes that are connected, and what they say: at once, unless a test has them silent."""

    def __init__(self, *nodes: FleetNode) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.cache = SnapshotCache()
        self.groups: tuple[str, ...] = ()
        self.canary: Canary | None = None
        self.next_change = asyncio.Event()
        self.proven: set[tuple[str, str]] = set()
        """Key and content: what all nodes of a key, and there were some, ran at once when they were asked."""
        self.shown: list[tuple[str, str]] = []
        """Every content that a node was shown, in order."""

    def assign(self, groups: Sequence[NodeGroup], /) -> None:
        """As the placement."""
        self.groups = tuple(group.name for group in groups)

    def split(self, canary: Canary | None, /) -> None:
        """As the placement."""
        self.canary = canary

    def key_of(self, node: FleetNode) -> str:
        """Where it takes its snapshot from."""
        if node.group == SERVICES:
            return SERVICES
        return canary_of(node.group) if self.canary is not None and node.in_canary else node.group

    def answers(self, snapshots: Mapping[str, Snapshot], /) -> Mapping[str, Answers]:
        """As the ledger."""
        return {key: self._answers(key, snapshot) for key, snapshot in snapshots.items()}

    def _answers(self, key: str, snapshot: Snapshot) -> Answers:
        nodes = [node for node in self.nodes.values() if self.key_of(node) == key]
        waiting, refusals = [], []
        content = content_of(snapshot)
        for node in nodes:
            if (node.name, content) not in self.shown[-len(self.nodes) :]:
                self.shown.append((node.name, content))
            refused = next((bad for bad in sorted(node.refuses) if bad in content.split("+")), None)
            if node.is_silent and node.has != content:
                waiting.append(node.name)
            elif refused is not None:
                type_url, name = (AuthPolicy.TYPE_URL, "default") if key == SERVICES else (ROUTES, "routes")
                words = f"{name}: {refused} is bad"
                refusals.append(Refusal(node=node.name, type_url=type_url, resources=(name,), words=words))
            else:
                node.has = content
        if nodes and not waiting and not refusals:
            self.proven.add((key, content))
        return Answers(nodes=frozenset(node.name for node in nodes), waiting=tuple(waiting), refusals=tuple(refusals))

    def live(self, key: str = "edge") -> str | None:
        """What the nodes of a key should have."""
        snapshot = self.cache.get(key)
        return None if snapshot is None else content_of(snapshot)

    def served(self) -> frozenset[str]:
        """The rules that the services hold."""
        snapshot = self.cache.get(SERVICES)
        return frozenset(content_of(snapshot).split("+")) if snapshot is not None else frozenset()


class Told:
    """The events and the loads."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.loads: dict[str, Load] = {}
        self.watched: list[float] = []

    def publish(self, kind: str, **data: Any) -> None:
        """Remember an event."""
        self.events.append((kind, data))

    def watch(self, seconds: float, /) -> float:
        """Reports count from now on."""
        self.watched.append(seconds)
        return 0.0

    def ignore(self) -> None:
        """They don't any more."""
        self.loads.clear()

    def since(self, moment: float, nodes: Iterable[str], /) -> Load:
        """What the test has put there."""
        return sum((self.loads.get(node, Load()) for node in nodes), Load())

    def kinds(self) -> list[str]:
        """What has happened, in order."""
        return [kind for kind, _ in self.events]


class Rig:
    """A rollout with a fleet."""

    def __init__(self, *nodes: FleetNode, is_alone: bool = True) -> None:
        self.fleet = Fleet(*nodes)
        self.told = Told()
        self.now = 1000.0
        self.registry = CollectorRegistry()
        self.rollout = Rollout(
            cache=self.fleet.cache,
            ledger=self.fleet,
            placement=self.fleet,
            regroup=lambda: None,
            loads=self.told,
            events=self.told,
            registry=self.registry,
            clock=lambda: self.now,
            calendar=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            policy_deadline=0.02,
            is_alone=is_alone,
        )

    async def publish(self, *contents: str, **changes: Any) -> bool:
        """Publish and look once."""
        changed = await self.rollout.publish(release(*contents, **changes))
        await self.rollout.review()
        return changed

    def state(self, name: str = "edge") -> GroupState:
        """Of one group."""
        return next(state for state in self.rollout.state() if state.name == name)

    def measured(self, name: str = "edge") -> float | None:
        """``gateway_config_rolled_back``."""
        return self.registry.get_sample_value("gateway_config_rolled_back", {"group": name})


def release(*contents: str, policy: str | None = None, canary: Canary | None = None, **groups: str) -> Release:
    """Each group's content by its name; with one content, of the group ``edge``.

    A content counts on a rule of its own name. The policy has the rules of all contents, unless told otherwise.
    """
    if contents:
        groups = {"edge": contents[0], **groups}
    rules = sorted(set(groups.values())) if policy is None else policy.split("+")
    return Release(
        node_groups=tuple(NodeGroup(name=name) for name in groups),
        groups={
            name: Snapshot.of([encode_bytes("routes", ROUTES, content.encode())]) for name, content in groups.items()
        },
        services=services(*rules),
        canary=canary,
    )


def services(*rules: str, limits: Iterable[Limit] = ()) -> Snapshot:
    """Policies with these rules."""
    key = ApiKeyProvider(name="p", header="x-key", keys={}, forward_id=None)
    auth = AuthPolicy(providers=(key,), rules={rule: AuthRule(any_of=("p",)) for rule in rules})
    return Snapshot.of(
        [
            encode_bytes("default", AuthPolicy.TYPE_URL, auth.encode()),
            encode_bytes("default", LimitPolicy.TYPE_URL, LimitPolicy(limits=tuple(limits)).encode()),
        ]
    )


def content_of(snapshot: Snapshot) -> str:
    """What it was made of; for policies, all rules in them."""
    if ROUTES in snapshot.resources:
        return AnyMessage.FromString(snapshot.of_type(ROUTES)["routes"].body).value.decode()
    policy = AuthPolicy.decode(AnyMessage.FromString(snapshot.of_type(AuthPolicy.TYPE_URL)["default"].body).value)
    return "+".join([*policy.rules, *(rule for other in policy.others for rule in other.rules)])


def canary(**changes: Any) -> Canary:
    """A tenth, for ten seconds, five failures in a hundred."""
    return Canary(**({"share": 0.1, "nodes": None, "hold": 10.0, "max_error_rate": 0.05} | changes))
