"""The incremental variant, rule by rule (docs/reference/xds.md)."""

from __future__ import annotations

from controlplane.xds import types
from controlplane.xds.messages import DeltaRequest, Response
from controlplane.xds.snapshot import EMPTY, Snapshot
from controlplane.xds.stream import StreamState
from controlplane.xds.subscription import MAX_RESPONSE_BYTES, Answer
from tests.unit.controlplane.xds.builders import OTHER, names, resource, snapshot_of, stream

EDS = types.CLUSTER_LOAD_ASSIGNMENT


class Client:
    """Speaks for one type on a stream whose server has ``snapshot``."""

    def __init__(self, snapshot: Snapshot | None, type_url: str = EDS) -> None:
        self.type_url = type_url
        self.state: StreamState = stream()
        self.state.aim(snapshot)

    def ask(
        self,
        *subscribe: str,
        unsubscribe: tuple[str, ...] = (),
        have: dict[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> Answer | None:
        """Send one request."""
        request = DeltaRequest(
            type_url=self.type_url,
            subscribe=subscribe,
            unsubscribe=unsubscribe,
            initial_versions=have or {},
            nonce=nonce,
            error=error,
        )
        return self.state.take(request, now=0)

    def receive(self) -> Response | None:
        """What the server sends, unanswered."""
        return self.state.next_response(now=0)

    def accept(self) -> Response:
        """Receive something and ACK it."""
        response = self.receive()
        assert response is not None, "nothing was sent"
        self.ask(nonce=response.nonce)
        return response

    def refuse(self, **request: tuple[str, ...]) -> Response:
        """Receive something and NACK it."""
        response = self.receive()
        assert response is not None, "nothing was sent"
        self.ask(
            *request.get("subscribe", ()), unsubscribe=request.get("unsubscribe", ()), nonce=response.nonce, error="no"
        )
        return response

    def publish(self, **contents: str) -> None:
        """Give the server another snapshot."""
        self.state.aim(snapshot_of(self.type_url, **contents))


def test_an_error_detail_refuses_and_its_absence_accepts() -> None:
    """Rule 1: whatever versions are about."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a")
    response = client.receive()
    assert response is not None
    answer = client.ask(nonce=response.nonce, error="")
    assert answer is not None
    assert not answer.accepted
    client.publish(a="2")
    response = client.receive()
    assert response is not None
    answer = client.ask(nonce=response.nonce)
    assert answer is not None
    assert answer.accepted


def test_what_was_refused_is_held_until_it_changes() -> None:
    """Rule 2: not again as it is, at once when it is different; other resources go on."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a", "b")
    client.refuse()
    assert client.receive() is None
    client.publish(a="1", b="1", c="1")
    assert client.receive() is None
    client.publish(a="2", b="1")
    assert names(client.accept()) == ["a", "b"]  # b was in what was refused: the client may or may not have it
    assert client.receive() is None


def test_what_was_refused_is_sent_again_after_it_was_taken_back_and_published_again() -> None:
    """Rule 2: the former version first, then whatever comes."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a")
    client.accept()
    client.publish(a="bad")
    client.refuse()
    client.publish(a="1")
    assert names(client.accept()) == ["a"]


def test_a_change_while_a_refusal_is_on_its_way_is_sent_at_once() -> None:
    """Rule 2: the refusal is of something older."""
    client = Client(snapshot_of(EDS, a="bad"))
    client.ask("a")
    response = client.receive()
    client.publish(a="good")
    assert client.receive() is None  # one response is outstanding
    assert response is not None
    client.ask(nonce=response.nonce, error="no")
    assert names(client.accept()) == ["a"]


def test_a_refused_name_that_is_asked_for_again_is_not_refused_any_more() -> None:
    """Rules 2 and 9: the client decides."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a", "b")
    client.refuse()
    client.ask("a", "b")
    assert client.state.subscriptions[EDS].refused is False
    client.accept()
    assert client.state.subscriptions[EDS].synced


def test_a_refusal_outlives_the_beginning_of_the_wildcard() -> None:
    """Rule 2: what was refused by name is not asked for by ``*``."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    client.refuse()
    client.ask("*")
    assert names(client.accept()) == ["b"]
    assert client.state.subscriptions[EDS].refused


def test_a_refusal_does_not_answer_a_name_asked_for_since() -> None:
    """Rules 3 and 9: the request for it came after the response was made."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a")
    response = client.receive()
    client.ask("a")
    assert response is not None
    client.ask(nonce=response.nonce, error="no")
    assert names(client.accept()) == ["a"]
    assert client.state.subscriptions[EDS].synced


