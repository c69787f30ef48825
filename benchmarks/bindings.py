"""How much dearer is one protobuf binding than the other, for the same Envoy cluster?

Prints microseconds for build + encode with ``xds-protos`` (generated code over upb) and with ``envoy-data-plane``
(betterproto2), and their ratio. Run: ``.venv/bin/python -m benchmarks.bindings``.
"""

from __future__ import annotations

import datetime
import timeit

import envoy_data_plane.envoy.config.cluster.v3 as bp_cluster
import envoy_data_plane.envoy.config.core.v3 as bp_core
from envoy.config.cluster.v3 import cluster_pb2

ROUNDS = 300


def with_xds_protos() -> bytes:
    """Build and encode one cluster with the official generated code."""
    cluster = cluster_pb2.Cluster(name="resumes", type=cluster_pb2.Cluster.EDS)
    cluster.connect_timeout.FromMilliseconds(5000)
    cluster.eds_cluster_config.eds_config.ads.SetInParent()
    cluster.outlier_detection.consecutive_5xx.value = 5
    return cluster.SerializeToString(deterministic=True)


def with_envoy_data_plane() -> bytes:
    """Build and encode the same cluster with betterproto2."""
    return bytes(
        bp_cluster.Cluster(
            name="resumes",
            type=bp_cluster.ClusterDiscoveryType.EDS,
            connect_timeout=datetime.timedelta(seconds=5),
            eds_cluster_config=bp_cluster.ClusterEdsClusterConfig(
                eds_config=bp_core.ConfigSource(ads=bp_core.AggregatedConfigSource())
            ),
            outlier_detection=bp_cluster.OutlierDetection(consecutive_5xx=5),
        )
    )


def main() -> None:
    """Print both times and their ratio."""
    assert cluster_pb2.Cluster.FromString(with_envoy_data_plane()) == cluster_pb2.Cluster.FromString(with_xds_protos())
    times = {
        f.__name__: min(timeit.repeat(f, number=ROUNDS, repeat=5)) / ROUNDS * 1e6
        for f in (with_xds_protos, with_envoy_data_plane)
    }
    for name, microseconds in times.items():
        print(f"{name:24} {microseconds:8.1f} us per cluster")
    print(f"ratio {times['with_envoy_data_plane'] / times['with_xds_protos']:.0f}")


if __name__ == "__main__":
    main()
