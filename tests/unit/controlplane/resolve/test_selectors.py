"""Which selector takes all that another does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.model import NodeGroup, NodeSelector
from controlplane.placement import Placement
from controlplane.resolve.selectors import takes_all_of
from controlplane.xds import types
from controlplane.xds.messages import Node

WORDS = st.sampled_from(["edge-1", "edge-2", "eu", "us", "a.b", "a/b", ""])
PATTERN = st.sampled_from(["edge-*", "edge-1", "*", "eu", "*u*", "a*", "a.*", "*.b", "a.b"])
SOME = st.tuples(PATTERN) | st.tuples(PATTERN, PATTERN)
PATTERNS = st.just(()) | SOME
METADATA = st.fixed_dictionaries({}, optional={"role": SOME, "tier": SOME})
SELECTORS = {
    "ids": st.builds(NodeSelector, ids=PATTERNS),
    "identities": st.builds(NodeSelector, identities=PATTERNS),
    "metadata": st.builds(NodeSelector, metadata=METADATA),
    "others": st.builds(NodeSelector, clusters=PATTERNS, regions=PATTERNS, zones=PATTERNS),
}
ANY = st.one_of(*SELECTORS.values())
NODES = st.builds(
    Node,
    id=WORDS,
    cluster=WORDS,
    region=WORDS,
    zone=WORDS,
    metadata=st.fixed_dictionaries({}, optional={"role": WORDS, "tier": WORDS}),
)
IDENTITIES = st.tuples(WORDS, WORDS).map(frozenset)


def means(selector: NodeSelector, node: Node, identities: frozenset[str]) -> bool:
    """Whether the group of ``selector`` takes a node."""
    placement = Placement()
    placement.assign([NodeGroup(name="it", nodes=selector)])
    return placement.place(node, identities, types.LISTENER) == "it"


@pytest.mark.parametrize("selectors", [*SELECTORS.values(), ANY], ids=[*SELECTORS, "any"])
@settings(max_examples=200)
@given(st.data(), NODES, IDENTITIES)
def test_a_group_that_is_called_unreachable_never_gets_a_node(
    selectors: st.SearchStrategy[NodeSelector], data: st.DataObject, node: Node, identities: frozenset[str]
) -> None:
    """Whatever the node says and proves."""
    one, other = data.draw(selectors), data.draw(selectors)
    if takes_all_of(one, other) and means(other, node, identities):
        assert means(one, node, identities)


@given(ANY)
def test_every_selector_takes_all_of_itself(selector: NodeSelector) -> None:
    """The one that asks for nothing takes all of every other."""
    assert takes_all_of(selector, selector)
    assert takes_all_of(NodeSelector(), selector)
