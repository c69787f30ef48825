"""Shares as the document writes them: ``5%``, ``0.1%``. Parts of one inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from controlplane.config.base import mistake

PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,2})?%$"

_FORM = re.compile(r"(?P<whole>[0-9]{1,3})(?:\.(?P<part>[0-9]{1,2}))?%")
_SCALE = 10_000


@dataclass(frozen=True, slots=True)
class Percent:
    """Annotates a ``float`` between 0 and 1 that is written in per cent. Both bounds are allowed."""

    least: float = 0.0
    most: float = 1.0

    def parse(self, value: Any) -> float:
        """The part of one that was written.

        Raises:
            PydanticCustomError: it is no percentage, or not in range.
        """
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise mistake("no-unit", "a share needs a unit", f"write {value}%")
        match = _FORM.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise mistake("percent", "this is not a share", "write it as 5% or 0.5%")
        share = (int(match["whole"]) * 100 + int((match["part"] or "").ljust(2, "0"))) / _SCALE
        if not self.least <= share <= self.most:
            allowed = f"{format_percent(self.least)} to {format_percent(self.most)}"
            raise mistake("out-of-range", f"this has to be {allowed}")
        return share

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(format_percent)
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": PATTERN,
            "x-percent": f"{format_percent(self.least)} to {format_percent(self.most)}",
        }


def format_percent(share: float) -> str:
    """The shortest exact way to write a share: ``5%``, not ``5.00%``."""
    return f"{round(share * _SCALE) / 100:g}%"
