"""Model to snapshots: one module per xDS family, one per HTTP filter. Pure; no I/O, no defaults, no repairs."""

from controlplane.translate.consistency import InconsistentReleaseError, check_consistent
from controlplane.translate.release import SERVICES, Release, translate_release

__all__ = [
    "SERVICES",
    "InconsistentReleaseError",
    "Release",
    "check_consistent",
    "translate_release",
]
