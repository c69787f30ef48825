"""``check_consistent`` finds every kind of loose end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controlplane.model import NodeGroup
from controlplane.translate import InconsistentReleaseError, check_consistent, translate_release
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


def test_a_whole_release_is_consistent() -> None:
    """What the translator makes passes."""
    check_consistent(translate_release(GATEWAY))


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
    release = translate_release(GATEWAY)
    rest = replace(
        release,
        groups={name: without(type_url, snapshot) for name, snapshot in release.groups.items()},
        services=without(type_url, release.services),
    )
    with pytest.raises(InconsistentReleaseError, match=complaint):
        check_consistent(rest)


def test_a_rule_that_no_route_names_is_named() -> None:
    """The policy of one gateway with the routes of another."""
    mixed = replace(translate_release(WITHOUT_POLICIES), services=translate_release(GATEWAY).services)
    with pytest.raises(InconsistentReleaseError, match=r"rule 'platform~.*' is there but nothing uses it"):
        check_consistent(mixed)


def test_a_rule_is_used_when_any_group_names_it() -> None:
    """The services decide for all groups."""
    private = g.route("/private", labels={"audience": "internal"}, authenticate=("platform",), rate_limits=("per-ip",))
    groups = (
        NodeGroup(name="edge", listeners=("http",), labels={"audience": ("public",)}),
        NodeGroup(name="sidecar", labels={"audience": ("internal",)}),
    )
    check_consistent(
        translate_release(
            g.gateway(
                g.route("/", labels={"audience": "public"}),
                private,
                identity_providers=(g.jwt_provider(),),
                rate_limits=(g.rate_limit(),),
                node_groups=groups,
            )
        )
    )


def test_a_loose_end_is_named_with_its_group() -> None:
    """The group that misses something, and not the one that has it."""
    upstream = g.upstream("gateway.xds")
    clash = translate_release(g.gateway(g.route("/", upstream="gateway.xds"), upstreams=(upstream,)))
    with pytest.raises(InconsistentReleaseError, match=r"in group 'edge': Cluster 'gateway\.xds' has a name that is"):
        check_consistent(clash)


def test_an_upstream_that_no_route_names_is_left_out() -> None:
    """It would be connected to and health-checked for nothing."""
    snapshot = g.edge_snapshot(g.gateway(g.route("/"), upstreams=(g.upstream(), g.upstream("unused"))))
    assert list(snapshot.of_type(types.CLUSTER)) == ["resumes"]


def without(type_url: str, snapshot: Snapshot) -> Snapshot:
    """All but one type."""
    return Snapshot.of(r for url, names in snapshot.resources.items() if url != type_url for r in names.values())
