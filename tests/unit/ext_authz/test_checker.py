"""From request headers to an answer: any-of, caching, identity, keys that come and go."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ext_authz.checker import Answer, Checker, NeedsRule
from ext_authz.decision import Allow, NeedsIntrospection, NeedsKeys
from ext_authz.denials import Deny, Unavailable
from ext_authz.enforcer import Enforcer
from ext_authz.errors import KeyFetchError
from ext_authz.introspection import Introspections
from ext_authz.issuer_client import IssuerClient
from ext_authz.key_book import KeyBook
from ext_authz.key_ring import KeyRing
from ext_authz.revocations import RevocationList
from ext_authz.rule_arrivals import MAX_WAITING
from ext_authz.rule_book import RuleBook
from servicekit.contracts import AuthPolicy
from tests.harness.jose import SigningKey, jwks, signing_key
from tests.harness.tokens import NOW, claims
from tests.harness.xds import eventually
from tests.unit.ext_authz.builders import RULE, Clock, api_key_provider, auth_policy, jwt_provider

KEY, OTHER, FAKE = signing_key("ES256", "one"), signing_key("ES256", "two"), signing_key("ES256", "fake")
SECRET = "k-7f3a"
HASH = hashlib.sha256(SECRET.encode()).hexdigest()

Plain = Allow | Deny | Unavailable


class Provider:
    """The port for fetching keys, in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.calls = 0

    async def fetch(self, uri: str) -> bytes:
        """What was put there, or the error of a provider that is down."""
        self.calls += 1
        await asyncio.sleep(0)
        if uri not in self.documents:
            raise KeyFetchError("down")
        return self.documents[uri]


def joined(decisions: Sequence[Plain]) -> Plain:
    """The first says who is calling, all change the request; as the bytes of several answers are joined."""
    allowed = [decision for decision in decisions if isinstance(decision, Allow)]
    headers = {name: value for one in reversed(allowed) for name, value in one.set_headers.items()}
    removed = tuple(sorted({name for one in allowed for name in one.remove_headers}))
    return replace(allowed[0], set_headers=headers, remove_headers=removed)


class World:
    """A checker whose answers stay plain values, on clocks that a test sets."""

    def __init__(self, cache_entries: int = 100) -> None:
        self.clock, self.wall = Clock(), Clock(NOW)
        self.provider = Provider()
        self.rendered = 0
        self.patience = 0.0
        """Seconds that a check waits for a rule that nobody knows yet."""
        self.rules = RuleBook()
        self.keys = KeyRing(fetcher=self.provider, clock=self.clock, count_fetch=lambda _provider, _outcome: None)
        self.book = KeyBook(b"the installation's secret")
        self.enforcer = Enforcer(
            rules=self.rules, keys=self.keys, clock=self.clock, knows_revocations=True, knows_api_keys=True
        )
        self.revocations = RevocationList()
        self.checker: Checker[Plain] = Checker(
            rules=self.rules,
            keys=self.keys,
            book=self.book,
            introspections=Introspections(
                client=IssuerClient(), wall=self.wall, count=lambda _provider, _outcome: None, entries=cache_entries
            ),
            revocations=self.revocations,
            render=self._render,
            replace_cookies=lambda decision, cookies: (
                replace(decision, set_headers={**decision.set_headers, "cookie": cookies})
                if isinstance(decision, Allow)
                else decision
            ),
            join=joined,
            clock=self.clock,
            wall=self.wall,
            cache_entries=cache_entries,
        )

    def _render(self, decision: Plain) -> Plain:
        self.rendered += 1
        return decision

    def publish(self, *keys: SigningKey, uri: str = "https://id.example.com/jwks") -> None:
        """What the provider hands out from now on."""
        self.provider.documents[uri] = jwks(*(key.jwk() for key in keys))

    def pass_time(self, seconds: float) -> None:
        """On both clocks."""
        self.clock.now += seconds
        self.wall.now += seconds

    async def ask(self, rule: str = RULE, **headers: str) -> Plain:
        """One check, waiting for keys when they are needed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        found = self.checker.check(rule, named)
        if isinstance(found, NeedsKeys | NeedsIntrospection):
            found = await self.checker.check_with(rule, named, found, patience=5)
        if isinstance(found, NeedsRule):
            found = await self.checker.check_with_rule(rule, named, patience=self.patience)
        return found.rendered

    async def show(self, token: str, rule: str = RULE) -> Plain:
        """One check with a bearer token."""
        return await self.ask(rule, authorization=f"Bearer {token}")


def world(policy: AuthPolicy | None = None, **options: Any) -> World:
    """A world with a provider that publishes one key."""
    made = World(**options)
    made.publish(KEY)
    made.enforcer.apply(policy or auth_policy(jwt_provider()))
    return made


def reason(decision: Plain) -> str:
    """Why not."""
    assert isinstance(decision, Deny | Unavailable)
    return str(decision.reason)


async def test_a_good_token_passes() -> None:
    """The caller's identity, the claim as a header, every other identity header taken away."""
    answer = await world().show(KEY.token(claims()))
    assert isinstance(answer, Allow)
    assert answer.identity.provider == "platform"
    assert answer.identity.user_id == "alice"
    assert answer.identity.user == "platform:alice"
    assert answer.set_headers == {"x-user-id": "alice"}
    assert answer.remove_headers == ("x-machine",)


