"""Before anything goes live: would the real Envoy take it, and if not, what does it mean?"""

from controlplane.preflight.envoy import EnvoyPreflight, PreflightError, PreflightUnavailableError
from controlplane.preflight.release import check_groups

__all__ = ["EnvoyPreflight", "PreflightError", "PreflightUnavailableError", "check_groups"]
