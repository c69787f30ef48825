"""Why a snapshot does not go live, or why nobody knows."""

from __future__ import annotations


class PreflightError(Exception):
    """Envoy refuses the snapshot, or would; the text says why, in Envoy's own words where it was asked."""


class PreflightUnavailableError(Exception):
    """Nobody could be asked: the binary can't be run, did not answer in time, or the process is stopping."""
