"""From a document's text to a plan, or to what is live: for every operation that changes the document."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from controlplane.admin.answers import AppliedOut, PlanOut, changes_between, plan_of, summary_of
from controlplane.admin.audit_trail import AuditTrail, Entry, named
from controlplane.admin.editing import Draft, EditError
from controlplane.admin.errors import ApiError, invalid_document, pointer_to
from controlplane.admin.security.access import Access
from controlplane.compiler import Compiled
from controlplane.config import ConfigError, load_document
from controlplane.config.problems import Path
from controlplane.history import NoStoreError
from controlplane.live import Live
from controlplane.pipeline import Pipeline
from controlplane.store import ConflictError, StoreError

ORIGIN = "request"
"""What problems call a document that came in a request."""
_WAY = "admin API"
"""By which way a revision came."""
_ATTEMPTS = 5
_ATTEMPT_SECONDS = 0.1

Point = Callable[[Path], str | None]
"""Where in the request the value at a path of the document stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A text that somebody wants to be live."""

    text: bytes
    base: Live | None
    """What it was made from."""
    point: Point = pointer_to


Propose = Callable[[Live | None], Proposal]
"""Makes a text from what is live; it may refuse. Blocks."""
Prepare = Callable[[], Awaitable[Propose]]
"""Reads the request; it may refuse."""


class Changes:
    """Plans and makes changes of the document.

    Args:
        pipeline: brings documents live.
        trail: where every change is written down.
        if_match_required: whether changes of what exists have to name the state that they are meant for.
    """

    def __init__(self, *, pipeline: Pipeline, trail: AuditTrail, if_match_required: bool) -> None:
        self._pipeline = pipeline
        self._trail = trail
        self.if_match_required = if_match_required
        self._read: tuple[bytes, Draft] | None = None

    @property
    def live(self) -> Live | None:
        """What is live."""
        return self._pipeline.live

    def draft(self, live: Live | None) -> Draft:
        """What is live, for reading and editing by name. Blocks when it was not asked for before."""
        if live is None:
            return Draft(text="", data={}, route_names=())
        read = self._read
        if read is None or read[0] is not live.text:
            read = (live.text, Draft.read(live.text, [route.name for route in live.compiled.gateway.routes]))
            self._read = read
        return read[1]

    async def compiled(self, proposal: Proposal) -> Compiled:
        """What a proposal means.

        Raises:
            ApiError: 422, it has mistakes.
        """
        try:
            document = await asyncio.to_thread(load_document, proposal.text, origin=ORIGIN)
            return await asyncio.to_thread(self._pipeline.compile, document)
        except ConfigError as error:
            raise refused(error, proposal.point) from None

    async def plan(self, proposal: Proposal) -> PlanOut:
        """What a proposal would change.

        Raises:
            ApiError: 422, it has mistakes.
        """
        compiled = await self.compiled(proposal)
        base = proposal.base
        return await asyncio.to_thread(
            plan_of, base.number if base else None, base.compiled if base else None, compiled
        )

    async def make(
        self, access: Access, prepare: Prepare, *, message: str, wait: float, again: bool
    ) -> AppliedOut | PlanOut:
        """Plan a change, or make it: as ``access`` says.

        Args:
            access: who wants it.
            prepare: reads the request, and gives what makes the text from what is live.
            message: why, for the history.
            wait: seconds for which the nodes are waited for.
            again: whether to propose anew when somebody else was faster.

        Raises:
            ApiError: it is refused; nothing has changed then, unless it is a 503 of the store.
        """
        if access.dry_run:
            return await self.plan(await self._proposed(await prepare()))
        async with self._trail.write(access.deed) as entry:
            return await self._make(access, entry, await prepare(), message=message, wait=wait, again=again)

    async def _make(
        self, access: Access, entry: Entry, propose: Propose, *, message: str, wait: float, again: bool
    ) -> AppliedOut:
        for attempt in range(_ATTEMPTS):
            proposal = await self._proposed(propose)
            await self._check(proposal)
            if not entry.begun:
                await entry.intend(text=hashlib.sha256(proposal.text).hexdigest(), message=message)
            try:
                return await self._apply(access, entry, proposal, message=message, wait=wait)
            except ConflictError as error:
                if not again or attempt == _ATTEMPTS - 1:
                    raise ApiError(409, "conflict", "Somebody else has changed the document meanwhile.") from error
                await asyncio.sleep(_ATTEMPT_SECONDS * (attempt + 1))
        raise AssertionError("the last attempt returns or raises")

    async def _proposed(self, propose: Propose) -> Proposal:
        with edited():
            return await asyncio.to_thread(propose, self.live)

    async def _check(self, proposal: Proposal) -> None:
        """What can be seen without bringing it live, so that a mistake is no intent."""
        try:
            await asyncio.to_thread(load_document, proposal.text, origin=ORIGIN)
        except ConfigError as error:
            raise refused(error, proposal.point) from None

    async def _apply(
        self, access: Access, entry: Entry, proposal: Proposal, *, message: str, wait: float
    ) -> AppliedOut:
        base = proposal.base
        try:
            applied = await self._pipeline.apply(
                proposal.text,
                author=access.identity.name,
                origin=_WAY,
                message=message,
                parent=base.number if base else None,
                wait=wait,
            )
        except ConfigError as error:
            raise refused(error, proposal.point) from None
        except ConflictError:
            raise
        except NoStoreError as error:
            raise no_store() from error
        except StoreError as error:
            detail = "The store does not answer: whether this was kept is not known."
            raise ApiError(503, "store-unavailable", detail) from error
        entry.result |= {
            "revision": applied.number,
            "parent": base.number if base else None,
            "outcome_on_nodes": applied.outcome.value,
            "changes": await asyncio.to_thread(self._summary, base, applied.number),
        }
        return AppliedOut.of(applied)

    def _summary(self, base: Live | None, number: int) -> dict[str, object] | None:
        live = self._pipeline.live
        if live is None or live.number != number:
            return None  # another came right after it
        before = base.compiled.gateway if base is not None else None
        return named(summary_of(changes_between(before, live.compiled.gateway)))


@contextmanager
def edited() -> Iterator[None]:
    """Around making a text from another."""
    try:
        yield
    except EditError as error:
        raise ApiError(422, "not-editable", f"{str(error)[:1].upper()}{str(error)[1:]}.") from error


def no_store() -> ApiError:
    """503: this control plane keeps no history."""
    return ApiError(503, "no-store", "This control plane keeps no history: set GATEWAY_STORE_URL.")


def refused(error: ConfigError, point: Point) -> ApiError:
    """422 with every mistake, and where in the request each is."""
    problems = [replace(one, origin=one.origin.replace(_WAY, ORIGIN, 1)) for one in error.problems]
    told = ConfigError(problems, unlisted=error.unlisted)
    return invalid_document(told, [point(problem.path) for problem in told.problems])
