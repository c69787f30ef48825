"""The incremental variant: one type on one stream, told resource by resource."""

from __future__ import annotations

from controlplane.xds import types
from controlplane.xds.knowledge import ABSENT, UNSURE
from controlplane.xds.messages import DeltaRequest, Response
from controlplane.xds.snapshot import ResourceSet
from controlplane.xds.subscription import Answer, Pending, Subscription, fit

_MAX_REMOVED = 10_000
"""Names in one response that say what does not exist; the rest goes in the next."""


class DeltaSubscription(Subscription):
    """Takes ``DeltaDiscoveryRequest``, gives ``DeltaDiscoveryResponse``."""

    delta = True
    _started = False

    def take(self, request: DeltaRequest, now: float) -> Answer | None:
        """Follow one request; return what it said to the outstanding response, if it answered that one."""
        answer = self._take_answer(request.nonce, request.error, now)
        change = self.interest.adjust(request.subscribe, request.unsubscribe)
        self._take_change(change, answer_dropped=True)
        if not self._started:
            self._started = True
            self._claimed = bool(request.initial_versions)
            self.knowledge.learn({name: version or UNSURE for name, version in request.initial_versions.items()})
        if change.wildcard_started and not self._claimed:
            self._greet = True
        return answer

    def _unsaid(self, found: Pending) -> list[str]:
        if self.type_url not in types.KEPT_UNTIL_UNSUBSCRIBED:
            return []
        unsaid, found.gone = found.gone, []
        return unsaid

    def _compose(self, target: ResourceSet, pending: Pending, *, removals: bool, now: float) -> Response | None:
        resources = fit(pending.upserts)
        removed: list[str] = []
        if len(resources) == len(pending.upserts):
            removed = [*pending.missing, *(pending.gone if removals else ())][:_MAX_REMOVED]
        if not (resources or removed or self._greet):
            return None
        told = {resource.name: resource.version for resource in resources} | dict.fromkeys(removed, ABSENT)
        response = self._emit(
            version=target.version, content=resources, told=told, news=resources, removed=removed, delta=True, now=now
        )
        self.knowledge.learn(told)
        pending.took(upserts=len(resources), removed=len(removed))
        return response
