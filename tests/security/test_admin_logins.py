"""The ways into the admin API as the settings open them: over real TLS, with a real issuer's keys."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from controlplane.admin.security.identity import Credentials, Role
from controlplane.admin.security.ways_in import ways_in
from controlplane.admin.settings import AdminSettings
from gateway.certificates import write_certificates
from servicekit.settings import SettingsError, load_settings
from tests.harness.admin import DOCUMENT
from tests.harness.control_plane import running_control_plane
from tests.harness.idp import identity_provider
from tests.harness.jose import jwks, signing_key
from tests.unit.servicekit.test_https import trusting

ISSUER = "https://id.example"


def test_an_issuers_token_and_a_certificate_over_tls(tmp_path: Path) -> None:
    """Both are known by name and role; a forged one, a stranger's and none at all are not."""
    tls, other = tmp_path / "tls", tmp_path / "other"
    write_certificates(tls, hosts=["127.0.0.1", "ci.ops.example"], days=1)
    write_certificates(other, hosts=["127.0.0.1", "ci.ops.example"], days=1)
    (tmp_path / "gateway.yaml").write_text(DOCUMENT)
    key = signing_key("ES256")
    claims = {"iss": ISSUER, "aud": "gateway-admin", "sub": "alice", "exp": time.time() + 60, "roles": ["ops"]}
    with identity_provider() as issuer:
        issuer.publish(jwks(key.jwk()))
        settings = {
            "GATEWAY_ADMIN_TLS_DIR": str(tls),
            "GATEWAY_ADMIN_CERTIFICATE_ROLES": json.dumps({"*.ops.example": "viewer"}),
            "GATEWAY_ADMIN_OIDC_ISSUER": ISSUER,
            "GATEWAY_ADMIN_OIDC_JWKS_URI": f"{issuer.url}/keys",
            "GATEWAY_ADMIN_OIDC_ROLES": json.dumps({"ops": "operator"}),
        }
        store = f"sqlite:///{tmp_path}/history.db"
        with running_control_plane(tmp_path, store, tls=trusting(tls), **settings) as plane:
            who = f"{plane.url}/api/v1/whoami"

            def ask(own: Path | None, token: str | None) -> tuple[int, str | None, str | None]:
                headers = {"authorization": f"Bearer {token}"} if token else {}
                with httpx.Client(verify=trusting(tls, own), trust_env=False, headers=headers) as http:
                    answer = http.get(who)
                found = answer.json()
                return answer.status_code, found.get("name"), found.get("role")

            assert ask(None, key.token(claims)) == (200, "oidc:alice", "operator")
            assert ask(tls, None) == (200, "certificate:ci.ops.example", "viewer")
            assert ask(None, None)[0] == 401
            assert ask(None, signing_key("ES256", "k2").token(claims, kid="k1"))[0] == 401
            assert ask(None, key.token(claims | {"exp": 1}))[0] == 401
            with pytest.raises(httpx.TransportError):
                ask(other, None)


async def test_what_is_not_set_is_closed() -> None:
    """Without any way in, an empty token, a certificate and rubbish let nobody in."""
    async with httpx.AsyncClient() as client:
        closed = ways_in(load_settings(AdminSettings), tokens=None, client=client)
        empty = ways_in(load_settings(AdminSettings, admin_token=""), tokens=None, client=client)
        for way in (closed, empty):
            for given in (Credentials(bearer=""), Credentials(bearer="x"), Credentials(names=("a",)), Credentials()):
                assert await way.identify(given) is None


@pytest.mark.parametrize(
    "half",
    [
        {"admin_oidc_issuer": ISSUER},
        {"admin_oidc_jwks_uri": "https://id.example/keys"},
        {"admin_oidc_issuer": ISSUER, "admin_oidc_jwks_uri": "http://id.example/keys"},
        {"admin_certificate_roles": {"a": "root"}},
    ],
)
async def test_settings_that_make_no_sense_are_named(half: dict[str, object]) -> None:
    """Before anything is served."""
    async with httpx.AsyncClient() as client:
        with pytest.raises(SettingsError, match="GATEWAY_ADMIN"):
            ways_in(load_settings(AdminSettings, **half), tokens=None, client=client)


def test_roles_cover_those_before_them() -> None:
    """A table of nine."""
    assert [[one.covers(other) for other in Role] for one in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
