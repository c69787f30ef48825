"""``health_check`` of an upstream: how its endpoints are asked whether they are well."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.base import OneOf, mistake
from controlplane.config.durations import Duration
from controlplane.config.texts import ExactHost, Unique, UrlPath

_STATUSES = r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"


def _check_statuses(text: str) -> str:
    if not re.fullmatch(_STATUSES, text):
        raise mistake("status", "this is not a status", "write one as 204, or a range as 200-299")
    first, _, last = text.partition("-")
    if last and last < first:
        raise mistake("status", "the range ends before it begins")
    return text


Statuses = Annotated[str, Field(json_schema_extra={"pattern": _STATUSES}), AfterValidator(_check_statuses)]


class HealthCheck(OneOf):
    """An active check of each endpoint: by HTTP, by gRPC, or whether it accepts a connection."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("path", "grpc", "tcp")

    path: UrlPath | None = None
    """What is requested by HTTP."""
    grpc: Annotated[str, Field(max_length=256)] | None = None
    """The service that `grpc.health.v1.Health` is asked about; the empty text is the whole server. Needs `http2`."""
    tcp: Literal[True] | None = None
    """Whether the endpoint accepts a connection is enough."""
    host: ExactHost | None = None
    """The `Host` (`:authority`) of a check by HTTP or gRPC; without it, the endpoint's own."""
    statuses: Annotated[list[Statuses], Unique] = Field(default=["200-299"], min_length=1, max_length=10)
    """Answers by HTTP that are healthy."""
    interval: Annotated[float, Duration(least=0.1, most=3600)] = 5.0
    """Time between two checks."""
    timeout: Annotated[float, Duration(least=0.01, most=3600)] = 2.0
    """How long an answer may take."""
    unhealthy_threshold: int = Field(default=3, ge=1, le=100)
    """Failures in a row that take an endpoint out."""
    healthy_threshold: int = Field(default=2, ge=1, le=100)
    """Successes in a row that bring it back."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if "statuses" in self.model_fields_set and self.path is None:
            raise mistake("statuses", "only answers by HTTP have a status")
        if self.host is not None and self.tcp:
            raise mistake("host", "a connection names no host")
        return self
