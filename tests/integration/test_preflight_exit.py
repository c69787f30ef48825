"""A control plane that is told to stop does not wait for Envoy's verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.harness.ports import free_port
from tests.harness.processes import wait_for


def test_it_ends_while_envoy_is_asked(tmp_path: Path) -> None:
    """Within its drain time and not at the deadline of the check, and the child ends with it."""
    envoy, child = tmp_path / "envoy", tmp_path / "child"
    envoy.write_text(f"#!/bin/sh\necho $$ > {child}.new && mv {child}.new {child}\nexec tail -f /dev/null\n")
    envoy.chmod(0o700)
    settings = {
        "GATEWAY_ENVOY_PATH": str(envoy),
        "GATEWAY_XDS_BIND": f"unix:{tmp_path}/xds.sock",
        "GATEWAY_ADMIN_BIND": f"127.0.0.1:{free_port()}",
        "GATEWAY_DRAIN_SECONDS": "0.2",
    }
    command = [sys.executable, "-m", "gateway", "controlplane"]
    with subprocess.Popen(command, cwd=tmp_path, env=os.environ | settings, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: child.exists() or None, seconds=20, what="Envoy is asked")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=8) == 0
        finally:
            process.kill()
    assert time.monotonic() - began < 4
    wait_for(lambda: None if Path(f"/proc/{child.read_text().strip()}").exists() else True, seconds=5, what="it ends")
