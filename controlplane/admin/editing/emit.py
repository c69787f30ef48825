"""Plain data to YAML as a person would write it: short collections on one line, long ones in a block."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from controlplane.admin.editing.errors import EditError
from controlplane.config.scalars import plain_scalar

_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_ESCAPED = re.compile("[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_ONE_LINE = 88
"""Characters that a collection may have to stand on one line."""


def block(value: Any, indent: int) -> str:
    """``value`` for the place after ``- `` at column ``indent - 2``; lines after the first are indented."""
    if isinstance(value, Mapping) and value:
        return f"\n{' ' * indent}".join(_mapping_lines(value, indent))
    if isinstance(value, list) and value:
        return f"\n{' ' * indent}".join(f"- {block(item, indent + 2)}" for item in value)
    return flow(value)


def entry(key: str, value: Any, indent: int) -> str:
    """``key: value`` at column ``indent``."""
    return f"{_text(key)}:{after_colon(value, indent)}"


def after_colon(value: Any, indent: int) -> str:
    """What follows the colon of a key at column ``indent``, with the space or the line break before it."""
    if not isinstance(value, (Mapping, list)) or _fits(value):
        return f" {flow(value)}"
    return f"\n{' ' * (indent + 2)}{block(value, indent + 2)}"


def flow(value: Any) -> str:
    """``value`` on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(key)}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(flow(item) for item in value)}]"
    if isinstance(value, str):
        return _text(value)
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise EditError("there is a value that no document can hold") from error


def _mapping_lines(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, item in value.items():
        yield entry(key, item, indent)


def _fits(value: Mapping[str, Any] | list[Any]) -> bool:
    members = value.values() if isinstance(value, Mapping) else value
    return not any(isinstance(one, (Mapping, list)) for one in members) and len(flow(value)) <= _ONE_LINE


def _text(text: str) -> str:
    """Plain where every YAML reader takes it for text, in double quotes (which JSON's are) elsewhere."""
    if _PLAIN.fullmatch(text) and plain_scalar(text) == text and len(text) <= _ONE_LINE and not _is_number_like(text):
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _is_number_like(text: str) -> bool:
    """What YAML 1.1 reads as a number, a date or a truth value, for the sake of other programs that read it."""
    return text.lower() in {"y", "n", "yes", "no", "on", "off"} or bool(re.fullmatch(r"[0-9][0-9_.eE+-]*", text))
