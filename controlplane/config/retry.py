"""``retry``: when and how a request is sent again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controlplane.config.base import Section
from controlplane.config.durations import Duration
from controlplane.config.texts import RetryMethod, Unique

Condition = Literal[
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "refused-stream",
    "envoy-ratelimited",
    "retriable-4xx",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
]
"""The words of Envoy's ``retry_on`` (HTTP, then gRPC) that need nothing else beside them."""

ANY_METHOD = "*"


class Backoff(Section):
    """Waits between tries grow exponentially, with jitter."""

    base: Annotated[float, Duration(least=0.001, most=60)] = 0.025
    """About the first wait."""
    max: Annotated[float, Duration(least=0.001, most=600)] = 0.25
    """The longest wait."""


class Retry(Section):
    """When and how a request is sent again. Keys that a route does not write come from `defaults`."""

    attempts: int = Field(default=1, ge=0, le=10)
    """Retries after the first try; 0 is none."""
    on: Annotated[list[Condition], Unique] = Field(default=["connect-failure", "refused-stream"], min_length=1)
    """What is tried again, in Envoy's words. The default never repeats what an upstream may have begun to do."""
    statuses: Annotated[list[Annotated[int, Field(ge=400, le=599)]], Unique] = Field(default=[], max_length=20)
    """Answers that are tried again besides."""
    retry_after: bool = False
    """Wait as long as an answer's `Retry-After` says (in seconds), if that is not longer than `backoff.max`."""
    per_try_timeout: Annotated[float, Duration(least=0.001)] | None = None
    """How long one try may take; without it, as long as the route's `timeout`."""
    backoff: Backoff = Backoff()
    """How long to wait between tries."""
    methods: Annotated[list[RetryMethod], Unique] = Field(
        default=["GET", "HEAD", "OPTIONS", "PUT", "DELETE"], min_length=1
    )
    """Methods that may be sent twice. The default has the idempotent ones (RFC 9110 §9.2.2); `["*"]` is every one."""
    hedge: bool = False
    """Let a try that outlasts `per_try_timeout` go on beside the next one; whoever answers first is heard."""
