"""API keys made while the gateway runs: found, refused, rotated, over; no remembered answer outlives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.decision import Allow
from ext_authz.denials import Deny, Unavailable
from ext_authz.enforcer import Enforcer
from ext_authz.errors import PolicyError
from ext_authz.key_book import KeyBook
from ext_authz.key_ring import KeyRing
from ext_authz.rule_book import RuleBook
from servicekit.contracts import ApiKeys, ManagedKey
from servicekit.contracts.api_keys import API_KEY_TEXT, key_digest
from servicekit.contracts.parts import PARTS, part_of
from servicekit.credential_text import Credential
from tests.harness.tokens import NOW
from tests.unit.ext_authz.builders import api_key_provider, auth_policy
from tests.unit.ext_authz.test_checker import Provider, World, world

SECRET = b"the installation's secret"


def a_key(made: Credential, **changes: Any) -> ManagedKey:
    """A key as the control plane sends it."""
    members: dict[str, Any] = {
        "id": made.id,
        "provider": "machines",
        "digest": key_digest(SECRET, made),
        "owner": "acme",
        "tier": "gold",
        "scopes": ("orders:read",),
    }
    return ManagedKey(**(members | changes))


def give(book: KeyBook, *keys: ManagedKey, is_complete: bool = True) -> None:
    """What the control plane sends."""
    parts: dict[str, list[ManagedKey]] = {}
    for key in keys:
        parts.setdefault(part_of(key.id), []).append(key)
    book.put({name: ApiKeys(keys=tuple(found)) for name, found in parts.items()}, frozenset(), is_complete)


def managed(**rule: Any) -> World:
    """A route that takes managed keys."""
    return world(auth_policy(api_key_provider(managed=True), **rule))


async def ask(asked: World, made: Credential) -> Allow | Deny | Unavailable:
    """One check with a key."""
    return await asked.ask(x_api_key=API_KEY_TEXT.write(made))


async def test_a_key_says_who_is_calling() -> None:
    """Owner, tier, scopes and id; and its scopes open routes that ask for them."""
    made, asked = API_KEY_TEXT.make(), managed(scopes=("orders:read",))
    give(asked.book, a_key(made))
    answer = await ask(asked, made)
    assert isinstance(answer, Allow)
    who = answer.identity
    assert (who.api_key, who.user, who.user_id) == (f"machines:{made.id}", "machines:acme", "acme")
    assert (who.tier, who.scopes) == ("gold", "orders:read")
    assert answer.set_headers == {"x-machine": made.id}


async def test_scopes_that_it_does_not_grant() -> None:
    """403, as for a token."""
    made, asked = API_KEY_TEXT.make(), managed(scopes=("orders:write",))
    give(asked.book, a_key(made))
    answer = await ask(asked, made)
    assert isinstance(answer, Deny)
    assert (answer.status, answer.code) == (403, "insufficient_scope")


@pytest.mark.parametrize("changes", [{"provider": "others"}, {"digest": "0" * 64}, {"expires_at": NOW}])
async def test_keys_that_are_not_good(changes: dict[str, Any]) -> None:
    """Another provider's, another secret, over."""
    made, asked = API_KEY_TEXT.make(), managed()
    give(asked.book, a_key(made, **changes))
    answer = await ask(asked, made)
    assert isinstance(answer, Deny)
    assert (answer.status, answer.code) == (401, "invalid_api_key")


async def test_a_provider_without_managed_keys_knows_none() -> None:
    """Although the key is there."""
    made, asked = API_KEY_TEXT.make(), world(auth_policy(api_key_provider()))
    give(asked.book, a_key(made))
    assert isinstance(await ask(asked, made), Deny)


