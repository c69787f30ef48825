"""Which tokens a list of revocations refuses, and how a check obeys it."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.authorization import RequestFacts
from ext_authz.decision import Allow
from ext_authz.denials import Deny, Unavailable
from ext_authz.errors import PolicyError
from ext_authz.explanation import explain
from ext_authz.revocations import RevocationList, revocable
from servicekit.contracts.revocation import Revocation
from tests.harness.jose import jwks
from tests.harness.tokens import NOW, claims
from tests.unit.ext_authz.builders import RULE, auth_policy, jwt_provider
from tests.unit.ext_authz.test_checker import KEY, Plain, World, world


def revocation(**changes: Any) -> Revocation:
    """Of everything that alice had a minute ago."""
    members: dict[str, Any] = {
        "id": "one",
        "provider": "platform",
        "kind": "sub",
        "value": "alice",
        "issued_before": NOW - 60,
        "ends_at": NOW + 3600,
        "created_at": NOW,
        "created_by": "test",
    }
    return Revocation(**(members | changes))


def refuses(known: RevocationList, now: float = NOW, **changes: Any) -> bool:
    """Whether a token with these claims is refused."""
    return known.refuses(revocable("platform", claims(**changes), unknown_passes=False), now)


def test_tokens_of_a_user_up_to_a_moment() -> None:
    """Older ones, those of that very second, and those that don't say; not newer ones, nor another user's."""
    known = RevocationList()
    known.learn([revocation()], NOW)
    assert refuses(known, iat=NOW - 61)
    assert refuses(known, iat=NOW - 60)
    assert refuses(known, iat=None)
    assert not refuses(known, iat=NOW - 59)
    assert not refuses(known, iat=NOW - 61, sub="bob")


def test_one_token_and_one_session() -> None:
    """Each by its own claim: a session that is called like a user is no user."""
    known = RevocationList()
    known.learn([revocation(kind="jti", value="t1", issued_before=None)], NOW)
    known.learn([revocation(id="two", kind="sid", value="alice")], NOW)
    assert refuses(known, jti="t1")
    assert not refuses(known, jti="t2", iat=NOW - 61)
    assert refuses(known, sid="alice", iat=NOW - 61)
    assert not refuses(known, sid=["alice"], iat=NOW - 61)


def test_another_providers_users_are_others() -> None:
    """Though they are called the same."""
    known = RevocationList()
    known.learn([revocation(provider="partners")], NOW)
    assert not refuses(known, iat=NOW - 61)


def test_a_revocation_ends_and_is_forgotten() -> None:
    """It counts until its end, and then takes no room."""
    known = RevocationList()
    known.learn([revocation(ends_at=NOW + 10)], NOW)
    assert refuses(known, NOW + 9, iat=NOW - 61)
    assert not refuses(known, NOW + 10, iat=NOW - 61)
    known.learn([], NOW + 10)
    assert len(known) == 0


def test_what_is_withdrawn_counts_no_longer() -> None:
    """By its id alone: another one of the same user stays."""
    known = RevocationList()
    known.learn([revocation(), revocation(id="two", issued_before=NOW - 90)], NOW)
    known.learn([revocation(withdrawn_at=NOW)], NOW)
    assert not refuses(known, iat=NOW - 61)
    assert refuses(known, iat=NOW - 91)


def test_the_list_is_bounded() -> None:
    """What ends first makes room, and that is told."""
    known = RevocationList(capacity=2)
    many = [revocation(id=str(number), value=str(number), ends_at=NOW + 10 + number) for number in range(4)]
    assert known.learn(many, NOW) == 2
    assert len(known) == 2
    assert refuses(known, sub="3", iat=None)
    assert not refuses(known, sub="0", iat=None)


_entries = st.builds(
    revocation,
    id=st.sampled_from("abcd"),
    kind=st.sampled_from(["jti", "sub", "sid"]),
    value=st.sampled_from("xy"),
    issued_before=st.sampled_from([None, 1.0, 2.0]),
    ends_at=st.sampled_from([5.0, 9.0]),
    withdrawn_at=st.sampled_from([None, None, 1.0]),
)


@given(
    entries=st.lists(_entries, max_size=12),
    token=st.fixed_dictionaries({}, optional={name: st.sampled_from("xy") for name in ("jti", "sub", "sid")}),
    iat=st.sampled_from([None, 1.0, 2.0, 3.0]),
    now=st.sampled_from([4.0, 5.0, 9.0]),
)
def test_the_index_says_what_the_list_says(
    entries: list[Revocation], token: dict[str, str], iat: float | None, now: float
) -> None:
    """However it came together, the answer is that of looking at every entry that is left."""
    known = RevocationList()
    left: dict[str, Revocation] = {}
    for entry in entries:
        known.learn([entry], 0.0)
        if entry.withdrawn_at is not None:
            left.pop(entry.id, None)
        else:
            left.setdefault(entry.id, entry)
    token_claims = token | ({} if iat is None else {"iat": iat})
    expected = any(
        token.get(entry.kind) == entry.value
        and now < entry.ends_at
        and (-math.inf if iat is None else iat) <= (math.inf if entry.issued_before is None else entry.issued_before)
        for entry in left.values()
    )
    assert known.refuses(revocable("platform", token_claims, unknown_passes=False), now) is expected


def reason(decision: Plain) -> str:
    """Why, or ok."""
    return "ok" if isinstance(decision, Allow) else str(decision.reason)


def asking(revocation: str | None = "deny") -> World:
    """A world whose provider asks for revocations."""
    return world(auth_policy(jwt_provider(revocation=revocation)))


async def test_an_answer_of_the_cache_obeys_at_once() -> None:
    """In both directions, without looking at the signature again."""
    made = asking()
    made.revocations.loaded = True
    token = KEY.token(claims(iat=NOW - 61))
    assert reason(await made.show(token)) == "ok"
    made.revocations.learn([revocation()], NOW)
    refused = await made.show(token)
    assert isinstance(refused, Deny)
    assert (refused.status, refused.code, refused.reason) == (401, "invalid_token", "revoked")
    made.revocations.learn([revocation(withdrawn_at=NOW)], NOW)
    assert reason(await made.show(token)) == "ok"
    assert made.checker.lookups() == (2, 2)


async def test_a_token_that_is_seen_for_the_first_time_obeys_too() -> None:
    """It need not have been in the cache."""
    made = asking()
    made.revocations.loaded = True
    made.revocations.learn([revocation()], NOW)
    assert reason(await made.show(KEY.token(claims(iat=NOW - 61)))) == "revoked"
    assert reason(await made.show(KEY.token(claims(iat=NOW - 10)))) == "ok"


async def test_before_the_list_was_read() -> None:
    """503 unless the document says that requests go on; a bad token is a 401 all the same."""
    made = asking()
    token = KEY.token(claims())
    for _ in range(2):
        unknown = await made.show(token)
        assert isinstance(unknown, Unavailable)
        assert unknown.code == "revocations_unavailable"
    assert reason(await made.show(KEY.token(claims(exp=NOW - 1)))) == "expired"
    assert reason(await asking("allow").show(token)) == "ok"


async def test_who_does_not_ask_is_left_alone() -> None:
    """A provider without `revocation` neither waits for the list nor obeys it."""
    made = world()
    made.revocations.learn([revocation()], NOW)
    assert reason(await made.show(KEY.token(claims(iat=NOW - 61)))) == "ok"


async def test_an_explanation_says_that_it_does_not_know() -> None:
    """Where there is no list, nobody is told that a token is good without being told what was not looked at."""
    policy = auth_policy(jwt_provider(revocation="deny", jwks_uri="", jwks=jwks(KEY.jwk()).decode()))
    now = time.time()
    headers = {"authorization": f"Bearer {KEY.token(claims(iat=now - 1, exp=now + 60))}"}
    explanation = await explain(policy, RULE, headers, RequestFacts(), fetcher=None)
    assert isinstance(explanation.outcome, Allow)
    (step,) = [step for step in explanation.steps if step.name == "revocation"]
    assert "not looked up" in step.text


def test_a_process_without_redis_refuses_the_policy() -> None:
    """At once and in clear words: else every such route would answer 503 for ever."""
    made = world()
    made.enforcer._knows_revocations = False
    with pytest.raises(PolicyError, match="platform: GATEWAY_REDIS_URL"):
        made.enforcer.apply(auth_policy(jwt_provider(revocation="allow")))
