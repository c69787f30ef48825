"""The incremental variant: one type on one stream, told resource by resource."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.xds import types
from controlplane.xds.knowledge import ABSENT, UNSURE
from controlplane.xds.messages import DeltaRequest, Response
from controlplane.xds.snapshot import Resource, ResourceSet, nothing_called
from controlplane.xds.subscription import Answer, Pending, Subscription, fit

_MAX_REMOVED = 10_000
"""Names in one response that say what does not exist; the rest goes in the next."""


def _distinct(resources: Sequence[Resource]) -> Sequence[Resource]:
    """The first resources, as far as none is one of the others by another name: clients refuse a name twice."""
    seen: set[str] = set()
    for count, resource in enumerate(resources):
        name = resource.alias_of or resource.name
        if name in seen:
            return resources[:count]
        seen.add(name)
    return resources


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
        resources = _distinct(fit(pending.upserts))
        removed: list[str] = []
        if len(resources) == len(pending.upserts):
            removed = [*pending.missing, *(pending.gone if removals else ())][:_MAX_REMOVED]
        if not (resources or removed or self._greet):
            return None
        told = {resource.name: resource.version for resource in resources} | dict.fromkeys(removed, ABSENT)
        asked = removed[: len(pending.missing)] if self.type_url in types.ON_DEMAND else []
        response = self._emit(
            version=target.version,
            content=[*resources, *(nothing_called(name, self.type_url) for name in asked)],
            told=told,
            news=resources,
            removed=removed[len(asked) :],
            delta=True,
            now=now,
        )
        self.knowledge.learn(told)
        pending.took(upserts=len(resources), removed=len(removed))
        return response
