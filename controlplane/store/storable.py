"""Texts and JSON as both databases take them, and as they come out again."""

from __future__ import annotations

import json
from typing import Any


def storable(text: str) -> str:
    """The text with U+FFFD for each character that no database takes: NUL, and halves of surrogate pairs."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def storable_json(value: Any) -> str:
    """The JSON of a value in ASCII, with sorted keys; halves of surrogate pairs are replaced.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
        if "\\ud" in text:  # a pair, or half of one
            whole = storable(json.dumps(value, ensure_ascii=False, allow_nan=False))
            text = json.dumps(json.loads(whole), sort_keys=True, separators=(",", ":"))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {error}") from error
    return text
