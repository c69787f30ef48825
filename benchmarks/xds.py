"""What a change costs when many proxies listen. Run: ``.venv/bin/python -m benchmarks.xds [streams ...]``.

One process serves 5,000 clusters, another holds the streams (delta, wildcard) and acknowledges. Shown are the time from
a change of one cluster to the last acknowledgement with the server's CPU per stream, a reconnect storm with matching
versions, memory per idle stream, and what joining bytes saves over building a response for each stream.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import grpc.aio
import uvloop
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from prometheus_client import CollectorRegistry

from controlplane.xds import types
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.ledger import Ledger
from controlplane.xds.messages import Response
from controlplane.xds.server import SERVER_OPTIONS, DrainingServer, XdsServer
from controlplane.xds.snapshot import Resource, Snapshot, encode_message
from controlplane.xds.wire import encode, encode_control_plane

CLUSTERS, CHANGES = 5_000, 30
GROUP = "edge"
CONTROL_PLANE = encode_control_plane("bench")
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


def cluster(number: int, revision: int = 0) -> Resource:
    """A cluster of some size."""
    message = Cluster(name=f"cluster-{number:05}", type=Cluster.STRICT_DNS, alt_stat_name=f"revision {revision}")
    message.connect_timeout.FromMilliseconds(500)
    assignment = message.load_assignment
    assignment.cluster_name = message.name
    for host in range(4):
        address = assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
        address.address, address.port_value = f"host-{host}.{message.name}.internal", 8080
    return encode_message(message.name, message)


class Bench:
    """A server and the process with its streams."""

    def __init__(self) -> None:
        self.cache, self.ledger, self.registry = SnapshotCache(), Ledger(clock=time.time), CollectorRegistry()
        self.xds = XdsServer(
            cache=self.cache,
            ledger=self.ledger,
            place=lambda node, _identities, _type_url: node.cluster,
            identifier="bench",
            registry=self.registry,
        )
        server = grpc.aio.server(options=SERVER_OPTIONS)
        self.xds.add_to(server)
        self.port = server.add_insecure_port("127.0.0.1:0")
        self.server = DrainingServer(server, self.xds)
        self.snapshot = Snapshot.of(cluster(number) for number in range(CLUSTERS))
        self.cache.set(GROUP, self.snapshot)

    def sent(self) -> float:
        """Resources that were sent so far."""
        return self.registry.get_sample_value("gateway_xds_resources_total", {"type": "Cluster"}) or 0.0

    async def connected(self, streams: int) -> None:
        """Wait until so many streams have everything."""
        await self.count(streams)
        await self.ledger.wait_acked(GROUP, self.snapshot, (types.CLUSTER,), 120)

    async def count(self, streams: int) -> None:
        """Wait until so many streams are open."""
        for _ in range(12_000):
            if len(self.ledger.clients()) == streams:
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"never {streams} streams")

    async def change(self, number: int) -> tuple[float, float]:
        """Change one cluster; seconds until the last acknowledgement, and of this process's CPU."""
        self.snapshot = self.snapshot.with_resource(cluster(number, revision=number + 1))
        began, cpu = time.perf_counter(), time.process_time()
        self.cache.set(GROUP, self.snapshot)
        outcome = await self.ledger.wait_acked(GROUP, self.snapshot, (types.CLUSTER,), 60)
        assert outcome.complete
        return time.perf_counter() - began, time.process_time() - cpu


