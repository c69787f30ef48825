"""Sizes as the document writes them: ``512KiB``, ``10MiB``. Bytes inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from controlplane.config.base import mistake

PATTERN = r"^[0-9]{1,9}(B|KiB|MiB|GiB)$"

_FORM = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>B|KiB|MiB|GiB)")
_UNITS: Final[Mapping[str, int]] = MappingProxyType({"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1})


@dataclass(frozen=True, slots=True)
class Size:
    """Annotates an ``int`` of bytes that is written with a unit (IEC 80000-13). Both bounds are allowed."""

    least: int
    most: int

    def parse(self, value: Any) -> int:
        """The bytes that were written.

        Raises:
            PydanticCustomError: it is no size, or not in range.
        """
        if isinstance(value, int) and not isinstance(value, bool):
            raise mistake("no-unit", "a size needs a unit", f"write {value}B, or KiB, MiB or GiB")
        match = _FORM.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise mistake("size", "this is not a size", "write it as 512KiB or 10MiB")
        size = int(match["number"]) * _UNITS[match["unit"]]
        if not self.least <= size <= self.most:
            raise mistake("out-of-range", f"this has to be {format_size(self.least)} to {format_size(self.most)}")
        return size

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(format_size)
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": PATTERN,
            "x-size": f"{format_size(self.least)} to {format_size(self.most)}",
        }


def format_size(size: int) -> str:
    """The shortest exact way to write a size."""
    name, unit = next((name, unit) for name, unit in _UNITS.items() if size % unit == 0 and (size >= unit or unit == 1))
    return f"{size // unit}{name}"
