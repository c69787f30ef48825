"""What a route asks of a caller who is known: roles, claims, methods and addresses."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.authorization import NOBODY, Caller, RequestFacts, compile_authorization
from ext_authz.checker import Answer
from ext_authz.decision import Allow
from ext_authz.denials import Deny
from ext_authz.errors import PolicyError
from servicekit.contracts import Authorize, ClaimCondition
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider
from tests.unit.ext_authz.test_checker import HASH, KEY, SECRET, World

SCALARS = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "1", "a", "b", "true"]) | st.floats()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
CLAIMS = st.dictionaries(st.sampled_from(["a", "b", "a.b"]), JSON)
VALUES = st.lists(st.booleans() | st.integers(-1, 2) | st.sampled_from(["1", "a", "b"]), min_size=1, max_size=3)
CONDITIONS = st.builds(
    ClaimCondition,
    path=st.sampled_from(["a", "b", "a.b", "a.b.a"]),
    operator=st.sampled_from(["equals", "any_of", "all_of"]),
    values=VALUES.map(tuple),
)


def _find(given: Any, path: str) -> Any:
    if path in given:
        return given[path]
    for step in path.split("."):
        given = given.get(step) if isinstance(given, dict) else None
    return given


def _same(one: object, two: object) -> bool:
    return type(one) is type(two) and one == two


def _obvious(condition: ClaimCondition, given: dict[str, Any]) -> bool:
    """The rule, word for word."""
    value = _find(given, condition.path)
    if condition.operator == "equals":
        return _same(value, condition.values[0])
    elements = value if isinstance(value, list) else [value]
    found = [any(_same(element, wanted) for element in elements) for wanted in condition.values]
    return any(found) if condition.operator == "any_of" else all(found)


@pytest.mark.parametrize("operator", ["equals", "any_of", "all_of"])
def test_types_count(operator: Any) -> None:
    """In Python ``True`` equals ``1``; in a policy it does not."""
    values: tuple[str | bool | int, ...] = (True, 1, "1")
    for wanted in values:
        condition = ClaimCondition(path="a", operator=operator, values=(wanted,))
        compiled = compile_authorization(Authorize(claims=(ClaimCondition.decode(condition.encode()),)))
        assert [compiled.refuses_claims({"a": value}) is None for value in values] == [wanted is one for one in values]


@given(st.lists(CONDITIONS, max_size=3), CLAIMS)
def test_conditions_agree_with_their_words(conditions: list[ClaimCondition], given: dict[str, Any]) -> None:
    """Whatever a token says: the same answer as the slow model, and no exception."""
    compiled = compile_authorization(Authorize(claims=tuple(conditions)))
    assert (compiled.refuses_claims(given) is None) == all(_obvious(one, given) for one in conditions)


@given(st.text(), st.text())
def test_no_request_raises(method: str, address: str) -> None:
    """What cannot be read is refused."""
    compiled = compile_authorization(Authorize(client_ips=("192.0.2.0/24",)))
    assert compiled.refuses_request(RequestFacts(method, address), NOBODY) == "client_ip"


@pytest.mark.parametrize(
    ("ranges", "address", "inside"),
    [
        (("192.0.2.0/24",), "192.0.2.7", True),
        (("192.0.2.0/24",), "192.0.3.7", False),
        (("192.0.2.0/24",), "::ffff:192.0.2.7", True),
        (("::ffff:192.0.2.0/120",), "192.0.2.7", True),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "192.0.2.7", False),
        (("192.0.2.0/24", "2001:db8::/32"), "2001:db9::1", False),
        (("0.0.0.0/0",), "", False),
    ],
)
def test_addresses(ranges: tuple[str, ...], address: str, inside: bool) -> None:
    """Both families, and IPv4 as a socket for both shows it."""
    found = compile_authorization(Authorize(client_ips=ranges)).refuses_request(RequestFacts("GET", address), NOBODY)
    assert (found is None) == inside


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"realm_access": {"roles": ["editor", "admin"]}}, True),
        ({"realm_access": {"roles": ["reader"]}}, False),
        ({"realm_access": {"roles": "admin"}}, True),
        ({"realm_access": "admin"}, False),
        ({"roles": ["admin"]}, False),
    ],
)
async def test_roles(given: dict[str, Any], allowed: bool) -> None:
    """One of the route's roles, where the document says that roles stand."""
    asked = Authorize(roles=("admin", "owner"), roles_claim="realm_access.roles")
    answer = await _world(authorize=asked).show(KEY.token(claims(**given)))
    assert isinstance(answer, Allow if allowed else Deny)


async def test_a_denial_tells_nothing_of_what_was_wanted() -> None:
    """403 without a challenge, a value or a path."""
    condition = ClaimCondition(path="tenant", operator="equals", values=("blue-secret",))
    answer = await _world(authorize=Authorize(claims=(condition,))).show(KEY.token(claims(tenant="red")))
    assert isinstance(answer, Deny)
    assert (answer.status, answer.code, answer.reason, answer.challenges) == (403, "forbidden", "forbidden_claims", ())
    assert "blue" not in answer.detail
    assert "tenant" not in answer.detail


