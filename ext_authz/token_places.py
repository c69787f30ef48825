"""Where in a request a token may stand: a header, a cookie, a query parameter; at most one of them at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias
from urllib.parse import unquote_plus

from ext_authz.authorization import RequestFacts
from ext_authz.credentials import AUTHORIZATION, BEARER, TOKEN, Headers, Malformed, bearer_token
from servicekit.contracts import TokenPlace

MAX_TEXT: Final = 32 * 1024
"""Characters of all cookies, or of the query, that are looked at; with more the request is refused."""
COOKIE: Final = "cookie"

Found: TypeAlias = str | Malformed | None
Facts: TypeAlias = Callable[[], RequestFacts]
Find: TypeAlias = Callable[[Headers, Facts], Found]

DEFAULT_PLACES: Final = (TokenPlace(kind="header", name=AUTHORIZATION, prefix=BEARER),)
"""RFC 6750 §2.1."""

_TOKEN: Final = re.compile(TOKEN)


def finder(places: Sequence[TokenPlace]) -> Find:
    """What finds the one token of a request; two of them, or junk beside one, are :class:`Malformed`."""
    finds = [_FINDERS[place.kind](place) for place in places]
    if len(finds) == 1:
        return finds[0]

    def find(headers: Headers, facts: Facts) -> Found:
        shown = [found for one in finds if (found := one(headers, facts)) is not None]
        if not shown:
            return None
        # RFC 6750 §2: a client uses one method; of two tokens nobody knows which one the backend would believe.
        return shown[0] if len(shown) == 1 else Malformed.ELSEWHERE

    return find


def without_cookies(text: str, names: frozenset[str]) -> str | None:
    """The ``Cookie`` header without these; ``None`` when none of them is in it."""
    pairs = list(_pairs(text))
    kept = [pair for name, pair in pairs if name not in names]
    return "; ".join(kept) if len(kept) < len(pairs) else None


def cookie_value(text: str, name: str) -> str | None:
    """The value of the one cookie of this name; ``None`` where there is none, several, or too much to look at."""
    if len(text) > MAX_TEXT:
        return None
    values = [pair.partition("=")[2].strip() for found, pair in _pairs(text) if found == name]
    return values[0] if len(values) == 1 else None


def with_cookie(text: str, name: str, value: str) -> str:
    """The ``Cookie`` header with this one, in the place of those of its name."""
    kept = [pair for found, pair in _pairs(text) if found != name]
    return "; ".join([*kept, f"{name}={value}"])


def _in_header(place: TokenPlace) -> Find:
    if place == DEFAULT_PLACES[0]:
        return lambda headers, _: bearer_token(headers)
    name, shape = place.name, re.compile(f"{re.escape(place.prefix)} *({TOKEN})", re.IGNORECASE)
    begins = re.compile(re.escape(place.prefix.rstrip()), re.IGNORECASE)

    def find(headers: Headers, _: Facts) -> Found:
        value = headers.get(name)
        if not value:
            return None
        match = shape.fullmatch(value)
        if match is not None:
            return match[1]
        # A proxy joins headers of one name by commas: a token behind the first comma is one too many.
        named = any(begins.match(part.strip()) for part in value.split(","))
        return Malformed.ELSEWHERE if named else None

    return find


def _in_cookie(place: TokenPlace) -> Find:
    def find(headers: Headers, _: Facts) -> Found:
        text = headers.get(COOKIE)
        if text is None:
            return None
        if len(text) > MAX_TEXT:
            return Malformed.ELSEWHERE
        # Several Cookie headers, which HTTP/1.1 forbids (RFC 6265 §5.4), arrive joined by commas.
        if "," in text and place.name in _behind_commas(text):
            return Malformed.ELSEWHERE
        return _single(pair.partition("=")[2].strip() for name, pair in _pairs(text) if name == place.name)

    return find


def _in_query(place: TokenPlace) -> Find:
    def find(_: Headers, facts: Facts) -> Found:
        query = facts().path.partition("?")[2]
        if len(query) > MAX_TEXT:
            return Malformed.ELSEWHERE
        members = [member.partition("=") for member in query.split("&")]
        shown = [member for member in members if unquote_plus(member[0]) == place.name]
        # Spelt with %xx it would not be taken out, and a backend that decodes it would believe it.
        if any(member[0] != place.name for member in shown):
            return Malformed.ELSEWHERE
        return _single(member[2] for member in shown)

    return find


def _single(values: Iterable[str]) -> Found:
    shown = list(values)
    if not shown or shown == [""]:
        return None
    return shown[0] if len(shown) == 1 and _TOKEN.fullmatch(shown[0]) else Malformed.ELSEWHERE


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Name and whole text of every cookie (RFC 6265 §4.2.1)."""
    for part in text.split(";"):
        pair = part.strip()
        if pair:
            yield _name_of(pair), pair


def _behind_commas(text: str) -> set[str]:
    return {_name_of(piece) for part in text.split(";") for piece in part.split(",")[1:]}


def _name_of(pair: str) -> str:
    return pair.partition("=")[0].strip()


_FINDERS: Final = {"header": _in_header, "cookie": _in_cookie, "query": _in_query}
