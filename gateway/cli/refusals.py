"""What the admin API says when it refuses: a problem document (RFC 9457), of which nothing is taken for granted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from gateway.cli.output import plain
from gateway.errors import CommandError

SHOWN = 200
"""Mistakes that are listed."""

_LONGEST = 2000
_POSITION = re.compile(r"(?P<origin>.*):(?P<line>[1-9]\d{0,8}):(?P<column>[1-9]\d{0,8})", re.ASCII | re.DOTALL)
_HOW = {
    "precondition-required": "--if-match N names the revision that it is meant for",
    "changed": "gateway log shows by whom",
}
"""What somebody can do about a refusal on the command line."""
_REQUEST = "request"
"""What the API calls a document that came in a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong with a document or a request."""

    message: str
    hint: str | None = None
    code: str = ""
    path: str = ""
    """Where it stands: a path in the document, or a JSON pointer into the request."""
    file: str | None = None
    """The file of the folder that was sent; empty for the only file; ``None`` when it stands in none."""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = "" if self.line is None else f"{self.file or 'document'}:{self.line}:{self.column}"
        where = self.path or place
        text = ": ".join(part for part in (where, self.message) if part)
        return plain(f"{text} ({self.hint})" if self.hint else text)


class RefusedError(CommandError):
    """The admin API has answered, and the answer is no."""

    def __init__(self, status: int, *, code: str, detail: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        self.status = status
        self.code = code
        """The short word for machines that ends the problem's type."""
        self.detail = detail
        self.mistakes = mistakes
        super().__init__("\n".join([detail, *map(str, mistakes)]))


def read_refusal(status: int, body: bytes) -> RefusedError:
    """What an answer that is no success says; never raises, whatever the body is."""
    problem = _mapping(body)
    errors = problem.get("errors")
    listed = errors if isinstance(errors, list) else []
    code = _text(problem, "type").rpartition(":")[2]
    detail = _text(problem, "detail", "title") or _by_status(status)
    return RefusedError(
        status,
        code=code,
        detail=f"{detail} ({_HOW[code]})" if code in _HOW else detail,
        mistakes=tuple(read_mistake(one) for one in listed[:SHOWN] if isinstance(one, dict)),
    )


def _mapping(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_mistake(one: dict[str, Any]) -> Mistake:
    """One of the admin API's, as far as it can be understood."""
    path = _text(one, "pointer", "path", "where")
    where = _text(one, "where")
    match = _POSITION.fullmatch(where)
    origin = match["origin"] if match is not None else where.partition(":")[0]
    ours = origin == _REQUEST or origin.startswith(f"{_REQUEST}/")
    return Mistake(
        message=_text(one, "message", "detail") or "this is not right",
        hint=_text(one, "hint") or None,
        code=_text(one, "code"),
        path="" if path == where and ours and match else path,
        file=origin.removeprefix(_REQUEST).removeprefix("/") if ours else None,
        line=int(match["line"]) if match is not None and ours else None,
        column=int(match["column"]) if match is not None and ours else None,
    )


def _text(of: dict[str, Any], *names: str) -> str:
    """The first of these members that is a text with anything in it, harmless to a terminal."""
    for name in names:
        value = of.get(name)
        if isinstance(value, str) and value:
            return plain(value[:_LONGEST])
    return ""


def _by_status(status: int) -> str:
    said = {
        401: "the admin API does not know this token",
        403: "this token may not do that",
        404: "the admin API has nothing there",
        412: "something has changed in between",
        429: "too many requests: try again later",
        503: "the admin API cannot do that now",
    }
    return said.get(status, f"the admin API answered {status}")
