"""The access log: JSON lines with the same fields as every process writes, and Envoy's own counters."""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter, HeaderFilter
from envoy.config.core.v3.substitution_format_string_pb2 import JsonFormatOptions, SubstitutionFormatString
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config as StatsConfig
from envoy.extensions.access_loggers.stream.v3.stream_pb2 import StdoutAccessLog
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import UInt64Value

from controlplane.translate.route_match import method_matcher
from controlplane.translate.wellknown import packed
from servicekit.contracts.auth_policy import METADATA_NAMESPACE, METADATA_PROVIDER, METADATA_USER_ID
from servicekit.contracts.data_plane import METHODS, OTHER_METHOD, STAT_DURATION, STAT_REQUESTS, STATS_PREFIX

SERVICE = "api-gateway"

_FIELDS = {
    "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "level": "INFO",
    "service": SERVICE,
    "message": "request",
    "request_id": "%REQUEST_HEADER(X-REQUEST-ID)%",
    "method": "%REQUEST_HEADER(:METHOD)%",
    # Without the query string: people put tokens and addresses there.
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "host": "%REQUEST_HEADER(:AUTHORITY)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "duration_ms": "%DURATION%",
    "user_id": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{METADATA_USER_ID})%",
    "provider": f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{METADATA_PROVIDER})%",
    "client_ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "user_agent": "%REQUEST_HEADER(USER-AGENT)%",
    "route": "%ROUTE_NAME%",
    "upstream": "%UPSTREAM_CLUSTER%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_details": "%RESPONSE_CODE_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
}

_CONNECTION_FIELDS = {
    "message": "connection",
    "duration_ms": "%DURATION%",
    "client_ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "upstream": "%UPSTREAM_CLUSTER%",
    "upstream_host": "%UPSTREAM_HOST%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
}
"""What there is to tell when no requests are seen."""

_DURATION_US = "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%"


def access_logs() -> list[AccessLog]:
    """The JSON lines, and the counters for known and for other methods."""
    known, other = method_matcher(METHODS), method_matcher(METHODS)
    # A method that is missing (the request could not be read) is an unknown one.
    other.invert_match = other.treat_missing_header_as_empty = True
    return [_json_lines(_FIELDS), _counters(known, "%REQUEST_HEADER(:METHOD)%"), _counters(other, OTHER_METHOD)]


def connection_log(listener: str) -> AccessLog:
    """A JSON line for each connection whose bytes are passed on, when it has ended."""
    common = {name: _FIELDS[name] for name in ("timestamp", "level", "service")}
    return _json_lines({**common, **_CONNECTION_FIELDS, "listener": listener})


def _json_lines(values: Mapping[str, str]) -> AccessLog:
    fields = Struct()
    fields.update(values)
    log_format = SubstitutionFormatString(
        json_format=fields, omit_empty_values=True, json_format_options=JsonFormatOptions(sort_properties=False)
    )
    return AccessLog(name="envoy.access_loggers.stdout", typed_config=packed(StdoutAccessLog(log_format=log_format)))


def _counters(methods: HeaderMatcher, method: str) -> AccessLog:
    """Counters of the requests whose method is in ``methods``, under the label ``method``.

    Two loggers with a cheap filter rather than one with an expression: this runs for every request.
    """
    tags = [_tag("method", method), _tag("path", "%ROUTE_NAME%"), _tag("status", "%RESPONSE_CODE%")]
    config = StatsConfig(
        # Envoy 1.39 prefers stats_scope.prefix; the generated code does not have it yet.
        stat_prefix=STATS_PREFIX,
        counters=[
            StatsConfig.Counter(stat=StatsConfig.Stat(name=STAT_REQUESTS, tags=tags), value_fixed=UInt64Value(value=1))
        ],
        histograms=[
            StatsConfig.Histogram(
                stat=StatsConfig.Stat(name=STAT_DURATION, tags=tags),
                unit=StatsConfig.Histogram.Microseconds,
                value_format=_DURATION_US,
            )
        ],
    )
    return AccessLog(
        name="envoy.access_loggers.stats",
        filter=AccessLogFilter(header_filter=HeaderFilter(header=methods)),
        typed_config=packed(config),
    )


def _tag(name: str, value: str) -> StatsConfig.Tag:
    return StatsConfig.Tag(name=name, value_format=value)