async def test_no_credentials() -> None:
    """RFC 6750 §3.1: a challenge without an error code."""
    answer = await world().ask()
    assert isinstance(answer, Deny)
    assert (answer.status, answer.challenges) == (401, ('Bearer realm="gateway"',))


@pytest.mark.parametrize("value", ["Bearer a,Bearer b", "Bearer a b", "Bearer"])
async def test_more_or_less_than_one_token(value: str) -> None:
    """Never a guess which one was meant."""
    answer = await world().ask(authorization=value)
    assert isinstance(answer, Deny)
    assert (answer.status, answer.code) == (401, "invalid_request")


async def test_an_unknown_rule_is_closed() -> None:
    """503 on every route: it is no failure that a route may forgive."""
    answer = await world().ask("nobody~000000000000")
    assert isinstance(answer, Deny)
    assert (answer.status, answer.reason) == (503, "unknown_rule")


async def test_a_rule_that_is_on_its_way_is_waited_for() -> None:
    """A proxy may have heard of a new document first: its request is slow, and not refused."""
    w = World()
    w.publish(KEY)
    w.patience = 5
    token = KEY.token(claims())
    asking = asyncio.create_task(w.show(token))
    await eventually(lambda: w.checker.arrivals.waiting == 1, "it waits")
    w.enforcer.apply(AuthPolicy(providers=(), rules={}, identity_headers=()))
    await eventually(lambda: w.checker.arrivals.waiting == 1, "it waits on")
    w.enforcer.apply(auth_policy(jwt_provider()))
    async with asyncio.timeout(5):
        assert isinstance(await asking, Allow)
    assert w.checker.arrivals.waiting == 0


async def test_not_all_can_wait_for_a_rule() -> None:
    """Above the bound the answer comes at once: a proxy with a document of its own must not fill this service."""
    w = world()
    w.patience = 60
    waiting = [asyncio.create_task(w.ask("nobody~000000000000")) for _ in range(MAX_WAITING)]
    await eventually(lambda: w.checker.arrivals.waiting == MAX_WAITING, "all wait")
    async with asyncio.timeout(5):
        assert reason(await w.ask("nobody~000000000000")) == "unknown_rule"
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert w.checker.arrivals.waiting == 0


async def test_a_token_is_verified_once() -> None:
    """The second time its answer is there already, rendered."""
    w, token = world(), KEY.token(claims())
    first = await w.show(token)
    assert await w.show(token) is first
    assert w.rendered == 1
    assert w.checker.lookups() == (1, 2)  # the first look found no keys yet


