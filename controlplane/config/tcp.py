"""``tcp`` of a listener: bytes that are passed on as they are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import InitErrorDetails, ValidationError

from controlplane.config.base import Section, mistake
from controlplane.config.problems import quoted
from controlplane.config.texts import Host, Name, Unique

_EVERY_HOST = "*"


def _check_sni(host: str) -> str:
    if host == _EVERY_HOST:
        raise mistake("host", "every name is what a way without sni takes", "leave sni out")
    return host


class TcpRoute(Section):
    """Where connections go."""

    sni: Annotated[list[Annotated[Host, AfterValidator(_check_sni)]], Unique] = Field(default=[], max_length=100)
    """Names that clients of TLS ask for; `*.example.com` is every name below it. Without any, all other connections,
    those that are no TLS too."""
    upstream: Name
    """Who gets the bytes."""


def _from_text(value: Any) -> Any:
    return [{"upstream": value}] if isinstance(value, str) else value


def _distinct(ways: list[TcpRoute]) -> list[TcpRoute]:
    seen: set[str | None] = set()
    for index, way in enumerate(ways):
        for name in (host.lower() for host in way.sni) if way.sni else (None,):
            if name in seen:
                what = "other connections" if name is None else quoted(name)
                wrong = mistake("duplicate", f"{what} would go two ways")
                raise ValidationError.from_exception_data(
                    "list", [InitErrorDetails(type=wrong, loc=(index,), input=None)]
                )
            seen.add(name)
    return ways


Tcp = Annotated[
    Annotated[list[TcpRoute], Field(min_length=1, max_length=100), AfterValidator(_distinct)],
    BeforeValidator(_from_text, json_schema_input_type=Name | list[TcpRoute]),
]
"""One upstream for all, or ways by name."""
