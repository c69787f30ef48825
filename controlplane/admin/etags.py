"""Which state a request is meant for: entity tags and the preconditions that name them (RFC 9110 §13)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastapi import Request

from controlplane.admin.errors import ApiError

if TYPE_CHECKING:
    from controlplane.live import Live

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"\s*(?:{_TAG}\s*,\s*)*{_TAG}\s*")
_FIND = re.compile(_TAG)
_LONGEST = 2000


def document_tag(number: int | None, digest: str) -> str:
    """The tag of the whole document: the number of its revision, or where there is none, what it means."""
    return f'"{number}"' if number is not None else f'"d-{digest}"'


def live_tag(live: Live) -> str:
    """The tag of what is live."""
    return document_tag(live.number, live.compiled.release.versions)


def resource_tag(value: Any) -> str:
    """The tag of one resource: a hash of what is written."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f'"r-{hashlib.sha256(canonical.encode()).hexdigest()[:24]}"'


def check_preconditions(
    request: Request, current: Iterable[str], *, exists: bool = True, required: bool = False
) -> None:
    """Refuse a write that is meant for another state than this.

    Args:
        request: with ``If-Match`` or ``If-None-Match``, or neither.
        current: the tags that stand for the state now: either is as good.
        exists: whether there is something to match.
        required: whether a write of what exists has to name a state.

    Raises:
        ApiError: 412, it is meant for another; 428, it names none and has to; 400, the header can't be read.
    """
    tags = set(current)
    wanted, unwanted = _tags(request, "if-match"), _tags(request, "if-none-match")
    if wanted is not None and not (exists and ("*" in wanted or tags & wanted)):
        raise ApiError(412, "changed", "It is not what If-Match names: somebody has changed it since it was read.")
    if unwanted is not None and exists and ("*" in unwanted or tags & {_strong(tag) for tag in unwanted}):
        raise ApiError(412, "exists", "It is what If-None-Match rules out.")
    if required and exists and wanted is None and unwanted is None:
        raise ApiError(428, "precondition-required", "Say in If-Match which state this is meant for.")


def is_unchanged(request: Request, current: str) -> bool:
    """Whether who reads has this already (``If-None-Match``)."""
    known = _tags(request, "if-none-match")
    return known is not None and ("*" in known or current in {_strong(tag) for tag in known})


def _strong(tag: str) -> str:
    return tag.removeprefix("W/")


def _tags(request: Request, header: str) -> set[str] | None:
    given = request.headers.getlist(header)
    if not given:
        return None
    text = ",".join(given)
    if text.strip() == "*":
        return {"*"}
    if len(text) > _LONGEST or not _LIST.fullmatch(text):
        raise ApiError(400, "malformed", f"The header {header.title()} holds no entity tags.")
    return set(_FIND.findall(text))
