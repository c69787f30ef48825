"""Commands without any setting find the ``gateway up`` of this machine, and only its user does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.harness.command import command
from tests.harness.envoy import short_folder
from tests.harness.gateway_up import GatewayUp

pytestmark = pytest.mark.timeout(90)


class _OwnToken(GatewayUp):
    """A run that makes its own token."""

    runtime = ""

    def environment(self) -> dict[str, str]:
        """Nothing says where the admin API is."""
        told = super().environment() | {"XDG_RUNTIME_DIR": self.runtime}
        return {name: value for name, value in told.items() if name not in ("GATEWAY_ADMIN_TOKEN", "GATEWAY_ADMIN_URL")}


async def test_a_run_of_this_machine_is_found_with_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its port is; and once it has ended, nothing of it is found any more."""
    for name in ("GATEWAY_ADMIN_TOKEN", "GATEWAY_ADMIN_URL", "GATEWAY_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    with short_folder() as runtime:
        gateway = _OwnToken(tmp_path)
        gateway.runtime = str(runtime)
        gateway.write(
            f"listeners: [{{name: http, port: {gateway.port}}}]\n"
            f'upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:{gateway.backend_port}"]}}]\n'
            "routes: [{match: {path_prefix: /}, upstream: echo}]\n"
        )
        env = {"XDG_RUNTIME_DIR": str(runtime), "XDG_CONFIG_HOME": str(tmp_path)}
        try:
            await gateway.start()
            done = await asyncio.to_thread(command, "whoami", env=env)
            assert done.code == 0, done.err
            assert f"gateway: http://127.0.0.1:{gateway.admin_port}\n" in done.out
            assert "chosen by: gateway up on this machine\n" in done.out
            assert _private_token(runtime) not in gateway.log() + done.out
        finally:
            await gateway.stop()
        assert "chosen by: gateway up" not in (await asyncio.to_thread(command, "whoami", env=env)).out


def _private_token(runtime: Path) -> str:
    (token,) = runtime.glob("gateway-up-*/admin-token")
    assert token.stat().st_mode & 0o077 == 0
    return token.read_text()
