"""One type on one stream, in either variant: what is pending, what is outstanding, what was acknowledged or refused.

A response is made when it can be sent, from the newest there is, so nothing ever queues. At most one response of a type
is outstanding; the client's answer to it, or a change of what it asks for, is what lets the next one go.
Pure: requests and targets go in, responses come out. Times are seconds of the caller's clock.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from controlplane.xds.changes import Differ
from controlplane.xds.interest import Change, Interest
from controlplane.xds.knowledge import ABSENT, Knowledge
from controlplane.xds.messages import Response
from controlplane.xds.snapshot import Resource, ResourceSet

MAX_RESPONSE_BYTES = 3 * 1024 * 1024
"""Larger responses are split where the protocol allows it: gRPC clients take 4 MiB unless told otherwise."""

PATIENCE_SECONDS = 30.0
"""How long an unanswered response holds up what is newer: longer than any client waits for what it needs (15 s)."""

HEARTBEATS_PER_TTL = 3
"""How often a resource is said to live on within the time that it has: two may be lost or late."""

LONGEST_ERROR = 4096
"""Characters of a client's words that are kept."""


@dataclass(slots=True)
class Pending:
    """What a client should be told and has not been."""

    upserts: list[Resource] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Names that do not exist, and that it asked for, or refused when they still did."""
    gone: list[str] = field(default_factory=list)
    """Names that it holds and that do not exist any more."""
    held_before: set[str] = field(default_factory=set)
    """Of the upserts, those of which the client holds another version already, or may."""

    def __bool__(self) -> bool:
        return bool(self.upserts or self.missing or self.gone)

    def took(self, *, upserts: int, removed: int) -> None:
        """Strike out the first ``upserts``, and the first ``removed`` names of those missing and then of those gone."""
        self.upserts = self.upserts[upserts:]
        self.gone = self.gone[max(0, removed - len(self.missing)) :]
        self.missing = self.missing[removed:]


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A response that the client has not answered yet."""

    nonce: str
    version: str
    told: dict[str, str]
    """Names to the versions that the response tells, or to :data:`~controlplane.xds.knowledge.ABSENT`."""
    added: tuple[Resource, ...]
    """Resources in it that the client did not hold."""
    changed: tuple[Resource, ...]
    """Resources in it of which the client held another version, or may have."""
    content: tuple[Resource, ...]
    """All resources in it."""
    sent_at: float
    heartbeat: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client said to a response."""

    outstanding: Outstanding
    accepted: bool


@dataclass(slots=True)
class Progress:
    """What has happened so far, for people and for the rollout."""

    sent_version: str = ""
    sent_at: float | None = None
    acked_version: str = ""
    """Version of the type that the client has acknowledged whole."""
    acked_at: float | None = None
    error: str = ""
    """The client's words when it last refused something."""
    refused_version: str = ""
    refused_at: float | None = None
    behind_since: float | None = None
    """When the client was first seen not to have what it should; ``None`` while it has."""
    responses: int = 0
    resources: int = 0
    """Resources sent, counted each time."""


