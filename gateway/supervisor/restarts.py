"""How long a process may hang, and whether and when one that died is started again. Pure: times are arguments."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartRules:
    """How patient the supervisor is. All in seconds but ``deaths`` and ``misses``."""

    first_delay: float = 0.1
    longest_delay: float = 5.0
    healthy_after: float = 10.0
    """A process that was ready for so long starts with the first delay again."""
    deaths: int = 5
    """So many deaths within ``window`` are a crash loop."""
    window: float = 30.0
    alive_every: float = 5.0
    """Between two questions whether a process is alive."""
    misses: int = 3
    """So many of them in a row without an answer are a process that hangs."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after ``delay`` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Leave it dead; ``reason`` completes "it …"."""

    reason: str


@dataclass(slots=True)
class RestartHistory:
    """The deaths of one component, and what follows from the next."""

    rules: RestartRules
    deaths: list[float] = field(default_factory=list)
    """Times of the deaths that still count, oldest first; at most ``rules.deaths``."""
    delay: float = 0.0
    """The delay that was given last; 0 for none."""
    was_ready: bool = False

    def died(self, *, now: float, status: int, ready_at: float | None) -> Restart | GiveUp:
        """Decide after a death.

        Args:
            now: when it died, on a monotonic clock.
            status: exit status, negative for a signal.
            ready_at: when this run became ready; ``None`` if it never did.
        """
        self.was_ready = self.was_ready or ready_at is not None
        if not self.was_ready and status > 0:
            # It ended by its own decision and has never worked: trying again would say the same again.
            return GiveUp(f"could not start (exit status {status})")
        if ready_at is not None and now - ready_at >= self.rules.healthy_after:
            self.delay = 0.0
        self.deaths = [death for death in self.deaths if now - death < self.rules.window] + [now]
        if len(self.deaths) >= self.rules.deaths:
            return GiveUp(f"died {len(self.deaths)} times within {self.rules.window:g} s")
        self.delay = min(self.delay * 2, self.rules.longest_delay) if self.delay else self.rules.first_delay
        return Restart(self.delay)


def describe_status(status: int) -> str:
    """An exit status in words."""
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
