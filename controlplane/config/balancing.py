"""``hash_on`` of an upstream: what ties requests to one endpoint."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.base import OneOf, mistake
from controlplane.config.durations import Duration
from controlplane.config.texts import CookieName, HeaderName, ParameterName, distinct


class HashKey(OneOf):
    """Something of a request. Requests that agree in it go to the same endpoint, for as long as that is there."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("header", "cookie", "query", "client_ip")

    header: HeaderName | None = None
    """This request header."""
    cookie: CookieName | None = None
    """This cookie."""
    query: ParameterName | None = None
    """This query parameter."""
    client_ip: Literal[True] | None = None
    """The client's address."""
    ttl: Annotated[float, Duration(most=31_536_000)] | None = None
    """Of a cookie: a client that has none is given one for so long (`0s`: until its browser ends)."""

    @model_validator(mode="after")
    def _ttl_of_cookie(self) -> Self:
        if self.ttl is not None and self.cookie is None:
            raise mistake("ttl", "only a cookie is given to clients")
        return self


def _check_keys(keys: list[HashKey]) -> list[HashKey]:
    return distinct(keys, key=lambda key: key.model_dump_json(exclude={"ttl"}), name=lambda _: "this")


HashOn = Annotated[list[HashKey], Field(min_length=1, max_length=5), AfterValidator(_check_keys)]
