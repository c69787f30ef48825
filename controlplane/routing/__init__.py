"""Which route Envoy takes for a request, worked out from the configuration that Envoy gets. Pure; for people who ask.

Envoy's own rules, as far as our translation uses them: what it does not use is refused, never guessed.
"""

from controlplane.routing.matching import Asked, UnsupportedMatchError, find_route
from controlplane.routing.request_path import normalized

__all__ = ["Asked", "UnsupportedMatchError", "find_route", "normalized"]
