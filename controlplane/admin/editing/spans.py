"""Where each value of a YAML text begins and ends, as a tree: what a change of one of them has to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from controlplane.admin.editing.errors import EditError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_STARTS: tuple[Any, ...] = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_ENDS: tuple[Any, ...] = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_LEAVES: tuple[Any, ...] = (yaml.ScalarEvent, yaml.AliasEvent)

Kind = Literal["scalar", "mapping", "list", "alias"]


@dataclass(slots=True)
class Node:
    """One value. Offsets count characters from the beginning of the text."""

    kind: Kind
    start: int
    end: int
    """After its last character; comments and line breaks that follow are not in it."""
    column: int
    """Of its first character, from 0; of a block list, of its hyphens."""
    flow: bool = False
    """Written in braces or brackets."""
    keys: list[Key] = field(default_factory=list)
    values: list[Node] = field(default_factory=list)
    """Of a mapping beside its keys, or of a list."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping."""

    text: str
    start: int
    end: int
    column: int


def read_spans(text: str) -> list[Node]:
    """The roots of all YAML documents in ``text``, which has been parsed without a mistake before.

    Raises:
        EditError: it can't be read after all.
    """
    try:
        return list(_roots(text, yaml.parse(text, Loader=_LOADER)))
    except yaml.YAMLError as error:
        raise EditError("the document can't be read as YAML") from error


def _roots(text: str, events: Iterator[Any]) -> Iterator[Node]:
    stack: list[Node] = []
    pending: list[Key | None] = []
    for event in events:
        begin: Any = event.start_mark
        if isinstance(event, _STARTS):
            kind: Kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"
            stack.append(Node(kind, begin.index, begin.index, begin.column, bool(event.flow_style)))
            pending.append(None)
        elif isinstance(event, _ENDS):
            node = stack.pop()
            pending.pop()
            # The end of a block collection is where the next thing begins, beyond comments that are not its own.
            node.end = begin.index + 1 if node.flow or not node.values else node.values[-1].end
            yield from _attach(stack, pending, node)
        elif isinstance(event, _LEAVES):
            if stack and stack[-1].kind == "mapping" and pending[-1] is None and isinstance(event, yaml.ScalarEvent):
                end: Any = event.end_mark
                pending[-1] = Key(event.value, begin.index, end.index, begin.column)
            else:
                yield from _attach(stack, pending, _leaf(text, event))


def _leaf(text: str, event: Any) -> Node:
    start, end = event.start_mark.index, event.end_mark.index
    kind: Kind = "alias" if isinstance(event, yaml.AliasEvent) else "scalar"
    return Node(kind, start, start + len(text[start:end].rstrip()), event.start_mark.column)


def _attach(stack: list[Node], pending: list[Key | None], node: Node) -> Iterator[Node]:
    if not stack:
        yield node
        return
    parent = stack[-1]
    key = pending[-1]
    if key is not None:
        parent.keys.append(key)
        pending[-1] = None
    parent.values.append(node)
