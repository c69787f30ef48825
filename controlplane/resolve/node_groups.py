"""Node groups: what each serves, and what no node would ever get."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from controlplane.config import GatewayConfig
from controlplane.config.node_groups import NodeGroup, NodeSelector
from controlplane.config.problems import quoted
from controlplane.config.rollout import Canary
from controlplane.model import EDGE, Listener, Route
from controlplane.model import Canary as CanaryModel
from controlplane.model import NodeGroup as NodeGroupModel
from controlplane.model import NodeSelector as NodeSelectorModel
from controlplane.resolve.draft import Draft
from controlplane.resolve.selectors import takes_all_of


def resolve_node_groups(document: GatewayConfig, draft: Draft) -> None:
    """Turn every group into its model, and find what belongs to none of them."""
    for written in document.node_groups:
        draft.node_groups.append(_group(written, document))
    _unreachable_groups(draft)
    if document.node_groups:
        _groups_without_routes(draft)
        _in_no_group(draft)
    else:
        draft.node_groups.append(EDGE)
    _port_conflicts(draft)


def resolve_rollout(document: GatewayConfig, draft: Draft) -> None:
    """How a release goes out."""
    written = document.rollout.canary
    if written is None:
        return
    if written.nodes is not None and not written.nodes.model_fields_set:
        hint = "name some of them, or write share"
        draft.refuse(("rollout", "canary", "nodes"), "canary-of-all", "these are all nodes there are", hint)
    draft.canary = _canary(written)


def listeners_of(group: NodeGroupModel, draft: Draft) -> Iterator[tuple[int, Listener]]:
    """The listeners of a group and their places in the document."""
    return (
        (index, one) for index, one in enumerate(draft.listeners) if not group.listeners or one.name in group.listeners
    )


def routes_of(group: NodeGroupModel, draft: Draft) -> Iterator[tuple[int, Route]]:
    """The routes of a group and their places in the document."""
    return ((index, route) for index, route in enumerate(draft.routes) if _is_chosen(route.labels, group.labels))


def _is_chosen(labels: Mapping[str, str], wanted: Mapping[str, Sequence[str]]) -> bool:
    return all(labels.get(label) in values for label, values in wanted.items())


def _group(written: NodeGroup, document: GatewayConfig) -> NodeGroupModel:
    # In the order of the document, so that writing them in another order changes nothing.
    listeners = tuple(one.name for one in document.listeners if one.name in written.listeners)
    return NodeGroupModel(
        name=written.name,
        nodes=_selector(written.nodes),
        # A name that nothing has must not make it every listener; it is refused elsewhere.
        listeners=listeners or tuple(written.listeners),
        labels={label: tuple(values) for label, values in sorted(written.routes.labels.items())},
    )


def _selector(written: NodeSelector) -> NodeSelectorModel:
    return NodeSelectorModel(
        ids=tuple(written.ids),
        clusters=tuple(written.clusters),
        regions=tuple(written.regions),
        zones=tuple(written.zones),
        metadata={key: tuple(patterns) for key, patterns in sorted(written.metadata.items())},
        identities=tuple(written.identities),
    )


def _canary(written: Canary) -> CanaryModel:
    return CanaryModel(
        share=written.share,
        nodes=None if written.nodes is None else _selector(written.nodes),
        hold=written.hold,
        max_error_rate=written.max_error_rate,
    )


def _unreachable_groups(draft: Draft) -> None:
    names: set[str] = set()
    for index, group in enumerate(draft.node_groups):
        if group.name in names:
            message = f"{quoted(group.name)} stands in node_groups twice"
            draft.refuse(("node_groups", index, "name"), "duplicate-name", message)
        names.add(group.name)
        taker = next((one for one in draft.node_groups[:index] if takes_all_of(one.nodes, group.nodes)), None)
        if taker is not None:
            message = f"no node gets here, for {quoted(taker.name)} takes them all"
            hint = "put the group that takes fewer nodes first"
            draft.refuse(("node_groups", index, "nodes"), "unreachable-group", message, hint)


def _groups_without_routes(draft: Draft) -> None:
    for index, group in enumerate(draft.node_groups):
        if not any(True for _ in routes_of(group, draft)):
            message = "no route has these labels: the group would serve nothing"
            draft.refuse(("node_groups", index, "routes", "labels"), "group-without-routes", message)


def _in_no_group(draft: Draft) -> None:
    """What a slip in a label or a name would take from every node."""
    served = {index for group in draft.node_groups for index, _ in routes_of(group, draft)}
    opened = {index for group in draft.node_groups for index, _ in listeners_of(group, draft)}
    for index in sorted(set(range(len(draft.routes))) - served):
        draft.refuse(("routes", index, "labels"), "in-no-group", "no node group serves this route")
    for index in sorted(set(range(len(draft.listeners))) - opened):
        draft.refuse(("listeners", index, "name"), "in-no-group", "no node group opens this listener")


def _port_conflicts(draft: Draft) -> None:
    """Two listeners on one port: only nodes of a group that has both would notice."""
    found: dict[int, str] = {}
    for group in draft.node_groups:
        for (_, one), (index, other) in combinations(listeners_of(group, draft), 2):
            if one.port == other.port and _overlap(one.address, other.address):
                found.setdefault(index, f"port {other.port} is already taken by the listener '{one.name}'")
    for index, message in found.items():
        draft.refuse(("listeners", index, "port"), "port-conflict", message, "give each its own port")


def _overlap(one: str, other: str) -> bool:
    """Whether two sockets on one port of these addresses exclude each other; a wildcard takes every address."""
    return one == other or any(ipaddress.ip_address(address).is_unspecified for address in (one, other))
