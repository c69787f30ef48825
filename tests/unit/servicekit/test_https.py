"""HTTPS: who a client is comes from the certificate that TLS has verified; new files are taken up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.certificates import write_certificates
from servicekit.address import Address
from servicekit.client_names import CLIENT_NAMES
from servicekit.http import HttpServer
from servicekit.https import HttpsFiles
from servicekit.settings import SettingsError
from tests.harness.ports import free_port

HOSTS = ["127.0.0.1", "alice.ops.example"]


async def _names(request: Request) -> Response:
    return JSONResponse(sorted(request.scope[CLIENT_NAMES]))


def trusting(folder: Path, own: Path | None = None) -> ssl.SSLContext:
    """A client that trusts the authority in ``folder``, with the certificate in ``own``."""
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    if own is not None:
        context.load_cert_chain(own / "tls.crt", own / "tls.key")
    return context


async def ask(files: HttpsFiles, *clients: ssl.SSLContext, between: Callable[[], None] = lambda: None) -> list[object]:
    """What a server answers each client, or the name of what went wrong."""
    port = free_port()
    app = Starlette(routes=[Route("/", _names)])
    server = HttpServer(app, Address(host="127.0.0.1", port=port), tls=files.context)
    server.listen()
    running = asyncio.create_task(server.run_until_stopped())
    answers: list[object] = []
    try:
        for context in clients:
            try:
                async with httpx.AsyncClient(verify=context, trust_env=False) as client:
                    header = {CLIENT_NAMES: "root.ops.example", "ssl-client-cert": "root.ops.example"}
                    answers.append((await client.get(f"https://127.0.0.1:{port}/", headers=header)).json())
            except httpx.TransportError as error:
                answers.append(type(error).__name__)
            between()
    finally:
        server.should_exit = True
        await running
    return answers


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_names_are_those_that_tls_has_verified(tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """None without a certificate, the certificate's with one, no connection with another authority's."""
    good, other = tmp_path / "good", tmp_path / "other"
    for folder in (good, other):
        write_certificates(folder, hosts=HOSTS, days=1)
    with asyncio.Runner(loop_factory=loop) as runner:
        answers = runner.run(ask(HttpsFiles(good), trusting(good), trusting(good, good), trusting(good, other)))
    assert answers[:2] == [[], sorted(HOSTS)]
    assert answers[2] in {"ReadError", "RemoteProtocolError", "ConnectError", "WriteError"}


async def test_new_files_are_taken_up_and_broken_ones_are_not(tmp_path: Path) -> None:
    """Connections after the change get the new certificate."""
    served, new = tmp_path / "served", tmp_path / "new"
    write_certificates(served, hosts=HOSTS, days=1)
    write_certificates(new, hosts=HOSTS, days=1)
    files, old = HttpsFiles(served), trusting(served)
    texts = [(served / "tls.crt").read_text(), "rubbish", (new / "tls.crt").read_text()]

    def change() -> None:
        texts.pop(0)
        (served / "tls.crt").write_text(texts[0])
        if len(texts) == 1:
            (served / "tls.key").write_bytes((new / "tls.key").read_bytes())
        files.refresh()

    clients = (old, old, trusting(new))
    assert await ask(files, *clients, between=lambda: change() if len(texts) > 1 else None) == [[], [], []]


def test_files_that_are_none_are_refused_at_the_start(tmp_path: Path) -> None:
    """With the folder in the message."""
    with pytest.raises(SettingsError, match=str(tmp_path)):
        HttpsFiles(tmp_path)
