"""The incremental variant, rule by rule: reconnecting, what is sent of which type, and how much at a time."""

from __future__ import annotations

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse

from controlplane.xds import types
from controlplane.xds.messages import DeltaRequest, Response
from controlplane.xds.snapshot import EMPTY, Snapshot, alias
from controlplane.xds.subscription import MAX_RESPONSE_BYTES
from controlplane.xds.wire import encode
from tests.unit.controlplane.xds.builders import OTHER, names, resource, snapshot_of
from tests.unit.controlplane.xds.delta_client import EDS, Client


def test_a_reconnecting_client_is_sent_the_difference() -> None:
    """Rule 17: what it has is not sent, what vanished is said, what changed is sent."""
    before = snapshot_of(EDS, same="1", changed="1", gone="1")
    have = {name: r.version for name, r in before.of_type(EDS).items()}
    for asked in (("*",), (), ("same", "changed", "gone")):
        client = Client(snapshot_of(EDS, same="1", changed="2"))
        client.ask(*asked, have=have)
        response = client.accept()
        assert (names(response), response.removed) == (["changed"], ("gone",))
        assert client.receive() is None


def test_a_reconnect_with_everything_is_sent_nothing() -> None:
    """Rule 37."""
    snapshot = snapshot_of(EDS, a="1", b="1")
    client = Client(snapshot)
    client.ask(have={name: r.version for name, r in snapshot.of_type(EDS).items()})
    assert client.receive() is None
    assert client.state.subscriptions[EDS].synced


def test_versions_of_a_later_request_mean_nothing() -> None:
    """Rule 18: they belong to the first message of each type, also on a stream that other types began."""
    snapshot = snapshot_of(EDS, a="1")
    version = snapshot.of_type(EDS)["a"].version
    client = Client(snapshot)
    client.state.take(DeltaRequest(type_url=types.CLUSTER), now=0)
    assert client.state.next_response(now=0) is not None  # there are no clusters, and it says so
    client.ask("a", have={"a": version})
    assert client.receive() is None
    client.ask("a", have={"a": version})
    assert names(client.accept()) == ["a"]


def test_rubbish_in_versions_is_no_knowledge() -> None:
    """Rule 17: a version that says nothing counts as another one."""
    client = Client(EMPTY)
    client.ask("*", have={"a": "", "b": "?"})
    assert set(client.accept().removed) == {"a", "b"}


def test_virtual_hosts_come_when_their_names_are_asked_for() -> None:
    """Rule 27: requests on demand carry no nonce, while a response may be outstanding."""
    client = Client(snapshot_of(types.VIRTUAL_HOST, **{"routes/a.test": "1", "routes/b.test": "1"}), types.VIRTUAL_HOST)
    client.ask("routes/a.test")
    first = client.receive()
    client.ask("routes/b.test")
    assert first is not None
    client.ask(nonce=first.nonce)
    assert names(client.accept()) == ["routes/b.test"]


def test_a_virtual_host_that_does_not_exist_is_told_of_so_that_a_request_goes_on() -> None:
    """Rule 27: by a resource without a body that is its own alias, for a removal resumes nothing; one that goes later
    is a removal."""
    client = Client(snapshot_of(types.VIRTUAL_HOST), types.VIRTUAL_HOST)
    client.ask("routes/none.test")
    (told,) = on_the_wire(client.accept()).resources
    assert (told.name, list(told.aliases), told.HasField("resource")) == (
        "routes/none.test",
        ["routes/none.test"],
        False,
    )
    client.publish(**{"routes/none.test": "1"})
    assert names(client.accept()) == ["routes/none.test"]
    client.publish()
    assert on_the_wire(client.accept()).removed_resources == ["routes/none.test"]


def test_a_virtual_host_can_be_asked_for_by_an_alias() -> None:
    """Rules 19 and 27: the answer has its name and the alias; by two names it comes twice, never in one response."""
    host = resource(types.VIRTUAL_HOST, "routes/shop")
    aliases = [alias(name, host) for name in ("routes/a.test", "routes/b.test")]
    client = Client(Snapshot.of([host, *aliases]), types.VIRTUAL_HOST)
    client.ask("routes/a.test", "routes/b.test")
    responses = [on_the_wire(client.accept()) for _ in range(2)]
    assert [(one.name, list(one.aliases)) for response in responses for one in response.resources] == [
        ("routes/shop", ["routes/a.test"]),
        ("routes/shop", ["routes/b.test"]),
    ]
    assert responses[0].resources[0].resource.SerializeToString() == host.body
    assert client.receive() is None


