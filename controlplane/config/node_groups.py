"""``node_groups``: which nodes get what."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from controlplane.config.base import Section, mistake
from controlplane.config.texts import Label, LabelValue, Name, Unique

_MOST = 100
_LONGEST = 253
_RESERVED = {"services": "the gateway's own services are in it", "unassigned": "nodes that wait are in it"}


def _check_group_name(name: str) -> str:
    if name in _RESERVED:
        raise mistake("reserved-name", f"no group can be called {name}: {_RESERVED[name]}", "take another name")
    return name


def _check_pattern(text: str) -> str:
    if "**" in text:
        raise mistake("pattern", "** is no more than *", "write *")
    return text


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


GroupName = Annotated[Name, AfterValidator(_check_group_name)]
Pattern = Annotated[str, Field(min_length=1, max_length=_LONGEST), AfterValidator(_check_pattern)]
Patterns = Annotated[list[Pattern], Unique, Field(min_length=1, max_length=_MOST)]
"""Not empty when it is written: a list that loses its last item must not mean everybody."""
SomePatterns = Annotated[
    list[Pattern],
    Unique,
    Field(min_length=1, max_length=_MOST),
    BeforeValidator(_one_or_more, json_schema_input_type=Pattern | list[Pattern]),
]
SomeValues = Annotated[
    list[LabelValue],
    Unique,
    Field(min_length=1, max_length=_MOST),
    BeforeValidator(_one_or_more, json_schema_input_type=LabelValue | list[LabelValue]),
]


class NodeSelector(Section):
    """Which nodes are meant: those that every key written here agrees to, by any one of its texts.

    In a text, `*` stands for any characters, or none.
    """

    ids: Patterns = Field(default=[])
    """What the node calls itself (`GATEWAY_NODE_ID`)."""
    clusters: Patterns = Field(default=[])
    """What the node calls its cluster (`GATEWAY_NODE_GROUP`)."""
    regions: Patterns = Field(default=[])
    """Where the node says it is (`GATEWAY_NODE_REGION`)."""
    zones: Patterns = Field(default=[])
    """Where in the region it says it is (`GATEWAY_NODE_ZONE`)."""
    metadata: dict[Annotated[str, Field(min_length=1, max_length=_LONGEST)], SomePatterns] = Field(
        default={}, max_length=_MOST
    )
    """What else the node says of itself (`GATEWAY_NODE_METADATA`): key to the value, or to a list of values. Numbers
    are compared as text, and so are `true` and `false`."""
    identities: Patterns = Field(default=[])
    """What the node's certificate proves: its subject alternative names (DNS names, URIs such as SPIFFE IDs), and its
    common name only if it has none. Here `*` stands for characters that are neither `.` nor `/`, and alone for every
    identity. Everything else is what a node says of itself: only this keeps a node out that lies."""


class RouteSelector(Section):
    """Which routes are meant."""

    labels: dict[Label, SomeValues] = Field(default={}, max_length=_MOST)
    """Label to the value, or to a list of values: routes that have one of them, for every label here."""


class NodeGroup(Section):
    """Nodes that get the same. A node belongs to the first group that means it."""

    name: GroupName
    """Its name in the API, in metrics and in logs."""
    nodes: NodeSelector = NodeSelector()
    """Which nodes it takes; without it, all that are left."""
    listeners: Annotated[list[Name], Unique] = Field(default=[], max_length=_MOST)
    """The listeners that they open, by name; empty is every one."""
    routes: RouteSelector = RouteSelector()
    """The routes that they serve; without it, every one. They get only the upstreams that these use."""
