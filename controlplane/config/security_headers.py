"""``security_headers``: what every response tells browsers to be careful about."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from controlplane.config.base import Section, mistake
from controlplane.config.durations import Duration

_TEXT = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_DIRECTIVE = re.compile(r"[a-z-]+(?: [^,;]*)?", re.IGNORECASE)
_FEATURE = re.compile(r"[a-z-]+=(?:\*|self|\([^()]*\))")
_YEAR: Final = 31_536_000.0


def _from_false(value: Any) -> Any:
    if value is True:
        raise mistake("type", "expected what it is to be, or false", "leave it out for what the preset says")
    return None if value is False else value


def _check_csp(text: str) -> str:
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not _TEXT.fullmatch(text) or not parts or not all(_DIRECTIVE.fullmatch(part) for part in parts):
        raise mistake("csp", "this is not a policy", "directives with ';' between them: default-src 'self'; img-src *")
    names = [part.split(" ")[0].lower() for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise mistake("csp", f"{name} stands here twice, and browsers heed the first alone", "make them one")
    return text


def _check_permissions(text: str) -> str:
    if not _TEXT.fullmatch(text) or not all(_FEATURE.fullmatch(part.strip()) for part in text.split(",")):
        raise mistake(
            "permissions", "this is not a policy", "features with ',' between them: camera=(), fullscreen=self"
        )
    return text


class Hsts(Section):
    """HTTPS only, from now on (RFC 6797). Browsers heed it only if it came by HTTPS."""

    max_age: Annotated[float, Duration(most=10 * _YEAR)] = 2 * _YEAR
    """For how long; `0s` makes browsers forget it."""
    include_subdomains: bool = True
    """For every name below this one, too."""
    preload: bool = False
    """Consent to being in the browsers' own lists, from which there is hardly a way back."""

    @model_validator(mode="after")
    def _listable(self) -> Self:
        if self.preload and not (self.include_subdomains and self.max_age >= _YEAR):
            raise mistake("hsts", "lists take only names with all subdomains, for a year or more (8760h)")
        return self


FrameOptions = Literal["deny", "sameorigin"]
ReferrerPolicy = Literal[
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
]
Policy = Annotated[str, Field(max_length=4096), AfterValidator(_check_csp)]
Permissions = Annotated[str, Field(max_length=4096), AfterValidator(_check_permissions)]


class SecurityHeaders(Section):
    """Headers of every response: of upstreams, whatever they say themselves, and of the gateway's own. A route's
    `response_headers` may say otherwise. What is left out is as the preset says, and `false` is not sent."""

    preset: Literal["none", "strict"] = "none"
    """`strict` is every header here: HTTPS only for two years with all subdomains, nothing from elsewhere on a page, no
    frame around it, no guessing of types, no `referer`, and no camera, location, microphone, payment or USB."""
    hsts: Annotated[Hsts | None, BeforeValidator(_from_false, json_schema_input_type=bool | Hsts)] = None
    """`strict-transport-security`"""
    content_security_policy: Annotated[
        Policy | None, BeforeValidator(_from_false, json_schema_input_type=bool | Policy)
    ] = None
    """`content-security-policy`"""
    frame_options: Annotated[
        FrameOptions | None, BeforeValidator(_from_false, json_schema_input_type=bool | FrameOptions)
    ] = None
    """`x-frame-options`"""
    content_type_options: bool | None = None
    """`x-content-type-options: nosniff`"""
    referrer_policy: Annotated[
        ReferrerPolicy | None, BeforeValidator(_from_false, json_schema_input_type=bool | ReferrerPolicy)
    ] = None
    """`referrer-policy`"""
    permissions_policy: Annotated[
        Permissions | None, BeforeValidator(_from_false, json_schema_input_type=bool | Permissions)
    ] = None
    """`permissions-policy`"""
