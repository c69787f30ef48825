"""What a rate-limit decision costs, beside an empty gRPC handler.

Starts a real Valkey and, for each row, the service in a process of its own (Linux: its CPU time is read from /proc).
Prints CPU per decision of the whole service process, the same as a ratio to an empty ``grpc.aio`` handler measured just
before and after, and latencies: at saturation with 32 requests in flight, and at a fixed 500 requests a second.
Figures on a busy machine are noisy; the ratios hold. Run: ``.venv/bin/python -m benchmarks.ratelimit [seconds]``.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from prometheus_client import CollectorRegistry

from ratelimit_service.limiter import Limiter
from ratelimit_service.local_store import LocalStore
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import PolicyBook
from ratelimit_service.redis_store import RedisStore
from ratelimit_service.service import RateLimitService
from ratelimit_service.waiting_room import WaitingRoom
from ratelimit_service.wire import add_to_server
from servicekit.buckets import script
from servicekit.contracts import Limit, LimitPolicy
from tests.harness.valkey import Valkey, running_valkey

IN_FLIGHT, FIXED_RATE, LARGE = 32, 500, 10**6
METHOD = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    mode: str = "batched"
    descriptors: int = 1
    keys: int = 100_000
    burst: int = LARGE


ROWS = (
    Row("1 descriptor, 100,000 keys"),
    Row("2 descriptors, 100,000 keys", descriptors=2),
    Row("4 descriptors, 100,000 keys", descriptors=4),
    Row("1 descriptor, one hot key", keys=1),
    Row("refused: one key over its limit", keys=1, burst=1),
    Row("one call to the store per request", mode="unbatched"),
    Row("no store: local buckets", mode="local"),
)


class Empty:
    """A handler that decides nothing."""

    async def ShouldRateLimit(self, _request: object, _context: object) -> RateLimitResponse:  # noqa: N802
        """Yes."""
        return RateLimitResponse(overall_code=RateLimitResponse.OK)


async def serve(mode: str, socket: str, url: str, burst: int) -> None:
    """The server's side, in a process of its own."""
    server = grpc.aio.server()
    server.add_insecure_port(f"unix:{socket}")
    metrics = Metrics(CollectorRegistry())
    policy = PolicyBook(clock=time.monotonic)
    policy.apply(LimitPolicy(limits=tuple(_limit(f"limit-{n}", burst) for n in range(4))))
    takes, connections = (1, 8) if mode == "unbatched" else (script.MAX_TAKES, 1)
    store = RedisStore(url=url, metrics=metrics, max_takes=takes, connections=connections)
    limiter = Limiter(
        policy=policy,
        overrides=OverrideBook(wall=time.time, changed=lambda: None),
        store=store,
        local=LocalStore(clock_us=lambda: time.monotonic_ns() // 1000),
        refused=OverLimitCache(),
        metrics=metrics,
        clock=time.monotonic,
        room=WaitingRoom(told=metrics.waited),
    )
    service: Any = Empty() if mode == "empty" else RateLimitService(limiter=limiter, policy=policy)
    add_to_server(service.ShouldRateLimit, server)
    await server.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.wait_for_termination())
        if mode in ("batched", "unbatched"):
            group.create_task(store.run())


def _limit(name: str, burst: int) -> Limit:
    return Limit(name=name, by="user", requests=burst, period_seconds=1 if burst > 1 else 60, burst=burst)


def questions(row: Row) -> list[bytes]:
    """Every caller's request, encoded."""
    found = []
    for caller in range(row.keys):
        request = RateLimitRequest(domain="gateway")
        for number in range(row.descriptors):
            entries = request.descriptors.add().entries
            entries.add(key="limit", value=f"limit-{number}")
            entries.add(key="user", value=f"user-{caller}")
        found.append(request.SerializeToString())
    return found


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    cpu_us: float
    rate: float
    saturated: list[float]
    paced: list[float]
    calls_per_script: float