async def test_a_cached_token_expires() -> None:
    """Its end is the cache entry's end."""
    w, token = world(), KEY.token(claims(exp=NOW + 10))
    assert isinstance(await w.show(token), Allow)
    w.pass_time(10)
    assert reason(await w.show(token)) == "expired"


async def test_a_removed_key_stops_working_at_once() -> None:
    """Also for tokens that are in the cache; a new key works at once."""
    w = world()
    assert isinstance(await w.show(KEY.token(claims())), Allow)
    w.publish(OTHER)
    assert isinstance(await w.show(OTHER.token(claims())), Allow)
    w.pass_time(11)
    assert reason(await w.show(KEY.token(claims()))) == "unknown_key"


async def test_a_refresh_that_changes_nothing_keeps_the_cache() -> None:
    """Fetching the same keys again costs no verification."""
    w, token = world(), KEY.token(claims())
    first = await w.show(token)
    w.pass_time(11)
    assert reason(await w.show(FAKE.token(claims()))) == "unknown_key"  # causes a fetch
    assert w.provider.calls == 2
    assert await w.show(token) is first


async def test_stale_keys_and_then_503() -> None:
    """While the provider is down nothing changes until the bound; then no answer, for cached tokens too."""
    w, token = world(), KEY.token(claims(exp=NOW + 5000))
    assert isinstance(await w.show(token), Allow)
    w.provider.documents.clear()
    w.pass_time(899)
    assert isinstance(await w.show(token), Allow)
    assert isinstance(await w.show(KEY.token(claims(exp=NOW + 4000))), Allow)
    w.pass_time(1)
    assert isinstance(await w.show(token), Unavailable)
    w.publish(KEY)
    w.pass_time(10)
    assert isinstance(await w.show(token), Allow)


async def test_an_expired_token_is_401_even_without_keys() -> None:
    """What needs no key is said without one."""
    w = world()
    w.provider.documents.clear()
    assert reason(await w.show(KEY.token(claims(exp=NOW - 1)))) == "expired"
    assert isinstance(await w.show(KEY.token(claims())), Unavailable)


async def test_an_empty_set_is_no_key() -> None:
    """A provider that took all its keys back: the old ones stop, and nobody is told that his token is bad."""
    w, token = world(), KEY.token(claims())
    assert isinstance(await w.show(token), Allow)
    w.publish()
    assert isinstance(await w.show(OTHER.token(claims())), Deny | Unavailable)
    assert isinstance(await w.show(token), Unavailable)


async def test_an_unknown_key_while_the_provider_is_down_is_closed() -> None:
    """503 and not 401, since it may be a new key; but no failure that a fail-open route forgives."""
    w = world()
    assert isinstance(await w.show(KEY.token(claims())), Allow)
    w.provider.documents.clear()
    answer = await w.show(OTHER.token(claims()))
    assert isinstance(answer, Deny)
    assert (answer.status, answer.reason) == (503, "new_key_unavailable")
    assert isinstance(await w.show(KEY.token(claims())), Allow)


async def test_a_flood_of_bad_tokens_never_evicts_a_good_one() -> None:
    """Refused tokens have a cache of their own."""
    w, token = world(cache_entries=10), KEY.token(claims())
    first = await w.show(token)
    for number in range(50):
        head, payload, _ = KEY.token(claims(jti=str(number))).split(".")
        assert reason(await w.show(f"{head}.{payload}.{'A' * 86}")) == "signature"
    assert await w.show(token) is first


async def test_a_refused_signature_is_not_computed_twice() -> None:
    """Until the keys change, since then it may be good."""
    w = world()
    await w.show(KEY.token(claims()))
    stranger = SigningKey("ES256", "one", OTHER.private)
    token = stranger.token(claims())
    assert reason(await w.show(token)) == "signature"
    before = w.rendered
    assert reason(await w.show(token)) == "signature"
    assert w.rendered == before
    w.publish(stranger)
    await w.show(FAKE.token(claims()))  # causes a fetch
    assert isinstance(await w.show(token), Allow)


