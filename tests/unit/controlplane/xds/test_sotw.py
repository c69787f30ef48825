"""The state-of-the-world variant, rule by rule (docs/reference/xds.md)."""

from __future__ import annotations

import pytest

from controlplane.xds import types
from controlplane.xds.messages import Response, SotwRequest
from controlplane.xds.snapshot import EMPTY, Snapshot
from controlplane.xds.stream import StreamState
from controlplane.xds.subscription import MAX_RESPONSE_BYTES, Answer
from tests.unit.controlplane.xds.builders import OTHER, names, snapshot_of, stream

EDS, LDS, CDS = types.CLUSTER_LOAD_ASSIGNMENT, types.LISTENER, types.CLUSTER


class Client:
    """Speaks for one type on a stream whose server has ``snapshot``; ``nonce`` and ``version`` follow what it got."""

    def __init__(self, snapshot: Snapshot | None, type_url: str = EDS) -> None:
        self.type_url = type_url
        self.nonce = ""
        self.version = ""
        self.state: StreamState = stream()
        self.state.aim(snapshot)

    def ask(self, *wanted: str, nonce: str | None = None, error: str | None = None) -> Answer | None:
        """Send one request with everything that the client wants."""
        self.wanted = wanted
        request = SotwRequest(
            type_url=self.type_url,
            names=wanted,
            version=self.version,
            nonce=self.nonce if nonce is None else nonce,
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
        self.nonce, self.version = response.nonce, response.version
        self.ask(*self.wanted)
        return response

    def refuse(self) -> Response:
        """Receive something and NACK it."""
        response = self.receive()
        assert response is not None, "nothing was sent"
        self.nonce = response.nonce
        self.ask(*self.wanted, error="no")
        return response

    def publish(self, **contents: str) -> None:
        """Give the server another snapshot."""
        self.state.aim(snapshot_of(self.type_url, **contents))


def test_an_error_detail_refuses_whatever_the_versions_are() -> None:
    """Rule 1: also with the version that was sent; and an old version without an error accepts."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a")
    response = client.receive()
    assert response is not None
    client.version = response.version
    answer = client.ask("a", nonce=response.nonce, error="")
    assert answer is not None
    assert not answer.accepted
    client.publish(a="2")
    response = client.receive()
    assert response is not None
    client.version = "something else"
    answer = client.ask("a", nonce=response.nonce)
    assert answer is not None
    assert answer.accepted


@pytest.mark.parametrize("type_url", [EDS, LDS, OTHER])
def test_what_was_refused_is_held_until_it_changes(type_url: str) -> None:
    """Rule 2: not again as it is, at once when it is different."""
    client = Client(snapshot_of(type_url, a="1"), type_url)
    client.ask("a")
    client.refuse()
    assert client.receive() is None
    client.publish(a="1")
    assert client.receive() is None
    client.publish(a="2")
    assert names(client.accept()) == ["a"]
    assert client.receive() is None


def test_a_whole_that_was_refused_shrinks_to_a_good_one() -> None:
    """Rule 2: taking the bad listener away is a change too."""
    client = Client(snapshot_of(LDS, good="1", bad="1"), LDS)
    client.ask()
    client.refuse()
    client.publish(good="1")
    assert names(client.accept()) == ["good"]


def test_a_whole_that_shrinks_while_its_refusal_is_on_its_way_is_sent() -> None:
    """Rule 2: the refusal is of something older."""
    client = Client(snapshot_of(LDS, good="1", bad="1"), LDS)
    client.ask()
    first = client.receive()
    client.publish(good="1")
    assert first is not None
    client.nonce = first.nonce
    client.ask(error="no")
    assert names(client.accept()) == ["good"]


def test_a_refusal_stands_when_only_others_resources_change() -> None:
    """Rule 2: what this client should have is still what it refused."""
    client = Client(snapshot_of(LDS, a="1"), LDS)
    client.ask("a")
    client.refuse()
    client.publish(a="1", b="1")
    assert client.receive() is None
    assert client.state.subscriptions[LDS].refused
    assert not client.state.subscriptions[LDS].synced


def test_a_refusal_may_change_the_subscription() -> None:
    """Rule 3."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    response = client.receive()
    assert response is not None
    client.nonce = response.nonce
    client.ask("a", "b", error="no")
    assert names(client.accept()) == ["b"]


def test_a_stale_nonce_gets_no_answer_but_its_names_count() -> None:
    """Rule 4: the names are the newest, whatever the nonce; one response is outstanding at a time."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    first = client.receive()
    assert first is not None
    assert client.ask("a", "b") is None  # crossed with the response
    assert client.receive() is None
    client.nonce = first.nonce
    client.ask("a", "b")
    assert names(client.accept()) == ["b"]


def test_a_stale_refusal_holds_nothing() -> None:
    """Rule 4."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a")
    client.accept()
    assert client.ask("a", nonce="stale", error="no") is None
    client.publish(a="2")
    assert names(client.accept()) == ["a"]


