"""``CacheRule``: how answers of one route are kept. It stands in the route itself, and Envoy hands it on with each
request, so that a route and its rule change at the same instant."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from servicekit.contracts.base import Contract

RULE_METADATA: Final = "x-gateway-cache-rule"
"""The metadata of the gRPC call that holds the :class:`CacheRule`."""

HIT_DETAILS: Final = "gateway_cache_hit"
"""Envoy's ``response.code_details`` of answers from the cache."""

MOST_BODY: Final = 8 << 20
"""Bytes of the largest body that a rule may let be kept."""

MOST_PATIENCE: Final = 60.0
"""Seconds that a request waits at most for the answer to another one."""

Callers = Literal["none", "each", "all"]


class CacheRule(Contract):
    """What of one route is kept, for how long and for whom. Durations are seconds."""

    route: str
    """Its name, by which it is purged."""
    generation: str
    """Another text whenever something about the route is different: what was kept before is not found any more."""
    ttl: float = Field(default=0, ge=0)
    """How long answers are fresh that say nothing of it; 0 keeps none of them."""
    max_ttl: float = Field(gt=0)
    """How long answers are fresh at most, whatever they say."""
    max_body: int = Field(gt=0, le=MOST_BODY)
    """Bytes of the largest body that is kept."""
    callers: Callers = "none"
    """Whose answers are kept: of requests without credentials, for each caller by itself, or one for all."""
    identity_headers: tuple[str, ...] = ()
    """Headers by which upstreams are told who is calling."""
    patience: float = Field(gt=0, le=MOST_PATIENCE)
    """How long a request waits for the answer to another one like it, before it is sent itself."""
    stale_if_error: float = Field(default=0, ge=0)
    """How long after its end an answer may stand in for one that the upstream fails to give."""
