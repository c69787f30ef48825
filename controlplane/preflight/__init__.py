"""Before anything goes live: would the real Envoy take it, and if not, what does it mean?"""

from controlplane.preflight.constraints import Constraints
from controlplane.preflight.envoy import EnvoyPreflight
from controlplane.preflight.errors import PreflightError, PreflightUnavailableError
from controlplane.preflight.release import check_groups

__all__ = ["Constraints", "EnvoyPreflight", "PreflightError", "PreflightUnavailableError", "check_groups"]
