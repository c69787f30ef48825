"""A document in parts: what can be left out of it, and the document without that. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel

from controlplane.config import GatewayConfig
from controlplane.config.problems import Path

Step = str | int

_MEMBER = 2
"""Length of the path to a member of a section."""


class Part(NamedTuple):
    """One key of a section, or one member of a list or mapping."""

    step: Step
    optional: bool
    """Whether it can be left out: it has a default, or is not the last member of a list or mapping."""


def parts(value: object) -> Iterator[Part]:
    """What ``value`` consists of, as it was written: keys that were left out are not there."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name in fields:
            if name in value.model_fields_set:
                yield Part(name, optional=not fields[name].is_required())
    elif isinstance(value, dict):
        yield from (Part(key, optional=len(value) > 1) for key in value)
    elif isinstance(value, list):
        yield from (Part(index, optional=len(value) > 1) for index in range(len(value)))


def at(value: Any, path: Path) -> Any:
    """What stands at ``path``."""
    for step in path:
        value = getattr(value, str(step)) if isinstance(value, BaseModel) else value[step]
    return value


def without(document: GatewayConfig, path: Path) -> GatewayConfig:
    """``document`` without what stands at ``path``; nothing is checked anew."""
    changed: GatewayConfig = _changed(document, path)
    return changed


@dataclass(frozen=True, slots=True)
class Reduced:
    """A document of which some members of its lists and mappings are left out, and which those that are left were."""

    document: GatewayConfig
    members: Mapping[str, tuple[Step, ...]]
    """By section: the keys or indexes that its members have in the whole document."""

    @classmethod
    def of(cls, document: GatewayConfig) -> Reduced:
        """The whole document."""
        sections = [name for name in type(document).model_fields if isinstance(getattr(document, name), (dict, list))]
        return cls(document, {name: tuple(part.step for part in parts(getattr(document, name))) for name in sections})

    def keep(self, section: str, steps: Collection[Step]) -> Reduced:
        """With these members of one section only."""
        value, held = getattr(self.document, section), self.members[section]
        if isinstance(value, dict):
            kept: object = {key: member for key, member in value.items() if key in steps}
        else:
            kept = [member for step, member in zip(held, value, strict=True) if step in steps]
        document = self.document.model_copy(update={section: kept})
        return Reduced(document, {**self.members, section: tuple(step for step in held if step in steps)})

    def leave_out(self, path: Path) -> Reduced:
        """Without the member that stands at or above ``path`` in the whole document."""
        section = str(path[0])
        return self.keep(section, [step for step in self.members[section] if step != path[1]])

    def original(self, path: Path) -> Path:
        """Where what stands at ``path`` stands in the whole document."""
        if len(path) < _MEMBER or path[0] not in self.members or isinstance(path[1], str):
            return path
        return (path[0], self.members[str(path[0])][path[1]], *path[_MEMBER:])


def texts(value: object) -> Iterator[str]:
    """Every text in ``value``, keys of mappings included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        for name in value.model_fields_set:
            yield from texts(getattr(value, name))
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from texts(key)
            yield from texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)


def _changed(value: Any, path: Path) -> Any:
    step, rest = path[0], path[1:]
    if isinstance(value, BaseModel):
        name = str(step)
        if rest:
            return value.model_copy(update={name: _changed(getattr(value, name), rest)})
        default = type(value).model_fields[name].get_default(call_default_factory=True, validated_data={})
        return value.model_copy(update={name: default})
    if isinstance(value, dict):
        return {key: _changed(m, rest) if key == step else m for key, m in value.items() if rest or key != step}
    return [_changed(m, rest) if i == step else m for i, m in enumerate(value) if rest or i != step]