async def measure(streams: int) -> None:
    """Print one row of the table."""
    bench = Bench()
    await bench.server.start()
    before = _rss()
    process = await client(bench.port, streams)
    try:
        began = time.perf_counter()
        await bench.connected(streams)
        first = time.perf_counter() - began
        memory = (_rss() - before) / streams
        results = [await bench.change(number) for number in range(CHANGES)]
        process.terminate()
        await process.wait()
        await bench.count(0)
        sent = bench.sent()
        process = await client(bench.port, streams, "have")
        began = time.perf_counter()
        await bench.connected(streams)
        storm = time.perf_counter() - began
    finally:
        process.terminate()
        await process.wait()
        await bench.server.stop(1)
    times = sorted(wall for wall, _ in results)
    cpu = statistics.median(cpu for _, cpu in results)
    print(
        f"{streams:>7} {statistics.median(times) * 1e3:>8.1f} {times[int(len(times) * 0.99)] * 1e3:>8.1f} "
        f"{cpu / streams * 1e6:>10.0f} {memory:>8.0f} {first:>8.1f} {storm:>8.1f} {bench.sent() - sent:>10.0f}"
    )


async def client(port: int, streams: int, *have: str) -> asyncio.subprocess.Process:
    """Start the other process."""
    arguments = [sys.executable, "-m", "benchmarks.xds", "--client", str(port), str(streams), *have]
    return await asyncio.create_subprocess_exec(*arguments, cwd=Path(__file__).parents[1])


def _rss() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


async def hold(port: int, streams: int, *, have: bool) -> None:
    """The other process: ``streams`` clients, of which each says that it has everything when ``have``."""
    held = {r.name: r.version for r in (cluster(n, revision=n + 1 if n < CHANGES else 0) for n in range(CLUSTERS))}
    initial = held if have else {}

    async def one(number: int, channel: grpc.aio.Channel) -> None:
        call = channel.stream_stream(METHOD)()
        request = DeltaDiscoveryRequest(type_url=types.CLUSTER, initial_resource_versions=initial)
        request.node.id, request.node.cluster = f"node-{number}", GROUP
        await call.write(request.SerializeToString())
        while (data := await call.read()) is not grpc.aio.EOF:
            nonce = DeltaDiscoveryResponse.FromString(data).nonce
            await call.write(DeltaDiscoveryRequest(type_url=types.CLUSTER, response_nonce=nonce).SerializeToString())

    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(streams)]
    await asyncio.gather(*(one(number, channel) for number, channel in enumerate(channels)))


def encoding() -> None:
    """Print what joining saves."""
    resources = tuple(cluster(number) for number in range(CLUSTERS))
    response = Response(type_url=types.CLUSTER, version="v", nonce="n", resources=resources, delta=True)

    def per_stream() -> bytes:
        message = DeltaDiscoveryResponse(type_url=types.CLUSTER, nonce="n", system_version_info="v")
        for one in resources:
            added = message.resources.add(name=one.name, version=one.version)
            added.resource.ParseFromString(one.body)
        data: bytes = message.SerializeToString()
        return data

    joined, built = _seconds(lambda: encode(response, CONTROL_PLANE)), _seconds(per_stream)
    size = len(encode(response, CONTROL_PLANE)) / 1024
    print(
        f"a response of {CLUSTERS} clusters ({size:.0f} KiB): joined {joined * 1e3:.2f} ms, built per stream", end=" "
    )
    print(f"{built * 1e3:.2f} ms, ratio {built / joined:.0f}")


def _seconds(call: object) -> float:
    assert callable(call)
    call()
    began = time.perf_counter()
    for _ in range(10):
        call()
    return (time.perf_counter() - began) / 10


def main() -> None:
    """Run what the arguments say."""
    if sys.argv[1:2] == ["--client"]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > 0 else soft, hard))
        uvloop.run(hold(int(sys.argv[2]), int(sys.argv[3]), have="have" in sys.argv))
        return
    encoding()
    print(f"{CLUSTERS} clusters; milliseconds from a change of one to the last ACK, over {CHANGES} changes")
    print("streams      p50      p99  cpu µs/st  KiB/st  first s  storm s  resent")
    for streams in [int(argument) for argument in sys.argv[1:]] or [10, 100, 1000]:
        uvloop.run(measure(streams))


if __name__ == "__main__":
    main()
