"""Filters of a cluster: they see each try of a request, behind the routes and before the endpoint."""

from __future__ import annotations

from typing import Final

from envoy.config.core.v3.base_pb2 import RuntimePercent, RuntimeUInt32
from envoy.extensions.filters.http.admission_control.v3.admission_control_pb2 import AdmissionControl
from envoy.extensions.filters.http.upstream_codec.v3.upstream_codec_pb2 import UpstreamCodec
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.type.v3.percent_pb2 import Percent
from envoy.type.v3.range_pb2 import Int32Range

from controlplane import model
from controlplane.translate.wellknown import duration, packed

_RUNTIME: Final = "gateway.admission_control"
_LOWEST, _FIRST_FAILURE = 100, 500


def upstream_filters(upstream: model.Upstream) -> list[HttpFilter]:
    """None but for upstreams that ask for some; the last one is then the codec, as Envoy wants it."""
    if upstream.admission_control is None:
        return []
    return [
        HttpFilter(
            name="envoy.filters.http.admission_control",
            typed_config=packed(_admission_control(upstream.admission_control)),
        ),
        HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=packed(UpstreamCodec())),
    ]


def _admission_control(rules: model.AdmissionControl) -> AdmissionControl:
    criteria = AdmissionControl.SuccessCriteria
    answered = criteria.HttpCriteria(http_success_status=[Int32Range(start=_LOWEST, end=_FIRST_FAILURE)])
    return AdmissionControl(
        success_criteria=criteria(http_criteria=answered),  # of gRPC, Envoy's own list of codes
        sampling_window=duration(rules.window),
        sr_threshold=_percent(rules.success_rate, "success_rate"),
        rps_threshold=RuntimeUInt32(default_value=rules.requests_per_second, runtime_key=f"{_RUNTIME}.rps"),
        max_rejection_probability=_percent(rules.max_refused, "max_refused"),
    )


def _percent(share: float, key: str) -> RuntimePercent:
    return RuntimePercent(default_value=Percent(value=share * 100), runtime_key=f"{_RUNTIME}.{key}")