def test_the_first_request_may_carry_an_old_version_and_nonce() -> None:
    """Rule 6: it answers nothing, and what it asks for is sent."""
    client = Client(snapshot_of(EDS, a="1"))
    client.nonce, client.version = "1.1", "old"
    assert client.ask("a") is None
    assert names(client.accept()) == ["a"]


def test_new_names_are_sent_though_the_version_is_the_same() -> None:
    """Rule 7: only what is new."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    version = client.accept().version
    client.ask("a", "b")
    response = client.accept()
    assert (names(response), response.version) == (["b"], version)


def test_a_name_taken_out_and_put_back_is_sent_again() -> None:
    """Rule 8: the client has dropped it."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a", "b")
    client.accept()
    client.ask("b")
    assert client.receive() is None
    client.ask("a", "b")
    assert names(client.accept()) == ["a"]


@pytest.mark.parametrize("type_url", [LDS, CDS, EDS])
def test_empty_is_everything_until_a_name_was_said(type_url: str) -> None:
    """Rule 10: then it is nothing."""
    client = Client(snapshot_of(type_url, a="1", b="1"), type_url)
    client.ask()
    assert names(client.accept()) == ["a", "b"]
    client.ask("a")
    client.ask()
    client.publish(a="2", b="2")
    assert client.receive() is None


def test_leaving_the_wildcard_out_of_the_list_ends_it() -> None:
    """Rule 11: ``[*, A]`` to ``[A]``."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("*", "a")
    assert names(client.accept()) == ["a", "b"]
    client.ask("a")
    client.publish(a="2", b="2")
    assert names(client.accept()) == ["a"]


@pytest.mark.parametrize("type_url", [LDS, CDS])
def test_listeners_and_clusters_are_told_whole(type_url: str) -> None:
    """Rule 14: each time everything; what is missing is deleted; empty deletes all."""
    client = Client(snapshot_of(type_url, a="1", b="1"), type_url)
    client.ask()
    assert names(client.accept()) == ["a", "b"]
    client.publish(a="2", b="1")
    assert names(client.accept()) == ["a", "b"]
    client.publish(b="1")
    assert names(client.accept()) == ["b"]
    client.publish()
    assert names(client.accept()) == []


def test_a_listener_asked_for_by_name_that_does_not_exist_is_answered() -> None:
    """Rule 14: the whole without it says so."""
    client = Client(snapshot_of(LDS, a="1"), LDS)
    client.ask("none")
    assert names(client.accept()) == []
    client.ask("none", "a")
    assert names(client.accept()) == ["a"]


def test_other_types_are_told_in_part() -> None:
    """Rule 15: only what is new, and never an empty response as a deletion."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a", "b", "none")
    assert names(client.accept()) == ["a", "b"]
    client.publish(a="1", b="2")
    assert names(client.accept()) == ["b"]
    client.publish(a="1")
    assert client.receive() is None
    assert client.state.subscriptions[EDS].synced


def test_a_reconnect_with_the_wildcard_and_the_same_version_is_sent_nothing() -> None:
    """Rules 17 and 37: the one case in which the version alone says what the client has."""
    snapshot = snapshot_of(CDS, a="1")
    client = Client(snapshot, CDS)
    client.version = snapshot.version(CDS)
    client.ask()
    assert client.receive() is None
    assert client.state.subscriptions[CDS].synced
    client.publish(a="2")
    assert names(client.accept()) == ["a"]


