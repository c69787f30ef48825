"""What a process says of itself: started, ready, alive, draining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Check = Callable[[], str | None]
"""Returns why the process is not ready, or ``None`` when it is. Must not block."""


@dataclass(slots=True)
class Health:
    """The state behind ``/health/live``, ``/health/ready`` and ``/health/startup``.

    Live: the event loop turns. Startup: :attr:`started` was set once. Ready: started, not draining,
    and no check has a complaint.
    """

    checks: dict[str, Check] = field(default_factory=dict)
    started: bool = False
    draining: bool = False

    def complaints(self) -> dict[str, str]:
        """Every reason why the process is not ready, by the name of its check."""
        found = {name: why for name, check in self.checks.items() if (why := check()) is not None}
        if not self.started:
            found["startup"] = "still starting"
        if self.draining:
            found["drain"] = "shutting down"
        return found
