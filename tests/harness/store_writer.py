"""A process that writes to every table of a store for ever, and says each thing once it was answered.

A line is a kind and JSON: ``revision [number, digest]``, ``mark [number, outcome]``, ``audit [number, digest]``,
``token id``, ``node id``. What ends in an error is not said: nobody knows whether it was done.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.store import ConflictError, Outcome, Store, StoreError, open_store
from controlplane.store.nodes import NodeRecord

_EACH = 3
"""Tasks that do the same."""


def say(kind: str, value: Any) -> None:
    """One answer."""
    print(kind, json.dumps(value), flush=True)


async def record(store: Store, who: str, count: int) -> None:
    """Record a text after what is newest, as somebody does who has read it; then mark it."""
    newest = await store.revisions.newest()
    parent = newest.number if newest is not None else 0
    text = f"{who} {count}".encode()
    digest = hashlib.sha256(text).hexdigest()
    # Every other one doesn't care what is newest, and so can't lose.
    wanted = parent if count % 2 else None
    made = await store.revisions.record(text, origin="test", author=who, message="", digest=digest, parent=wanted)
    say("revision", [made.number, digest])
    if await store.revisions.mark(made.number, Outcome.APPLIED, {"edge": {"outcome": "applied", "refused": {}}}):
        say("mark", [made.number, "applied"])


async def append(store: Store, who: str, count: int) -> None:
    """Append an entry."""
    entry = await store.audit.append(actor=who, address="", action="test", target=str(count), detail={"n": count})
    say("audit", [entry.number, entry.digest])


async def note(store: Store, who: str, count: int) -> None:
    """Make a token, a node, and tell what a source has."""
    token, _ = await store.tokens.create(name=who, role="viewer")
    say("token", token.id)
    # This replica's clock is off by an hour or two.
    now = datetime.now(UTC) - timedelta(hours=len(who))
    record = NodeRecord(
        id=f"{who}-{count}",
        replica=who,
        service="envoy",
        group="edge",
        peer="",
        connected_at=now,
        disconnected_at=None,
        last_seen=now,
        types={},
    )
    await store.nodes.save([record])
    say("node", record.id)
    origin, digest = f"{who}-{count % 5}", hashlib.sha256(str(count).encode()).hexdigest()
    await store.revisions.saw(origin, digest)


async def repeat(act: Callable[[Store, str, int], Coroutine[Any, Any, None]], store: Store, who: str) -> None:
    """For ever; a database that is away is tried again."""
    for count in itertools.count():
        try:
            await act(store, who, count)
        except ConflictError:
            continue
        except StoreError:
            await asyncio.sleep(0.05)


async def write(url: str, who: str) -> None:
    """Go on until killed."""
    store = await open_store(url)
    async with asyncio.TaskGroup() as tasks:
        for act in (record, append, note):
            for n in range(_EACH if act is not note else 1):
                tasks.create_task(repeat(act, store, f"{who}{n}"))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2]))
