"""Where tokens are taken from, and that none is left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.authorization import RequestFacts
from ext_authz.credentials import Malformed
from ext_authz.decision import Allow
from ext_authz.errors import PolicyError
from ext_authz.policy import compile_policy
from ext_authz.token_places import MAX_TEXT, finder, without_cookies
from servicekit.contracts import TokenPlace
from tests.harness.tokens import claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider
from tests.unit.ext_authz.test_checker import HASH, KEY, SECRET, world

COOKIE = TokenPlace(kind="cookie", name="session")
QUERY = TokenPlace(kind="query", name="token")
OWN = TokenPlace(kind="header", name="x-token")
PREFIXED = TokenPlace(kind="header", name="authorization", prefix="Token ")


def found(*places: TokenPlace, path: str = "/", **headers: str) -> str | Malformed | None:
    """What is found in a request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return finder(places)(named, lambda: RequestFacts(path=path))


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("session=a.b.c", "a.b.c"),
        ("x=1;session=a.b.c ; y", "a.b.c"),
        ("x=1,2; session=a.b.c", "a.b.c"),
        ("session=", None),
        ("Session=a.b.c; xsession=d", None),
        ("", None),
        ("session=a.b.c; session=a.b.c", Malformed.ELSEWHERE),
        ("session=; session=a.b.c", Malformed.ELSEWHERE),
        ('session="a.b.c"', Malformed.ELSEWHERE),
        ("session=a b", Malformed.ELSEWHERE),
        ("x=1,session=a.b.c", Malformed.ELSEWHERE),
        ("session=a.b.c,x=1", Malformed.ELSEWHERE),
    ],
)
def test_cookies(text: str, token: str | Malformed | None) -> None:
    """RFC 6265 §4.2.1: exact names; one that stands there twice is nobody's, and so is one behind a proxy's comma."""
    assert found(COOKIE, cookie=text) == token


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/x?token=a.b.c", "a.b.c"),
        ("/x?a=1&token=a.b.c&b", "a.b.c"),
        ("/x?token=", None),
        ("/token=a.b.c", None),
        ("/x?Token=a", None),
        ("/x?token=a&token=b", Malformed.ELSEWHERE),
        ("/x?token=a&%74oken=b", Malformed.ELSEWHERE),
        ("/x?to%6ben=a", Malformed.ELSEWHERE),
        ("/x?token=a%2Eb", Malformed.ELSEWHERE),
        ("/x?token=a#b", Malformed.ELSEWHERE),
    ],
)
def test_query_parameters(path: str, token: str | Malformed | None) -> None:
    """A name spelt with ``%`` would stay in the path when the token is taken out."""
    assert found(QUERY, path=path) == token


@pytest.mark.parametrize(
    ("place", "value", "token"),
    [
        (OWN, "a.b.c", "a.b.c"),
        (OWN, "a.b.c,a.b.c", Malformed.ELSEWHERE),
        (OWN, "Bearer a.b.c", Malformed.ELSEWHERE),
        (OWN, "", None),
        (PREFIXED, "token  a.b.c", "a.b.c"),
        (PREFIXED, "Bearer a.b.c", None),
        (PREFIXED, "Basic x, Token a.b.c", Malformed.ELSEWHERE),
        (PREFIXED, "Token a.b.c junk", Malformed.ELSEWHERE),
    ],
)
def test_headers(place: TokenPlace, value: str, token: str | Malformed | None) -> None:
    """With a prefix other schemes are no token; without one everything is meant to be one."""
    assert found(place, **{place.name: value}) == token


def test_one_place_at_a_time() -> None:
    """RFC 6750 §2."""
    assert found(COOKIE, QUERY, cookie="session=a") == "a"
    assert found(COOKIE, QUERY, path="/?token=a") == "a"
    assert found(COOKIE, QUERY, cookie="session=a", path="/?token=a") is Malformed.ELSEWHERE
    assert found(COOKIE, QUERY, cookie="session=a b", path="/") is Malformed.ELSEWHERE


