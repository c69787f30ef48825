"""The identity provider that vouches for anyone."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import jwt
import pytest

from gateway.demo.identity_provider import JWKS_PATH, identity_provider
from gateway.demo.keys import KeyRing
from gateway.demo.settings import Algorithm, DemoIdpSettings
from servicekit.address import Address
from servicekit.health import Health

ISSUER = "http://127.0.0.1:8049"


class Provider:
    """One provider, asked from ``host``."""

    def __init__(self, algorithm: Algorithm = "ES256") -> None:
        self.app = identity_provider(
            issuer=ISSUER, audience="quickstart", keys=KeyRing(algorithm), health=Health(started=True)
        )

    async def ask(self, method: str, path: str, *, host: str = "127.0.0.1", **options: Any) -> httpx.Response:
        """One request."""
        transport = httpx.ASGITransport(app=self.app, client=(host, 40000))
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as client:
            return await client.request(method, path, **options)

    async def token(self, **wanted: Any) -> str:
        """A token."""
        response = await self.ask("POST", "/token", json={"sub": "alice", **wanted})
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def verify(self, token: str) -> dict[str, Any]:
        """The claims, if the token is good by the keys that are published now."""
        keys = jwt.PyJWKSet.from_dict((await self.ask("GET", JWKS_PATH)).json())
        header = jwt.get_unverified_header(token)
        key = keys[header["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token, key.key, algorithms=[header["alg"]], audience="quickstart", issuer=ISSUER
        )
        return claims


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_tokens_are_good_by_the_published_keys(algorithm: Algorithm) -> None:
    """With each algorithm; the published half holds nothing private."""
    provider = Provider(algorithm)
    claims = await provider.verify(await provider.token(expires_in=60, claims={"role": "admin"}))
    assert (claims["sub"], claims["role"]) == ("alice", "admin")
    assert 50 < claims["exp"] - time.time() <= 60
    (key,) = (await provider.ask("GET", JWKS_PATH)).json()["keys"]
    assert key["alg"] == algorithm
    assert key["use"] == "sig"
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)


async def test_an_expired_token_can_be_had() -> None:
    """To see it refused."""
    provider = Provider()
    token = await provider.token(expires_in=-60)
    with pytest.raises(jwt.ExpiredSignatureError):
        await provider.verify(token)


async def test_rotation_keeps_the_tokens_of_earlier_keys() -> None:
    """New tokens have another key; the one of three rotations ago is gone."""
    provider = Provider()
    old = await provider.token()
    assert (await provider.ask("POST", "/rotate")).status_code == 200
    new = await provider.token()
    assert jwt.get_unverified_header(old)["kid"] != jwt.get_unverified_header(new)["kid"]
    await provider.verify(old)
    await provider.verify(new)
    for _ in range(2):
        await provider.ask("POST", "/rotate")
    with pytest.raises(KeyError):
        await provider.verify(old)


@pytest.mark.parametrize("path", ["/token", "/rotate"])
async def test_only_callers_on_the_same_machine_get_anything(path: str) -> None:
    """And a header that says otherwise is not believed: uvicorn is told so, the application reads none."""
    response = await Provider().ask(
        "POST", path, host="192.0.2.7", json={"sub": "mallory"}, headers={"x-forwarded-for": "127.0.0.1"}
    )
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 422),
        (b"not json", 422),
        (b'{"sub":"a","more":1}', 422),
        (json.dumps({"sub": "a" * 70000}).encode(), 413),
    ],
)
async def test_requests_that_make_no_sense_are_refused(body: bytes, status: int) -> None:
    """As problem documents."""
    response = await Provider().ask("POST", "/token", content=body)
    assert response.status_code == status
    assert response.json()["status"] == status


async def test_the_discovery_document_leads_to_the_keys() -> None:
    """For clients that begin at the issuer."""
    provider = Provider()
    metadata = (await provider.ask("GET", "/.well-known/openid-configuration")).json()
    assert metadata["issuer"] == ISSUER
    assert (await provider.ask("GET", metadata["jwks_uri"])).json()["keys"]


def test_the_issuer_follows_the_port() -> None:
    """Unless it is named."""
    address = Address(host="0.0.0.0", port=9000)
    assert DemoIdpSettings(demo_idp_bind=address).issuer == "http://127.0.0.1:9000"
    assert DemoIdpSettings(demo_idp_issuer="https://id").issuer == "https://id"
