"""The incremental variant, rule by rule (docs/reference/xds.md): answers and subscriptions."""

from __future__ import annotations

from tests.unit.controlplane.xds.builders import names, snapshot_of
from tests.unit.controlplane.xds.delta_client import EDS, Client


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


def test_nothing_of_a_wildcard_that_has_ended_is_sent() -> None:
    """Rule 23: what had been found for it is forgotten."""
    client = Client(snapshot_of(EDS, a="1"))
    client.ask("*")
    response = client.receive()
    client.publish(a="2", b="1")
    assert client.receive() is None
    client.ask(unsubscribe=("*",))
    assert response is not None
    client.ask(nonce=response.nonce)
    assert client.receive() is None
