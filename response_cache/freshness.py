"""Whether an answer may be kept, and for how long (RFC 9111 §3 and §4.2). Pure; times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from response_cache import cache_control
from servicekit.contracts.cache_rule import CacheRule

_KEPT: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses that may be kept (RFC 9110 §15.1), without 206: parts are not put together here."""
_KEPT_BY_DEFAULT: Final = frozenset({200, 203, 204, 300, 301, 308})
"""Those of them that ``ttl`` is for. An error is kept only where its upstream says how long."""
_NEVER_STALE: Final = ("must-revalidate", "proxy-revalidate", "s-maxage")
_ENDLESS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long an answer may be used. Seconds."""

    ttl: float
    """From its making."""
    age: float
    """What of it had passed when it came here."""
    stale_for: float
    """After it, where the upstream fails."""


@dataclass(frozen=True, slots=True)
class NotKept:
    """An answer that is only passed on."""

    reason: str


def judge(
    status: int, headers: Mapping[str, str], rule: CacheRule, *, asked_at: float, now: float
) -> Lifetime | NotKept:
    """What becomes of an answer with ``headers`` (names in lower case, several of one name joined by commas)."""
    directives = cache_control.parse(headers.get("cache-control", ""))
    if reason := _forbidden(status, headers, directives):
        return NotKept(reason)
    date = _date(headers.get("date"))
    written = _written(headers, directives, now if date is None else date)
    if written is None:
        written = rule.ttl if status in _KEPT_BY_DEFAULT else 0
    ttl = min(written, rule.max_ttl)
    age = _age(headers, date, asked_at=asked_at, now=now)
    if ttl <= age:
        return NotKept("no-lifetime" if ttl <= 0 else "too-old")
    return Lifetime(ttl=ttl, age=age, stale_for=_stale_for(directives, rule))


def _forbidden(status: int, headers: Mapping[str, str], directives: Mapping[str, str]) -> str:
    if status not in _KEPT:
        return "status"
    for directive in ("no-store", "private", "no-cache"):
        if directive in directives:
            return directive
    if "set-cookie" in headers:
        return "set-cookie"
    if "*" in headers.get("vary", ""):
        return "vary"
    if headers.get("content-type", "").lower().startswith(_ENDLESS):
        return "endless"
    return ""


def _written(headers: Mapping[str, str], directives: Mapping[str, str], date: float) -> float | None:
    for name in ("s-maxage", "max-age"):
        if (found := cache_control.seconds(directives, name)) is not None:
            return found
    if "expires" not in headers:
        return None
    expires = _date(headers["expires"])
    return 0 if expires is None else max(0.0, expires - date)


def _age(headers: Mapping[str, str], date: float | None, *, asked_at: float, now: float) -> float:
    """RFC 9111 §4.2.3."""
    apparent = 0.0 if date is None else max(0.0, now - date)
    text = headers.get("age", "").split(",")[0].strip()
    told = min(int(text), cache_control.FOR_EVER) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    # Dates are whole seconds: an answer that was made just now is none old.
    return max(apparent if apparent >= 1 else 0.0, told + (now - asked_at))


def _stale_for(directives: Mapping[str, str], rule: CacheRule) -> float:
    """What the route allows, and no more than its upstream does (RFC 5861 §4, RFC 9111 §4.2.4)."""
    if any(name in directives for name in _NEVER_STALE):
        return 0
    told = cache_control.seconds(directives, "stale-if-error")
    return rule.stale_if_error if told is None else min(rule.stale_if_error, told)


def _date(text: str | None) -> float | None:
    return None if text is None else http_date(text)


def http_date(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date; ``None`` if it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
