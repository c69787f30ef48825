"""Asking the real Envoy whether it would take a snapshot."""

from __future__ import annotations

import re
import signal
import tempfile
from pathlib import Path

from controlplane.preflight.errors import PreflightError, PreflightUnavailableError
from controlplane.preflight.sandbox import CannotRunError, Ended, Sandbox
from controlplane.preflight.static_config import static_config
from controlplane.xds.snapshot import Snapshot

_LOG_LINE = re.compile(r"^\[[^\]]*\]\[\d+\]\[(?:critical|error)\]\[[^\]]*\] (?:\[[^\]]*\] )?(?P<words>.*)$")
_PREFIX = re.compile(r"^error initializing configuration '[^']*': ")
_LONGEST_ANSWER = 8 * 1024
_ENDED_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGXCPU})
"""By somebody, or by a limit: nothing was said about the snapshot."""


class EnvoyPreflight:
    """Checks snapshots with ``envoy --mode validate``, which binds no port and calls nobody.

    Args:
        binary: the Envoy executable.
        deadline: seconds that one check may take.
    """

    def __init__(self, *, binary: Path, deadline: float) -> None:
        self._binary = binary.absolute()
        self._deadline = deadline
        self._sandbox = Sandbox()

    def check(self, snapshot: Snapshot) -> None:
        """Return when Envoy would take ``snapshot``. Blocks for a tenth of a second, and more for large snapshots.

        Raises:
            PreflightError: it would not.
            PreflightUnavailableError: nobody could be asked.
        """
        config = static_config(snapshot).SerializeToString(deterministic=True)
        with tempfile.TemporaryDirectory(prefix="gateway-preflight-") as folder:  # mode 0700
            path = Path(folder, "bootstrap.pb")
            path.write_bytes(config)
            ended = self._run(path)
        if ended.status != 0:
            raise PreflightError(_words(ended))

    def close(self) -> None:
        """End a check that is under way in another thread; from now on nobody can be asked."""
        self._sandbox.close()

    def _run(self, path: Path) -> Ended:
        command: list[str | Path] = [self._binary, "--mode", "validate", "-c", path, "-l", "error"]
        try:
            ended = self._sandbox.run(command, folder=path.parent, seconds=self._deadline)
        except CannotRunError as error:
            raise PreflightUnavailableError(f"Envoy: {error}") from None
        if -ended.status in _ENDED_FROM_OUTSIDE:
            raise PreflightUnavailableError(f"Envoy was ended by signal {-ended.status}")
        return ended


def _words(ended: Ended) -> str:
    """What Envoy says is wrong, without its log prefixes."""
    said = [_PREFIX.sub("", match["words"]) for line in ended.said.splitlines() if (match := _LOG_LINE.match(line))]
    without = f"no reason given (status {ended.status})"
    return ("; ".join(dict.fromkeys(said)) or ended.said.strip() or without)[:_LONGEST_ANSWER]
