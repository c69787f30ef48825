"""A span for each check whose request is traced: joined to its trace, and with nothing in it that a client sent."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from ext_authz.credentials import Headers
from servicekit.tracing import Span, parse_traceparent

TRACEPARENT: Final = "traceparent"


class CheckTracer:
    """Hands a span to ``record`` for a check that somebody records; for others it looks at one header."""

    def __init__(self, record: Callable[[Span], None], *, now: Callable[[], int] = time.time_ns) -> None:
        self._record = record
        self._now = now

    def checked(self, headers: Headers, *, rule: str, provider: str, outcome: str, reason: str, seconds: float) -> None:
        """A check has just ended that took ``seconds``."""
        context = parse_traceparent(headers.get(TRACEPARENT) or "")
        if context is None or not context.sampled:
            return
        ended = self._now()
        self._record(
            Span(
                name="ext_authz check",
                context=context,
                span_id=f"{random.getrandbits(64) or 1:016x}",
                begun=ended - int(seconds * 1e9),
                ended=ended,
                attributes={
                    "gateway.auth.rule": rule,
                    "gateway.auth.provider": provider or "none",
                    "gateway.auth.outcome": outcome,
                    "gateway.auth.reason": reason,
                },
                failed=outcome == "error",
            )
        )
