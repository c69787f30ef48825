"""Field types for texts: names, paths, hosts, methods, header names. Each says what is wrong and what to write."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import InitErrorDetails

from controlplane.config.base import mistake
from servicekit.contracts.auth_policy import TIER_PATTERN
from servicekit.contracts.data_plane import RESERVED_PREFIX

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_ROUTE_NAME = r"^[!#-\[\]-~]{1,200}$"
_METHOD = r"^[A-Z][A-Z-]{0,31}$"
_RETRY_METHOD = r"^(\*|[A-Z][A-Z-]{0,31})$"
_TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"  # noqa: S105  field-name of RFC 9110 §5.1, no secret
_HOST = (
    r"^(\*|(\*\.)?([A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.?)$"
)
_LABEL_VALUE = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$"
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")  # RFC 3986 §3.3
_MAX_HOST = 253
_MAX_PATH = 1024

_T = TypeVar("_T")


def _matching(pattern: str, code: str, message: str, hint: str) -> tuple[AfterValidator, Any]:
    """A check by pattern, and the pattern for editors."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.search(text) or text.endswith("\n"):
            raise mistake(code, message, hint)
        return text

    return AfterValidator(check), Field(json_schema_extra={"pattern": pattern})


def _check_not_reserved(name: str) -> str:
    if name.startswith(RESERVED_PREFIX):
        raise mistake("name", f"names that begin with {RESERVED_PREFIX} are the gateway's own")
    return name


def check_path(text: str) -> str:
    """The path; a mistake if no request can have it."""
    if not text.startswith("/"):
        raise mistake("path", "a path begins with /", f"write /{text}" if _PATH.fullmatch(f"/{text}") else None)
    if len(text) > _MAX_PATH:
        raise mistake("path", f"a path has at most {_MAX_PATH} characters")
    if "*" in text or "{" in text:
        hint = "path_prefix takes everything below it; path_template takes placeholders"
        raise mistake("path", "a path has no wildcards or placeholders", hint)
    if not _PATH.fullmatch(text):
        hint = "percent-encode it; a query is no part of the path"
        raise mistake("path", "there is a character that no path has", hint)
    if "//" in text or {".", ".."} & set(text.split("/")):
        raise mistake(
            "path", "no request has this path, for paths are normalised first", "write it without //, . and .."
        )
    return text


def _check_host(text: str) -> str:
    if not re.search(_HOST, text) or len(text) > _MAX_HOST:
        hint = "a name such as api.example.com, *.example.com, or *"
        if ":" in text:
            hint = "leave the port out: the listener decides"
        elif not text.isascii():
            hint = "write an international name in its xn-- form"
        raise mistake("host", "this is not a host name", hint)
    return text


def _check_exact_host(host: str) -> str:
    if "*" in host:
        raise mistake("host", "one host, not a pattern")
    return host


def _check_ip(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise mistake("ip-address", "this is not an IP address", "127.0.0.1, 0.0.0.0 and :: are ones") from None
    return text


def distinct(items: list[_T], key: Callable[[_T], object], name: Callable[[_T], str]) -> list[_T]:
    """The items.

    Raises:
        ValidationError: ``key`` gives the same hashable value for two of them; it is placed at the second.
    """
    seen: set[object] = set()
    for index, item in enumerate(items):
        if key(item) in seen:
            wrong = mistake("duplicate", f"{name(item)} stands here twice")
            raise ValidationError.from_exception_data("list", [InitErrorDetails(type=wrong, loc=(index,), input=None)])
        seen.add(key(item))
    return items


def _check_unique(items: list[_T]) -> list[_T]:
    return distinct(items, key=lambda item: item, name=str)


_name_check, _name_schema = _matching(
    _NAME, "name", "this cannot be a name", "1 to 63 letters, digits, '.', '_' or '-', the first and last no sign"
)
Name = Annotated[str, _name_check, AfterValidator(_check_not_reserved), _name_schema]
"""What other parts of the document refer to."""

_tier_check, _tier_schema = _matching(
    f"^{TIER_PATTERN}$", "tier", "this cannot be a tier", "1 to 64 letters, digits, '.', '_', '~' or '-'"
)
TierName = Annotated[str, _tier_check, _tier_schema]
"""What callers are worth, as ext_authz tells it."""

_route_name_check, _route_name_schema = _matching(
    _ROUTE_NAME, "name", "this cannot be a route's name", "1 to 200 visible ASCII characters, no quotes or backslashes"
)
RouteName = Annotated[str, _route_name_check, AfterValidator(_check_not_reserved), _route_name_schema]

_method_check, _method_schema = _matching(
    _METHOD, "method", "this is not a method", "methods are in capitals, as in GET"
)
Method = Annotated[str, _method_check, _method_schema]

_retry_method_check, _retry_method_schema = _matching(
    _RETRY_METHOD, "method", "this is not a method", "methods are in capitals, as in GET; '*' is every one"
)
RetryMethod = Annotated[str, _retry_method_check, _retry_method_schema]

_header_check, _header_schema = _matching(
    _TOKEN, "header-name", "this is not a header's name", "letters, digits and '-', as in x-user-id"
)
HeaderName = Annotated[str, _header_check, AfterValidator(str.lower), _header_schema]

_parameter_check, _parameter_schema = _matching(
    r"^[!$%'()*+,./0-9:;?@A-Z\\_a-z~-]{1,128}$",
    "name",
    "no query parameter is called that",
    "as it stands in the URL: percent-encoded, without & and =",
)
ParameterName = Annotated[str, _parameter_check, _parameter_schema]

_cookie_check, _cookie_schema = _matching(_TOKEN, "name", "no cookie is called that", "a token (RFC 6265 §4.1.1)")
CookieName = Annotated[str, _cookie_check, _cookie_schema]

_label_hint = "1 to 63 letters, digits, '.', '_', '/' or '-', the first and last no sign"
_label_check, _label_schema = _matching(_LABEL_VALUE, "label", "this cannot be a label", _label_hint)
Label = Annotated[str, _label_check, _label_schema]
_label_value_check, _label_value_schema = _matching(
    _LABEL_VALUE, "label", "this cannot be the value of a label", _label_hint
)
LabelValue = Annotated[str, _label_value_check, _label_value_schema]


def can_be_label(text: str) -> bool:
    """Whether a document could have this as a label, or as the value of one."""
    return re.fullmatch(_LABEL_VALUE.strip("^$"), text) is not None


UrlPath = Annotated[str, AfterValidator(check_path), Field(json_schema_extra={"pattern": "^/"})]
Host = Annotated[str, AfterValidator(_check_host), Field(json_schema_extra={"pattern": _HOST})]
ExactHost = Annotated[Host, AfterValidator(_check_exact_host)]
IpAddress = Annotated[str, AfterValidator(_check_ip)]
Unique = AfterValidator(_check_unique)
"""Annotates a list in which nothing stands twice."""
