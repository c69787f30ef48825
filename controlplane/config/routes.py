"""``routes``: which request goes where, under which policies."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from controlplane.config.actions import Mirrors, Redirect, Replacements, Respond, Rewrite, Split, Subset
from controlplane.config.address_rules import Addresses
from controlplane.config.authorization import Authorize
from controlplane.config.bandwidth import Bandwidth
from controlplane.config.base import OneOf, mistake
from controlplane.config.cache import RouteCache
from controlplane.config.cors import RouteCors
from controlplane.config.csrf import RouteCsrf
from controlplane.config.durations import Duration
from controlplane.config.header_changes import RequestHeaders, ResponseHeaders
from controlplane.config.path_templates import PathTemplate, variables
from controlplane.config.problems import quoted
from controlplane.config.regexes import Regex
from controlplane.config.retry import Retry
from controlplane.config.sizes import Size
from controlplane.config.texts import (
    CookieName,
    HeaderName,
    Host,
    Label,
    LabelValue,
    Method,
    Name,
    ParameterName,
    RouteName,
    Unique,
    UrlPath,
)

_MAX_REFERENCES = 50


def _check_scope(text: str) -> str:
    if not re.fullmatch(r"[!#-\[\]-~]+", text):
        raise mistake(
            "scope", "a scope is one word of visible ASCII without quotes and backslashes", "write one item each"
        )
    return text


Scope = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_check_scope)]
"""A scope-token of RFC 6749 §3.3."""
ValueText = Annotated[str, Field(min_length=1, max_length=4096)]


class ValueMatch(OneOf):
    """How one value is compared. Text alone is `exact`."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("exact", "regex", "present")

    exact: ValueText | None = None
    """The whole value."""
    regex: Regex | None = None
    """A regular expression (RE2) for the whole value."""
    present: bool | None = None
    """`true`: it is there; `false`: it is not."""


def _from_text(value: Any) -> Any:
    if isinstance(value, str):
        return {"exact": value}
    if not isinstance(value, (dict, ValueMatch)):
        raise mistake("type", "expected text or a mapping", "put the value in quotes")
    return value


def _check_names(headers: Any) -> Any:
    if isinstance(headers, dict) and len({str(name).lower() for name in headers}) < len(headers):
        raise mistake("duplicate", "a header stands here twice", "names of headers differ by more than their case")
    return headers


WrittenMatch = Annotated[ValueMatch, BeforeValidator(_from_text, json_schema_input_type=ValueText | ValueMatch)]


