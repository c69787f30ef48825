"""The examples in the guides, as tests run them."""

from __future__ import annotations

import re
from pathlib import Path

_GUIDES = Path(__file__).parents[2] / "docs" / "guide"
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def document_of(guide: str) -> str:
    """All YAML of a guide, put together; its blocks are one document."""
    return "".join(_BLOCK.findall((_GUIDES / guide).read_text()))