def test_what_is_too_long_is_not_read() -> None:
    """More than 32 KiB of cookies or query."""
    assert found(COOKIE, cookie="x=" + "1" * MAX_TEXT) is Malformed.ELSEWHERE
    assert found(QUERY, path="/?x=" + "1" * MAX_TEXT) is Malformed.ELSEWHERE


@given(st.text(alphabet='session=;, a"%\x00é', max_size=60))
def test_no_token_is_left_among_the_cookies(text: str) -> None:
    """Whatever clients write: once one was found, nothing by its name goes on, and all else does."""
    token = found(COOKIE, cookie=text)
    rest = without_cookies(text, frozenset({"session"}))
    if isinstance(token, str):
        assert rest is not None
        assert found(COOKIE, cookie=rest) is None
        kept = [
            part.strip() for part in text.split(";") if part.strip() and part.partition("=")[0].strip() != "session"
        ]
        assert rest.split("; ") == kept or rest == "" == "".join(kept)


@given(st.text(max_size=60))
def test_no_request_makes_it_raise(text: str) -> None:
    """Neither cookies nor paths nor headers."""
    found(COOKIE, QUERY, OWN, PREFIXED, cookie=text, path=f"/?{text}", x_token=text, authorization=text)


async def test_what_the_backend_gets() -> None:
    """Every place of a provider that keeps its tokens, whichever credential won; the cookie by itself."""
    policy = auth_policy(
        jwt_provider(token_from=(COOKIE, QUERY, OWN), forward_token=False), api_key_provider(keys={"ci": HASH})
    )
    around = world(policy)
    for headers in ({"cookie": f"a=1; session={KEY.token(claims())}"}, {"x_api_key": SECRET, "cookie": "a=1"}):
        for _ in range(2):  # the second answer is a cached one
            answer = await around.ask(**headers)
            assert isinstance(answer, Allow)
            assert "x-token" in answer.remove_headers
            assert answer.remove_parameters == ("token",)
            assert answer.set_headers.get("cookie") == ("a=1" if "x_api_key" not in headers else None)


async def test_a_forwarded_token_stays() -> None:
    """In the place where it was."""
    answer = await world(auth_policy(jwt_provider(token_from=(COOKIE,)))).ask(cookie=f"session={KEY.token(claims())}")
    assert isinstance(answer, Allow)
    assert not answer.remove_cookies


async def test_places_are_not_mixed_up() -> None:
    """A token in the place of one provider is no token for the other, and what was cached for one is not for both."""
    here = jwt_provider(token_from=(COOKIE,))
    there = jwt_provider(name="other", token_from=(OWN,), audiences=("elsewhere",))
    around = world(auth_policy(here, there))
    token = KEY.token(claims())
    assert isinstance(await around.ask(cookie=f"session={token}"), Allow)
    assert not isinstance(await around.ask(x_token=token), Allow)


@pytest.mark.parametrize(
    "place",
    [
        TokenPlace(kind="header", name="cookie"),
        TokenPlace(kind="header", name="X-Token"),
        TokenPlace(kind="header", name="x-token", prefix="a,"),
        TokenPlace(kind="cookie", name="a;b"),
        TokenPlace(kind="query", name="a&b"),
        TokenPlace(kind="query", name=""),
    ],
)
def test_impossible_places_are_refused(place: TokenPlace) -> None:
    """The policy as a whole."""
    with pytest.raises(PolicyError, match="token_from"):
        compile_policy(auth_policy(jwt_provider(token_from=(place,))))


def test_rules_tell_places_apart() -> None:
    """What was cached under one rule is not found under the other."""
    prints = {
        compile_policy(auth_policy(jwt_provider(token_from=places)))[RULE].fingerprint
        for places in ((), (COOKIE,), (QUERY,), (COOKIE, QUERY))
    }
    assert len(prints) == 4
