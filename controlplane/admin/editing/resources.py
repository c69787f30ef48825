"""Finding, writing and deleting one named member of a section in a document's text."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.admin.editing import splices
from controlplane.admin.editing.errors import EditError, NoSuchResourceError
from controlplane.admin.editing.sections import Section
from controlplane.admin.editing.spans import Node, read_spans
from controlplane.config.parts import is_in_parts, parse_parts
from controlplane.config.problems import ConfigError
from controlplane.config.yaml_text import Text, parse_yaml

_ORIGIN = "document"
_SHARED = "other parts of the document share this one by a YAML alias: replace the whole document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One member as it is written."""

    name: str
    value: Any
    """Plain data; of a section of names, without the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document's text, what it says, and the names that its routes have."""

    text: str
    data: Mapping[str, Any]
    route_names: Sequence[str]

    @classmethod
    def read(cls, source: bytes, route_names: Sequence[str]) -> Draft:
        """Read a document that is live, so it is known to be right.

        Raises:
            ConfigError: it can't be read after all.
        """
        return cls(text=source.decode("utf-8-sig"), data=_parse(source).data, route_names=tuple(route_names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A new text, and the way to the member that was written."""

    text: bytes
    path: tuple[str | int, ...]


def listed(draft: Draft, section: Section) -> list[Resource]:
    """The members of a section in the document's order; without the section, none."""
    members = draft.data.get(section.name)
    if isinstance(members, Mapping):
        return [Resource(name=name, value=value) for name, value in members.items()]
    names = draft.route_names if section.name == "routes" else [item.get("name", "") for item in members or []]
    return [Resource(name=name, value=value) for name, value in zip(names, members or [], strict=True)]


def find(draft: Draft, section: Section, name: str) -> Resource | None:
    """One member; ``None`` when there is none of that name."""
    return next((one for one in listed(draft, section) if one.name == name), None)


def put(draft: Draft, section: Section, name: str, value: Any, position: int | None = None) -> Edited:
    """Replace the member of that name, or add it: at the end, or at ``position`` (from 0) of a list.

    Raises:
        EditError: it can't be done inside this text.
        ConfigError: what was written is no YAML that a document may hold.
    """
    names = [one.name for one in listed(draft, section)]
    if name in names:
        return _replace(draft, section, names.index(name), name, value)
    place = len(names) if position is None else min(position, len(names))
    expected = _copied(draft)
    if section.named_by_key:
        expected.setdefault(section.name, {})[name] = value
        path: tuple[str | int, ...] = (section.name, name)
    else:
        expected.setdefault(section.name, []).insert(place, value)
        path = (section.name, place)
    return Edited(text=_checked(_added(draft, section, place, name, value), expected), path=path)


def remove(draft: Draft, section: Section, name: str) -> Edited:
    """Delete a member; the section goes with its last one.

    Raises:
        NoSuchResourceError: there is none of that name.
        EditError: it can't be done inside this text.
    """
    names = [one.name for one in listed(draft, section)]
    if name not in names:
        raise NoSuchResourceError(name)
    index = names.index(name)
    expected = _copied(draft)
    members = expected[section.name]
    del members[name if section.named_by_key else index]
    holder, local = _located(draft, section, index)
    if not members:
        del expected[section.name]
    text = splices.apply(draft.text, [_removal(draft.text, holder, section, local)])
    return Edited(text=_checked(text, expected), path=(section.name,))


def _replace(draft: Draft, section: Section, index: int, name: str, value: Any) -> Edited:
    expected = _copied(draft)
    step: str | int = name if section.named_by_key else index
    old = draft.data[section.name][step]
    expected[section.name][step] = value
    holder, local = _located(draft, section, index)
    changed = list(splices.revise_child(draft.text, holder.members, local, old, value))
    return Edited(text=_checked(splices.apply(draft.text, changed), expected), path=(section.name, step))


def _added(draft: Draft, section: Section, place: int, name: str, value: Any) -> str:
    holders = _holders(draft, section)
    if not holders:
        return splices.apply(draft.text, [_new_section(draft, section, name, value)])
    for holder in holders:
        count = len(holder.members.values)
        if place < count or (holder is holders[-1] and count):
            return splices.apply(draft.text, [_insertion(draft.text, holder.members, section, place, name, value)])
        place -= count
    return splices.apply(draft.text, [_filled(draft.text, holders[-1], section, name, value)])


def _insertion(text: str, members: Node, section: Section, place: int, name: str, value: Any) -> splices.Splice:
    if section.named_by_key:
        return splices.insert_entry(text, members, name, value)
    return splices.insert_item(text, members, place, value)


def _filled(text: str, holder: _Holder, section: Section, name: str, value: Any) -> splices.Splice:
    """Into a section that is there and empty."""
    first = {name: value} if section.named_by_key else [value]
    return splices.replace_value(text, holder.root, holder.index, first)


def _new_section(draft: Draft, section: Section, name: str, value: Any) -> splices.Splice:
    roots = [root for root in read_spans(draft.text) if root.kind == "mapping" and root.keys]
    if not roots:
        raise EditError("there is no place for a new section")
    first = {name: value} if section.named_by_key else [value]
    return splices.insert_entry(draft.text, roots[-1], section.name, first)


@dataclass(frozen=True, slots=True)
class _Holder:
    """A section in one of the files that make the document."""

    root: Node
    index: int

    @property
    def members(self) -> Node:
        return self.root.values[self.index]


def _holders(draft: Draft, section: Section) -> list[_Holder]:
    found = [
        _Holder(root, index)
        for root in read_spans(draft.text)
        if root.kind == "mapping"
        for index, key in enumerate(root.keys)
        if key.text == section.name
    ]
    if any(holder.members.kind not in ("mapping", "list") for holder in found):
        raise EditError(f"the section {section.name} is an alias of something else: replace the whole document")
    return found


def _located(draft: Draft, section: Section, index: int) -> tuple[_Holder, int]:
    """The holder of the member at ``index`` of the whole section, and its place there."""
    for holder in _holders(draft, section):
        if index < len(holder.members.values):
            return holder, index
        index -= len(holder.members.values)
    raise EditError(f"a member of {section.name} is not where it should be: replace the whole document")


def _removal(text: str, holder: _Holder, section: Section, index: int) -> splices.Splice:
    if len(holder.members.values) > 1:
        remove_one = splices.remove_entry if section.named_by_key else splices.remove_item
        return remove_one(text, holder.members, index)
    if len(holder.root.keys) > 1:
        return splices.remove_entry(text, holder.root, holder.index)
    return splices.Splice(holder.root.start, holder.root.end, "{}")


def _copied(draft: Draft) -> dict[str, Any]:
    return copy.deepcopy(dict(draft.data))


def _checked(text: str, expected: Mapping[str, Any]) -> bytes:
    """The text as bytes, once it is known to say what it should and nothing else."""
    try:
        source = text.encode()
    except UnicodeEncodeError as error:
        raise EditError("there is a character that no text can hold") from error
    try:
        parsed = _parse(source)
    except ConfigError as error:
        if any(problem.code == "unknown-alias" for problem in error.problems):
            raise EditError(_SHARED) from None
        raise
    if parsed.problems:
        raise ConfigError(parsed.problems)
    if not splices.same(parsed.data, expected):
        raise EditError(_SHARED)
    return source


def _parse(source: bytes) -> Text:
    if is_in_parts(source):
        return parse_parts(source, origin=_ORIGIN)
    return parse_yaml(source, origin=_ORIGIN)
