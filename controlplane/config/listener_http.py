"""``http`` of a listener: what requests may look like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controlplane.config.base import Section
from controlplane.config.sizes import Size


class Http(Section):
    """What requests may look like. Dots and doubled slashes are always taken out of paths before a route is looked
    for, and upstreams get the path that was routed on."""

    max_headers: int = Field(default=100, ge=1, le=1000)
    """Headers of a request; 431 beyond."""
    max_header_size: Annotated[int, Size(least=1024, most=96 * 1024)] = 60 * 1024
    """All of them together, in whole KiB; 431 beyond."""
    underscores: Literal["drop", "reject"] = "drop"
    """Headers with `_` in their names, which many servers read as `-`: a client could say `x_user_id`."""
    escaped_slashes: Literal["reject", "redirect", "keep"] = "reject"
    """`%2F` and `%5C` in paths. `reject` is 400; `redirect` sends clients to the path with slashes; `keep` lets them
    through as they are, for upstreams that never decode them before they look at the path."""
