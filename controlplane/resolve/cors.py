"""CORS: a route's own, or the default; methods filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from controlplane import model
from controlplane.config import cors
from controlplane.config.defaults import Defaults
from controlplane.config.routes import Route

_USUAL = ("GET", "HEAD", "POST")
"""What pages may always send (the CORS-safelisted methods of the Fetch standard)."""

_GRPC_WEB_REQUEST: Final = ("content-type", "grpc-timeout", "x-grpc-web", "x-user-agent")
_GRPC_WEB_RESPONSE: Final = ("grpc-message", "grpc-status", "grpc-status-details-bin")
"""What its clients send, and have to read."""


def resolve_cors(written: Route, defaults: Defaults) -> model.Cors | None:
    """What browsers are told on a route; nothing where no request goes to an upstream."""
    chosen = written.cors if "cors" in written.model_fields_set else defaults.cors
    if chosen is None or not written.forwards:
        return None
    return model.Cors(
        origins=tuple(_origin(one) for one in chosen.origins),
        methods=tuple(chosen.methods or written.match.methods or _USUAL),
        headers=_with(chosen.headers, _GRPC_WEB_REQUEST if written.grpc_web else ()),
        expose=_with(chosen.expose, _GRPC_WEB_RESPONSE if written.grpc_web else ()),
        credentials=chosen.credentials,
        max_age=chosen.max_age,
    )


def _with(written: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Those that are not there yet; ``*`` stands for all of them."""
    there = {name.lower() for name in written}
    return (*written, *(name for name in more if name not in there and cors.ANY not in there))


def _origin(written: cors.OriginMatch) -> model.OriginMatch:
    if written.regex is not None:
        return model.OriginMatch(kind="regex", value=written.regex)
    return model.OriginMatch(kind="exact", value=written.exact or "")
