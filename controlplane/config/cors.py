"""``cors``: which other origins' pages may use a route from a browser (the CORS protocol of the Fetch standard)."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.regexes import Regex
from controlplane.config.texts import HeaderName, Method, Unique, distinct

ANY: Final = "*"

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")
_EVERYTHING = re.compile(r"\^?(?:https?\??:(?:/|\\/){2}|[a-z]+://)?\(?\.[*+]\)?\$?")


def _check_origin(text: str) -> str:
    if text == ANY:
        return text
    if text == "null":
        raise mistake("origin", "every sandboxed page of anybody has the origin null", "name origins, or '*'")
    if not _ORIGIN.fullmatch(text):
        hint = "scheme and host as browsers write them, without a path: https://app.example.com"
        raise mistake("origin", "this is not an origin", hint)
    if _DEFAULT_PORT.fullmatch(text):
        raise mistake("origin", "browsers leave the usual port out", f"write {text.rpartition(':')[0]}")
    return text


class OriginMatch(OneOf):
    """Which origins. Text alone is `exact`."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("exact", "regex")

    exact: Annotated[str, Field(max_length=512), AfterValidator(_check_origin)] | None = None
    """One origin, or `*` for all."""
    regex: Regex | None = None
    """A regular expression (RE2) for the whole origin. Mind the dots: `https://[a-z]+\\.example\\.com`."""


def _from_text(value: Any) -> Any:
    if isinstance(value, str):
        return {"exact": value}
    if not isinstance(value, (dict, OriginMatch)):
        raise mistake("type", "expected text or a mapping", "put the value in quotes")
    return value


def _distinct(origins: list[OriginMatch]) -> list[OriginMatch]:
    return distinct(origins, key=lambda one: (one.exact, one.regex), name=lambda one: one.exact or one.regex or "")


Origin = Annotated[OriginMatch, BeforeValidator(_from_text, json_schema_input_type=str | OriginMatch)]
Origins = Annotated[list[Origin], AfterValidator(_distinct)]
Methods = Annotated[list[Method], Unique]
Headers = Annotated[list[HeaderName], Unique]


class Cors(Section):
    """What browsers are told. It does not protect the route from anybody but honest browsers' users."""

    origins: Origins = Field(min_length=1, max_length=100)
    """Whose pages may read the answers."""
    methods: Methods = Field(default=[], max_length=20)
    """With which methods; empty are those of the route's `match`, and GET, HEAD and POST if it has none."""
    headers: Headers = Field(default=[], max_length=50)
    """Request headers that pages may set, besides the harmless ones that they always may; `*` is all but
    `authorization`."""
    expose: Headers = Field(default=[], max_length=50)
    """Response headers that pages may read, besides the harmless ones that they always may; `*` is all."""
    credentials: bool = False
    """Whether browsers may send cookies, and show the answers to pages when they have."""
    max_age: Annotated[float, Duration(most=86_400)] = 600.0
    """How long a browser may remember all this."""

    @model_validator(mode="after")
    def _no_wildcard_with_credentials(self) -> Self:
        if not self.credentials:
            return self
        if any(one.exact == ANY or _EVERYTHING.fullmatch(one.regex or "") for one in self.origins):
            message = "with credentials, every page on the web could act as its reader and see the answers"
            raise mistake("cors-credentials", message, "name the origins")
        for key in ("headers", "expose"):
            if ANY in getattr(self, key):
                raise mistake(
                    "cors-credentials", f"with credentials, '*' in {key} is a header of that name", "name them"
                )
        return self


def _from_false(value: Any) -> Any:
    if value is True or (value is not False and not isinstance(value, (dict, Cors))):
        raise mistake("type", "expected a mapping, or false", "write at least origins")
    return None if value is False else value


RouteCors = Annotated[Cors | None, BeforeValidator(_from_false, json_schema_input_type=bool | Cors)]
"""``false`` is none, whatever the defaults say."""
