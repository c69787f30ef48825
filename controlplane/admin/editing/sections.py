"""The sections of the document whose members have names, and how each writes its names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args, get_origin

from pydantic import BaseModel

from controlplane.config import GatewayConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section."""

    name: str
    """Its key in the document."""
    singular: str
    """What one member is called."""
    model: type[BaseModel]
    """What one member may hold."""
    named_by_key: bool
    """Whether it is a mapping of names; otherwise it is a list, and members have a ``name``."""
    ordered: bool = False
    """Whether the place in the list means something."""


_SINGULAR = {
    "listeners": "listener",
    "upstreams": "upstream",
    "routes": "route",
    "authentication": "authentication",
    "rate_limits": "rate_limit",
    "node_groups": "node_group",
}
_ORDERED = {"routes", "node_groups"}


def _sections() -> dict[str, Section]:
    fields = GatewayConfig.model_fields
    return {
        name: _section(name, singular, fields[name].annotation)
        for name, singular in _SINGULAR.items()
        if name in fields
    }


def _section(name: str, singular: str, annotation: object) -> Section:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin not in (list, dict):
        raise TypeError(f"{name} is no list or mapping")
    return Section(
        name=name,
        singular=singular,
        model=arguments[-1],
        named_by_key=origin is dict,
        ordered=name in _ORDERED,
    )


SECTIONS = _sections()
"""By name, in the order in which they are shown."""
