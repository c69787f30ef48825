"""Every link from one page of ours to another leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LEFT_OUT = re.compile(r"[^\w\- ]")


def anchors(page: Path) -> set[str]:
    """The names of its headings, as they are made from their text."""
    return {_LEFT_OUT.sub("", text.strip().lower()).replace(" ", "-") for text in _HEADING.findall(page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    links = (link for link in _LINK.findall(page.read_text()) if not re.match(r"[a-z]+:", link))
    for link in links:
        name, _, anchor = link.partition("#")
        to = page.parent / name if name else page
        assert to.exists(), link
        assert not anchor or anchor in anchors(to), link
