"""``discover`` of an upstream: its endpoints come from a list that somebody else keeps."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo

from controlplane.config.authorization import AddressRange
from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.texts import Unique
from controlplane.config.urls import check_list_url
from servicekit.opened_folder import FILE_NAME

_MOST = 1000


def _check_file(text: str) -> str:
    if not FILE_NAME.fullmatch(text):
        hint = "write a path below GATEWAY_DISCOVERY_DIR of the control plane, such as shop/orders.json"
        raise mistake("list-file", "this is no path of a file in the folder of lists", hint)
    return text


def _check_url(text: str, info: ValidationInfo) -> str:
    return check_list_url(text, allow_insecure=info.data.get("allow_insecure", False))


class HttpList(Section):
    """A list that is fetched again and again."""

    allow_insecure: bool = False
    """Fetch it over `http` from another machine too: whoever can change it on its way says where requests go."""
    url: Annotated[str, AfterValidator(_check_url), Field(json_schema_extra={"format": "uri"})]
    """Where it is. `https`, unless it is on this machine. Redirects are not followed."""
    interval: Annotated[float, Duration(least=1, most=3600)] = 10.0
    """Time from one fetch to the next."""
    timeout: Annotated[float, Duration(least=0.1, most=60)] = 5.0
    """How long one fetch may take, with everything."""


class Discover(OneOf):
    """Where the endpoints of an upstream are listed, as `[{targets: ["10.0.0.1:8080"], labels: {}}]` in JSON or YAML.
    When the list is gone or broken, the last good one goes on."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("file", "http")

    file: Annotated[str, AfterValidator(_check_file)] | None = Field(default=None, max_length=255)
    """A path below `GATEWAY_DISCOVERY_DIR` of the control plane, which looks at it every second."""
    http: HttpList | None = None
    """A URL, which the control plane fetches."""
    at_least: int = Field(default=1, ge=0, le=_MOST)
    """A list with fewer endpoints than this is taken for a mistake, and the one before goes on; `0` takes `[]` at its
    word."""
    networks: Annotated[list[AddressRange], Unique] = Field(default=[], max_length=_MOST)
    """Ranges in which endpoints may be. Empty is all but those of this machine, of one link and of groups: loopback,
    link-local, multicast, unspecified."""
