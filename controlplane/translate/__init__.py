"""Model to snapshot: one module per xDS family, one per HTTP filter. Pure; no I/O, no defaults, no repairs."""

from controlplane.translate.consistency import InconsistentSnapshotError, check_consistent
from controlplane.translate.translator import translate

__all__ = ["InconsistentSnapshotError", "check_consistent", "translate"]
