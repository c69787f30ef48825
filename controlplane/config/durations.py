"""Durations as the document writes them: ``250ms``, ``5s``, ``1m``, ``1h``. Seconds inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from controlplane.config.base import mistake

PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h)$"

_FORM = re.compile(r"(?P<whole>[0-9]{1,9})(?:\.(?P<part>[0-9]{1,3}))?(?P<unit>ms|s|m|h)")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


@dataclass(frozen=True, slots=True)
class Duration:
    """Annotates a ``float`` of seconds that is written as a duration.

    Whole milliseconds only, since Envoy counts in nothing finer.
    """

    least: float = 0.0
    """Seconds."""
    most: float = 86_400.0
    """Seconds."""

    def parse(self, value: Any) -> float:
        """Seconds of a written duration.

        Raises:
            PydanticCustomError: it is not one, or not in range.
        """
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise mistake("no-unit", "a duration needs a unit", f"write {value}s or {value}ms")
        match = _FORM.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise mistake("duration", "this is not a duration", "write it as 250ms, 5s, 1m or 1h")
        thousandths = int(match["whole"]) * 1000 + int((match["part"] or "").ljust(3, "0"))
        milliseconds, rest = divmod(thousandths * _MILLISECONDS[match["unit"]], 1000)
        if rest:
            raise mistake("duration", "a duration has whole milliseconds", "write it as 250ms, 5s, 1m or 1h")
        return self._in_range(milliseconds / 1000)

    def _in_range(self, seconds: float) -> float:
        if not self.least <= seconds <= self.most:
            allowed = f"{format_duration(self.least)} to {format_duration(self.most)}"
            raise mistake("out-of-range", f"this has to be {allowed}")
        return seconds

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(format_duration)
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": PATTERN,
            "x-duration": f"{format_duration(self.least)} to {format_duration(self.most)}",
        }


def format_duration(seconds: float) -> str:
    """The shortest exact way to write a duration: ``1m``, not ``60s``."""
    milliseconds = round(seconds * 1000)
    for unit in ("h", "m", "s"):
        if milliseconds and milliseconds % _MILLISECONDS[unit] == 0:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"
