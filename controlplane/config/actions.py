"""What a route does besides sending requests to one upstream: splits, mirrors, rewrites, redirects, answers."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.base import Section, mistake
from controlplane.config.path_templates import TemplateTarget
from controlplane.config.percent import Percent
from controlplane.config.problems import quoted
from controlplane.config.regexes import Regex
from controlplane.config.texts import ExactHost, Label, LabelValue, Name, Unique, UrlPath, distinct

MOST_BODY = 4096
"""Bytes of an answer of the gateway's own: what Envoy takes in a route unless told otherwise."""

_REFERENCE = re.compile(r"\\(.)")
_REPLACED = r"^[2-5]([0-9]{2}|xx)$"
_CONTENT_TYPE = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9!#$&^_.+-]+=[A-Za-z0-9!#$&^_.+-]+)*$"


def _check_substitution(text: str) -> str:
    for found in _REFERENCE.finditer(text):
        if found[1] not in "0123456789\\":
            raise mistake("substitution", f"\\{found[1]} means nothing here", r"\1 is the first group, \\ a backslash")
    if not text.startswith(("/", "\\")):
        raise mistake("path", "a path begins with /")
    if any(character in "?#" or not "!" <= character <= "~" for character in text):
        raise mistake("path", "there is a character that no path has", "percent-encode it")
    return text


def _check_body(text: str) -> str:
    if len(text.encode()) > MOST_BODY:
        raise mistake("too-long", f"an answer of the gateway's own has at most {MOST_BODY} bytes")
    return text


def _check_content_type(text: str) -> str:
    if not re.fullmatch(_CONTENT_TYPE, text):
        raise mistake("content-type", "this is not a media type", "text/plain; charset=utf-8 is one")
    return text


Substitution = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_check_substitution)]
"""What takes the place of what a regular expression matches."""


Subset = Annotated[dict[Label, LabelValue], Field(max_length=20)]


class Share(Section):
    """One upstream's part of a route's requests."""

    upstream: Name
    """Who gets them."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)]
    """Its share, relative to the others'; 0 is none for now."""
    subset: Subset = Field(default={})
    """Only its endpoints that have all of these `labels`; an upstream may have several shares that differ in this."""


def _check_shares(shares: list[Share]) -> list[Share]:
    if not any(share.weight for share in shares):
        raise mistake("split", "all weights are 0, so nobody gets a request")
    return distinct(
        shares,
        key=lambda share: (share.upstream, frozenset(share.subset.items())),
        name=lambda share: quoted(share.upstream),
    )


Split = Annotated[list[Share], Field(min_length=1, max_length=50), AfterValidator(_check_shares)]


class RegexRewrite(Section):
    """A path by regular expression."""

    pattern: Regex
    """Every part of the path (without the query) that it matches is replaced."""
    substitution: Substitution
    r"""What stands there instead; `\1` is the first group."""


class Rewrite(Section):
    """What the upstream sees instead of what the client asked for."""

    prefix: UrlPath | None = None
    """Takes the place of the route's `path_prefix`: with `/v2`, what lies below the one lies below `/v2`."""
    path: UrlPath | None = None
    """The whole path; the query stays."""
    template: TemplateTarget | None = None
    """The whole path, made of the variables of the route's `path_template`: `/v2/{id}`; the query stays."""
    regex: RegexRewrite | None = None
    """The path by regular expression."""
    host: ExactHost | None = None
    """The `Host` (`:authority`); the client's own goes on in `x-forwarded-host`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.prefix, self.path, self.template, self.regex)) > 1:
            raise mistake("one-of", "prefix, path, template and regex exclude each other", "write one of them at most")
        return self


class Mirror(Section):
    """An upstream that gets a copy of requests; its answers count for nothing."""

    upstream: Name
    """Who gets the copies."""
    share: Annotated[float, Percent(least=0.0001)] = 1.0
    """Of the requests, chosen at random."""


def _check_mirrors(mirrors: list[Mirror]) -> list[Mirror]:
    return distinct(mirrors, key=lambda mirror: mirror.upstream, name=lambda mirror: quoted(mirror.upstream))


Mirrors = Annotated[list[Mirror], Field(max_length=5), AfterValidator(_check_mirrors)]


class Redirect(Section):
    """Another place to ask (RFC 9110 §15.4). What is not written stays as it was asked for."""

    scheme: Literal["http", "https"] | None = None
    """Of the new URL."""
    host: ExactHost | None = None
    """Of the new URL."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Of the new URL."""
    path: UrlPath | None = None
    """The whole path of the new URL."""
    prefix: UrlPath | None = None
    """Takes the place of the route's `path_prefix` in the new URL."""
    template: TemplateTarget | None = None
    """The whole path of the new URL, made of the variables of the route's `path_template`."""
    status: Literal[301, 302, 303, 307, 308] = 307
    """307 and 308 keep the method; 301 and 308 are remembered by browsers, perhaps for ever."""
    strip_query: bool = False
    """Whether the new URL is without the query."""

    @model_validator(mode="after")
    def _elsewhere(self) -> Self:
        if sum(way is not None for way in (self.path, self.prefix, self.template)) > 1:
            raise mistake("one-of", "path, prefix and template exclude each other")
        if not {"scheme", "host", "port", "path", "prefix", "template"} & self.model_fields_set:
            raise mistake(
                "redirect",
                "this leads back to where it came from",
                "write scheme, host, port, path, prefix or template",
            )
        return self


class Respond(Section):
    """An answer of the gateway's own."""

    status: Annotated[int, Field(ge=200, le=599)]
    """Of the answer."""
    body: Annotated[str, AfterValidator(_check_body)] = ""
    """At most 4096 bytes."""
    content_type: Annotated[str, AfterValidator(_check_content_type)] = "text/plain; charset=utf-8"
    """Of the body."""


def _check_statuses(text: str) -> str:
    if not re.fullmatch(_REPLACED, text):
        raise mistake("status", "this is not a status", "write one as 503, or a class as 5xx")
    return text


class Replacement(Section):
    """An answer in the place of an upstream's (or of the gateway's, when it has none)."""

    statuses: Annotated[
        list[Annotated[str, Field(json_schema_extra={"pattern": _REPLACED}), AfterValidator(_check_statuses)]],
        Unique,
        Field(min_length=1, max_length=50),
    ]
    """Which answers it takes the place of: `503`, or `5xx` for all of them."""
    respond: Respond
    """What the client gets."""


def _check_replacements(replacements: list[Replacement]) -> list[Replacement]:
    return distinct(replacements, key=lambda one: frozenset(one.statuses), name=lambda _: "an answer to the same")


Replacements = Annotated[list[Replacement], Field(max_length=20), AfterValidator(_check_replacements)]