async def test_a_changed_policy_takes_effect_at_once() -> None:
    """A token that was cached under the old policy is judged by the new one."""
    w, token = world(), KEY.token(claims())
    assert isinstance(await w.show(token), Allow)
    w.enforcer.apply(auth_policy(jwt_provider(audiences=("other",))))
    assert reason(await w.show(token)) == "audience"


async def test_unchanged_providers_keep_their_keys() -> None:
    """A change elsewhere in the policy causes no fetch."""
    w, token = world(), KEY.token(claims())
    await w.show(token)
    w.enforcer.apply(auth_policy(jwt_provider(audiences=("resumes", "more")), api_key_provider()))
    w.provider.documents.clear()
    assert isinstance(await w.show(token), Allow)


async def test_two_issuers_on_one_route() -> None:
    """A token is judged by its own issuer's keys, never by the other's, even under one kid."""
    partner = SigningKey("ES256", "one", OTHER.private)
    second = jwt_provider(name="partner", issuer="https://partner", jwks_uri="https://partner/jwks")
    w = world(auth_policy(jwt_provider(), second))
    w.publish(partner, uri="https://partner/jwks")
    theirs = await w.show(partner.token(claims(iss="https://partner")))
    assert isinstance(theirs, Allow)
    assert theirs.identity.user == "partner:alice"
    assert isinstance(await w.show(KEY.token(claims())), Allow)
    assert reason(await w.show(KEY.token(claims(iss="https://partner")))) == "signature"
    assert reason(await w.show(partner.token(claims()))) == "signature"
    assert reason(await w.show(KEY.token(claims(iss="https://third")))) == "issuer"


async def test_two_policies_for_one_issuer() -> None:
    """Any of them is enough: here the second audience."""
    second = jwt_provider(name="second", audiences=("other",))
    w = world(auth_policy(jwt_provider(), second))
    answer = await w.show(KEY.token(claims(aud="other")))
    assert isinstance(answer, Allow)
    assert answer.identity.provider == "second"


async def test_an_api_key() -> None:
    """Found by its hash; its id goes on, the key itself does not."""
    w = world(auth_policy(api_key_provider(keys={"ci": HASH})))
    answer = await w.ask(x_api_key=SECRET)
    assert isinstance(answer, Allow)
    assert (answer.identity.api_key, answer.identity.user) == ("machines:ci", "machines:ci")
    assert answer.set_headers == {"x-machine": "ci"}
    assert answer.remove_headers == ("x-api-key", "x-user-id")


@pytest.mark.parametrize("key", ["wrong", SECRET + " ", SECRET.upper(), HASH, f"{SECRET},{SECRET}"])
async def test_a_wrong_api_key(key: str) -> None:
    """401, also for the hash itself and for two headers."""
    answer = await world(auth_policy(api_key_provider(keys={"ci": HASH}))).ask(x_api_key=key)
    assert isinstance(answer, Deny)
    assert (answer.status, answer.code) == (401, "invalid_api_key")
    assert answer.challenges == ('ApiKey realm="gateway"',)


async def test_the_whole_hash_counts() -> None:
    """The index finds a key by the beginning of its hash; that alone is not enough."""
    twin = HASH[:16] + "0" * 48
    answer = await world(auth_policy(api_key_provider(keys={"twin": twin}))).ask(x_api_key=SECRET)
    assert isinstance(answer, Deny)
    both = await world(auth_policy(api_key_provider(keys={"twin": twin, "ci": HASH}))).ask(x_api_key=SECRET)
    assert isinstance(both, Allow)
    assert both.identity.api_key == "machines:ci"


