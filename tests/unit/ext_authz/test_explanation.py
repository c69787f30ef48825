"""Why a request is let through or not: the verdict of every check, with the steps that led to it."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext_authz.authorization import RequestFacts
from ext_authz.checker import Answer, Checker
from ext_authz.decision import Allow, NeedsKeys
from ext_authz.denials import Deny, Unavailable
from ext_authz.errors import KeyFetchError, PolicyError
from ext_authz.explanation import Explanation, explain
from ext_authz.introspection import Introspections
from ext_authz.issuer_client import IssuerClient
from ext_authz.key_book import NO_KEYS
from ext_authz.key_ring import KeyRing
from ext_authz.policy import compile_policy
from ext_authz.revocations import RevocationList
from ext_authz.rule_book import RuleBook
from servicekit.contracts import Authorize, AuthPolicy, ClaimCondition, TokenPlace
from tests.harness.jose import jwks, signing_key
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider

KEY, OTHER = signing_key("ES256", "one"), signing_key("ES256", "two")
NOW = time.time()
GOOD = {"exp": NOW + 3000, "iat": NOW - 10}
KEYS = jwks(KEY.jwk()).decode()
SECRET = "key-that-nobody-may-read"


def token(**changes: Any) -> str:
    """A token of the issuer, good unless changed."""
    return KEY.token(claims(**(GOOD | changes)))


def bearer(text: str) -> dict[str, str]:
    """The header."""
    return {"authorization": f"Bearer {text}"}


def policy(**rule: Any) -> AuthPolicy:
    """A provider whose keys stand in the policy, and one of API keys."""
    keys = {"ci": hashlib.sha256(SECRET.encode()).hexdigest()}
    return auth_policy(jwt_provider(jwks=KEYS), api_key_provider(keys=keys), **rule)


async def told(rules: AuthPolicy, headers: dict[str, str], **facts: str) -> Explanation:
    """The explanation, where nobody is asked for keys."""
    return await explain(rules, RULE, headers, RequestFacts(**facts), fetcher=None)


def steps(explanation: Explanation) -> dict[str, bool]:
    """Which were good."""
    return {step.name: step.ok for step in explanation.steps}


async def test_secrets_of_other_rules_need_not_be_known() -> None:
    """Whoever asks why may not have what ext_authz has; the rule's own have to be there."""
    shared = jwt_provider(name="shared", jwks_uri="", secret="env:GATEWAY_SECRET_ID", algorithms=("HS256",))
    rules = policy().model_copy(update={"providers": (*policy().providers, shared)})
    assert isinstance((await told(rules, bearer(token()))).outcome, Allow)
    with pytest.raises(PolicyError, match="GATEWAY_SECRET_ID"):
        await told(auth_policy(shared), bearer(token()))


async def test_a_good_token_passes_every_step() -> None:
    """In the order in which they are taken."""
    explanation = await told(policy(scopes=("read",)), bearer(token(scope="read write")))
    assert isinstance(explanation.outcome, Allow)
    names = ["token", "form", "algorithm", "issuer", "audience", "time", "keys", "signature", "scopes", "forwarding"]
    assert [step.name for step in explanation.steps] == names
    assert all(step.ok for step in explanation.steps)


@pytest.mark.parametrize(
    ("headers", "step", "words"),
    [
        ({}, "token", "none in the header authorization"),
        (bearer("a b"), "token", "not exactly one token"),
        (bearer("x"), "form", "not a JWT"),
        (bearer(token(iss="https://other.example.com")), "issuer", "https://other.example.com"),
        (bearer(token(aud=["a", "b"])), "audience", "a, b; accepted: resumes"),
        (bearer(token(exp=NOW - 100)), "time", " s ago; 0 s are forgiven"),
        (bearer(token(nbf=NOW + 2000)), "time", "not valid yet"),
        (bearer(token(sub=None)), "claims", "the token has no sub"),
        (bearer(OTHER.token(claims(**GOOD))), "signature", "it names two"),
        (bearer(token()[:-8] + "AAAAAAAA"), "signature", "is wrong"),
        ({"x-api-key": "unknown"}, "api key", "nobody was given this key"),
        (bearer(token(scope="write")), "scopes", "not granted: read"),
        (bearer(token(scope="read", roles=["guest"])), "roles", "roles has one of: admin, owner"),
        (bearer(token(scope="read", roles=["admin"])), "claims", "team is blue"),
        (bearer(token(scope="read", roles=["admin"], team="blue")), "method", "POST; asked: GET"),
    ],
)  # fmt: skip
async def test_the_last_step_says_why_not(headers: dict[str, str], step: str, words: str) -> None:
    """What was found beside what was asked."""
    authorize = Authorize(
        roles=("admin", "owner"),
        claims=(ClaimCondition(path="team", operator="equals", values=("blue",)),),
        methods=("GET",),
    )
    explanation = await told(policy(scopes=("read",), authorize=authorize), headers, method="POST")
    assert isinstance(explanation.outcome, Deny)
    last = [one for one in explanation.steps if not one.ok][-1]
    assert (last.name, words in last.text) == (step, True), last