async def measure(row: Row, valkey: Valkey, folder: Path, seconds: float) -> Figures:
    """Start a server, load it, stop it."""
    socket = folder / f"{row.mode}{time.monotonic_ns()}"
    command = [sys.executable, "-m", "benchmarks.ratelimit", "serve", row.mode, str(socket), valkey.url, str(row.burst)]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        asked = questions(row)
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 20)
            call = channel.unary_unary(METHOD)
            await saturate(call, asked, 0.5)
            cpu, scripts = cpu_seconds(process.pid), script_calls(valkey)
            saturated = await saturate(call, asked, seconds)
            cpu, scripts = cpu_seconds(process.pid) - cpu, script_calls(valkey) - scripts
            paced = await pace(call, asked, seconds)
        return Figures(
            cpu / len(saturated) * 1e6, len(saturated) / seconds, saturated, paced, len(saturated) / max(1, scripts)
        )
    finally:
        process.kill()
        await process.wait()


async def saturate(call: Any, asked: list[bytes], seconds: float) -> list[float]:
    """Keep a number of requests in flight; the latencies."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        while (began := time.perf_counter()) < until:
            await call(asked[(number * 7919 + len(took)) % len(asked)])
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(client(number) for number in range(IN_FLIGHT)))
    return took


async def pace(call: Any, asked: list[bytes], seconds: float) -> list[float]:
    """Send at a fixed rate whatever the answers do; the latencies."""
    took: list[float] = []

    async def one(number: int) -> None:
        began = time.perf_counter()
        await call(asked[number * 7919 % len(asked)])
        took.append(time.perf_counter() - began)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(FIXED_RATE * seconds)):
            await asyncio.sleep(max(0.0, start + number / FIXED_RATE - time.perf_counter()))
            group.create_task(one(number))
    return took


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def script_calls(valkey: Valkey) -> int:
    """Scripts that the server has run."""
    statistics = valkey.command("INFO", "commandstats")
    return int(statistics.get("cmdstat_evalsha", {"calls": 0})["calls"])


def percentiles(took: list[float]) -> str:
    """The median and the 99th, in milliseconds."""
    ordered = sorted(took)
    return f"{ordered[len(ordered) // 2] * 1e3:6.2f} {ordered[len(ordered) * 99 // 100] * 1e3:6.2f}"


def script_alone(valkey: Valkey) -> str:
    """What the script costs the server for each bucket, from the server's own statistics."""
    statistics = valkey.command("INFO", "commandstats")["cmdstat_evalsha"]
    return (
        f"{statistics['usec_per_call']} µs a call over {statistics['calls']} calls of up to {script.MAX_TAKES} buckets"
    )


async def compare(seconds: float) -> None:
    """Print the table."""
    print(f"{'':36} µs/decision  ratio  req/s  per call   p50    p99 ms   at {FIXED_RATE}/s:  p50    p99 ms")
    with running_valkey() as valkey, tempfile.TemporaryDirectory() as folder:
        before = await measure(Row("", mode="empty", keys=1), valkey, Path(folder), seconds)
        for row in ROWS:
            found = await measure(row, valkey, Path(folder), seconds)
            after = await measure(Row("", mode="empty", keys=1), valkey, Path(folder), seconds)
            empty = (before.cpu_us + after.cpu_us) / 2
            print(
                f"{row.name:36} {found.cpu_us:11.0f} {found.cpu_us / empty:6.2f} {found.rate:6.0f} "
                f"{found.calls_per_script:9.1f} {percentiles(found.saturated)} {percentiles(found.paced):>23}",
                flush=True,
            )
            before = after
        print(f"{'an empty handler (last)':36} {before.cpu_us:11.0f}   1.00 {before.rate:6.0f} ", end="")
        print(f"{'':9} {percentiles(before.saturated)} {percentiles(before.paced):>23}")
        print(f"the script in Valkey: {script_alone(valkey)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        uvloop.run(serve(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
    else:
        uvloop.run(compare(float(sys.argv[1]) if sys.argv[1:] else 3.0))
