"""Whether a client has a kept answer already (RFC 9110 §13). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from response_cache.freshness import http_date

PRECONDITIONS: Final = ("if-none-match", "if-modified-since")
"""What :func:`has_it` reads. Taken off requests whose answer is to be kept: a 304 has nothing in it."""

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def has_it(request: Mapping[str, str], kept: Mapping[str, str]) -> bool:
    """Whether 304 is enough. Headers are by names in lower case; ``kept`` are those of a 200."""
    wanted = request.get("if-none-match")
    if wanted is not None:
        tag = _TAG.fullmatch(kept.get("etag", "").strip())
        return wanted.strip() == "*" or (tag is not None and tag[1] in _TAG.findall(wanted))
    since = http_date(request.get("if-modified-since", ""))
    changed = http_date(kept.get("last-modified", ""))
    return since is not None and changed is not None and changed <= since
