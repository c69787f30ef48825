"""Before anything goes live: would the real Envoy take it?"""

from controlplane.preflight.envoy import EnvoyPreflight, PreflightError, PreflightUnavailableError

__all__ = ["EnvoyPreflight", "PreflightError", "PreflightUnavailableError"]
