"""Which endpoint of a cluster gets the next request."""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.cluster.v3.cluster_pb2 import Cluster, LoadBalancingPolicy
from envoy.extensions.load_balancing_policies.common.v3.common_pb2 import LocalityLbConfig, SlowStartConfig
from envoy.extensions.load_balancing_policies.least_request.v3.least_request_pb2 import LeastRequest
from envoy.extensions.load_balancing_policies.random.v3.random_pb2 import Random
from envoy.extensions.load_balancing_policies.round_robin.v3.round_robin_pb2 import RoundRobin
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.wrappers_pb2 import UInt64Value

from controlplane import model
from controlplane.translate.wellknown import duration, packed, uint32

_EXTENSION = "envoy.load_balancing_policies."

_LB_POLICIES: Mapping[str, Cluster.LbPolicy] = {
    "round_robin": Cluster.ROUND_ROBIN,
    "least_request": Cluster.LEAST_REQUEST,
    "random": Cluster.RANDOM,
    "ring_hash": Cluster.RING_HASH,
    "maglev": Cluster.MAGLEV,
}


def balance(built: Cluster, upstream: model.Upstream) -> None:
    """Set it on the cluster."""
    # At 0 nothing is ever sent to endpoints known to be bad: an open breaker answers 503 at once.
    built.common_lb_config.healthy_panic_threshold.CopyFrom(Percent(value=upstream.panic_threshold * 100))
    if upstream.discover is not None and upstream.health_check is not None:
        # Else Envoy waits up to a second before it counts what its checks find right after endpoints have changed.
        built.common_lb_config.update_merge_window.CopyFrom(duration(0))
    if upstream.prefer_own_zone is not None:
        built.load_balancing_policy.CopyFrom(_in_own_zone(upstream, upstream.prefer_own_zone))
        return
    if upstream.subsets:
        built.lb_subset_config.CopyFrom(_subsets(upstream))
    built.lb_policy = _LB_POLICIES[upstream.load_balancing]
    if upstream.discover is not None or any(endpoint.region or endpoint.zone for endpoint in upstream.endpoints):
        # Envoy's default prefers the own zone by the share that the zone has of all nodes, which it does not know.
        built.common_lb_config.zone_aware_lb_config.routing_enabled.CopyFrom(Percent(value=0))
    if upstream.slow_start is not None:
        slowly = Cluster.SlowStartConfig(slow_start_window=duration(upstream.slow_start))
        if upstream.load_balancing == "least_request":
            built.least_request_lb_config.slow_start_config.CopyFrom(slowly)
        else:
            built.round_robin_lb_config.slow_start_config.CopyFrom(slowly)


def _subsets(upstream: model.Upstream) -> Cluster.LbSubsetConfig:
    """The outer fallback is for requests that ask for no subset: they go to all endpoints."""
    config = Cluster.LbSubsetConfig
    nobody = config.LbSubsetSelector.NO_FALLBACK
    return config(
        fallback_policy=config.ANY_ENDPOINT,
        subset_selectors=[config.LbSubsetSelector(keys=keys, fallback_policy=nobody) for keys in upstream.subsets],
    )


def _in_own_zone(upstream: model.Upstream, least: int) -> LoadBalancingPolicy:
    """Only the extensions know of a zone that gets everything."""
    zones = LocalityLbConfig.ZoneAwareLbConfig
    near = LocalityLbConfig(
        zone_aware_lb_config=zones(
            min_cluster_size=UInt64Value(value=1), force_local_zone=zones.ForceLocalZone(min_size=uint32(least))
        )
    )
    policy: RoundRobin | LeastRequest | Random
    if upstream.load_balancing == "random":
        policy = Random(locality_lb_config=near)
    else:
        policy = (RoundRobin if upstream.load_balancing == "round_robin" else LeastRequest)(locality_lb_config=near)
        if upstream.slow_start is not None:
            slowly = SlowStartConfig(slow_start_window=duration(upstream.slow_start))
            policy.slow_start_config.CopyFrom(slowly)
    built = LoadBalancingPolicy()
    chosen = built.policies.add().typed_extension_config
    chosen.name = _EXTENSION + upstream.load_balancing
    chosen.typed_config.CopyFrom(packed(policy))
    return built
