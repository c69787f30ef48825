"""The arithmetic of windows aligned to the clock, fixed and sliding, in whole numbers only.

A fixed window counts what was taken since its beginning. A sliding one adds what was taken in the window before, as
if it had come evenly: of that, the share that the last period still reaches into. Windows begin at whole multiples of
their period since 1970, so a window of 24 hours is a day in UTC.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from servicekit.buckets.bucket import EXACT, Shape
from servicekit.buckets.leases import Leases

FIXED: Final = 0
"""The :attr:`Window.slide` of a window that does not slide."""
TALLY: Final = -(2**53)
"""The :attr:`Window.slide` of a fixed window that counts refused requests too. No step is as long."""


class Window(NamedTuple):
    """One limit's windows. Three numbers, as a :class:`~servicekit.buckets.bucket.Shape`: stores pass both on alike."""

    burst: int
    """Requests in a period."""
    period_us: int
    """Microseconds."""
    slide: int
    """:data:`FIXED`, :data:`TALLY`, or minus the microseconds of a step in which the past slides away. A bucket's third
    number is above 0."""

    @property
    def steps(self) -> int:
        """Steps in a period of a sliding window."""
        return _up(self.period_us, -self.slide)


Form = Shape | Window | Leases
"""What a limit's algorithm needs to know."""


class Counts(NamedTuple):
    """What one caller has taken."""

    before: int
    """In the window before; always 0 of fixed windows."""
    current: int
    start_us: int
    """When the current window began."""


def fixed_window(*, requests: int, period_us: int) -> Window:
    """Windows in each of which ``requests`` fit."""
    return Window(requests, period_us, FIXED)


def tallied_window(*, requests: int, period_us: int) -> Window:
    """Windows as the usual counters have them: a refused request fills them up, and none is ever looked at in vain."""
    return Window(requests, period_us, TALLY)


def sliding_window(*, requests: int, period_us: int) -> Window:
    """Windows of which the last two are weighed together.

    The past slides away by the microsecond; where ``requests`` times the period has more than 2**52 of them, in steps
    of a few, so that all numbers stay exact.
    """
    return Window(requests, period_us, -_up(requests * period_us, EXACT))


def counts_at(counts: Counts | None, now_us: int, of: Window) -> Counts:
    """What counts at ``now_us``. A clock that was set back takes the counts along; a lowered limit caps them."""
    start = now_us - now_us % of.period_us
    if counts is None or counts.start_us < start - of.period_us:
        return Counts(0, 0, start)
    before, current = counts.before, counts.current
    if counts.start_us < start:
        before, current = (0 if of.slide in (FIXED, TALLY) else current), 0
    return Counts(min(before, of.burst), min(current, _most(of)), start)


def taken(counts: Counts, hits: int, of: Window) -> Counts:
    """What counts after ``hits`` were taken. A tally keeps of an overshoot only that there was one."""
    return counts._replace(current=min(counts.current + hits, _most(of)))


def takes_refused(form: Form) -> bool:
    """Whether a refused request is counted too."""
    return form[2] == TALLY


def _most(of: Window) -> int:
    return of.burst + 1 if of.slide == TALLY else of.burst


def fits(counts: Counts, hits: int, now_us: int, of: Window) -> bool:
    """Whether ``hits`` more fit. No hits are a peek: whether one would; of a tally, whether it is not overshot."""
    if of.slide == TALLY:
        return counts.current + hits <= of.burst
    free = of.burst - counts.current - max(hits, 1)
    if free < 0 or counts.before == 0:
        return free >= 0
    return counts.before * _steps_left(counts, now_us, of) <= free * of.steps


def remaining(counts: Counts, now_us: int, of: Window) -> int:
    """How many more fit."""
    weighed = _up(counts.before * _steps_left(counts, now_us, of), of.steps) if counts.before else 0
    return max(0, of.burst - counts.current - weighed)


def time_to_reset(counts: Counts, now_us: int, of: Window) -> int:
    """Microseconds until the window ends; of a sliding one, until nothing that was taken counts any more."""
    left = counts.start_us + of.period_us - now_us
    if of.slide in (FIXED, TALLY) or (counts.before and not counts.current):
        return left
    return left + of.period_us if counts.current else 0


def time_to_fit(counts: Counts, hits: int, now_us: int, of: Window) -> int:
    """Microseconds until ``hits`` fit if nobody takes more; for more than ever fit, until the reset."""
    need = max(hits, 1)
    if of.slide in (FIXED, TALLY) or need > of.burst:
        return time_to_reset(counts, now_us, of)
    left = counts.start_us + of.period_us - now_us
    free = of.burst - counts.current - need
    if free >= 0:
        return _until_weighed(counts.before, free, left, of)
    return left + _until_weighed(counts.current, of.burst - need, of.period_us, of)


def _until_weighed(before: int, free: int, left: int, of: Window) -> int:
    """Microseconds until ``before`` weighs no more than ``free``, ``left`` before the end of the window."""
    return max(0, left + free * of.steps // before * of.slide) if before else 0


def _steps_left(counts: Counts, now_us: int, of: Window) -> int:
    return _up(counts.start_us + of.period_us - now_us, -of.slide)


def _up(number: int, by: int) -> int:
    return -(-number // by)
