"""Durations on the command line, written as in the document."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gateway.errors import CommandError

_DURATION = re.compile(r"(?P<amount>-?\d{1,12}(?:\.\d{1,9})?)(?P<unit>ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Seconds of ``250ms``, ``-5s``, ``1.5m``, ``2h`` or ``1d``.

    Raises:
        CommandError: it is none of them.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise CommandError(f"{text!r} is not a duration: write 250ms, 5s, 1m, 2h or 1d")
    return float(match["amount"]) * _SECONDS[match["unit"]]


def moment_in(lifetime: str) -> str:
    """When ``lifetime`` from now is, as the API reads it.

    Raises:
        CommandError: it is no duration, or ends beyond all calendars.
    """
    try:
        return (datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=parse_duration(lifetime))).isoformat()
    except OverflowError as error:
        raise CommandError(f"{lifetime} is longer than time lasts") from error