async def test_keys_of_two_providers_with_one_id_are_two_callers() -> None:
    """Else they would share a bucket of a limit by api_key."""
    other = api_key_provider(name="robots", header="x-robot", keys={"ci": "0" * 64})
    ours = api_key_provider(keys={"ci": HASH})
    theirs = api_key_provider(name="robots", header="x-robot", keys={"ci": HASH})
    found = set()
    for policy, headers in (
        (auth_policy(ours, other), {"x_api_key": SECRET}),
        (auth_policy(theirs), {"x_robot": SECRET}),
    ):
        answer = await world(policy).ask(**headers)
        assert isinstance(answer, Allow)
        found.add(answer.identity.api_key)
    assert found == {"machines:ci", "robots:ci"}


async def test_either_is_enough() -> None:
    """A good API key beside a token that can't be judged, or a bad one; and the other way round."""
    w = world(auth_policy(jwt_provider(), api_key_provider(keys={"ci": HASH})))
    token = f"Bearer {KEY.token(claims())}"
    by_key = await w.ask(x_api_key=SECRET, authorization=f"Bearer {KEY.token(claims(exp=NOW - 1))}")
    by_token = await w.ask(x_api_key="wrong", authorization=token)
    assert isinstance(by_key, Allow)
    assert isinstance(by_token, Allow)
    assert by_key.identity.provider == "machines"
    assert by_token.identity.provider == "platform"
    assert "x-api-key" in by_token.remove_headers
    w.provider.documents.clear()
    w.pass_time(1000)
    assert isinstance(await w.ask(x_api_key=SECRET, authorization=token), Allow)


async def test_the_token_can_be_kept_from_the_backend() -> None:
    """When the document says so."""
    answer = await world(auth_policy(jwt_provider(forward_token=False))).show(KEY.token(claims()))
    assert isinstance(answer, Allow)
    assert "authorization" in answer.remove_headers


@pytest.mark.parametrize(
    ("granted", "passes"),
    [
        ({"scope": "read write"}, True),
        ({"scope": "write  read other"}, True),
        ({"scp": ["read", "write"]}, True),
        ({"scp": "read write"}, True),
        ({"scope": "read"}, False),
        ({"scope": "reads write"}, False),
        ({"scope": ["read write"]}, False),
        ({"scope": 5}, False),
        ({}, False),
    ],
)
async def test_scopes(granted: dict[str, Any], passes: bool) -> None:
    """All that the route asks for, as whole words; else 403 that names them (RFC 6750 §3.1)."""
    answer = await world(auth_policy(jwt_provider(), scopes=("read", "write"))).show(KEY.token(claims(**granted)))
    if passes:
        assert isinstance(answer, Allow)
        return
    assert isinstance(answer, Deny)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert answer.challenges == ('Bearer realm="gateway", error="insufficient_scope", scope="read write"',)


async def test_a_token_without_subject_is_refused() -> None:
    """Else no limit by user would count it."""
    assert reason(await world().show(KEY.token(claims(sub=None)))) == "claims"


async def test_a_broken_policy_changes_nothing() -> None:
    """The former one stays, whole."""
    w, token = world(), KEY.token(claims())
    with pytest.raises(Exception, match="mandatory"):
        w.enforcer.apply(auth_policy(jwt_provider(issuer="")))
    assert isinstance(await w.show(token), Allow)


async def test_every_concurrent_request_shares_one_fetch() -> None:
    """Single flight: a hundred tokens on a cold start, one call."""
    w = world()
    answers = await asyncio.gather(*(w.show(KEY.token(claims(jti=str(number)))) for number in range(100)))
    assert all(isinstance(answer, Allow) for answer in answers)
    assert w.provider.calls == 1


async def test_answers_are_labelled() -> None:
    """Names of the document and words of the program, nothing of the client's."""
    w = world()
    answer = w.checker.check(RULE, {"authorization": f"Bearer {KEY.token(claims(iss='x'))}"})
    assert isinstance(answer, Answer)
    assert (answer.provider, answer.outcome, answer.reason) == ("", "deny", "issuer")
