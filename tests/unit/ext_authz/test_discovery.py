"""What an issuer may say of where its keys are, and a real one that says it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.discovery import metadata_uri, published_jwks_uri
from ext_authz.errors import KeyFetchError
from ext_authz.key_fetcher import HttpKeyFetcher
from ext_authz.key_loader import load_keys
from ext_authz.key_source import KeyRefresher
from ext_authz.key_state import Demand
from ext_authz.policy import compile_policy
from ext_authz.rules import KeySource
from servicekit.secret_reference import NO_SECRETS
from tests.harness.idp import IdentityProvider, Reply, identity_provider
from tests.harness.jose import jwks, signing_key
from tests.unit.ext_authz.builders import RULE, auth_policy, jwt_provider

ISSUER = "https://id.example.com/realm"
KEYS = jwks(signing_key("ES256", "one").jwk())
METADATA = "/.well-known/openid-configuration"


def metadata(**changes: Any) -> bytes:
    """Of the issuer, with its keys on another host."""
    return json.dumps({"issuer": ISSUER, "jwks_uri": "https://keys.example.net/jwks?v=1", "x": [1]} | changes).encode()


@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/"])
def test_where_the_metadata_are(issuer: str) -> None:
    """§4.1: a slash at the end is taken away first."""
    assert metadata_uri(issuer) == f"{ISSUER}{METADATA}"


def test_keys_may_be_on_another_host() -> None:
    """As large providers have them; it is the issuer who says so, over TLS."""
    assert published_jwks_uri(metadata(), ISSUER) == "https://keys.example.net/jwks?v=1"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"issuer":"a","issuer":"https://id.example.com/realm"}', "duplicate members"),
        (metadata(issuer=f"{ISSUER}/"), "another issuer"),
        (metadata(issuer="https://ID.example.com/realm"), "another issuer"),
        (metadata(issuer=[ISSUER]), "another issuer"),
        (b'{"jwks_uri":"https://id.example.com/jwks"}', "another issuer"),
        (metadata(jwks_uri=None), "no jwks_uri"),
        (metadata(jwks_uri=["https://id.example.com/jwks"]), "no jwks_uri"),
        (metadata(jwks_uri="https://id.example.com/" + "a" * 2048), "no jwks_uri"),
        (metadata(jwks_uri="http://id.example.com/jwks"), "http to another machine"),
        (metadata(jwks_uri="file:///etc/passwd"), "not an http"),
        (metadata(jwks_uri="//id.example.com/jwks"), "not an http"),
        (metadata(jwks_uri="https://[::1"), "not a URL"),
        (metadata(jwks_uri="https://user:hunter2@id.example.com/"), "has a user"),
        (metadata(jwks_uri="http://127.0.0.1:18001/jwks"), "on this machine"),
        (metadata(jwks_uri="https://localhost/jwks"), "on this machine"),
    ],
)
def test_what_no_issuer_may_say(document: bytes, why: str) -> None:
    """§4.3: the issuer is exactly ours; and the URL is as safe as one in the policy has to be."""
    with pytest.raises(KeyFetchError, match=why) as caught:
        published_jwks_uri(document, ISSUER)
    assert "hunter2" not in str(caught.value)


@given(
    st.one_of(
        st.binary(),
        st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner, max_size=3)).map(
            lambda uri: metadata(jwks_uri=uri)
        ),
        st.text().map(lambda rest: metadata(jwks_uri=f"https://{rest}")),
    )
)
def test_any_document_is_read_or_refused(document: bytes) -> None:
    """Nothing but the parser's own error, and no URL that is not https."""
    try:
        uri = published_jwks_uri(document, ISSUER)
    except KeyFetchError:
        return
    assert uri.startswith("https://")


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    """An issuer on this machine that publishes metadata and keys."""
    with identity_provider() as provider:
        issuer = f"http://127.0.0.1:{provider.port}"
        provider.replies[METADATA] = Reply(metadata(issuer=issuer, jwks_uri=f"{issuer}/keys"))
        provider.replies["/keys"] = Reply(KEYS)
        yield provider


@pytest.fixture
async def fetcher() -> AsyncIterator[HttpKeyFetcher]:
    """The real one."""
    made = HttpKeyFetcher()
    yield made
    await made.aclose()


def discovered(idp: IdentityProvider) -> KeySource:
    """The source that a policy with ``discovery`` becomes."""
    provider = jwt_provider(discovery=True, jwks_uri="", issuer=f"http://127.0.0.1:{idp.port}")
    (check,) = compile_policy(auth_policy(provider))[RULE].jwt
    return check.source


async def test_keys_are_found(idp: IdentityProvider, fetcher: HttpKeyFetcher) -> None:
    """By two requests; and by two more when the provider has moved them."""
    source = discovered(idp)
    assert source.location.endswith(METADATA)
    assert (await load_keys(source, fetcher=fetcher, secrets=NO_SECRETS)).knows("one")
    moved = f"http://127.0.0.1:{idp.port}/moved"
    idp.replies[METADATA] = Reply(metadata(issuer=source.issuer, jwks_uri=moved))
    idp.replies["/moved"] = Reply(jwks(signing_key("ES256", "two").jwk()))
    assert (await load_keys(source, fetcher=fetcher, secrets=NO_SECRETS)).knows("two")
    assert idp.calls == [METADATA, "/keys", METADATA, "/moved"]


async def test_a_storm_asks_once(idp: IdentityProvider, fetcher: HttpKeyFetcher) -> None:
    """Metadata are under the budget of the keys: tokens with unknown keys cause one look at both per cool-down."""
    keys = KeyRefresher(discovered(idp), fetcher=fetcher, clock=time.monotonic, count=lambda _provider, _outcome: None)
    assert await keys.obtain("one", patience=5) is Demand.FETCH
    for number in range(100):
        assert await keys.obtain(f"made-up-{number}", patience=5) is Demand.ABSENT
    assert idp.calls == [METADATA, "/keys"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=404), "answered 404"),
        (Reply(b"x" * 300_000), "more than"),
        (Reply(status=302, headers={"location": "http://localhost:1/"}), "another host"),
        (Reply(metadata()), "another issuer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_metadata_have_the_bounds_of_keys(
    idp: IdentityProvider, fetcher: HttpKeyFetcher, reply: Reply, why: str
) -> None:
    """Status, size, redirects; and no keys are asked for then. The last good ones go on."""
    keys = KeyRefresher(discovered(idp), fetcher=fetcher, clock=time.monotonic, count=lambda _provider, _outcome: None)
    assert await keys.obtain(None, patience=5) is Demand.FETCH
    idp.replies[METADATA] = reply
    assert await keys.obtain("two", patience=5) is Demand.UNREACHABLE
    assert why in str(keys.state.last_error)
    assert keys.state.current(time.monotonic()) is not None
    assert idp.calls.count("/keys") == 1
