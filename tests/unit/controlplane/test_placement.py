"""Which group a node is in."""

from __future__ import annotations

import pytest

from controlplane.model import EDGE, Canary, NodeGroup, NodeSelector
from controlplane.placement import UNASSIGNED, Placement
from controlplane.translate import SERVICES
from controlplane.xds import types
from controlplane.xds.messages import Node
from servicekit.contracts import AuthPolicy, LimitPolicy

NOBODY: frozenset[str] = frozenset()
NODE = Node(id="edge-1", cluster="edge", region="eu", zone="eu-1", metadata={"role": "edge", "build": "7"})
PROVEN = frozenset({"edge.eu.example", "10.0.0.1"})


def placed(selector: NodeSelector, node: Node = NODE, identities: frozenset[str] = PROVEN) -> str | None:
    """Where a node is when there is this one group."""
    placement = Placement()
    placement.assign([NodeGroup(name="it", nodes=selector)])
    return placement.place(node, identities, types.LISTENER)


@pytest.mark.parametrize(
    "selector",
    [
        NodeSelector(),
        NodeSelector(ids=("other", "edge-*")),
        NodeSelector(clusters=("edge",)),
        NodeSelector(regions=("e*",), zones=("*-1",)),
        NodeSelector(metadata={"role": ("edge", "sidecar"), "build": ("*",)}),
        NodeSelector(identities=("edge.*.example",)),
        NodeSelector(identities=("*",)),
    ],
)
def test_a_group_takes_the_nodes_that_it_means(selector: NodeSelector) -> None:
    """Any text of a key is enough, and a key that is not there asks for nothing."""
    assert placed(selector) == "it"


@pytest.mark.parametrize(
    "selector",
    [
        NodeSelector(ids=("edge",)),
        NodeSelector(ids=("edge-*",), clusters=("sidecar",)),
        NodeSelector(regions=("us",)),
        NodeSelector(zones=("eu",)),
        NodeSelector(metadata={"role": ("edge",), "tier": ("*",)}),
        NodeSelector(metadata={"build": ("8",)}),
        NodeSelector(identities=("*.example",)),
        NodeSelector(ids=("edge-*",), identities=("other.*",)),
    ],
)
def test_a_group_takes_no_other(selector: NodeSelector) -> None:
    """All keys have to agree."""
    assert placed(selector) is None


def test_what_a_node_says_proves_nothing() -> None:
    """Its id is the name that a certificate would have to have."""
    liar = Node(id="edge.eu.example", cluster="edge.eu.example")
    assert placed(NodeSelector(identities=("edge.*.example",)), liar, NOBODY) is None
    assert placed(NodeSelector(identities=("*",)), liar, NOBODY) is None


def test_the_first_group_that_means_a_node_takes_it() -> None:
    """The order is the document's."""
    placement = Placement()
    placement.assign([NodeGroup(name="eu", nodes=NodeSelector(regions=("eu",))), NodeGroup(name="rest")])
    assert placement.place(NODE, NOBODY, types.LISTENER) == "eu"
    assert placement.place(Node(id="x"), NOBODY, types.LISTENER) == "rest"


def test_nodes_wait_until_there_is_a_document() -> None:
    """They are not refused: a node that is would fall back to what it was built with, or stop."""
    assert Placement().place(NODE, NOBODY, types.LISTENER) == UNASSIGNED


@pytest.mark.parametrize("type_url", [AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL])
def test_who_asks_for_policies_is_a_service(type_url: str) -> None:
    """Whatever the groups are, and before there are any."""
    placement = Placement()
    assert placement.place(NODE, NOBODY, type_url) == SERVICES
    placement.assign([NodeGroup(name="nobody", nodes=NodeSelector(ids=("none",)))])
    placement.split(Canary(share=0.9999, nodes=None, hold=0, max_error_rate=0))
    assert placement.place(NODE, NOBODY, type_url) == SERVICES


def test_policies_can_be_kept_to_those_who_prove_that_they_are_services() -> None:
    """An Envoy that was broken into must not read the hashes of everybody's keys."""
    placement = Placement(service_identities=["ext-authz.*.example"])
    placement.assign([EDGE])
    assert placement.place(NODE, PROVEN, AuthPolicy.TYPE_URL) is None
    assert placement.place(NODE, frozenset({"ext-authz.eu.example"}), AuthPolicy.TYPE_URL) == SERVICES
    assert placement.place(NODE, PROVEN, types.LISTENER) == "edge"


def test_a_share_of_the_nodes_is_the_canary() -> None:
    """About as many as it says, and a larger share has all nodes of a smaller one."""

    def picked(share: float) -> set[str]:
        placement = Placement()
        placement.assign([EDGE])
        placement.split(Canary(share=share, hold=0, max_error_rate=0))
        nodes = [f"edge-{number}" for number in range(1000)]
        return {node for node in nodes if placement.place(Node(id=node), NOBODY, types.LISTENER) == "edge#canary"}

    few, more = picked(0.1), picked(0.3)
    assert 70 <= len(few) <= 130
    assert 250 <= len(more) <= 350
    assert few < more


def test_a_canary_can_be_chosen_and_ends() -> None:
    """Each node goes back to its own group."""
    placement = Placement()
    placement.assign([EDGE])
    placement.split(Canary(nodes=NodeSelector(zones=("eu-1",)), hold=0, max_error_rate=0))
    assert placement.place(NODE, NOBODY, types.LISTENER) == "edge#canary"
    assert placement.place(Node(id="x"), NOBODY, types.LISTENER) == "edge"
    placement.split(None)
    assert placement.place(NODE, NOBODY, types.LISTENER) == "edge"
