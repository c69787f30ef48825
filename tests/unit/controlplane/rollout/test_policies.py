"""What the services get of several releases at a time."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any

from controlplane.rollout.policies import composed
from controlplane.xds.snapshot import Snapshot, encode_bytes
from ext_authz.policy import compile_others, compile_policy
from servicekit.contracts import MOST_OTHERS, ApiKeyProvider, AuthPolicy, AuthRule, Limit, LimitPolicy, Limits


def provider(header: str, name: str = "p") -> ApiKeyProvider:
    """One that can be told from another of its name by its header."""
    return ApiKeyProvider(name=name, header=header, keys={}, forward_id=None)


def policies(header: str, *rules: str, limits: tuple[Limit, ...] = ()) -> Snapshot:
    """Rules by one provider, and limits."""
    auth = AuthPolicy(
        providers=(provider(header), provider(header, "unused")),
        rules={rule: AuthRule(any_of=("p",)) for rule in rules},
        identity_headers=(f"{header}-id",),
    )
    limit = LimitPolicy(limits=limits)
    return Snapshot.of(encode_bytes("default", one.TYPE_URL, one.encode()) for one in (auth, limit))


def auth_of(snapshot: Snapshot) -> AuthPolicy:
    """The rules in it."""
    return AuthPolicy.decode(Any.FromString(snapshot.of_type(AuthPolicy.TYPE_URL)["default"].body).value)


def limits_of(snapshot: Snapshot) -> LimitPolicy:
    """The limits in it."""
    return LimitPolicy.decode(Any.FromString(snapshot.of_type(LimitPolicy.TYPE_URL)["default"].body).value)


def limit(name: str, requests: int) -> Limit:
    """So many a minute, by IP."""
    return Limit(name=name, by="ip", requests=requests, period_seconds=60, burst=1)


def test_others_bring_only_what_is_missing() -> None:
    """Each rule once, with the provider of its own release, and no other provider."""
    found = auth_of(composed(policies("new", "a", "b"), [policies("old", "b", "c"), policies("older", "c", "d")]))
    assert set(found.rules) == {"a", "b"}
    assert [set(other.rules) for other in found.others] == [{"c"}, {"d"}]
    assert [
        [(one.name, one.header) for one in other.providers if isinstance(one, ApiKeyProvider)] for other in found.others
    ] == [
        [("p", "old")],
        [("p", "older")],
    ]
    assert [other.identity_headers for other in found.others] == [("old-id",), ("older-id",)]


def test_the_service_decides_each_rule_by_its_own_provider() -> None:
    """Two releases may mean two things by one provider's name."""
    found = auth_of(composed(policies("new", "a"), [policies("old", "b")]))
    assert compile_policy(found)["a"].api_keys[0].header == "new"
    assert compile_others(found)["b"].api_keys[0].header == "old"


def test_a_limit_that_both_have_has_the_numbers_of_the_first() -> None:
    """Its buckets are shared by all nodes."""
    new, old = policies("h", limits=(limit("both", 1),)), policies("h", limits=(limit("both", 2), limit("gone", 3)))
    found = limits_of(composed(new, [old]))
    assert found.limits == (limit("both", 1),)
    assert found.others == (Limits(limits=(limit("gone", 3),)),)


def test_what_has_nothing_to_add_changes_nothing() -> None:
    """The services are not told the same once more."""
    current = policies("h", "a", limits=(limit("x", 1),))
    assert composed(current, [current, policies("h", "a")]) is current
    assert composed(current, []) is current


def test_there_are_never_more_than_a_service_takes() -> None:
    """The oldest are left out; the bound is the contract's own."""
    others = [policies("h", f"r{number}") for number in range(MOST_OTHERS + 2)]
    found = auth_of(composed(policies("h"), others))
    assert [set(other.rules) for other in found.others] == [{f"r{number}"} for number in range(MOST_OTHERS)]
