"""A process that records revisions one after the other, and says each number once it was answered."""

from __future__ import annotations

import asyncio
import hashlib
import sys

from controlplane.store import open_store


async def write(url: str, writer: str) -> None:
    """Go on until killed."""
    store = await open_store(url)
    count = 0
    while True:
        count += 1
        text = f"{writer} {count}".encode()
        digest = hashlib.sha256(text).hexdigest()
        revision = await store.revisions.record(text, origin="test", author=writer, message="", digest=digest)
        print(revision.number, text.decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2]))