class Subscription(ABC):
    """What both variants have in common."""

    delta: bool
    """Which variant this is."""

    def __init__(self, *, type_url: str, differ: Differ, new_nonce: Callable[[], str], with_ttl: bool = False) -> None:
        self.type_url = type_url
        self._with_ttl = with_ttl
        self.interest = Interest()
        self.knowledge = Knowledge(differ)
        self.target: ResourceSet | None = None
        self.outstanding: Outstanding | None = None
        self.progress = Progress()
        self._new_nonce = new_nonce
        self._found: Pending | None = None
        self._beaten_at = 0.0
        self._greet = False
        """Whether the client waits for a first response, even one with nothing in it."""
        self._claimed = False
        """Whether the client said in its first request that it holds something."""
        self._spurned: set[str] = set()
        """Resources that the client refused and never had before: taking them away breaks nothing."""

    def aim(self, target: ResourceSet | None) -> None:
        """From now on the client should have what ``target`` holds of its names; ``None`` is not known yet."""
        if target is not None and self.target is not None and target.version == self.target.version:
            return
        self.target = target
        self._found = None
        if target is not None:
            self.knowledge.release(target)

    def resend(self, name: str) -> None:
        """Send one resource again although it has not changed, unless the client refused it or does not want it."""
        if self.interest.covers(name) and not self.knowledge.is_held(name):
            self.knowledge.await_answer((name,))
            self._found = None

    def next_response(self, *, removals: bool, now: float) -> Response | None:
        """What to send now, if anything; it is outstanding from here on.

        Args:
            removals: whether resources may be taken away that the client holds.
            now: seconds.
        """
        if self.target is None or self.outstanding is not None:
            return None
        response = self._compose(self.target, self.pending, removals=removals, now=now)
        if response is None:
            return None
        self._greet = False
        progress = self.progress
        progress.sent_version, progress.sent_at = response.version, now
        progress.responses += 1
        progress.resources += len(response.resources)
        return response

    def heartbeat(self, now: float) -> Response | None:
        """Say of resources that the client holds that they live on, if it is time; it has nothing else to be told."""
        due = self.heartbeat_at
        if due is None or now < due or self.target is None or self.outstanding is not None:
            return None
        self._beaten_at = now
        alive = tuple(r for r in self.target.resources.values() if r.ttl and self.has(r.name))
        if not alive:
            return None
        version = self.target.version if self.delta else self.progress.sent_version or self.target.version
        self.outstanding = Outstanding(self._new_nonce(), version, {}, (), (), (), now, heartbeat=True)
        return Response(
            type_url=self.type_url,
            version=version,
            nonce=self.outstanding.nonce,
            resources=alive,
            delta=self.delta,
            heartbeat=True,
        )

    @property
    def heartbeat_at(self) -> float | None:
        """When to say again that resources live on; ``None`` while none has a time to live that the client knows of."""
        if not self._with_ttl or self.target is None or not self.target.least_ttl:
            return None
        return max(self.progress.sent_at or 0.0, self._beaten_at) + self.target.least_ttl / HEARTBEATS_PER_TTL

    def lose_patience(self, now: float) -> float | None:
        """Give up waiting for an answer that holds up something new; when to try that again, if it is too early.

        Envoy acknowledges clusters when they are warm, and one that it refuses may never be (1.40).
        """
        if self.outstanding is None or not self.wants_to_send(removals=True):
            return None
        tired_at = self.outstanding.sent_at + PATIENCE_SECONDS
        if now < tired_at:
            return tired_at
        self.outstanding = None
        return None

    def settle(self) -> bool:
        """Whether there is nothing to send, whatever the gates say. A client that has all is remembered cheaply."""
        if self.target is None or self.outstanding is not None:
            return True
        if self.wants_to_send(removals=True):
            return False
        self.knowledge.settle(self.target)
        if not self.refused:
            self.progress.acked_version = self.target.version
        return True

    def wants_to_send(self, *, removals: bool) -> bool:
        """Whether something is pending, whatever is outstanding."""
        if self.target is None:
            return False
        pending = self.pending
        return bool(pending.upserts or pending.missing or (removals and pending.gone) or self._greet)

    @property
    def fresh(self) -> bool:
        """Whether nothing was ever sent and the client did not claim to hold anything."""
        return self.progress.responses == 0 and not self._claimed

    @property
    def refused(self) -> bool:
        """Whether what the client refused last is still the newest there is."""
        return self.knowledge.holds

    @property
    def refused_names(self) -> tuple[str, ...] | None:
        """What stood in the responses that it refused; ``None`` when that was everything there is of the type."""
        return tuple(self.knowledge.held)

    @property
    def synced(self) -> bool:
        """Whether the client has acknowledged everything that it should have."""
        answered = self.outstanding is None or self.outstanding.heartbeat
        settled = self.target is not None and answered and not self.refused
        return settled and not self.wants_to_send(removals=True)

    def note_drift(self, now: float) -> None:
        """Remember since when the client does not have what it should."""
        if self.target is None or self.synced:
            self.progress.behind_since = None
        elif self.progress.behind_since is None:
            self.progress.behind_since = now

    def has(self, name: str) -> bool:
        """Whether the client asked for this resource, was sent its newest version, and has answered that."""
        if self.target is None or not self.interest.covers(name):
            return False
        in_flight = self.outstanding is not None and name in self.outstanding.told
        return not in_flight and self.knowledge.told(name) == (self.target.version_of(name) or ABSENT)

    @property
    def pending(self) -> Pending:
        """What the client should be told now."""
        if self._found is None:
            self._found = Pending() if self.target is None else self._look(self.target)
        return self._found

    def _look(self, target: ResourceSet) -> Pending:
        found = Pending()
        for name in self.knowledge.differing(target, self.interest):
            told = self.knowledge.told(name)
            resource = target.resources.get(name)
            if resource is not None:
                found.upserts.append(resource)
                if told:
                    found.held_before.add(name)
            elif told is None or name in self._spurned:
                found.missing.append(name)
            else:
                found.gone.append(name)
        unsaid = self._unsaid(found)
        self.knowledge.learn(dict.fromkeys(unsaid, ABSENT))
        return found

    @abstractmethod
    def _unsaid(self, found: Pending) -> list[str]:
        """Take out of ``found`` the names whose absence is not told, and return them."""

    @abstractmethod
    def _compose(self, target: ResourceSet, pending: Pending, *, removals: bool, now: float) -> Response | None:
        """Make the next response out of what is pending, and remember what it tells."""

    def _emit(
        self,
        *,
        version: str,
        content: Sequence[Resource],
        told: dict[str, str],
        news: Sequence[Resource],
        removed: Sequence[str] = (),
        delta: bool,
        now: float,
    ) -> Response:
        """Make a response of ``content``, of which ``news`` is what the client was not told before."""
        held_before = self.pending.held_before
        self.outstanding = Outstanding(
            nonce=self._new_nonce(),
            version=version,
            told=told,
            added=tuple(resource for resource in news if resource.name not in held_before),
            changed=tuple(resource for resource in news if resource.name in held_before),
            content=tuple(content),
            sent_at=now,
        )
        return Response(
            type_url=self.type_url,
            version=version,
            nonce=self.outstanding.nonce,
            resources=self.outstanding.content,
            removed=tuple(removed),
            delta=delta,
            with_ttl=self._with_ttl,
        )

    def _take_answer(self, nonce: str, error: str | None, now: float) -> Answer | None:
        """An ACK or NACK, when ``nonce`` is that of the outstanding response; any other nonce answers nothing."""
        outstanding = self.outstanding
        if outstanding is None or nonce != outstanding.nonce:
            return None
        self.outstanding = None
        if outstanding.heartbeat and error is None:
            return Answer(outstanding, accepted=True)
        if error is not None:
            self.progress.error = error[:LONGEST_ERROR]
            self.progress.refused_version, self.progress.refused_at = outstanding.version, now
            self._spurned.update(_blamed(outstanding, error))
            if not outstanding.heartbeat:
                self._refuse(outstanding)
            return Answer(outstanding, accepted=False)
        self._spurned.difference_update(resource.name for resource in outstanding.content)
        if self.synced and self.target is not None:
            self.progress.acked_version, self.progress.acked_at = self.target.version, now
        return Answer(outstanding, accepted=True)

    def _refuse(self, outstanding: Outstanding) -> None:
        """See to it that what was refused is not sent again as it is."""
        self.knowledge.hold(outstanding.told)
        if self.target is not None:
            self.knowledge.release(self.target)
        self._found = None

    def _take_change(self, change: Change, *, answer_dropped: bool) -> None:
        """Follow a change of interest.

        Args:
            change: what the request did.
            answer_dropped: whether a name dropped under a wildcard needs an answer, for the client may have lost it.
        """
        if change == _UNCHANGED:
            return
        if change.wildcard_started:
            self.knowledge.widen(self.interest)
        self.knowledge.await_answer(change.added)
        if answer_dropped and self.interest.wildcard:
            self.knowledge.await_answer(change.dropped)
        elif not self.interest.wildcard:
            self.knowledge.drop(change.dropped)
        self.knowledge.prune(self.interest)
        self._spurned.difference_update(change.dropped)
        if self.outstanding is not None:
            for name in (*change.added, *change.dropped):
                self.outstanding.told.pop(name, None)
        self._found = None


def _blamed(outstanding: Outstanding, words: str) -> Iterator[str]:
    """Resources new to the client that it means by its ``words``: those that it names, or the only one there was."""
    alone = len(outstanding.added) + len(outstanding.changed) == 1
    for resource in outstanding.added:
        if alone or mentions(words, resource.name):
            yield resource.name


def mentions(words: str, name: str) -> bool:
    """Whether ``name`` stands in ``words``, and not only as part of a longer name."""
    return name in words and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", words) is not None


_UNCHANGED = Change()


def fit(resources: Sequence[Resource]) -> Sequence[Resource]:
    """The first resources that one response holds; at least one."""
    size = 0
    for count, resource in enumerate(resources):
        size += len(resource.delta_head) + len(resource.body)
        if size > MAX_RESPONSE_BYTES and count:
            return resources[:count]
    return resources
