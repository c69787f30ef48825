"""Plain data as YAML with everything on a line of its own, and which line that is: known before anybody reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Inline:
    """A value to be written as JSON on the line of its key, whatever it is; ``None`` is no value at all."""

    value: Any


@dataclass(frozen=True, slots=True)
class Twice:
    """A value whose key is to be written twice, the second time with the same value."""

    value: Any


class Written:
    """The text, and the lines (from 1) at which each path of the data begins and ends."""

    def __init__(self, data: Any) -> None:
        self._lines: list[str] = []
        self.first: dict[Path, int] = {}
        """The line of a key, or of the ``-`` of an item."""
        self.last: dict[Path, int] = {}
        self.first[()] = 1
        self._block(data, (), "")
        self.last[()] = len(self._lines)
        self.text = "\n".join(self._lines) + "\n"

    @property
    def lines(self) -> list[str]:
        """The text's lines."""
        return list(self._lines)

    def _block(self, data: Any, path: Path, indent: str) -> None:
        items = list(data.items()) if isinstance(data, dict) else list(enumerate(data))
        for step, value in items:
            begin = f"{indent}{json.dumps(step)}:" if isinstance(step, str) else f"{indent}-"
            self._entry(begin, value, (*path, step), indent)

    def _entry(self, begin: str, value: Any, path: Path, indent: str) -> None:
        if isinstance(value, Twice):
            self._entry(begin, value.value, (*path, "first time"), indent)
            value = value.value
        self.first[path] = len(self._lines) + 1
        if isinstance(value, (dict, list)) and value:
            self._lines.append(begin)
            self._block(value, path, indent + "  ")
        else:
            self._lines.append(f"{begin} {_scalar(value)}".rstrip())
        self.last[path] = len(self._lines)


def _scalar(value: Any) -> str:
    if isinstance(value, Inline):
        return "" if value.value is None else json.dumps(value.value)
    return json.dumps(value)
