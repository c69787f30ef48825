"""``gateway auth keys`` from the command to a running ext_authz and its identity provider."""

from __future__ import annotations

import time
from pathlib import Path

from tests.harness.command import Done, command, control_plane
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ext_authz_process
from tests.harness.idp import Reply, identity_provider
from tests.harness.jose import jwks, signing_key
from tests.unit.ext_authz.builders import auth_policy, jwt_provider

KEY = signing_key("ES256", "first")


def until(words: str, env: dict[str, str]) -> Done:
    """The command's answer, when it has these words."""
    deadline = time.monotonic() + 10
    while words not in (done := command("auth", "keys", env=env)).out:
        assert time.monotonic() < deadline, done
        time.sleep(0.05)
    return done


def test_keys_and_the_last_error_are_shown(tmp_path: Path) -> None:
    """The key while the provider answers, the reason when it does not, and an ext_authz that is gone."""
    with short_folder() as folder, identity_provider() as idp:
        idp.publish(jwks(KEY.jwk()))
        policy = auth_policy(jwt_provider(jwks_uri=idp.url, jwks_ttl_seconds=0.5))
        with (
            ext_authz_process(folder, policy) as authz,
            control_plane(tmp_path, GATEWAY_AUTH_TARGETS=f'["{authz.http}"]') as plane,
        ):
            shown = until("first", plane.environment)
            assert shown.code == 0
            assert "EC" in shown.out
            idp.reply = Reply(b"", status=500)
            assert "first" in until("answered 500", plane.environment).out
            authz.kill()
            gone = until("ConnectError", plane.environment)
            assert gone.code == 1
            authz.process.wait(5)
