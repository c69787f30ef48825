"""What is said to change from one gateway or snapshot to another."""

from __future__ import annotations

from dataclasses import replace

from google.protobuf.wrappers_pb2 import StringValue

from controlplane.difference import Change, FieldChange, ResourceChanges, compare_gateways, compare_snapshots
from controlplane.model import EDGE, Canary, NodeGroup, NodeSelector
from controlplane.xds.snapshot import Snapshot, encode_message
from tests.harness import gateways


def test_equal_ones_do_not_differ() -> None:
    """Nothing is said about what is the same."""
    one = gateways.gateway(gateways.route("/a"), identity_providers=(gateways.jwt_provider(),))
    assert compare_gateways(one, one) == ()


def test_a_changed_field_is_named_with_its_values() -> None:
    """A field deep inside has a dotted path; fields that stayed are not there."""
    before = gateways.gateway(gateways.route("/a", name="r", timeout=1.0))
    after = gateways.gateway(gateways.route("/b", name="r", timeout=1.0))
    fields = (FieldChange("match.path.value", "/a", "/b"),)
    assert compare_gateways(before, after) == (Change(section="routes", name="r", kind="changed", fields=fields),)


def test_a_group_that_means_other_nodes_is_named() -> None:
    """With what it means by which key, what it serves by which label, and its place."""
    sidecar, eu = NodeGroup(name="sidecar"), NodeGroup(name="eu", nodes=NodeSelector(regions=("eu",)))
    other = NodeGroup(name="eu", nodes=NodeSelector(regions=("eu", "uk")), labels={"audience": ("public",)})
    before, after = (gateways.gateway(node_groups=groups) for groups in ((sidecar, eu), (other, sidecar)))
    changes = {(one.name, field.path): field.after for one in compare_gateways(before, after) for field in one.fields}
    assert changes.pop(("eu", "nodes.regions")) == ["eu", "uk"]
    assert changes.pop(("eu", "labels.audience")) == ["public"]
    assert [path for _, path in changes] == ["position"]


def test_what_comes_and_goes_is_said_in_every_section() -> None:
    """A listener, an upstream, a provider and a limit that are only in one of the two are added and removed."""
    bare = gateways.gateway(listeners=(), upstreams=())
    full = gateways.gateway(
        listeners=(gateways.listener(),),
        upstreams=(gateways.upstream(),),
        identity_providers=(gateways.jwt_provider(),),
        rate_limits=(gateways.rate_limit(),),
        node_groups=(EDGE, NodeGroup(name="sidecar")),
        canary=Canary(share=0.1, hold=30.0, max_error_rate=0.05),
    )
    expected = ["listeners", "upstreams", "identity_providers", "rate_limits", "node_groups", "rollout"]
    assert [(one.section, one.kind) for one in compare_gateways(bare, full)] == [(s, "added") for s in expected]
    assert [(one.section, one.kind) for one in compare_gateways(full, bare)] == [(s, "removed") for s in expected]


def test_a_provider_of_another_kind_is_changed_as_a_whole() -> None:
    """A JWT provider that became an API-key provider of the same name shows both."""
    before = gateways.gateway(identity_providers=(gateways.jwt_provider("p"),))
    after = gateways.gateway(identity_providers=(gateways.api_key_provider("p"),))
    (change,) = compare_gateways(before, after)
    assert [field.path for field in change.fields] == ["kind"]


def test_a_route_that_moved_is_said_and_those_that_were_shifted_are_not() -> None:
    """The order of routes decides, so a move is a change; coming and going of others is none."""
    a, b, c, new = (gateways.route(f"/{name}", name=name) for name in "abcn")
    (moved,) = compare_gateways(gateways.gateway(a, b, c), gateways.gateway(c, a, b))
    assert (moved.name, moved.fields) == ("c", (FieldChange("position", 3, 1),))
    (added,) = compare_gateways(gateways.gateway(a, b, c), gateways.gateway(new, a, b, c))
    assert (added.name, added.kind) == ("n", "added")


def test_order_elsewhere_means_nothing() -> None:
    """Upstreams in another order are the same upstreams."""
    one, two = gateways.upstream("one"), gateways.upstream("two")
    before = gateways.gateway(upstreams=(one, two))
    assert compare_gateways(before, replace(before, upstreams=(two, one))) == ()


def test_resources_are_compared_by_type() -> None:
    """Added, removed and changed names of each type; types without a difference are left out."""

    def snapshot(**values: str) -> Snapshot:
        return Snapshot.of(encode_message(name, StringValue(value=value)) for name, value in values.items())

    url = "type.googleapis.com/google.protobuf.StringValue"
    expected = ResourceChanges(type_url=url, added=("d",), removed=("a",), changed=("b",))
    assert compare_snapshots(snapshot(a="1", b="1", c="1"), snapshot(b="2", c="1", d="1")) == (expected,)
    assert compare_snapshots(snapshot(a="1"), snapshot(a="1")) == ()