class Match(OneOf):
    """Which requests a route takes: those that every key here agrees to."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("path_prefix", "path", "path_template", "path_regex")

    path_prefix: UrlPath | None = None
    """The path or what it lies below, in whole segments: `/api` (or `/api/`) takes `/api` and `/api/x`, not `/apix`."""
    path: UrlPath | None = None
    """The whole path."""
    path_template: PathTemplate | None = None
    """The whole path, in which `{name}` or `*` is any one segment, and at the end `{name=**}` or `**` any number of
    them: `/users/{id}`, `/files/{file=**}`."""
    path_regex: Regex | None = None
    """A regular expression (RE2) for the whole path, without the query."""
    hosts: Annotated[list[Host], Unique] = Field(default=["*"], min_length=1, max_length=100)
    """Host names, without ports; `*.example.com` is every name below it, `*` is every host."""
    methods: Annotated[list[Method], Unique] = Field(default=[], max_length=20)
    """Methods, in capitals; empty is every method."""
    headers: Annotated[dict[HeaderName, WrittenMatch], BeforeValidator(_check_names)] = Field(default={}, max_length=20)
    """Request headers by name."""
    query: dict[ParameterName, WrittenMatch] = Field(default={}, max_length=20)
    """Query parameters by name, as they are written in the URL: `%20` is not a space."""
    cookies: dict[CookieName, WrittenMatch] = Field(default={}, max_length=20)
    """Cookies by name."""


class Route(OneOf):
    """One rule of the routing table. The first route that matches a request takes it.

    `/health` is answered by the gateway itself unless a route has exactly that as its `path`.
    """

    ONE_OF: ClassVar[tuple[str, ...]] = ("upstream", "split", "redirect", "respond")

    name: RouteName | None = None
    """Its name in metrics and logs; without it, the path it matches."""
    match: Match
    """Which requests it takes."""
    upstream: Name | None = None
    """Where they go."""
    subset: Subset = Field(default={})
    """Only to its endpoints that have all of these `labels`; 503 while none of them is well, whoever else is."""
    split: Split | None = None
    """Where they go, in parts."""
    redirect: Redirect | None = None
    """Where clients are told to go instead."""
    respond: Respond | None = None
    """What clients are told; no upstream hears of it."""
    rewrite: Rewrite = Rewrite()
    """What the upstream sees instead of what the client asked for."""
    mirror: Mirrors = Field(default=[])
    """Who else gets a copy of the requests."""
    request_headers: RequestHeaders = RequestHeaders()
    """Changes to what the upstream gets."""
    response_headers: ResponseHeaders = ResponseHeaders()
    """Changes to what the client gets."""
    replace: Replacements = Field(default=[])
    """Answers by status that clients get instead of the upstream's; the first that fits."""
    compress: Annotated[list[Literal["zstd", "br", "gzip"]], Unique] = Field(default=[], max_length=3)
    """How responses of 1 KiB and more may be compressed, if the client takes it and the upstream has not. Not for
    answers that hold a secret beside what an attacker chooses (BREACH)."""
    max_body: Annotated[int, Size(least=1, most=1 << 30)] | None = None
    """The largest body of a request; 413 beyond. It is read whole before the upstream gets any of it."""
    cache: RouteCache = None
    """Which answers are kept and given again."""
    bandwidth: Bandwidth | None = None
    """How fast bodies pass."""
    addresses: Addresses | None = None
    """Which clients may use it, by IP address; 403 for others, before anything else is asked. Behind proxies that a
    listener trusts it is the client's address and not theirs."""
    authenticate: Annotated[list[Name], Unique] = Field(default=[], max_length=_MAX_REFERENCES)
    """Who may vouch for the caller: any one of these is enough. Empty is open to all."""
    authenticate_all: bool = False
    """Whether all of them have to vouch, each by credentials of its own. The first says who is calling: scopes,
    `authorize` and limits are about it."""
    scopes: Annotated[list[Scope], Unique] = Field(default=[], max_length=_MAX_REFERENCES)
    """What the caller's token or managed API key has to grant, all of them; 403 without."""
    authorize: Authorize = Authorize()
    """What else is asked of the caller; 403 without."""
    forward_token: bool | None = None
    """Whether the upstream gets the caller's token too; without it, the provider's `forward_token` decides."""
    refresh: bool = True
    """Whether expired tokens are renewed here, if their provider has `refresh`."""
    rate_limits: Annotated[list[Name], Unique] = Field(default=[], max_length=_MAX_REFERENCES)
    """Limits that all have to allow the request."""
    priority: int = Field(default=5, ge=0, le=9)
    """How urgent its requests are where a limit lets them wait: 0 to 9, 9 first."""
    timeout: Annotated[float, Duration()] | None = None
    """How long the whole exchange may take; `0s` is for ever. Without it, `defaults` decides."""
    idle_timeout: Annotated[float, Duration(least=0.1)] | None = None
    """How long nothing may come from either side; without it 5 minutes, or the `timeout` if that is longer."""
    max_duration: Annotated[float, Duration(least=0.1)] | None = None
    """How long a stream may last, however much goes through: WebSockets and event streams, to which `timeout` says
    nothing, too."""
    retry: Retry = Retry()
    """When to send a request again; keys not written here come from `defaults`."""
    cors: RouteCors = None
    """Which other origins' pages may use it from a browser. It takes the place of the default; `false` is none."""
    csrf: RouteCsrf = None
    """Whose pages may let a browser change something; for routes that know their callers by a cookie."""
    grpc_web: bool = False
    """Whether pages may call it in gRPC-Web, which becomes gRPC for an upstream with `http2`; `cors` then allows its
    headers by itself."""
    labels: dict[Label, LabelValue] = Field(default={}, max_length=20)
    """What node groups choose routes by."""

    @property
    def forwards(self) -> bool:
        """Whether requests go to an upstream."""
        return self.upstream is not None or self.split is not None

    @model_validator(mode="after")
    def _fits_its_match(self) -> Self:
        if not self.forwards:
            for key in (
                "rewrite",
                "mirror",
                "request_headers",
                "replace",
                "max_body",
                "cache",
                "bandwidth",
                "cors",
                "csrf",
                "grpc_web",
            ):
                if key in self.model_fields_set:
                    raise mistake("nothing-forwarded", f"{key} is about requests that go to an upstream")
        if self.subset and self.upstream is None:
            raise mistake("subset", "subset is about one upstream", "in a split, each share has its own")
        by_prefix = self.rewrite.prefix or (self.redirect and self.redirect.prefix)
        if by_prefix and self.match.path_prefix is None:
            raise mistake("prefix", "only a route that matches by path_prefix has a prefix to replace", "write path")
        self._has_its_variables()
        self._caches_something()
        if self.authenticate_all and len(self.authenticate) <= 1:
            raise mistake("all-of-one", "authenticate_all is about several providers", "write two in authenticate")
        return self

    def _has_its_variables(self) -> None:
        target = self.rewrite.template or (self.redirect and self.redirect.template)
        if not target:
            return
        if self.match.path_template is None:
            hint = "write path_template in match"
            raise mistake("path-template", "only a route that matches by path_template has variables", hint)
        known = variables(self.match.path_template)
        for name in variables(target):
            if name not in known:
                hint = f"it has {', '.join(known)}" if known else "name its segments: {name} in place of *"
                raise mistake("path-template", f"the path_template has no variable {quoted(name)}", hint)

    def _caches_something(self) -> None:
        if self.cache is None:
            return
        if self.match.methods and "GET" not in self.match.methods:
            raise mistake("cache", "only answers to GET are kept, and no request by GET comes here")
        if self.authenticate and self.cache.callers == "none":
            hint = "write callers: each, or callers: all if all of them may see the same"
            raise mistake("cache", "every caller shows credentials here, so no answer is kept", hint)
        if not self.authenticate and self.cache.callers == "each":
            raise mistake("cache", "nobody is known here by whom answers could be kept apart", "add authenticate")
