"""``csrf`` of a route: whose pages may let a browser change something in its user's name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from controlplane.config.base import Section, mistake
from controlplane.config.texts import Host, Unique


def _check_not_everybody(host: Host) -> Host:
    if host == "*":
        raise mistake("csrf", "then pages of everybody may do it", "name hosts, or remove csrf")
    return host


class Csrf(Section):
    """Requests by POST, PUT, PATCH and DELETE have to come from a page of the host that they go to, or of these: their
    `origin` says so, or else their `referer`. 403 for others, and for those that have neither. `true` is no others."""

    hosts: Annotated[list[Annotated[Host, AfterValidator(_check_not_everybody)]], Unique] = Field(
        default=[], max_length=100
    )
    """More hosts whose pages may, on any port: `app.example.com`, or `*.example.com` for every name below it."""


def _from_true(value: Any) -> Any:
    if isinstance(value, bool):
        return {} if value else None
    if value is not None and not isinstance(value, (dict, Csrf)):
        raise mistake("type", "expected true or a mapping", "write true")
    return value


RouteCsrf = Annotated[Csrf | None, BeforeValidator(_from_true, json_schema_input_type=bool | Csrf)]
