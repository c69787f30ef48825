"""``check_consistent`` finds every kind of loose end."""

from __future__ import annotations

import pytest

from controlplane.translate import InconsistentSnapshotError, check_consistent, translate
from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot
from servicekit.contracts import AuthPolicy, LimitPolicy
from tests.harness import gateways as g

GATEWAY = g.gateway(
    g.route("/api", authenticate=("platform",), rate_limits=("per-ip",)),
    identity_providers=(g.jwt_provider(),),
    rate_limits=(g.rate_limit(),),
)
WITHOUT_POLICIES = g.gateway(g.route("/api"))


def test_a_whole_snapshot_is_consistent() -> None:
    """What the translator makes passes."""
    check_consistent(translate(GATEWAY))


@pytest.mark.parametrize(
    ("type_url", "complaint"),
    [
        (types.CLUSTER, "Cluster 'resumes' is used but is not there"),
        (types.ROUTE_CONFIGURATION, "RouteConfiguration 'routes' is used but is not there"),
        (types.CLUSTER_LOAD_ASSIGNMENT, "ClusterLoadAssignment 'resumes' is used but is not there"),
        (types.LISTENER, "RouteConfiguration 'routes' is there but nothing uses it"),
        (AuthPolicy.TYPE_URL, "rule 'platform~"),
        (LimitPolicy.TYPE_URL, "limit 'per-ip' is used but is not there"),
    ],
)
def test_a_missing_resource_is_named(type_url: str, complaint: str) -> None:
    """Whatever is taken away, somebody misses it, or nobody uses the rest."""
    snapshot = translate(GATEWAY)
    rest = [r for url, names in snapshot.resources.items() if url != type_url for r in names.values()]
    with pytest.raises(InconsistentSnapshotError, match=complaint):
        check_consistent(Snapshot.of(rest))


def test_a_rule_that_no_route_names_is_named() -> None:
    """The policy of one gateway with the routes of another."""
    mixed = translate(WITHOUT_POLICIES).replacing(translate(GATEWAY), [AuthPolicy.TYPE_URL])
    with pytest.raises(InconsistentSnapshotError, match=r"rule 'platform~.*' is there but nothing uses it"):
        check_consistent(mixed)


def test_names_of_the_bootstrap_are_not_ours_to_give() -> None:
    """Envoy refuses a dynamic cluster that is called like a static one."""
    upstream = g.upstream("gateway.xds")
    clash = translate(g.gateway(g.route("/", upstream="gateway.xds"), upstreams=(upstream,)))
    with pytest.raises(InconsistentSnapshotError, match=r"'gateway\.xds' has a name that is the gateway's own"):
        check_consistent(clash)


def test_an_upstream_that_no_route_names_is_left_out() -> None:
    """It would be connected to and health-checked for nothing."""
    snapshot = translate(g.gateway(g.route("/"), upstreams=(g.upstream(), g.upstream("unused"))))
    assert list(snapshot.of_type(types.CLUSTER)) == ["resumes"]
