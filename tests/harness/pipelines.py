"""Pipelines under test: a real store, a real rollout, nobody connected, and sources that say what a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from controlplane.compiler import Compiler
from controlplane.config import ConfigError, load_document
from controlplane.events import Events
from controlplane.history import History
from controlplane.model import Gateway
from controlplane.pipeline import Pipeline
from controlplane.placement import Placement
from controlplane.preflight import EnvoyPreflight
from controlplane.rollout import Rollout
from controlplane.sources import Loaded, Source
from controlplane.store import Store
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.ledger import Ledger
from controlplane.xds.load_book import LoadBook
from controlplane.xds.snapshot import Snapshot
from tests.harness.xds import eventually

ORIGIN = "gateway.yaml"


def document(port: int) -> str:
    """A document that can be told from others by its port."""
    return (
        f"listeners: [{{name: http, port: {port}}}]\n"
        "upstreams: [{name: echo, endpoints: ['http://127.0.0.1:8048']}]\n"
        "routes: [{match: {path_prefix: /}, upstream: echo}]\n"
    )


def loaded(text: str) -> Loaded:
    """What a source makes of ``text``."""
    source = text.encode()
    try:
        return Loaded(ORIGIN, load_document(source, origin=ORIGIN), source)
    except ConfigError as error:
        return Loaded(ORIGIN, error, source)


class Feed:
    """A source that a test feeds."""

    def __init__(self, *texts: str) -> None:
        self._texts = asyncio.Queue[str]()
        self.say(*texts)
        self.taken = asyncio.Event()
        """Set when everything that was said has been taken."""

    def say(self, *texts: str) -> None:
        """Give these next."""
        for text in texts:
            self._texts.put_nowait(text)

    async def documents(self) -> AsyncIterator[Loaded]:
        """What the test says, one after the other."""
        while True:
            if self._texts.empty():
                self.taken.set()
            text = await self._texts.get()
            self.taken.clear()
            yield loaded(text)


def rollout(cache: SnapshotCache | None = None, events: Events | None = None) -> Rollout:
    """A rollout to whose groups nobody is connected."""
    return Rollout(
        cache=cache or SnapshotCache(),
        ledger=Ledger(clock=lambda: 0.0),
        placement=Placement(),
        regroup=lambda: None,
        loads=LoadBook(),
        events=events or Events(),
        registry=CollectorRegistry(),
    )


async def nothing_is_listed(_gateway: Gateway) -> None:
    """Documents of these tests write their endpoints down."""


def pipeline(
    *sources: Source,
    store: Store | None = None,
    cache: SnapshotCache | None = None,
    events: Events | None = None,
    preflight: EnvoyPreflight | None = None,
    remember: Callable[[Sequence[Snapshot]], None] = lambda _snapshots: None,
    publisher: Rollout | None = None,
) -> Pipeline:
    """A pipeline with a rollout of its own, or ``publisher``."""
    happening = events or Events()
    return Pipeline(
        sources=sources,
        rollout=publisher or rollout(cache, happening),
        history=History(revisions=store.revisions if store else None, keep=100),
        events=happening,
        remember=remember,
        discover=nothing_is_listed,
        compiler=Compiler(preflight=preflight, listen_address="127.0.0.1"),
        registry=CollectorRegistry(),
    )


@asynccontextmanager
async def running(line: Pipeline) -> AsyncIterator[Pipeline]:
    """Let it run for as long as a test takes."""
    task = asyncio.create_task(line.run())
    try:
        yield line
    finally:
        task.cancel()
        await asyncio.wait([task])


def port_of(line: Pipeline) -> int | None:
    """The port of what is live."""
    return line.live.compiled.gateway.listeners[0].port if line.live else None


async def until_port(line: Pipeline, port: int) -> None:
    """Wait for a document to be live."""
    await eventually(lambda: port_of(line) == port, f"port {port} is live")


async def apply(line: Pipeline, text: str, *, parent: int | None = None) -> int:
    """Send a document as the admin API does; its number."""
    applied = await line.apply(text.encode(), author="ada", origin="admin API", message="why", parent=parent, wait=0)
    return applied.number
