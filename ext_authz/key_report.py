"""What is known of every provider's keys, told to people: names, kinds, ages and errors, never what proves anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ext_authz.key_state import KeyState
from ext_authz.keys import Key, KeySet
from ext_authz.thumbprint import describe_key
from servicekit.contracts.key_report import KEY_REPORT_PATH, KeyReport, ReportedKey, ReportedSource


def report(states: Iterable[KeyState], now: float) -> KeyReport:
    """The keys as they are at ``now`` (seconds of the clock that the states are told)."""
    sources = [_source(state, now) for state in states]
    return KeyReport(sources=tuple(sorted(sources, key=lambda source: (source.provider, source.location))))


def report_route(states: Callable[[], Iterable[KeyState]], clock: Callable[[], float]) -> BaseRoute:
    """:func:`report` as JSON, beside health and metrics."""

    async def keys(_request: Request) -> Response:
        return Response(report(states(), clock()).encode(), media_type="application/json")

    return Route(KEY_REPORT_PATH, keys)


def _source(state: KeyState, now: float) -> ReportedSource:
    source, known = state.source, state.key_set or KeySet()
    usable = state.current(now)
    end = None if state.fetched_at is None else state.fetched_at + source.ttl + source.stale
    refresh = state.seconds_until_refresh(now, 1.0)
    return ReportedSource(
        provider=source.provider,
        location=source.location,
        keys=tuple(_key(key) for key in known.keys),
        skipped=tuple(f"key {skipped.position}: {skipped.why}" for skipped in known.skipped),
        usable=usable is not None and bool(usable.keys),
        age=None if state.fetched_at is None else _rounded(now - state.fetched_at),
        next_refresh=_rounded(refresh) if math.isfinite(refresh) else None,
        usable_for=None if end is None or math.isinf(end) else _rounded(max(0.0, end - now)),
        failures=state.failures,
        last_error=state.last_error,
    )


def _key(key: Key) -> ReportedKey:
    kty, thumbprint = describe_key(key.material)
    return ReportedKey(kid=key.kid, kty=kty, algorithms=tuple(sorted(key.algorithms)), thumbprint=thumbprint)


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