def test_acks_and_nacks_may_change_the_subscription() -> None:
    """Rule 3."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    client.refuse(subscribe=("b",))
    response = client.receive()
    assert names(response) == ["b"]
    assert response is not None
    client.ask("a", nonce=response.nonce)
    assert names(client.accept()) == ["a"]  # asked for by name, so sent, refused or not


def test_a_stale_nonce_still_changes_the_subscription() -> None:
    """Rule 5."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    client.accept()
    assert client.ask("b", nonce="stale") is None
    assert names(client.accept()) == ["b"]


def test_a_stale_refusal_holds_nothing() -> None:
    """Rule 5: it is about a response of another time."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a")
    client.accept()
    assert client.ask(nonce="stale", error="no") is None
    client.publish(a="2")
    assert names(client.accept()) == ["a"]


def test_the_nonce_of_an_older_stream_answers_nothing() -> None:
    """Rule 6."""
    client = Client(snapshot_of(EDS, a="1"))
    assert client.ask("a", nonce="1.1", error="no") is None
    assert names(client.receive()) == ["a"]


def test_a_name_subscribed_again_is_sent_again() -> None:
    """Rule 9: the client may have dropped it."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a")
    client.accept()
    client.ask("a")
    assert names(client.accept()) == ["a"]
    client.ask(unsubscribe=("a",))
    assert client.receive() is None
    client.ask("a")
    assert names(client.accept()) == ["a"]


def test_an_empty_first_request_is_the_wildcard() -> None:
    """Rule 10: until a name was said; then an empty list is nothing new."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask()
    assert names(client.accept()) == ["a", "b"]
    named = Client(snapshot_of(EDS, a="1", b="1"))
    named.ask("a")
    assert names(named.accept()) == ["a"]
    named.ask(unsubscribe=("a",))
    named.ask()
    assert named.receive() is None


def test_the_unnamed_wildcard_goes_on_beside_names() -> None:
    """Rule 12: subscribe A keeps it; unsubscribe ``*`` ends it and keeps A."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask()
    client.accept()
    client.ask("a")
    assert names(client.accept()) == ["a"]
    client.publish(a="1", b="2")
    assert names(client.accept()) == ["b"]
    client.ask(unsubscribe=("*",))
    client.publish(a="2", b="3")
    assert names(client.accept()) == ["a"]


def test_naming_the_wildcard_later_sends_nothing_again() -> None:
    """Rule 12: the client has it all already."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask()
    client.accept()
    client.ask("*")
    assert client.receive() is None


def test_a_name_dropped_under_the_wildcard_is_answered() -> None:
    """Rule 13: with the resource, or with its removal when there is none."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("*", "a", "b")
    client.accept()
    client.ask(unsubscribe=("a", "b"))
    response = client.accept()
    assert names(response) == ["a"]
    assert response.removed == ("b",)


def test_a_name_that_does_not_exist_is_said_not_to() -> None:
    """Rule 16: and is sent when it comes to exist."""
    client = Client(snapshot_of(EDS, b="1"))
    client.ask("a")
    response = client.accept()
    assert (names(response), response.removed) == ([], ("a",))
    assert client.receive() is None
    client.publish(a="1")
    assert names(client.accept()) == ["a"]
    client.publish(b="1")
    assert client.accept().removed == ("a",)


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


def test_phantom_unsubscribes_are_tolerated() -> None:
    """Rule 19."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a", "a", unsubscribe=("never",))
    assert names(client.accept()) == ["a"]
    client.ask(unsubscribe=("never",))
    assert client.receive() is None


def test_what_was_unsubscribed_meanwhile_is_not_sent() -> None:
    """Rule 23: a response is made when it is sent."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    response = client.receive()
    client.ask("b")
    client.ask(unsubscribe=("b",))
    assert response is not None
    client.ask(nonce=response.nonce)
    assert client.receive() is None


def test_virtual_hosts_come_when_their_names_are_asked_for() -> None:
    """Rule 27: requests on demand carry no nonce, while a response may be outstanding."""
    client = Client(snapshot_of(types.VIRTUAL_HOST, **{"routes/a.test": "1", "routes/b.test": "1"}), types.VIRTUAL_HOST)
    client.ask("routes/a.test")
    first = client.receive()
    client.ask("routes/b.test")
    assert first is not None
    client.ask(nonce=first.nonce)
    assert names(client.accept()) == ["routes/b.test"]


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
