"""What is counted of rules. Values of callers stand in a label only where a file asks for them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from ratelimit_service.rules.matching import Ruled

MOST_LABELS = 10_000
"""Different rules that are told apart; what ``detailed_metric`` makes beyond that is counted together."""
REST = "(others)"


class RuleMetrics:
    """The family of the rules, in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hits = Counter(
            "gateway_ratelimit_rule",
            "Descriptors decided by the rules of files: within their limit, over it, or over it in shadow mode.",
            ["domain", "rule", "outcome"],
            registry=registry,
        )
        self._known: set[tuple[str, str]] = set()

    def decided(self, domain: str, ruled: Ruled, *, over: bool) -> None:
        """Count one descriptor."""
        known = (domain, ruled.label)
        if known not in self._known:
            if len(self._known) >= MOST_LABELS:
                known = (domain, REST)
            self._known.add(known)
        outcome = "within_limit" if not over else "shadow_mode" if ruled.limit.shadow else "over_limit"
        self._hits.labels(*known, outcome).inc()
