"""What each group gets of one gateway."""

from __future__ import annotations

from dataclasses import replace

from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.model import Canary, Gateway, NodeGroup, NodeSelector
from controlplane.translate import check_consistent, translate_release
from controlplane.translate.consistency import decode
from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot
from servicekit.contracts import AuthPolicy, LimitPolicy
from tests.harness import gateways as g
from tests.harness.gateway_strategies import gateways

VALUES = st.sampled_from(["public", "internal", "partner"])
LABELS = st.dictionaries(st.sampled_from(["audience", "tier"]), VALUES, max_size=2)
PUBLIC, INTERNAL = {"audience": ("public",)}, {"audience": ("internal",)}

GATEWAY = g.gateway(
    g.route("/public", labels={"audience": "public"}),
    g.route("/internal", upstream="ledger", labels={"audience": "internal"}, authenticate=("platform",)),
    g.route("/neither"),
    listeners=(g.listener(), g.listener(name="outbound", port=9000)),
    upstreams=(g.upstream(), g.upstream("ledger")),
    identity_providers=(g.jwt_provider(),),
    rate_limits=(g.rate_limit(),),
)


def grouped(*groups: NodeGroup) -> Gateway:
    """The gateway for these groups."""
    return replace(GATEWAY, node_groups=groups)


def names(snapshot: Snapshot, type_url: str) -> list[str]:
    """Of the resources of one type."""
    return list(snapshot.of_type(type_url))


def route_names(snapshot: Snapshot) -> list[str]:
    """Of the document's routes on every host, in their order."""
    (table,) = snapshot.of_type(types.ROUTE_CONFIGURATION).values()
    hosts = MessageToDict(decode(table), preserving_proto_field_name=True)["virtual_hosts"]
    return [route["name"] for route in hosts[0]["routes"] if not route["name"].startswith("gateway.")]


def test_each_group_gets_its_own_and_nothing_else() -> None:
    """Listeners by name, routes by label, and only the upstreams that these use."""
    release = translate_release(
        grouped(
            NodeGroup(name="edge", listeners=("http",), labels=PUBLIC),
            NodeGroup(name="sidecar", listeners=("outbound",), labels=INTERNAL),
        )
    )
    edge, sidecar = release.groups["edge"], release.groups["sidecar"]
    assert (names(edge, types.LISTENER), names(sidecar, types.LISTENER)) == (["http"], ["outbound"])
    assert (names(edge, types.CLUSTER), names(sidecar, types.CLUSTER)) == (["resumes"], ["ledger"])
    assert (route_names(edge), route_names(sidecar)) == (["/public"], ["/internal"])


def test_a_group_without_labels_gets_every_route() -> None:
    """Those without labels too."""
    release = translate_release(grouped(NodeGroup(name="all")))
    assert route_names(release.groups["all"]) == ["/public", "/internal", "/neither"]


def test_the_services_get_the_policies_of_all_groups_and_envoy_gets_none() -> None:
    """A rule of a route that no edge serves is still ext_authz's to know."""
    release = translate_release(grouped(NodeGroup(name="edge", labels=PUBLIC)))
    assert set(release.services.resources) == {AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL}
    assert not set(release.groups["edge"].resources) & set(release.services.resources)


def test_groups_that_get_the_same_share_one_snapshot() -> None:
    """It is translated once, and whoever compares sees it at once."""
    release = translate_release(
        grouped(
            NodeGroup(name="eu", nodes=NodeSelector(regions=("eu",))),
            NodeGroup(name="us", listeners=("http", "outbound"), labels={}),
            NodeGroup(name="rest", labels=PUBLIC),
        )
    )
    assert release.groups["eu"] is release.groups["us"]
    assert release.groups["eu"] is not release.groups["rest"]


def test_what_groups_have_in_common_is_encoded_once() -> None:
    """The bytes of a cluster are the same object in every snapshot that has it."""
    release = translate_release(grouped(NodeGroup(name="all"), NodeGroup(name="public", labels=PUBLIC)))
    for type_url, name in ((types.CLUSTER, "resumes"), (types.LISTENER, "http")):
        one, other = (release.groups[group].of_type(type_url)[name] for group in ("all", "public"))
        assert one is other


def test_versions_say_what_nodes_get_and_who_they_are() -> None:
    """Not how it goes out: a canary's share alone is nothing to bring to anybody."""
    one = grouped(NodeGroup(name="edge"))
    canary = Canary(share=0.1, hold=30, max_error_rate=0.05)
    assert translate_release(one).versions == translate_release(replace(one, canary=canary)).versions
    for other in (
        grouped(NodeGroup(name="other")),
        grouped(NodeGroup(name="edge", nodes=NodeSelector(ids=("a",)))),
        grouped(NodeGroup(name="edge", nodes=NodeSelector(metadata={"a": ("b",)}))),
        grouped(NodeGroup(name="edge"), NodeGroup(name="more")),
        grouped(NodeGroup(name="edge", labels=PUBLIC)),
        replace(one, rate_limits=(g.rate_limit(burst=7),)),
    ):
        assert translate_release(other).versions != translate_release(one).versions


@settings(max_examples=60)
@given(gateways(), st.data())
def test_every_view_is_whole(gateway: Gateway, data: st.DataObject) -> None:
    """Whatever is chosen: the routes that agree, in their order, and no name that leads nowhere."""
    routes = tuple(
        replace(route, labels=data.draw(LABELS), match=replace(route.match, hosts=("*",))) for route in gateway.routes
    )
    wanted = data.draw(st.dictionaries(st.sampled_from(["audience", "tier"]), st.tuples(VALUES, VALUES), max_size=2))
    rest = NodeGroup(name="rest")  # so that no rule and no limit is without a route
    release = translate_release(
        replace(gateway, routes=routes, node_groups=(NodeGroup(name="some", labels=wanted), rest))
    )
    check_consistent(release)
    expected = [r.name for r in routes if all(r.labels.get(label) in values for label, values in wanted.items())]
    assert route_names(release.groups["some"]) == expected