async def test_a_revoked_key_is_refused_at_once() -> None:
    """However often it was good before: a remembered answer stands on the part that had the key."""
    made, other, asked = API_KEY_TEXT.make(), API_KEY_TEXT.make(), managed()
    give(asked.book, a_key(made), a_key(other))
    assert isinstance(await ask(asked, made), Allow)
    assert isinstance(await ask(asked, made), Allow)
    assert asked.checker.lookups() == (1, 1)
    asked.book.put({part_of(made.id): ApiKeys()}, frozenset(), True)
    assert isinstance(await ask(asked, made), Deny)
    asked.book.put({}, frozenset({part_of(other.id)}), True)
    assert isinstance(await ask(asked, other), Deny)


async def test_a_key_that_is_used_before_it_is_known_here() -> None:
    """Its refusal is not remembered longer than the key is unknown."""
    made, asked = API_KEY_TEXT.make(), managed()
    give(asked.book)
    assert isinstance(await ask(asked, made), Deny)
    assert isinstance(await ask(asked, made), Deny)
    assert asked.checker.lookups()[0] == 1, "what is unknown is remembered as well"
    give(asked.book, a_key(made))
    assert isinstance(await ask(asked, made), Allow)


async def test_before_all_keys_are_known() -> None:
    """503 for one that may be good, 401 for what can't be, and what is known already is good."""
    made, asked = API_KEY_TEXT.make(), managed()
    answer = await ask(asked, made)
    assert isinstance(answer, Unavailable)
    assert answer.code == "api_keys_unavailable"
    text = API_KEY_TEXT.write(made)
    for wrong in (text[:-1], text[:-1] + ("a" if text[-1] != "a" else "b"), "gwt" + text[3:], "x"):
        assert isinstance(await asked.ask(x_api_key=wrong), Deny)
    give(asked.book, a_key(made), is_complete=False)
    assert isinstance(await ask(asked, made), Allow)


async def test_rotation() -> None:
    """The secret before is good until its end, the new one beyond; remembered answers end there too."""
    before = API_KEY_TEXT.make()
    after, asked = API_KEY_TEXT.make(before.id), managed()
    give(
        asked.book,
        a_key(after, previous_digest=key_digest(SECRET, before), previous_until=NOW + 60, expires_at=NOW + 90),
    )
    assert isinstance(await ask(asked, before), Allow)
    assert isinstance(await ask(asked, after), Allow)
    asked.pass_time(60)
    assert isinstance(await ask(asked, before), Deny)
    assert isinstance(await ask(asked, after), Allow)
    asked.pass_time(30)
    assert isinstance(await ask(asked, after), Deny)


async def test_keys_of_the_document_go_on() -> None:
    """Beside those that are made at run time."""
    digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # SHA-256 of "key"
    asked = world(auth_policy(api_key_provider(managed=True, keys={"one": digest}, tiers={"one": "pro"})))
    answer = await asked.ask(x_api_key="key")
    assert isinstance(answer, Allow)
    assert (answer.identity.api_key, answer.identity.tier) == ("machines:one", "pro")


def test_who_was_not_told_the_secret_refuses_the_policy() -> None:
    """At once, and not request by request."""
    rules, clock = RuleBook(), lambda: 0.0
    keys = KeyRing(fetcher=Provider(), clock=clock, count_fetch=lambda _provider, _outcome: None)
    enforcer = Enforcer(rules=rules, keys=keys, clock=clock)
    with pytest.raises(PolicyError, match="managed keys of machines: GATEWAY_API_KEY_SECRET"):
        enforcer.apply(auth_policy(api_key_provider(managed=True)))


@given(st.text() | st.from_regex(r"gwk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\n?"))
def test_reading_takes_anything(text: str) -> None:
    """Whatever a client sends is a key, written in its one way, or none."""
    read = API_KEY_TEXT.read(text)
    assert read is None or API_KEY_TEXT.write(read) == text


def test_parts_are_alike_in_size() -> None:
    """So that one change sends little, however many keys there are."""
    counts = dict.fromkeys((f"{n:02x}" for n in range(PARTS)), 0)
    for _ in range(20 * PARTS):
        counts[part_of(API_KEY_TEXT.make().id)] += 1
    assert max(counts.values()) < 60