async def test_addresses_and_other_places_are_told() -> None:
    """A token of a cookie; a client outside the range."""
    rules = auth_policy(
        jwt_provider(jwks=KEYS, token_from=(TokenPlace(kind="cookie", name="session"),)),
        authorize=Authorize(client_ips=("192.0.2.0/24",)),
    )
    explanation = await told(rules, {"cookie": f"session={token()}"}, client_ip="198.51.100.1")
    found = {step.name: step.text for step in explanation.steps}
    assert found["token"] == "found in the cookie session"
    assert found["client_ip"] == "198.51.100.1; asked: 192.0.2.0/24"


async def test_an_api_key_is_told_by_its_id() -> None:
    """Not by itself."""
    explanation = await told(policy(), {"x-api-key": SECRET})
    assert isinstance(explanation.outcome, Allow)
    assert explanation.steps[-1].text == "the key ci"


class Provider:
    """Answers with keys, or not."""

    def __init__(self, document: bytes | None) -> None:
        self.document = document
        self.calls = 0

    async def fetch(self, uri: str) -> bytes:
        """What it was told to say."""
        self.calls += 1
        if self.document is None:
            raise KeyFetchError("no answer within 5 s")
        return self.document


async def test_keys_are_fetched_only_where_that_is_wanted() -> None:
    """Without them it is undecided; with an identity provider that is away it is the 503 of the service."""
    rules, headers = auth_policy(jwt_provider()), bearer(token())
    assert isinstance((await told(rules, headers)).outcome, NeedsKeys)
    there, away = Provider(jwks(KEY.jwk())), Provider(None)
    fetched = await explain(rules, RULE, headers, RequestFacts(), fetcher=there)
    assert isinstance(fetched.outcome, Allow)
    assert [step.name for step in fetched.steps].count("form") == 1
    failed = await explain(rules, RULE, headers, RequestFacts(), fetcher=away)
    assert isinstance(failed.outcome, Unavailable)
    assert failed.steps[0].text.endswith("no answer within 5 s")
    unknown = await explain(rules, RULE, bearer(OTHER.token(claims(**GOOD))), RequestFacts(), fetcher=there)
    assert isinstance(unknown.outcome, Deny)
    assert unknown.outcome.reason == "unknown_key"


async def test_what_cannot_be_enforced_cannot_be_explained() -> None:
    """A rule that is not there, and a policy that the service would refuse."""
    with pytest.raises(PolicyError, match="no rule"):
        await explain(policy(), "other", {}, RequestFacts(), fetcher=None)
    with pytest.raises(PolicyError, match="issuer"):
        await told(auth_policy(jwt_provider(issuer="")), {})


TOKENS = st.one_of(
    st.sampled_from([token(), token(exp=1), token(aud="x"), OTHER.token(claims(**GOOD)), f"{token()}.x", "a.b.c", ""]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "exp", "iat", "nbf", "scope", "roles"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.text()),
    ).map(lambda changes: KEY.token(GOOD | {"iss": "https://id.example.com", "aud": "resumes"} | changes)),
)


@settings(max_examples=150)
@given(shown=TOKENS, place=st.sampled_from(["authorization", "x-api-key", "x-other"]), role=st.booleans())
async def test_telling_changes_no_decision_and_tells_no_token(shown: str, place: str, *, role: bool) -> None:
    """Whatever is shown: the verdict is that of the service, and no long part of the token is in a step."""
    rules = policy(authorize=Authorize(roles=("admin",)) if role else None)
    headers = {place: f"Bearer {shown}" if place == "authorization" else shown}
    explanation = await told(rules, headers)
    checker = _checker(rules)
    untold = checker.check(RULE, headers, RequestFacts)
    if isinstance(untold, NeedsKeys):
        untold = await checker.check_with(RULE, headers, untold, 1.0)
    assert isinstance(untold, Answer)
    assert _plain(explanation.outcome) == _plain(untold.rendered)
    text = " ".join(step.text for step in explanation.steps)
    assert all(part not in text for part in shown.split(".") if len(part) > 30)


def _plain(outcome: object) -> object:
    return (outcome.identity, dict(outcome.set_headers)) if isinstance(outcome, Allow) else outcome


def _checker(rules: AuthPolicy) -> Checker[Any]:
    """As the service has it."""
    book, keys = RuleBook(), KeyRing(fetcher=Provider(None), clock=time.monotonic, count_fetch=lambda *_: None)
    book.apply(compile_policy(rules), time.monotonic())
    keys.apply(book.sources())
    nobody = Introspections(client=IssuerClient(), wall=time.time, count=lambda *_: None, entries=1)
    return Checker(
        rules=book, keys=keys, book=NO_KEYS, introspections=nobody, revocations=RevocationList(),
        render=lambda decision: decision, replace_cookies=lambda one, _: one, join=lambda several: several[0],
        clock=time.monotonic, wall=time.time, cache_entries=10,
    )  # fmt: skip