def test_what_depends_on_the_request_is_never_cached() -> None:
    """The same token is let through, refused, and let through again."""
    w = _world(authorize=Authorize(methods=("GET",), client_ips=("192.0.2.0/24",)), keys={"ci": HASH})
    headers = {"x-api-key": SECRET}
    asked = [("GET", "192.0.2.1"), ("PUT", "192.0.2.1"), ("GET", "198.51.100.1"), ("GET", "192.0.2.9")]
    answers = [w.checker.check(RULE, headers, partial(RequestFacts, *one)) for one in asked]
    reasons = [answer.reason for answer in answers if isinstance(answer, Answer)]
    assert reasons == ["ok", "forbidden_method", "forbidden_client_ip", "ok"]


def test_a_caller_who_is_unknown_is_asked_first() -> None:
    """401, not 403: nobody learns from outside which methods there are."""
    w = _world(authorize=Authorize(methods=("GET",)))
    answer = w.checker.check(RULE, {}, lambda: RequestFacts("PUT", "192.0.2.1"))
    assert isinstance(answer, Answer)
    assert answer.reason == "missing_credentials"


def test_an_api_key_has_no_roles() -> None:
    """It is known, and refused."""
    w = _world(authorize=Authorize(roles=("admin",)), keys={"ci": HASH})
    answer = w.checker.check(RULE, {"x-api-key": SECRET})
    assert isinstance(answer, Answer)
    assert answer.reason == "forbidden_roles"


EXPRESSIONS = st.sampled_from(
    [
        "claims.a == 1", "claims.a > 1", "claims.a.b == 'x'", "'x' in claims.a", "claims.a.exists(i, i == 'a')",
        "claims.a.matches('^(a+)+$')", "size(claims.a) > 1", "has(claims.b) && claims.b", "claims.a + claims.b == 2",
        "timestamp(claims.a) < timestamp(claims.b)", "claims['a.b'] != null", "claims.a[0] == claims.b[1]",
        "request.path == claims.a", "request.nothing == 'x'", "identity.tier == claims.a",
    ]
)  # fmt: skip
WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(EXPRESSIONS, st.dictionaries(st.sampled_from(["a", "b", "a.b"]) | st.text(), WILD), st.text())
def test_expressions_never_raise(text: str, given: dict[str, Any], path: str) -> None:
    """Whatever a token says: numbers that nothing holds, halves of surrogate pairs, other types than expected."""
    compiled = compile_authorization(Authorize(expression=text))
    caller = Caller(given, {"tier": ""})
    assert compiled.refuses_caller(caller) in (None, "expression")
    assert compiled.refuses_request(RequestFacts("GET", "", path), caller) in (None, "expression")


async def test_an_expression_about_the_caller() -> None:
    """Worked out once; a claim that is not there is a no."""
    blue = KEY.token(claims(tenant="blue"))
    w = _world(authorize=Authorize(expression="claims.tenant == 'blue' || identity.api_key == 'machines:ci'"))
    assert isinstance(await w.show(blue), Allow)
    for wrong in ({"tenant": "red"}, {}, {"tenant": ["blue"]}):
        answer = await w.show(KEY.token(claims(**wrong)))
        assert isinstance(answer, Deny)
        assert (answer.status, answer.reason) == (403, "forbidden_expression")
    assert isinstance(await w.show(blue), Allow)
    assert w.checker.lookups()[0] == 1


async def test_an_expression_about_the_request() -> None:
    """Worked out for each request, also when the credential is remembered."""
    w = _world(authorize=Authorize(expression="request.path == '/of/' + claims.sub && request.query == 'x=1'"))
    await w.show(KEY.token(claims()))
    headers = {"authorization": f"Bearer {KEY.token(claims(sub='alice'))}"}
    paths = ["/of/alice?x=1", "/of/bob?x=1", "/of/alice", "/of/alice?x=1"]
    answers = [w.checker.check(RULE, headers, partial(RequestFacts, "GET", "", path)) for path in paths]
    assert [getattr(answer, "reason", "") for answer in answers] == [
        "ok", "forbidden_expression", "forbidden_expression", "ok"
    ]  # fmt: skip


def test_an_expression_by_key() -> None:
    """A key has an identity and no claims."""
    w = _world(authorize=Authorize(expression="identity.api_key == 'machines:ci'"), keys={"ci": HASH})
    answer = w.checker.check(RULE, {"x-api-key": SECRET})
    assert isinstance(answer, Answer)
    assert answer.allowed


@pytest.mark.parametrize("text", ["claims.", "nothing == 1", "1 + 1", "request == 1", "[" * 40, "\ud800"])
def test_what_is_no_condition_refuses_the_policy(text: str) -> None:
    """At once, and not request by request."""
    with pytest.raises(PolicyError, match="expression"):
        _world(authorize=Authorize.model_construct(**(Authorize().model_dump() | {"expression": text})))


def _world(*, authorize: Authorize, keys: dict[str, str] | None = None) -> World:
    w = World()
    w.publish(KEY)
    w.enforcer.apply(auth_policy(jwt_provider(), api_key_provider(keys=keys or {}), authorize=authorize))
    return w
