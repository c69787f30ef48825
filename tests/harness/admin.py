"""A whole admin API without sockets: a real pipeline, a real rollout, a real SQLite store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from controlplane.admin.api import AdminParts, Limits, build_admin_app
from controlplane.admin.security.admin_token import AdminToken
from controlplane.admin.security.guard import Guard
from controlplane.admin.security.identity import FirstThatKnows
from controlplane.admin.security.limits import Rate
from controlplane.admin.security.stored_tokens import StoredTokens
from controlplane.api_keys import KeyMaker
from controlplane.auth_services import AuthServices
from controlplane.compiler import Compiler
from controlplane.discovery import Standing
from controlplane.events import Events
from controlplane.history import History
from controlplane.limit_state import LimitStates
from controlplane.node_book import NodeBook
from controlplane.pipeline import Pipeline
from controlplane.placement import Placement
from controlplane.purges import PurgeStore
from controlplane.revocations import RevocationStore
from controlplane.rollout import Rollout
from controlplane.store import Store, open_store
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.ledger import Ledger
from controlplane.xds.load_book import LoadBook
from servicekit.health import Health
from tests.harness.pipelines import nothing_is_listed

TOKEN = "the-admin-token"
PLENTY = Limits(caller=Rate(1e9, 1e9), address=Rate(1e9, 1e9), failure=Rate(1e9, 1e9))

DOCUMENT = """\
# The gateway of the team.
listeners:
  - {name: http, port: 8000}
upstreams:
  # Keeps the resumes.
  - name: resumes
    endpoints: ["http://127.0.0.1:8048"]
    health_check:
      path: /health   # cheap
rate_limits:
  per-ip: {by: ip, requests: 300, per: 1m}
routes:
  - match: {path_prefix: /api}
    upstream: resumes
    rate_limits: [per-ip]
    timeout: 5s   # enough
  # Everything else.
  - {name: rest, match: {path_prefix: /}, upstream: resumes}
"""


class Timer:
    """Seconds that go on by themselves, and that a test may hurry."""

    def __init__(self) -> None:
        self.hurried = 0.0

    def __call__(self) -> float:
        """The time."""
        return time.monotonic() + self.hurried


@dataclass(kw_only=True)
class Admin:
    """The parts of one control plane, and a client of its API."""

    pipeline: Pipeline
    store: Store | None
    ledger: Ledger
    events: Events
    health: Health
    app: Guard
    api: FastAPI
    """What is behind the guard."""
    timer: Timer
    http: httpx.AsyncClient
    """Has the admin token."""

    async def token(self, role: str, *scopes: str, lives: float | None = None) -> str:
        """A new token of the store; ``lives`` seconds, which may be less than none."""
        assert self.store is not None
        until = datetime.now(UTC) + timedelta(seconds=lives) if lives is not None else None
        _, secret = await self.store.tokens.create(name=f"a {role}", role=role, scopes=scopes, expires_at=until)
        return secret

    def client(self, bearer: str | None, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """A client with another token, or none."""
        headers = {"authorization": f"Bearer {bearer}"} if bearer is not None else {}
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://admin", headers=headers)


@cache
def _empty_database() -> bytes:
    """A SQLite database whose tables are there already: making them takes longer than a test."""

    async def make(path: Path) -> None:
        await (await open_store(f"sqlite:///{path}")).close()

    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        path = Path(folder) / "history.db"
        thread.submit(asyncio.run, make(path)).result()
        return path.read_bytes()


@asynccontextmanager
async def running_admin(
    folder: Path,
    *,
    document: str | None = DOCUMENT,
    url: str | None = "",
    limits: Limits = PLENTY,
    if_match_required: bool = False,
    auth_targets: Sequence[str] = (),
    revocations: RevocationStore | None = None,
    purges: PurgeStore | None = None,
    limit_states: LimitStates | None = None,
    has_key_secret: bool = True,
    standings: Sequence[Standing] = (),
) -> AsyncIterator[Admin]:
    """A control plane with nobody connected, whose first revision is ``document``.

    ``url`` is that of the store: empty for SQLite in ``folder``, ``None`` for no store.
    """
    if url == "":
        url = f"sqlite:///{folder}/history.db"
        (folder / "history.db").write_bytes(_empty_database())
    store = await open_store(url) if url is not None else None
    timer = Timer()
    events, ledger, health = Events(), Ledger(clock=time.time), Health(started=True)
    rollout = Rollout(
        cache=SnapshotCache(),
        ledger=ledger,
        placement=Placement(),
        regroup=lambda: None,
        loads=LoadBook(),
        events=events,
        registry=CollectorRegistry(),
    )
    pipeline = Pipeline(
        sources=[],
        rollout=rollout,
        history=History(revisions=store.revisions if store is not None else None, keep=1000),
        events=events,
        remember=lambda _snapshots: None,
        discover=nothing_is_listed,
        compiler=Compiler(preflight=None, listen_address="127.0.0.1"),
        registry=CollectorRegistry(),
    )

    async def merge(own: str) -> str:
        return f"{own}merged 1\n"

    asking = httpx.AsyncClient(trust_env=False)
    ways = [AdminToken(TOKEN)]
    tokens = [StoredTokens(store.tokens, clock=time.time, timer=timer)] if store is not None else []
    authenticator = FirstThatKnows((*ways, *tokens))
    parts = AdminParts(
        pipeline=pipeline,
        rollout=rollout,
        store=store,
        nodes=NodeBook(ledger=ledger, store=store.nodes if store is not None else None, replica="test"),
        auth=AuthServices(auth_targets, client=asking),
        revocations=revocations,
        purges=purges,
        limit_states=limit_states,
        key_maker=KeyMaker(secret=b"the installation's secret") if has_key_secret else None,
        standings=lambda: standings,
        events=events,
        health=health,
        registry=CollectorRegistry(),
        merge=merge,
    )
    app = build_admin_app(
        parts, authenticator=authenticator, limits=limits, if_match_required=if_match_required, clock=timer
    )
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://admin", headers={"authorization": f"Bearer {TOKEN}"}
    )
    try:
        if document is not None and store is not None:
            await pipeline.apply(document.encode(), author="test", origin="test", message="", parent=None, wait=0)
        async with client, asking:
            yield Admin(
                pipeline=pipeline,
                store=store,
                ledger=ledger,
                events=events,
                health=health,
                app=app,
                api=cast("FastAPI", app.app),
                timer=timer,
                http=client,
            )
    finally:
        for task in asyncio.all_tasks():
            if task.get_name() == "outcome":  # the pipeline follows what becomes of its last revision
                task.cancel()
        if store is not None:
            await store.close()
