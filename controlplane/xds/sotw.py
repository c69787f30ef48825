"""The state-of-the-world variant: one type on one stream.

Listeners and clusters are told whole each time: what is not in the response does not exist. Of all other types a
response holds only what is new to the client, and nothing can be said of a resource that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controlplane.xds import types
from controlplane.xds.changes import MOST_UNITED, Differ, parts_of, united
from controlplane.xds.knowledge import ABSENT, UNSURE
from controlplane.xds.messages import Response, SotwRequest
from controlplane.xds.snapshot import Resource, ResourceSet, resource_set
from controlplane.xds.subscription import Answer, Outstanding, Pending, Subscription, fit

_IN_PART = "~"
"""Ends the version of a whole type of which a client asked for some names only: it can't claim the rest with it."""


class SotwSubscription(Subscription):
    """Takes ``DiscoveryRequest``, gives ``DiscoveryResponse``."""

    delta = False

    def __init__(self, *, type_url: str, differ: Differ, new_nonce: Callable[[], str], with_ttl: bool = False) -> None:
        super().__init__(type_url=type_url, differ=differ, new_nonce=new_nonce, with_ttl=with_ttl)
        self._differ = differ
        self._whole = type_url in types.FULL_STATE
        self._started = False
        self._claim = ""
        """The version that a reconnecting client says it holds, until there is something to compare it with."""
        self._last_content: Mapping[str, Resource] = {}
        self._made_of: tuple[str, ...] = ()
        """The versions of which the last content is the union, newest first; empty when nobody could claim it."""
        self._sent_target = ""
        """Version of what the last response was made from."""
        self._whole_refused = False

    @property
    def refused(self) -> bool:
        """Whether what the client refused last is still the newest there is."""
        return self._whole_refused or super().refused

    @property
    def refused_names(self) -> tuple[str, ...] | None:
        """What stood in the responses that it refused; ``None`` when that was everything there is of the type."""
        return None if self._whole_refused else super().refused_names

    def take(self, request: SotwRequest, now: float) -> Answer | None:
        """Follow one request; return what it said to the outstanding response, if it answered that one.

        A request with any other nonce says nothing about a response, but its names are the newest all the same.
        """
        answer = self._take_answer(request.nonce, request.error, now)
        change = self.interest.replace(request.names)
        self._take_change(change, answer_dropped=False)
        if not self._started:
            self._started = True
            self._claim = request.version
            self._claimed = bool(request.version)
        if change.wildcard_started and self._whole:
            self._greet = True
        self._compare_claim()
        return answer

    def aim(self, target: ResourceSet | None) -> None:
        """From now on the client should have what ``target`` holds of its names; ``None`` is not known yet."""
        before = self.target
        super().aim(target)
        if self.target is not before and self.pending:
            self._whole_refused = False  # what was refused is not the newest any more
        self._compare_claim()

    def _compare_claim(self) -> None:
        """Believe a reconnecting client what it has, where that is safe.

        The version says what the client had, not what it asks for now, so only the wildcard of a whole type can be
        believed.
        """
        if self.target is None or not self._claim:
            return
        claim, self._claim = self._claim, ""
        if not (self._whole and self.interest.wildcard and not self.interest.names):
            return
        held, is_all = (self.target, True) if claim == self.target.version else self._differ.recall(claim)
        self._found = None
        if is_all:
            self.knowledge.settle(held)
            self._last_content, self._made_of = held.resources, parts_of(claim)
            self.progress.acked_version = claim
            self._greet = False
        else:
            self.knowledge.learn(dict.fromkeys(held.resources, UNSURE))
            self._last_content, self._made_of = held.resources, ()

    def _refuse(self, outstanding: Outstanding) -> None:
        if self._whole:
            newest = self.target is not None and self.target.version == self._sent_target
            news = self.pending.upserts or self.pending.missing or (self.pending.gone and not newest)
            self._whole_refused = not news
        else:
            super()._refuse(outstanding)

    def _unsaid(self, found: Pending) -> list[str]:
        if self._whole:
            return []
        unsaid = [*found.missing, *found.gone]
        found.missing, found.gone = [], []
        return unsaid

    def _compose(self, target: ResourceSet, pending: Pending, *, removals: bool, now: float) -> Response | None:
        if not self._whole:
            return self._compose_part(target, pending, now=now)
        gone = removals and pending.gone and not self._whole_refused
        if pending.upserts or pending.missing or gone or self._greet:
            return self._compose_whole(target, pending, removals=removals, now=now)
        return None

    def _compose_whole(self, target: ResourceSet, pending: Pending, *, removals: bool, now: float) -> Response:
        kept = {} if removals else {n: self._last_content[n] for n in pending.gone if n in self._last_content}
        content, version = self._wanted(target), target.version
        made_of: tuple[str, ...] = (version,)
        self._differ.remember(target)
        if kept:
            union = resource_set([*content.values(), *kept.values()])
            self._differ.remember(union)
            made_of = self._united_with(target, union)
            content, version = union.resources, united(made_of)
        if not self.interest.wildcard:
            made_of = ()
            version += _IN_PART
        response = self._emit(
            version=version, content=tuple(content.values()), told={}, news=pending.upserts, delta=False, now=now
        )
        if kept:
            told = {resource.name: resource.version for resource in pending.upserts}
            self.knowledge.learn(told | dict.fromkeys(pending.missing, ABSENT))
            pending.took(upserts=len(pending.upserts), removed=len(pending.missing))
        else:
            self.knowledge.settle(target)
            self._found = None
        self._last_content, self._made_of = content, made_of
        self._sent_target = target.version
        self._whole_refused = False
        return response

    def _united_with(self, target: ResourceSet, union: ResourceSet) -> tuple[str, ...]:
        """What the ``union`` of ``target`` and the last content is made of, as far as that can be said."""
        if not self._made_of or not self._last_content.keys() <= union.resources.keys():
            return (union.version,)
        made_of = (target.version, *(version for version in self._made_of if version != target.version))
        return made_of if len(made_of) <= MOST_UNITED else (*made_of[: MOST_UNITED - 1], union.version)

    def _wanted(self, target: ResourceSet) -> Mapping[str, Resource]:
        if self.interest.wildcard:
            return target.resources
        return {name: target.resources[name] for name in sorted(self.interest.names) if name in target.resources}

    def _compose_part(self, target: ResourceSet, pending: Pending, *, now: float) -> Response | None:
        resources = fit(pending.upserts)
        if not resources:
            return None
        told = {resource.name: resource.version for resource in resources}
        response = self._emit(
            version=target.version, content=resources, told=told, news=resources, delta=False, now=now
        )
        self.knowledge.learn(told)
        pending.took(upserts=len(resources), removed=0)
        return response