def test_a_reconnect_by_name_is_always_sent_what_it_asks_for() -> None:
    """Rule 7: its version says nothing of names that are new since."""
    for type_url in (EDS, LDS):
        snapshot = snapshot_of(type_url, a="1")
        client = Client(snapshot, type_url)
        client.version = snapshot.version(type_url)
        client.ask("a")
        assert names(client.accept()) == ["a"]


def test_the_version_of_some_listeners_is_not_that_of_all() -> None:
    """Rule 7: else a client that had one name could claim everything."""
    snapshot = snapshot_of(LDS, a="1")
    client = Client(snapshot, LDS)
    client.ask("a")
    assert client.accept().version != snapshot.version(LDS)


def test_a_claim_is_compared_when_there_is_something_to_compare_with() -> None:
    """Rule 37: nodes may reconnect before the control plane has read its document."""
    client = Client(None, CDS)
    client.version = snapshot_of(CDS, a="1").version(CDS)
    client.ask()
    client.publish(a="1")
    assert client.receive() is None
    other = Client(None, CDS)
    other.version = "another"
    other.ask()
    other.publish(a="1")
    assert names(other.accept()) == ["a"]


def test_duplicate_names_are_one_name() -> None:
    """Rule 19: clients refuse a response that holds a name twice."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("a", "a", "*", "*")
    assert names(client.accept()) == ["a"]


def test_what_was_unsubscribed_meanwhile_is_not_sent() -> None:
    """Rule 23."""
    client = Client(snapshot_of(EDS, a="1", b="1"))
    client.ask("a")
    first = client.receive()
    client.ask("a", "b")
    client.ask("a")
    assert first is not None
    client.nonce = first.nonce
    client.ask("a")
    assert client.receive() is None


def test_nothing_of_a_wildcard_that_has_ended_is_sent() -> None:
    """Rule 23: what had been found for it is forgotten."""
    client = Client(snapshot_of(LDS), LDS)
    client.ask("*")
    client.accept()
    client.publish(a="1")
    client.ask()
    assert client.receive() is None


def test_virtual_hosts_have_no_such_variant() -> None:
    """Rule 27: asked for all the same, there is no answer."""
    client = Client(snapshot_of(types.VIRTUAL_HOST, a="1"), types.VIRTUAL_HOST)
    client.ask("a")
    assert client.receive() is None


def test_a_slow_client_gets_the_newest_and_nothing_between() -> None:
    """Rule 32."""
    client = Client(snapshot_of(LDS, a="0"), LDS)
    client.ask()
    first = client.receive()
    for content in range(1, 100):
        client.publish(a=str(content))
    assert client.receive() is None
    assert first is not None
    client.nonce = first.nonce
    client.ask()
    response = client.accept()
    assert response.version == snapshot_of(LDS, a="99").version(LDS)
    assert client.receive() is None


def test_a_large_answer_in_part_comes_in_pieces() -> None:
    """Rule 34: a whole can't be split, the other types are."""
    text = "x" * 1_000_000
    contents = {f"r{n}": text for n in range(8)}
    client = Client(snapshot_of(EDS, **contents))
    client.ask(*contents)
    seen: list[str] = []
    while (response := client.receive()) is not None:
        assert sum(len(r.sotw_head) + len(r.body) for r in response.resources) <= MAX_RESPONSE_BYTES
        seen += names(response)
        client.nonce = response.nonce
        client.ask(*contents)
    assert seen == sorted(contents)


def test_a_fresh_client_of_nothing_is_told_that_there_is_nothing() -> None:
    """Envoy's initialisation waits for a first response, or 15 s."""
    client = Client(EMPTY, CDS)
    client.ask()
    assert names(client.accept()) == []
    assert client.receive() is None


def test_before_the_first_snapshot_nothing_is_said() -> None:
    """Not known is not the same as none: an empty response would delete everything."""
    client = Client(None, CDS)
    client.ask()
    assert client.receive() is None


def test_a_cleared_group_keeps_what_it_has() -> None:
    """And goes on from there."""
    client = Client(snapshot_of(CDS, a="1"), CDS)
    client.ask()
    client.accept()
    client.state.aim(None)
    assert client.receive() is None
    client.publish(a="1")
    assert client.receive() is None
