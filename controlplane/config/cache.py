"""``cache`` of a route: which answers are kept, for how long and for whom."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from controlplane.config.base import Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.sizes import Size
from servicekit.contracts.cache_rule import MOST_BODY


class Cache(Section):
    """Answers to GET are kept and given to those who ask the same, by the rules of RFC 9111 for a shared cache. Of
    many requests that ask the same at once, one goes to the upstream. `true` is these defaults."""

    ttl: Annotated[float, Duration()] = 0.0
    """How long answers are fresh that say nothing of it, neither by `cache-control` nor by `expires`. With `0s` those
    are not kept."""
    max_ttl: Annotated[float, Duration(least=1)] = 86_400.0
    """How long answers are fresh at most, whatever they say."""
    max_body: Annotated[int, Size(least=1 << 10, most=MOST_BODY)] = 1 << 20
    """The largest body that is kept; larger ones are passed on."""
    stale_if_error: Annotated[float, Duration()] = 0.0
    """How long after its end a kept answer stands in while the upstream answers 500, 502, 503 or 504 or not at all; no
    longer than the upstream allows by its own `stale-if-error` or forbids by `must-revalidate`. With `0s` it never
    does."""
    callers: Literal["none", "each", "all"] = "none"
    """Whose answers are kept. `none`: those to requests that show no credentials (`authorization`, `cookie`,
    `x-api-key`). `each`: for each authenticated caller by itself. `all`: one answer for all callers whom the route lets
    through, whatever they show."""


def _from_true(value: Any) -> Any:
    if isinstance(value, bool):
        return {} if value else None
    if value is not None and not isinstance(value, (dict, Cache)):
        raise mistake("type", "expected true or a mapping", "write true")
    return value


RouteCache = Annotated[Cache | None, BeforeValidator(_from_true, json_schema_input_type=bool | Cache)]
