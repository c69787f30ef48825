"""The PROXY protocol of a listener: who is believed, and what is read before everything else."""

from __future__ import annotations

from typing import Final

from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol

from controlplane import model
from controlplane.translate import limits
from controlplane.translate.wellknown import duration, packed

_FILTER: Final = "envoy.filters.listener.proxy_protocol"
_VERSIONS: Final = {"v1": ProxyProtocolConfig.V1, "v2": ProxyProtocolConfig.V2}


def speak(listener: Listener, rules: model.ProxyProtocol) -> None:
    """Have ``listener`` read it from whoever finds a filter chain there, which are the balancers."""
    config = ProxyProtocol(
        allow_requests_without_proxy_protocol=rules.optional,
        disallowed_versions=[number for version, number in _VERSIONS.items() if version not in rules.versions],
    )
    listener.listener_filters.add(name=_FILTER, typed_config=packed(config))
    listener.listener_filters_timeout.CopyFrom(duration(limits.LISTENER_FILTERS_SECONDS))
