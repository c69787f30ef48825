"""Envoy's own answers as problem documents (RFC 9457); those of our services stay as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ExtensionFilter,
    HeaderFilter,
    OrFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy.config.core.v3.base_pb2 import DataSource, HeaderValueOption, RuntimeUInt32
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.struct_pb2 import Struct

from controlplane.translate.wellknown import packed
from servicekit.contracts.cache_rule import HIT_DETAILS
from servicekit.contracts.data_plane import RESERVED_PREFIX
from servicekit.problems import MEDIA_TYPE, problem

_RUNTIME_KEY = "gateway.local_replies"
_REQUEST_ID = "%REQUEST_HEADER(X-REQUEST-ID)%"


@dataclass(frozen=True, slots=True)
class Reply:
    """One kind of answer. Which it is, is told by flags where Envoy sets one, else by the status."""

    status: int
    code: str
    detail: str
    flags: tuple[str, ...] = ()
    title: str = ""
    """Where Python's phrase for the status changed from one version to the next."""


_SERVICE_DECIDED = ("ext_authz_denied", "request_rate_limited")
"""``response.code_details`` of answers that one of our services wrote."""

_GRPC_WORDS = (
    (401, "Who is calling is not known."),
    (403, "The caller may not do this."),
    (429, "Too many requests."),
)
"""What gRPC clients are told where a service's words are a document."""

_NO_DECISION = Reply(
    503, "authentication_unavailable", "Who is calling could not be decided. Nothing was forwarded; try again later."
)

_OVERLOADED = Reply(503, "overloaded", "The gateway has as much to do as it can.")

_BY_FLAG = (
    Reply(503, "no_healthy_upstream", "No endpoint of the upstream can take requests now.", ("UH",)),
    Reply(503, "upstream_overloaded", "The upstream has as many requests as it may have.", ("UO",)),
    Reply(503, "upstream_unreachable", "No connection to the upstream could be made.", ("UF",)),
    Reply(504, "upstream_timeout", "The upstream did not answer in time.", ("UT",)),
    Reply(503, "upstream_reset", "The upstream broke off the exchange.", ("UC", "UR")),
    Reply(502, "upstream_protocol_error", "The upstream's answer was not valid HTTP.", ("UPE",)),
)

_BY_STATUS = (
    Reply(400, "bad_request", "The request is not valid HTTP, or its path is not allowed."),
    Reply(403, "forbidden", "The gateway does not allow this."),
    Reply(404, "no_route", "No route takes this request."),
    Reply(408, "request_timeout", "The request did not arrive in time."),
    Reply(413, "content_too_large", "The request is larger than the gateway takes.", title="Content Too Large"),
    Reply(429, "too_many_requests", "Too many requests."),
    Reply(431, "headers_too_large", "The request's headers are larger than the gateway takes."),
    Reply(500, "internal_error", "The gateway could not handle the request."),
    Reply(502, "bad_gateway", "The upstream's answer could not be used."),
    Reply(503, "unavailable", "The request cannot be handled now."),
    Reply(504, "gateway_timeout", "The exchange did not end in time."),
)


def local_reply_config(headers: Sequence[HeaderValueOption] = ()) -> LocalReplyConfig:
    """Mappers, the first that fits wins; answers below 400 and of unlisted statuses stay as Envoy writes them, but for
    ``headers``, which all have."""
    config = LocalReplyConfig(
        mappers=[
            ResponseMapper(filter=_details([HIT_DETAILS])),
            *(_in_grpc(status, words) for status, words in _GRPC_WORDS),
            _kept(_any([_details(_SERVICE_DECIDED), _is_grpc()])),
            _rewritten(_details(["ext_authz_error"]), _NO_DECISION),
            _rewritten(_details(["overload", "reached_concurrency_limit"]), _OVERLOADED),
            *(_rewritten(_flags(reply.flags, reply.status), reply) for reply in _BY_FLAG),
            *(_rewritten(_all([_status(reply.status), _is_ours()]), reply) for reply in _BY_STATUS),
            *([ResponseMapper(filter=_status(0, ComparisonFilter.GE))] if headers else []),
        ]
    )
    for mapper in config.mappers:
        mapper.headers_to_add.extend(headers)
    return config


def _kept(when: AccessLogFilter) -> ResponseMapper:
    same = SubstitutionFormatString(
        text_format_source=DataSource(inline_string="%LOCAL_REPLY_BODY%"), content_type=MEDIA_TYPE
    )
    return ResponseMapper(filter=when, body_format_override=same)


def _in_grpc(status: int, words: str) -> ResponseMapper:
    text = SubstitutionFormatString(text_format_source=DataSource(inline_string=words))
    by_service = _all([_status(status), _is_grpc(), _details(_SERVICE_DECIDED)])
    return ResponseMapper(filter=by_service, body_format_override=text)


def _rewritten(when: AccessLogFilter, reply: Reply) -> ResponseMapper:
    members = {"request_id": _REQUEST_ID} | ({"title": reply.title} if reply.title else {})
    document = Struct()
    document.update(json.loads(problem(reply.status, reply.code, reply.detail, **members)))
    formatted = SubstitutionFormatString(json_format=document, content_type=MEDIA_TYPE)
    return ResponseMapper(filter=when, body_format_override=formatted)


def _any(filters: Iterable[AccessLogFilter]) -> AccessLogFilter:
    return AccessLogFilter(or_filter=OrFilter(filters=filters))


def _all(filters: Iterable[AccessLogFilter]) -> AccessLogFilter:
    return AccessLogFilter(and_filter=AndFilter(filters=filters))


def _is_ours() -> AccessLogFilter:
    """Not an answer that a route gives, or puts in the place of another: that stays as it was written."""
    of_document = f"response.code_details == 'direct_response' && !xds.route_name.startsWith('{RESERVED_PREFIX}')"
    return _expression(f"!({of_document} || response.code_details == '')")


def _details(details: Iterable[str]) -> AccessLogFilter:
    """The reason that Envoy gives, which tells a service's denial from its silence; no plain filter reads it."""
    return _expression(f"response.code_details in {json.dumps(list(details))}")


def _expression(expression: str) -> AccessLogFilter:
    packed_expression = packed(ExpressionFilter(expression=expression))
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel", typed_config=packed_expression
        )
    )


def _is_grpc() -> AccessLogFilter:
    """Envoy makes gRPC's trailers from the text; JSON in grpc-message would be noise."""
    media_type = StringMatcher(safe_regex=RegexMatcher(regex="application/grpc([+;].*)?"))
    header = HeaderMatcher(name="content-type", string_match=media_type)
    return AccessLogFilter(header_filter=HeaderFilter(header=header))


def _flags(flags: Iterable[str], status: int) -> AccessLogFilter:
    by_flag = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=flags))
    return _all([by_flag, _status(status)])


def _status(status: int, how: ComparisonFilter.Op = ComparisonFilter.EQ) -> AccessLogFilter:
    value = RuntimeUInt32(default_value=status, runtime_key=_RUNTIME_KEY)
    comparison = ComparisonFilter(op=how, value=value)
    return AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=comparison))
