"""Asking the real Envoy: a child with a deadline, a private folder and no environment."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from controlplane.preflight.static_config import static_config
from controlplane.xds.snapshot import Snapshot

_LOG_LINE = re.compile(r"^\[[^\]]*\]\[\d+\]\[(?:critical|error)\]\[[^\]]*\] (?:\[[^\]]*\] )?(?P<words>.*)$")
_PREFIX = re.compile(r"^error initializing configuration '[^']*': ")
_LONGEST_ANSWER = 8 * 1024


class PreflightError(Exception):
    """Envoy refuses the snapshot; the text is Envoy's own."""


class PreflightUnavailableError(Exception):
    """Nobody could be asked: the binary can't be run, or it did not answer in time."""


class EnvoyPreflight:
    """Checks snapshots with ``envoy --mode validate``, which binds no port and calls nobody.

    Args:
        binary: the Envoy executable.
        deadline: seconds that one check may take.
    """

    def __init__(self, *, binary: Path, deadline: float) -> None:
        self._binary = binary.absolute()
        self._deadline = deadline

    def check(self, snapshot: Snapshot) -> None:
        """Return when Envoy would take ``snapshot``. Blocks for a tenth of a second, and more for large snapshots.

        Raises:
            PreflightError: it would not.
            PreflightUnavailableError: the binary can't be run, or the deadline passed.
        """
        config = static_config(snapshot).SerializeToString(deterministic=True)
        with tempfile.TemporaryDirectory(prefix="gateway-preflight-") as folder:  # mode 0700
            path = Path(folder, "bootstrap.pb")
            path.write_bytes(config)
            done = self._run(path)
        if done.returncode != 0:
            raise PreflightError(_words(done.stderr.decode(errors="replace")))

    def _run(self, path: Path) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603  the operator's own binary, and arguments from nobody else
                [self._binary, "--mode", "validate", "-c", path, "-l", "error"],
                cwd=path.parent,
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self._deadline,
                check=False,
            )
        except OSError as error:
            raise PreflightUnavailableError(f"{self._binary}: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise PreflightUnavailableError(f"no answer from Envoy within {self._deadline} s") from None


def _words(output: str) -> str:
    """What Envoy says is wrong, without its log prefixes."""
    said = [_PREFIX.sub("", match["words"]) for line in output.splitlines() if (match := _LOG_LINE.match(line))]
    return ("; ".join(dict.fromkeys(said)) or output.strip() or "Envoy gave no reason")[:_LONGEST_ANSWER]
