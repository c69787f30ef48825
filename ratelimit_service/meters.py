"""What a limit has counted for one caller, whichever its algorithm: the local store's values."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from servicekit.buckets import bucket, leases, window
from servicekit.buckets.bucket import MICROSECONDS, Shape
from servicekit.buckets.leases import Leases
from servicekit.buckets.window import Counts, Form, Window


class Meter(Protocol):
    """The state of one caller under one limit at one moment. Immutable."""

    def at(self, now_us: int, form: Form) -> Meter:
        """The same caller's state later, under numbers that may have changed."""
        ...

    def fits(self, hits: int) -> bool:
        """Whether ``hits`` can be taken; none are a peek."""
        ...

    def taken(self, hits: int) -> Meter:
        """The state after ``hits`` were taken, or as many as there are."""
        ...

    def charged(self, hits: int) -> Meter:
        """The state after ``hits`` were used up, or the lease of this number was given back."""
        ...

    def remaining(self) -> int:
        """How many more can be taken."""
        ...

    def reset_us(self) -> int:
        """Microseconds until all can be taken again."""
        ...

    def wait_us(self, hits: int) -> int:
        """Microseconds until ``hits`` that don't fit would."""
        ...


def unused(now_us: int, form: Form) -> Meter:
    """The state of a caller who has taken nothing."""
    if isinstance(form, Shape):
        return _Bucket(0, now_us, form)
    if isinstance(form, Leases):
        return _Leases((), now_us, form)
    return _Windows(window.counts_at(None, now_us, form), now_us, form)


class _Bucket(NamedTuple):
    missing: int
    at_us: int
    shape: Shape

    def at(self, now_us: int, form: Form) -> Meter:
        if not isinstance(form, Shape):
            return unused(now_us, form)
        lacks = bucket.refilled(self.missing, elapsed_us=now_us - self.at_us, rate=self.shape.rate)
        return _Bucket(lacks if self.shape == form else bucket.reshaped(lacks, old=self.shape, new=form), now_us, form)

    def fits(self, hits: int) -> bool:
        return bucket.fits(self.missing, hits, self.shape)

    def taken(self, hits: int) -> Meter:
        return self._replace(missing=min(self.missing + hits * self.shape.unit, self.shape.capacity))

    def charged(self, hits: int) -> Meter:
        return self.taken(hits)

    def remaining(self) -> int:
        return bucket.remaining(self.missing, self.shape)

    def reset_us(self) -> int:
        return bucket.time_to_full(self.missing, self.shape)

    def wait_us(self, hits: int) -> int:
        return bucket.time_to_fit(self.missing, hits, self.shape)


class _Windows(NamedTuple):
    counts: Counts
    at_us: int
    form: Window

    def at(self, now_us: int, form: Form) -> Meter:
        if not isinstance(form, Window):
            return unused(now_us, form)
        return _Windows(window.counts_at(self.counts, now_us, form), now_us, form)

    def fits(self, hits: int) -> bool:
        return window.fits(self.counts, hits, self.at_us, self.form)

    def taken(self, hits: int) -> Meter:
        return self._replace(counts=window.taken(self.counts, hits, self.form))

    def charged(self, hits: int) -> Meter:
        return self.taken(hits)

    def remaining(self) -> int:
        return window.remaining(self.counts, self.at_us, self.form)

    def reset_us(self) -> int:
        return window.time_to_reset(self.counts, self.at_us, self.form)

    def wait_us(self, hits: int) -> int:
        return window.time_to_fit(self.counts, hits, self.at_us, self.form)


class _Leases(NamedTuple):
    held: leases.Held
    at_us: int
    form: Leases

    def at(self, now_us: int, form: Form) -> Meter:
        if not isinstance(form, Leases):
            return unused(now_us, form)
        return _Leases(leases.held_at(self.held, now_us), now_us, form)

    def fits(self, hits: int) -> bool:  # noqa: ARG002  # whichever it is
        return len(self.held) < self.form.burst

    def taken(self, hits: int) -> Meter:
        return self._replace(held=leases.taken(self.held, hits, self.at_us, self.form))

    def charged(self, hits: int) -> Meter:
        return self._replace(held=leases.given_back(self.held, hits))

    def remaining(self) -> int:
        return max(0, self.form.burst - len(self.held))

    def reset_us(self) -> int:
        return self.form.lease_us if self.held else 0

    def wait_us(self, hits: int) -> int:  # noqa: ARG002  # the same
        return MICROSECONDS  # nobody knows when a request will be over
