"""The smallest changes of a text that make one value inside it another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.admin.editing import emit
from controlplane.admin.editing.spans import Node


@dataclass(frozen=True, slots=True)
class Splice:
    """Put ``text`` in the place of what stands from ``start`` to ``end``."""

    start: int
    end: int
    text: str


def apply(text: str, splices: list[Splice]) -> str:
    """Make all of them; they don't overlap."""
    for splice in sorted(splices, key=lambda one: one.start, reverse=True):
        text = text[: splice.start] + splice.text + text[splice.end :]
    return text


def revise(text: str, node: Node, old: Any, new: Any) -> Iterator[Splice]:
    """Make the value at ``node`` another, and leave alone what is the same in both."""
    if same(old, new):
        return
    if node.kind == "list" and isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index in range(len(node.values)):
            yield from revise_child(text, node, index, old[index], new[index])
    elif (
        node.kind == "mapping" and isinstance(old, Mapping) and isinstance(new, Mapping) and _revisable(node, old, new)
    ):
        yield from _members(text, node, old, new)
    else:
        yield _rewrite(node, new)


def revise_child(text: str, parent: Node, index: int, old: Any, new: Any) -> Iterator[Splice]:
    """Make the member at ``index`` of ``parent`` another; in a block, it may take more lines than it had."""
    child = parent.values[index]
    changes = list(revise(text, child, old, new))
    if changes == [_rewrite(child, new)]:
        yield replace_value(text, parent, index, new)
    else:
        yield from changes


def replace_value(text: str, parent: Node, index: int, new: Any) -> Splice:
    """Write the member at ``index`` of ``parent`` anew."""
    child = parent.values[index]
    if parent.flow:
        return _rewrite(child, new)
    if parent.kind == "list":
        return Splice(child.start, child.end, emit.block(new, child.column))
    key = parent.keys[index]
    return Splice(text.index(":", key.end) + 1, child.end, emit.after_colon(new, key.column))


def insert_item(text: str, node: Node, index: int, value: Any) -> Splice:
    """Put ``value`` into a list that is not empty, before the item at ``index`` or, beyond the last, after it."""
    if node.flow:
        return _insert_flow(node, index, emit.flow(value))
    line = f"{' ' * node.column}- {emit.block(value, node.column + 2)}\n"
    if index < len(node.values):
        return _at(_first_line(text, node.values[index], node.column), line)
    return _append_line(text, node.values[-1].end, line)


def insert_entry(text: str, node: Node, key: str, value: Any) -> Splice:
    """Put a key into a mapping that is not empty, after the others."""
    if node.flow:
        return _insert_flow(node, len(node.values), f"{emit.flow(key)}: {emit.flow(value)}")
    column = node.keys[0].column
    return _append_line(text, node.values[-1].end, f"{' ' * column}{emit.entry(key, value, column)}\n")


def remove_item(text: str, node: Node, index: int) -> Splice:
    """Take one item out of a list that has others."""
    child = node.values[index]
    if node.flow:
        return _remove_flow(node, index, child.start)
    return Splice(_first_line(text, child, node.column), _next_line(text, child.end), "")


def remove_entry(text: str, node: Node, index: int) -> Splice:
    """Take one key out of a mapping that has others."""
    key = node.keys[index]
    if node.flow:
        return _remove_flow(node, index, key.start)
    return Splice(
        _with_comments(text, _line_start(text, key.start), key.column), _next_line(text, node.values[index].end), ""
    )


def same(old: Any, new: Any) -> bool:
    """Equal, and not only in the eyes of Python, to which 1 is true."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(same(one, other) for one, other in zip(old, new, strict=True))
    return type(old) is type(new) and bool(old == new)


def _members(text: str, node: Node, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Splice]:
    for index, key in enumerate(node.keys):
        if key.text not in new:
            yield remove_entry(text, node, index)
        else:
            yield from revise_child(text, node, index, old[key.text], new[key.text])
    added = [(key, value) for key, value in new.items() if key not in old]
    if added and node.flow:
        written = ", ".join(f"{emit.flow(key)}: {emit.flow(value)}" for key, value in added)
        yield _insert_flow(node, len(node.values), written)
    elif added:
        column = node.keys[0].column
        lines = "".join(f"{' ' * column}{emit.entry(key, value, column)}\n" for key, value in added)
        yield _append_line(text, node.values[-1].end, lines)


def _rewrite(node: Node, new: Any) -> Splice:
    return Splice(node.start, node.end, emit.flow(new))


def _revisable(node: Node, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether keys can come and go one by one. In braces, commas make going more trouble than writing anew."""
    if not node.keys or not old.keys() & new.keys() or {key.text for key in node.keys} != old.keys():
        return False
    return not node.flow or old.keys() <= new.keys()


def _insert_flow(node: Node, index: int, written: str) -> Splice:
    if index < len(node.values):
        return _at(node.values[index].start, f"{written}, ")
    return _at(node.values[-1].end, f", {written}")


def _remove_flow(node: Node, index: int, start: int) -> Splice:
    if index + 1 < len(node.values):
        following = node.keys[index + 1].start if node.keys else node.values[index + 1].start
        return Splice(start, following, "")
    return Splice(node.values[index - 1].end, node.values[index].end, "")


def _at(place: int, written: str) -> Splice:
    return Splice(place, place, written)


def _append_line(text: str, end: int, written: str) -> Splice:
    place = _next_line(text, end)
    begins_line = place == 0 or text[place - 1] == "\n"
    return _at(place, written if begins_line else f"\n{written}")


def _first_line(text: str, child: Node, column: int) -> int:
    """Where the line of an item's hyphen begins, with the comment that stands directly above it."""
    line = _line_start(text, child.start)
    while line and text[line + column : line + column + 1] != "-":
        line = _line_start(text, line - 1)
    return _with_comments(text, line, column)


def _with_comments(text: str, line: int, column: int) -> int:
    """The beginning of the comment lines directly above ``line`` that stand at its column."""
    while line:
        above = _line_start(text, line - 1)
        written = text[above:line]
        if not written.startswith(" " * column + "#"):
            break
        line = above
    return line


def _line_start(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def _next_line(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1
