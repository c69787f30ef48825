"""Headers that a route sets, adds and removes, and what their variables stand for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption

from controlplane import model
from servicekit.contracts.auth_policy import (
    METADATA_NAMESPACE,
    METADATA_SCOPES,
    METADATA_TIER,
    METADATA_USER,
    METADATA_USER_ID,
)

VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client_ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "host": "%REQ(:AUTHORITY)%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "route": "%ROUTE_NAME%",
        "scheme": "%REQ(:SCHEME)%",
        "scopes": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{METADATA_SCOPES})%",
        "tier": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{METADATA_TIER})%",
        "upstream": "%UPSTREAM_CLUSTER_RAW%",
        "user": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{METADATA_USER})%",
        "user_id": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{METADATA_USER_ID})%",
    }
)
"""Envoy's command for each variable of the document."""


def added(changes: model.HeaderChanges) -> list[HeaderValueOption]:
    """What is set, even to nothing, and what is added, if it is something."""
    replaced = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    beside = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    return [
        *(_option(name, value, replaced) for name, value in changes.set.items()),
        *(_option(name, value, beside) for name, value in changes.add.items()),
    ]


def _option(name: str, value: model.HeaderValue, action: HeaderValueOption.HeaderAppendAction) -> HeaderValueOption:
    return HeaderValueOption(
        header=HeaderValue(key=name, value=_formatted(value)),
        append_action=action,
        # Else a variable that stands for nothing would leave what the client has sent.
        keep_empty_value=action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _formatted(value: model.HeaderValue) -> str:
    """In Envoy's own language, in which a per cent sign stands for itself when it is doubled."""
    return "".join(
        VARIABLES[piece.name] if isinstance(piece, model.Variable) else piece.replace("%", "%%") for piece in value
    )
