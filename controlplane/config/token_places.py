"""``token_from`` of a provider: where in a request its tokens stand."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.base import OneOf, mistake
from controlplane.config.own_headers import check_reserved
from controlplane.config.texts import HeaderName, distinct

AUTHORIZATION = "authorization"
BEARER = "Bearer "

_NAME = r"^[A-Za-z0-9._~-]{1,128}$"
_PREFIX = r"^[A-Za-z0-9._~+/=:-]{0,32} ?$"


def _check_header(header: str) -> str:
    return header if header == AUTHORIZATION else check_reserved(header)


def _check_name(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise mistake("name", "this cannot be the name", "1 to 128 letters, digits, '.', '_', '~' or '-'")
    return name


def _check_prefix(prefix: str) -> str:
    if not re.fullmatch(_PREFIX, prefix):
        raise mistake("prefix", "this cannot stand before a token", "a word, as in 'Bearer ' with its space")
    return prefix


PlaceName = Annotated[str, AfterValidator(_check_name), Field(json_schema_extra={"pattern": _NAME})]
Prefix = Annotated[str, AfterValidator(_check_prefix), Field(json_schema_extra={"pattern": _PREFIX})]


class TokenPlace(OneOf):
    """A place in requests where a token may stand."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("header", "cookie", "query")

    header: Annotated[HeaderName, AfterValidator(_check_header)] | None = None
    """This request header."""
    prefix: Prefix | None = None
    """What stands before the token in the header, in any case. Without it, `Bearer ` in `Authorization` and nothing in
    others."""
    cookie: PlaceName | None = None
    """This cookie."""
    query: PlaceName | None = None
    """This query parameter. Tokens in URLs end up in histories and logs (RFC 6750 §5.3): the last resort."""

    @property
    def is_usual(self) -> bool:
        """Whether this is ``Authorization: Bearer``."""
        return self.header == AUTHORIZATION and self.prefix in (None, BEARER)

    @model_validator(mode="after")
    def _prefix_of_header(self) -> Self:
        if self.prefix is not None and self.header is None:
            raise mistake("prefix", "only headers have a prefix")
        return self


def check_places(places: list[TokenPlace]) -> list[TokenPlace]:
    """The places.

    Raises:
        ValidationError: two are the same.
    """
    return distinct(places, key=lambda at: (at.header, at.cookie, at.query), name=lambda _: "a place")
