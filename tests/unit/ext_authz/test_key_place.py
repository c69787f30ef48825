"""Keys that are not fetched: a secret, a PEM, a file that changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ext_authz.enforcer import Enforcer
from ext_authz.errors import KeyFetchError, PolicyError
from ext_authz.key_ring import KeyRing
from ext_authz.key_state import KeyState
from ext_authz.policy import compile_policy
from ext_authz.rule_book import RuleBook
from ext_authz.rules import JwtCheck
from servicekit.secret_reference import Secrets
from tests.harness.jose import jwks, signing_key
from tests.unit.ext_authz.builders import RULE, auth_policy, jwt_provider

SECRET = "correct horse battery staple 1234"
ONE, TWO = signing_key("ES256", "one"), signing_key("ES256", "two")


class NoProvider:
    """Nothing here is fetched."""

    async def fetch(self, uri: str) -> bytes:
        """Fails the test."""
        raise KeyFetchError(uri)


def provider(**changes: Any) -> Any:
    """A policy whose provider has its keys from these places alone."""
    return auth_policy(jwt_provider(**({"jwks_uri": ""} | changes)))


def hmac(reference: str = "env:GATEWAY_SECRET_ID", **changes: Any) -> Any:
    """A policy for HMAC."""
    return provider(**({"secret": reference, "algorithms": ("HS256",)} | changes))


def secrets(folder: Path | None = None, **environment: str) -> Secrets:
    """What the operator opened."""
    return Secrets(
        environment={f"GATEWAY_SECRET_{name}": value for name, value in environment.items()}, directory=folder
    )


def check(policy: Any, opened: Secrets) -> JwtCheck:
    """The only check of the only rule."""
    (found,) = compile_policy(policy, opened)[RULE].jwt
    return found


def test_a_secret_becomes_a_key_set() -> None:
    """There at once, and for as long as the policy is."""
    source = check(hmac(), secrets(ID=SECRET)).source
    assert source.fixed
    assert source.location == "env:GATEWAY_SECRET_ID"
    assert source.given is not None
    assert source.given.candidates("any", "HS256")
    assert SECRET not in repr(source)


def test_a_pem_becomes_a_key_set() -> None:
    """One key or several, for tokens that name none of them."""
    source = check(provider(pem=(ONE.pem() + TWO.pem()).decode()), secrets()).source
    assert source.fixed
    assert source.given is not None
    assert len(source.given.candidates("any", "ES256")) == 2


@pytest.mark.parametrize("content", [jwks(ONE.jwk()), ONE.pem(), b"\n" + jwks(ONE.jwk())], ids=["jwks", "pem", "space"])
def test_a_file_has_either_form(content: bytes, tmp_path: Path) -> None:
    """Told by how it begins."""
    (tmp_path / "keys").write_bytes(content)
    source = check(provider(jwks_file="file:keys"), secrets(tmp_path)).source
    assert not source.fixed
    assert source.given is not None
    assert source.given.candidates("one", "ES256")


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (hmac("env:GATEWAY_SECRET_GONE"), "secret: env:GATEWAY_SECRET_GONE: this process has no such"),
        (hmac("file:gone"), "secret: file:gone: No such file"),
        (hmac("hunter2"), "secret: not a reference"),
        (hmac("env:GATEWAY_SECRET_SHORT"), "secret: env:GATEWAY_SECRET_SHORT: HS256 needs"),
        (hmac(algorithms=("HS512",)), "HS512 needs a secret of at least 64 bytes"),
        (hmac(algorithms=("HS256", "RS256")), "algorithms have to be some of HS256, HS384, HS512"),
        (hmac(algorithms=("RS256",)), "algorithms have to be"),
        (provider(jwks_uri="https://id.example.com/", algorithms=("HS256",)), "algorithms have to be some of ES256"),
        (hmac(jwks_uri="https://id.example.com/jwks"), "secret and jwks_uri exclude each other"),
        (hmac(jwks=jwks(ONE.jwk()).decode()), "secret and jwks exclude"),
        (hmac(pem=ONE.pem().decode()), "secret and pem exclude"),
        (hmac(""), "not an http"),
        (provider(pem="-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----"), "pem: not the PEM"),
        (provider(jwks_file="file:empty.json"), r"jwks_file: file:empty.json: no usable key \(empty\)"),
        (provider(jwks_file="file:private.pem"), "jwks_file: file:private.pem: a private key"),
    ],
)
def test_what_cannot_be_had_refuses_the_policy(policy: Any, why: str, tmp_path: Path) -> None:
    """At once, in words that name the place and no secret."""
    (tmp_path / "empty.json").write_text('{"keys": []}')
    (tmp_path / "private.pem").write_text("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")
    with pytest.raises(PolicyError, match=why) as caught:
        compile_policy(policy, secrets(tmp_path, ID=SECRET, SHORT="hunter2"))
    assert "hunter2" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_another_secret_is_another_rule() -> None:
    """The policy is the same text; what was cached under the former secret is never found."""
    before, after = (compile_policy(hmac(), secrets(ID=secret))[RULE] for secret in (SECRET, SECRET[::-1]))
    assert before.fingerprint != after.fingerprint
    assert before.jwt[0].source != after.jwt[0].source
    assert compile_policy(hmac(), secrets(ID=SECRET))[RULE].fingerprint == before.fingerprint


@asynccontextmanager
async def watched(policy: Any, opened: Secrets) -> AsyncIterator[KeyState]:
    """The state of the only source, while it is kept fresh."""
    ring = KeyRing(
        fetcher=NoProvider(), clock=time.monotonic, count_fetch=lambda _provider, _outcome: None, secrets=opened
    )
    Enforcer(rules=RuleBook(), keys=ring, clock=time.monotonic, secrets=opened).apply(policy)
    task = asyncio.create_task(ring.run())
    try:
        (state,) = ring.states()
        yield state
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, up to five seconds."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def until_keys(state: KeyState, kid: str, error: str = "") -> None:
    """Wait until the state has this key alone, and this error."""

    def reached() -> bool:
        keys = state.current(time.monotonic())
        names = [] if keys is None else [key.kid for key in keys.keys]
        return names == [kid] and (error in state.last_error if state.last_error else not error)

    await until(reached)


async def test_a_file_that_changes(tmp_path: Path) -> None:
    """Another key replaces the first; while the file is broken or gone the last good one goes on, with the reason."""
    file = tmp_path / "keys"
    file.write_bytes(jwks(ONE.jwk()))
    async with watched(provider(jwks_file="file:keys"), secrets(tmp_path)) as state:
        await until_keys(state, "one")
        file.write_bytes(jwks(TWO.jwk()))
        await until_keys(state, "two")
        file.write_text('{"keys": [')
        await until_keys(state, "two", "file:keys: not a JSON object")
        file.unlink()
        await until_keys(state, "two", "file:keys: No such file")
        file.write_bytes(jwks(ONE.jwk()))
        await until_keys(state, "one")


async def test_a_secret_in_a_file_that_changes(tmp_path: Path) -> None:
    """The set is another, and that is what cached answers are compared with."""
    (tmp_path / "id").write_text(SECRET)
    async with watched(hmac("file:id"), secrets(tmp_path)) as state:
        before = state.current(time.monotonic())
        (tmp_path / "id").write_text(SECRET[::-1])
        await until(lambda: state.current(time.monotonic()) is not before)
    assert state.last_error is None
