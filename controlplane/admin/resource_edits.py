"""Reading and changing one section of the live document by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request

from controlplane.admin.answers import AppliedOut, PlanOut
from controlplane.admin.bodies import JSON, MERGE_PATCH, read_json
from controlplane.admin.changes import Changes, Point, Proposal, Propose, refused
from controlplane.admin.editing import Draft, NoSuchResourceError, Resource, Section, find, listed, put, remove
from controlplane.admin.errors import ApiError, MistakeOut, invalid, pointer_to
from controlplane.admin.etags import check_preconditions, live_tag, resource_tag
from controlplane.admin.merge_patch import merge_patch
from controlplane.admin.security.access import Access
from controlplane.config import ConfigError
from controlplane.config.problems import Path
from controlplane.live import Live

_Write = Callable[[Any, Draft, Resource | None], tuple[bytes, Point]]
"""Makes the new text, and says where in the request a path of it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A change of one member that somebody asks for."""

    request: Request
    """For its preconditions."""
    access: Access
    name: str
    message: str
    wait: float


class ResourceEdits:
    """One section of what is live."""

    def __init__(self, section: Section, changes: Changes) -> None:
        self.section = section
        self._changes = changes

    async def members(self) -> list[Resource]:
        """All of them, in the document's order."""
        return listed(await self._draft(), self.section)

    async def get(self, name: str) -> Resource:
        """One of them.

        Raises:
            ApiError: 404, there is none of that name.
        """
        found = find(await self._draft(), self.section, name)
        if found is None:
            raise _missing(self.section, name)
        return found

    async def put(self, wish: Wish, *, before: str | None, position: int | None) -> AppliedOut | PlanOut:
        """Replace a member, or add it before another, at a position, or at the end."""

        def write(body: Any, draft: Draft, old: Resource | None) -> tuple[bytes, Point]:
            value = _named(self.section, wish.name, body, old)
            edited = put(draft, self.section, wish.name, value, _place(draft, self.section, before, position))
            return edited.text, lambda path: _pointer(edited.path, path, body)

        return await self._change(wish, JSON, write, must_exist=False)

    async def patch(self, wish: Wish) -> AppliedOut | PlanOut:
        """Merge something into a member."""

        def write(body: Any, draft: Draft, old: Resource | None) -> tuple[bytes, Point]:
            value = _named(self.section, wish.name, merge_patch(old.value if old else None, body), old)
            edited = put(draft, self.section, wish.name, value)
            return edited.text, lambda path: _pointer(edited.path, path, body)

        return await self._change(wish, MERGE_PATCH, write, must_exist=True)

    async def delete(self, wish: Wish) -> AppliedOut | PlanOut:
        """Take a member out."""

        def write(_body: Any, draft: Draft, _old: Resource | None) -> tuple[bytes, Point]:
            return remove(draft, self.section, wish.name).text, lambda _path: None

        return await self._change(wish, None, write, must_exist=True)

    async def _draft(self) -> Draft:
        return await asyncio.to_thread(self._changes.draft, self._changes.live)

    async def _change(
        self, wish: Wish, media_type: str | None, write: _Write, *, must_exist: bool
    ) -> AppliedOut | PlanOut:
        async def prepare() -> Propose:
            body = None if media_type is None else await read_json(wish.request, media_type=media_type)
            return partial(self._proposal, wish, partial(write, body), must_exist)

        return await self._changes.make(wish.access, prepare, message=wish.message, wait=wish.wait, again=True)

    def _proposal(
        self,
        wish: Wish,
        write: Callable[[Draft, Resource | None], tuple[bytes, Point]],
        must_exist: bool,
        live: Live | None,
    ) -> Proposal:
        if live is None:
            raise ApiError(409, "nothing-live", "No document is live yet: put a whole one first.")
        draft = self._changes.draft(live)
        old = find(draft, self.section, wish.name)
        if old is None and must_exist:
            raise _missing(self.section, wish.name)
        tags = [live_tag(live), *([resource_tag(old.value)] if old else [])]
        required = self._changes.if_match_required
        check_preconditions(wish.request, tags, exists=old is not None, required=required)
        try:
            text, point = write(draft, old)
        except ConfigError as error:
            raise refused(error, lambda _path: None) from None
        except NoSuchResourceError:
            raise _missing(self.section, wish.name) from None
        return Proposal(text=text, base=live, point=point)


def mistaken(pointer: str, code: str, message: str) -> ApiError:
    """422 for one mistake in the request."""
    mistake = MistakeOut(pointer=pointer, code=code, message=message)
    return invalid([mistake], detail=f"{message[:1].upper()}{message[1:]}.", code="invalid-request")


def _missing(section: Section, name: str) -> ApiError:
    return ApiError(404, "no-such-resource", f"There is no {section.singular} of the name {json.dumps(name)}.")


def _place(draft: Draft, section: Section, before: str | None, position: int | None) -> int | None:
    if (before is not None or position is not None) and not section.ordered:
        raise mistaken("/query", "unordered", f"the order of {section.name} means nothing")
    if before is None:
        return position
    names = [member.name for member in listed(draft, section)]
    if before not in names:
        raise mistaken("/query/before", "unknown-name", f"there is no {section.singular} of that name")
    return names.index(before)


def _named(section: Section, name: str, value: Any, old: Resource | None) -> Any:
    """What is written, so that it is found under its name again."""
    if not isinstance(value, dict):
        raise mistaken("", "type", "expected an object")
    if section.named_by_key:
        return value
    if value.get("name", name) != name:
        raise mistaken("/name", "name", "a resource keeps the name that it is addressed by: delete it and put another")
    # A name that is derived from what a route matches stays so while that is the same.
    is_derived = old is not None and "name" not in old.value and value.get("match") == old.value.get("match")
    return value if "name" in value or is_derived else {"name": name, **value}


def _pointer(place: Path, path: Path, body: Any) -> str | None:
    """Where in ``body`` the value at ``path`` of the document stands, when it was sent at all."""
    if path[: len(place)] != place:
        return None
    rest = path[len(place) :]
    value = body
    for depth, step in enumerate(rest):
        is_there = step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
        if not is_there:  # a key that is missing is missing in what should have it
            return pointer_to(rest[:depth]) if depth == len(rest) - 1 else None
        value = value[step]
    return pointer_to(rest)