def on_the_wire(response: Response) -> DeltaDiscoveryResponse:
    """As the official code reads it."""
    read: DeltaDiscoveryResponse = DeltaDiscoveryResponse.FromString(encode(response, b""))
    return read


def test_filter_configurations_are_not_taken_away() -> None:
    """Rule 28: the listener that names one changes, then the client unsubscribes."""
    client = Client(snapshot_of(types.EXTENSION_CONFIG, a="1"), types.EXTENSION_CONFIG)
    client.ask("a")
    client.accept()
    client.publish()
    assert client.receive() is None
    client.publish(a="2")
    assert names(client.accept()) == ["a"]


def test_names_that_look_like_patterns_are_names() -> None:
    """Rule 31."""
    client = Client(snapshot_of(EDS, **{"prefix/a": "1", "prefix/*": "2", "xdstp://x/y/*": "3"}))
    client.ask("prefix/*", "xdstp://x/y/*")
    assert set(names(client.accept())) == {"prefix/*", "xdstp://x/y/*"}


def test_a_slow_client_gets_the_newest_and_nothing_between() -> None:
    """Rule 32."""
    client = Client(snapshot_of(EDS, a="0"))
    client.ask("*")
    response = client.receive()
    for content in range(1, 100):
        client.publish(a=str(content))
        assert client.receive() is None
    assert response is not None
    client.ask(nonce=response.nonce)
    final = client.accept()
    assert final.resources == (resource(EDS, "a", "99"),)
    assert client.receive() is None


def test_a_large_answer_comes_in_pieces() -> None:
    """Rules 33 and 34: each piece below 4 MiB, the next one after the ACK, nothing twice."""
    text = "x" * 1_000_000
    client = Client(snapshot_of(EDS, **{f"r{n}": text for n in range(8)}))
    client.ask("*")
    seen: list[str] = []
    while (response := client.receive()) is not None:
        assert sum(len(r.delta_head) + len(r.body) for r in response.resources) <= MAX_RESPONSE_BYTES
        assert client.receive() is None
        seen += names(response)
        client.ask(nonce=response.nonce)
    assert seen == [f"r{n}" for n in range(8)]


def test_a_resource_that_is_too_large_is_sent_alone() -> None:
    """Rule 34: there is no other way."""
    client = Client(snapshot_of(EDS, a="1", big="x" * 5_000_000, c="1"))
    client.ask("*")
    assert [names(client.accept()) for _ in range(3)] == [["a"], ["big"], ["c"]]


def test_a_fresh_client_of_nothing_is_told_that_there_is_nothing() -> None:
    """Envoy's initialisation waits for a first response, or 15 s."""
    client = Client(EMPTY)
    client.ask("*")
    response = client.accept()
    assert (response.resources, response.removed) == ((), ())
    assert client.receive() is None


def test_before_the_first_snapshot_nothing_is_said() -> None:
    """Not known is not the same as none."""
    client = Client(None)
    client.ask("*", "a")
    assert client.receive() is None
    client.publish(a="1")
    assert names(client.accept()) == ["a"]


def test_a_cleared_group_keeps_what_it_has() -> None:
    """And goes on from there."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("*")
    client.accept()
    client.state.aim(None)
    assert client.receive() is None
    client.publish(a="1", b="2")
    assert names(client.accept()) == ["b"]


def test_a_type_that_nobody_knows_is_accepted_with_nothing_to_send() -> None:
    """Until a snapshot holds it."""
    client = Client(snapshot_of(EDS, a="1"), OTHER)
    client.ask()
    assert client.receive() is None
    client.publish(a="1")
    assert names(client.accept()) == ["a"]
    client.state.aim(EMPTY)
    assert client.accept().removed == ("a",)
