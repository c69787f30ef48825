"""Envoy's bootstrap: who it is, where the control plane is, and what it has before it hears from there."""

from __future__ import annotations

from datetime import timedelta

import envoy_data_plane.envoy.config.bootstrap.v3 as bootstrap_v3
import envoy_data_plane.envoy.config.core.v3 as core_v3
import envoy_data_plane.envoy.config.metrics.v3 as metrics_v3
import envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 as tls_v3
import envoy_data_plane.envoy.type.matcher.v3 as matcher_v3
import yaml
from betterproto2 import Casing
from envoy_data_plane.google.protobuf import Struct, Value

from gateway.bootstrap_clusters import bootstrap_clusters, locality, to_envoy
from gateway.bootstrap_health import health_listener
from gateway.bootstrap_overload import overload_manager
from gateway.bootstrap_tls import SecretFiles
from gateway.envoy_settings import EnvoySettings, system_ca_file
from servicekit.contracts.data_plane import (
    ADMIN_CLUSTER,
    DURATION_BUCKETS_US,
    LISTENER_STATS,
    RUNTIME,
    STAT_DURATION,
    STATS_PREFIX,
    SYSTEM_CA_SECRET,
    TAG_LISTENER,
    TAG_UPSTREAM,
    UPSTREAM_STATS,
    XDS_CLUSTER,
)

_LOG_FIELDS = {
    "timestamp": "%Y-%m-%dT%T.%F%z",
    "level": "%l",
    "service": "envoy",
    "logger": "%n",
    "message": "%j",
}
"""As :mod:`servicekit.logs` writes them, in spdlog's patterns."""

_FOR_EVER = timedelta(0)
_STATS_FLUSH = timedelta(seconds=2)
"""How old histograms may be when they are read; counters are never old."""

_ADMIN_SOCKET_MODE = 0o600


def build_bootstrap(settings: EnvoySettings, *, secrets: SecretFiles | None = None) -> bootstrap_v3.Bootstrap:
    """The bootstrap of one Envoy.

    Args:
        settings: of the process.
        secrets: files that were written for Envoy to follow changes of the TLS files.

    Raises:
        SettingsError: an address leaves the machine and there is no TLS.
    """
    return bootstrap_v3.Bootstrap(
        node=_node(settings),
        admin=bootstrap_v3.Admin(
            address=to_envoy(settings.envoy_admin, socket_mode=_ADMIN_SOCKET_MODE), ignore_global_conn_limit=True
        ),
        dynamic_resources=_dynamic_resources(),
        static_resources=bootstrap_v3.BootstrapStaticResources(
            listeners=[health_listener(settings.envoy_health_bind)],
            clusters=bootstrap_clusters(settings, secrets),
            secrets=_secrets(settings),
        ),
        # Its own zone is where this Envoy itself is, and there is none until it knows a cluster that is there.
        cluster_manager=bootstrap_v3.ClusterManager(
            load_stats_config=_load_reports(), local_cluster_name="" if locality(settings) is None else ADMIN_CLUSTER
        ),
        stats_config=_stats_config(),
        stats_flush_interval=_STATS_FLUSH,
        layered_runtime=_runtime(),
        overload_manager=overload_manager(max_connections=settings.max_connections, memory_limit=settings.memory_limit),
        application_log_config=_log_config(),
    )


def render_bootstrap(settings: EnvoySettings, *, secrets: SecretFiles | None = None) -> str:
    """The bootstrap as YAML, which Envoy reads from a file that ends in ``.yaml``; see :func:`build_bootstrap`.

    Raises:
        SettingsError: an address leaves the machine and there is no TLS.
    """
    document = build_bootstrap(settings, secrets=secrets).to_dict(casing=Casing.SNAKE)
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _node(settings: EnvoySettings) -> core_v3.Node:
    node = core_v3.Node(id=settings.node_id, cluster=settings.node_group)
    node.locality = locality(settings)
    if settings.node_metadata:
        texts = {key: Value(string_value=text) for key, text in settings.node_metadata.items()}
        node.metadata = Struct(fields=texts)
    return node


def _dynamic_resources() -> bootstrap_v3.BootstrapDynamicResources:
    """Everything over one delta stream, so that the control plane can order it."""
    stream = core_v3.ApiConfigSource(
        api_type=core_v3.ApiConfigSourceApiType.DELTA_GRPC,
        transport_api_version=core_v3.ApiVersion.V3,
        set_node_on_first_message_only=True,
        grpc_services=[core_v3.GrpcService(envoy_grpc=core_v3.GrpcServiceEnvoyGrpc(cluster_name=XDS_CLUSTER))],
    )
    # Ready means configured: without a first answer Envoy waits rather than say it is ready and listen nowhere.
    from_ads = core_v3.ConfigSource(
        ads=core_v3.AggregatedConfigSource(),
        resource_api_version=core_v3.ApiVersion.V3,
        initial_fetch_timeout=_FOR_EVER,
    )
    return bootstrap_v3.BootstrapDynamicResources(ads_config=stream, lds_config=from_ads, cds_config=from_ads)


def _load_reports() -> core_v3.ApiConfigSource:
    """How requests to upstreams end, told to the control plane when it asks: that is what a canary is judged by."""
    return core_v3.ApiConfigSource(
        api_type=core_v3.ApiConfigSourceApiType.GRPC,
        transport_api_version=core_v3.ApiVersion.V3,
        grpc_services=[core_v3.GrpcService(envoy_grpc=core_v3.GrpcServiceEnvoyGrpc(cluster_name=XDS_CLUSTER))],
    )


def _secrets(settings: EnvoySettings) -> list[tls_v3.Secret]:
    bundle = settings.ca_file or system_ca_file()
    if bundle is None:
        return []
    context = tls_v3.CertificateValidationContext(trusted_ca=core_v3.DataSource(filename=str(bundle)))
    return [tls_v3.Secret(name=SYSTEM_CA_SECRET, validation_context=context)]


def _stats_config() -> metrics_v3.StatsConfig:
    durations = metrics_v3.HistogramBucketSettings(
        match=matcher_v3.StringMatcher(prefix=f"{STATS_PREFIX}.{STAT_DURATION}"),
        buckets=[float(bound) for bound in DURATION_BUCKETS_US],
    )
    return metrics_v3.StatsConfig(
        histogram_bucket_settings=[durations],
        stats_tags=[
            metrics_v3.TagSpecifier(tag_name=TAG_UPSTREAM, regex=rf"^cluster\.((.+)\.)(?:{UPSTREAM_STATS})$"),
            metrics_v3.TagSpecifier(tag_name=TAG_LISTENER, regex=rf"^http\.((.+)\.)(?:{LISTENER_STATS})$"),
        ],
    )


def _runtime() -> bootstrap_v3.LayeredRuntime:
    values = {key: Value(number_value=value) for key, value in RUNTIME.items()}
    layer = bootstrap_v3.RuntimeLayer(name="gateway", static_layer=Struct(fields=values))
    return bootstrap_v3.LayeredRuntime(layers=[layer])


def _log_config() -> bootstrap_v3.BootstrapApplicationLogConfig:
    fields = Struct(fields={name: Value(string_value=pattern) for name, pattern in _LOG_FIELDS.items()})
    return bootstrap_v3.BootstrapApplicationLogConfig(
        log_format=bootstrap_v3.BootstrapApplicationLogConfigLogFormat(json_format=fields)
    )
