"""Envoy's messages from and to plain values; with ``service`` the only module that knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue, HeaderValueOption
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from envoy.service.ext_proc.v3.external_processor_pb2 import (
    BodyMutation,
    BodyResponse,
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    ImmediateResponse,
    ProcessingRequest,
    ProcessingResponse,
)
from envoy.type.v3.http_status_pb2 import HttpStatus

from response_cache.requests import Asked
from response_cache.store import Headers
from servicekit.contracts.auth_policy import METADATA_API_KEY, METADATA_NAMESPACE, METADATA_USER
from servicekit.contracts.cache_rule import HIT_DETAILS, CacheRule
from servicekit.contracts.data_plane import ENVOY_HEADER_PREFIX

_NOT_KEPT: Final = frozenset(
    {
        # Of the connection (RFC 9111 §3.1), of its framing, and what is written anew with each answer.
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length"),
        *("age", "x-request-id"),
    }
)
_CONTINUE: Final = CommonResponse()
_WITH_BODY: Final = ProcessingMode(
    request_header_mode=ProcessingMode.SEND,
    response_header_mode=ProcessingMode.SEND,
    response_body_mode=ProcessingMode.STREAMED,
)
BODY_PASSES: Final = ProcessingResponse(response_body=BodyResponse(response=_CONTINUE))
"""A part of a body goes on as it is."""

decode_rule = lru_cache(maxsize=10_000)(CacheRule.decode)
"""The rule in a call's metadata. Equal texts are read once."""


def asked(message: ProcessingRequest, rule: CacheRule) -> Asked:
    """What the request is."""
    headers = _joined(_pairs(message.request_headers.headers))
    return Asked(
        method=headers.get(":method", ""),
        scheme=headers.get(":scheme", ""),
        host=headers.get(":authority", "").lower(),
        target=headers.get(":path", ""),
        headers=headers,
        caller=_caller(message),
        rule=rule,
    )


def answered(message: ProcessingRequest) -> tuple[int, Mapping[str, str], Headers]:
    """Status of the answer, its headers joined by name, and those that are kept of it."""
    pairs = _pairs(message.response_headers.headers)
    headers = _joined(pairs)
    of_connection = {name.strip().lower() for name in headers.get("connection", "").split(",")}
    kept = tuple(
        (name, value)
        for name, value in pairs
        if name not in _NOT_KEPT and name not in of_connection and not name.startswith((":", ENVOY_HEADER_PREFIX))
    )
    status = headers.get(":status", "")
    return int(status) if status.isdigit() else 0, headers, kept


def request_goes_on(*, without: Iterable[str] = ()) -> ProcessingResponse:
    """The upstream gets the request, without these headers."""
    mutation = HeaderMutation(remove_headers=without)
    return ProcessingResponse(request_headers=HeadersResponse(response=CommonResponse(header_mutation=mutation)))


def wait_for_me(seconds: float) -> ProcessingResponse:
    """The answer to the request's headers takes longer than usual."""
    response = ProcessingResponse()
    response.override_message_timeout.FromMilliseconds(round(seconds * 1000))
    return response


def response_goes_on(cache_status: str) -> ProcessingResponse:
    """The client gets the answer as it is, and is told what the cache did."""
    mutation = HeaderMutation(set_headers=[_added("cache-status", cache_status)])
    return ProcessingResponse(response_headers=HeadersResponse(response=CommonResponse(header_mutation=mutation)))


def with_body(response: ProcessingResponse) -> ProcessingResponse:
    """The same, and this process is shown the body as it goes by."""
    response.mode_override.CopyFrom(_WITH_BODY)
    return response


def at_once(status: int, headers: Headers, body: bytes) -> ProcessingResponse:
    """The client gets this, and the upstream hears of nothing."""
    return ProcessingResponse(
        immediate_response=ImmediateResponse(
            status=HttpStatus(code=status),
            headers=HeaderMutation(set_headers=_options(headers)),
            body=body,
            details=HIT_DETAILS,
        )
    )


def instead(status: int, headers: Headers, body: bytes, *, of: Mapping[str, str]) -> ProcessingResponse:
    """The client gets this in the place of an answer with the headers ``of``."""
    written = ((":status", str(status)), *headers)
    names = {name for name, _ in written}
    removed = sorted(name for name in of if not name.startswith(":") and name not in names)
    mutation = HeaderMutation(set_headers=_options(written), remove_headers=removed)
    common = CommonResponse(
        status=CommonResponse.CONTINUE_AND_REPLACE, header_mutation=mutation, body_mutation=BodyMutation(body=body)
    )
    return ProcessingResponse(response_headers=HeadersResponse(response=common))


def _options(headers: Headers) -> list[HeaderValueOption]:
    seen: set[str] = set()
    options = []
    for name, value in headers:
        options.append(_added(name, value) if name in seen else _overwritten(name, value))
        seen.add(name)
    return options


def _overwritten(name: str, value: str) -> HeaderValueOption:
    return _option(name, value, HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)


def _added(name: str, value: str) -> HeaderValueOption:
    return _option(name, value, HeaderValueOption.APPEND_IF_EXISTS_OR_ADD)


def _option(name: str, value: str, action: HeaderValueOption.HeaderAppendAction) -> HeaderValueOption:
    return HeaderValueOption(header=HeaderValue(key=name, raw_value=value.encode("latin-1")), append_action=action)


def _pairs(headers: HeaderMap) -> list[tuple[str, str]]:
    return [(one.key, one.raw_value.decode("latin-1") if one.raw_value else one.value) for one in headers.headers]


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _caller(message: ProcessingRequest) -> str:
    who = message.metadata_context.filter_metadata.get(METADATA_NAMESPACE)
    if who is None:
        return ""
    for name in (METADATA_USER, METADATA_API_KEY):
        if name in who.fields and who.fields[name].string_value:
            return f"{name}:{who.fields[name].string_value}"
    return ""
