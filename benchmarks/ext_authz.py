"""What a check costs, beside an empty gRPC handler, Envoy's own ``jwt_authn``, and Envoy with neither.

First table: raw ``Check`` calls, 32 in flight, over a Unix socket; CPU of the whole service process per check, and its
ratio to an empty ``grpc.aio`` handler that runs beside it, in turns. Second table: GET through a real Envoy worker; CPU
of Envoy and of the service per request. Linux: CPU time is read from /proc. Figures on a busy machine are noisy; the
ratios hold. Run: ``.venv/bin/python -m benchmarks.ext_authz [seconds per row]``.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cachetools
import grpc.aio
import uvloop
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from prometheus_client import CollectorRegistry

from ext_authz.app import assemble
from ext_authz.cache import BoundedCache
from gateway.envoy_settings import EnvoySettings
from servicekit.contracts import AuthPolicy
from tests.harness.authz import METHOD, check_request
from tests.harness.envoy import envoy_settings, running_envoy, short_folder
from tests.harness.jose import SigningKey, jwks, signing_key
from tests.harness.load import Load, LoadResult
from tests.harness.ports import free_port
from tests.harness.tokens import AUDIENCE, ISSUER, claims
from tests.unit.ext_authz.builders import RULE, api_key_provider, auth_policy, jwt_provider

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
HTTP = f"{EXTENSIONS}.http"
IN_FLIGHT = 32
TURNS = 4
TOKENS = 2000
LONG = {"exp": 4_000_000_000, "iat": 1_700_000_000}
API_KEY = "k" * 40
TICKS = os.sysconf("SC_CLK_TCK")
# What a browser sends, so that decoding costs what it costs.
USUAL = {
    ":authority": "gateway.example.com",
    ":method": "GET",
    ":path": "/api/v1/resumes?page=2",
    ":scheme": "https",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br",
    "accept-language": "en-GB,en;q=0.9",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0",
    "x-request-id": "6f1c2c58-7c3f-4a57-9d56-0f4b4c1e9a11",
    "x-forwarded-proto": "https",
}


def bearer(key: SigningKey, **changes: object) -> dict[str, str]:
    """The header with one token."""
    return {"authorization": f"Bearer {key.token(claims(**(LONG | changes)))}"}


def rows() -> Iterator[tuple[str, list[dict[str, str]], int]]:
    """Name, the headers that are cycled through, and the entries of the cache."""
    rsa, ec = signing_key("RS256", "rsa"), signing_key("ES256", "ec")
    yield "cached token, one", [bearer(rsa)], 10_000
    yield "cached tokens, 2,000", [bearer(ec, jti=str(number)) for number in range(TOKENS)], 10_000
    yield "uncached RS256", [bearer(rsa, jti=str(number)) for number in range(TOKENS)], 1
    yield "uncached ES256", [bearer(ec, jti=str(number)) for number in range(TOKENS)], 1
    yield "API key", [{"x-api-key": API_KEY}], 10_000
    yield "denied: expired", [bearer(ec, exp=1)], 10_000
    yield "denied: no credentials", [{}], 10_000


def policy() -> AuthPolicy:
    """Both keys stand in the policy, so that no fetch is measured."""
    document = jwks(*(signing_key(alg, kid).jwk() for alg, kid in (("RS256", "rsa"), ("ES256", "ec")))).decode()
    digest = hashlib.sha256(API_KEY.encode()).hexdigest()
    return auth_policy(jwt_provider(jwks=document), api_key_provider(keys={"ci": digest}))


async def serve(socket: str, policy: bytes, cache_entries: int) -> None:
    """The service in a process of its own; without cache entries the empty handler."""
    server = grpc.aio.server()
    if cache_entries:
        parts = assemble(registry=CollectorRegistry(), cache_entries=cache_entries)
        parts.enforcer.apply(AuthPolicy.decode(policy))
        server.add_generic_rpc_handlers((parts.service.handler(),))
    else:
        server.add_generic_rpc_handlers((_empty_handler(),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    await server.wait_for_termination()


def _empty_handler() -> grpc.GenericRpcHandler:
    yes: bytes = CheckResponse(ok_response={}, status={}).SerializeToString()

    async def check(request: CheckRequest, _context: object) -> bytes:
        request.attributes.request.http.headers.get("authorization")
        return yes

    service, method = METHOD.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(check, request_deserializer=CheckRequest.FromString)
    return grpc.method_handlers_generic_handler(service, {method: handler})


@contextmanager
def serving(folder: Path, wanted: AuthPolicy, cache_entries: int) -> Iterator[int]:
    """A service process that listens on ``folder/ext_authz.sock``; its id."""
    socket, document = folder / "ext_authz.sock", folder / "policy.json"
    document.write_bytes(wanted.encode())
    command = [sys.executable, "-m", "benchmarks.ext_authz", "serve", str(socket), str(document), str(cache_entries)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the service did not start")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.kill()
        process.wait()
        socket.unlink(missing_ok=True)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def calls(folder: Path, headers: list[dict[str, str]], *, seconds: float, at_least: int = 0) -> int:
    """Checks answered in ``seconds`` with 32 in flight."""
    requests = itertools.cycle([check_request(USUAL | each, RULE).SerializeToString() for each in headers])
    done, end = 0, time.monotonic() + seconds
    async with grpc.aio.insecure_channel(f"unix:{folder / 'ext_authz.sock'}") as channel:
        method: Any = channel.unary_unary(METHOD)

        async def one() -> None:
            nonlocal done
            while time.monotonic() < end or done < at_least:
                await method(next(requests), timeout=10)
                done += 1

        await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
    return done


def compare(headers: list[dict[str, str]], cache_entries: int, seconds: float) -> tuple[float, float]:
    """Microseconds of CPU per check: of the service, and of an empty handler. Measured in turns, the least of each."""
    best = [float("inf"), float("inf")]
    with (
        short_folder() as one,
        short_folder() as other,
        serving(one, policy(), cache_entries) as service,
        serving(other, policy(), 0) as empty,
    ):
        for folder in (one, other):
            uvloop.run(calls(folder, headers, seconds=0.3, at_least=len(headers) + IN_FLIGHT))
        for _ in range(TURNS):
            for position, (folder, pid) in enumerate(((one, service), (other, empty))):
                before = cpu(pid)
                done = uvloop.run(calls(folder, headers, seconds=seconds / TURNS))
                best[position] = min(best[position], (cpu(pid) - before) / done * 1e6)
    return best[0], best[1]


def service_table(seconds: float) -> None:
    """The first table."""
    print(f"{'check':28}{'µs CPU':>10}{'empty µs':>10}{'ratio':>8}")
    for name, headers, cache_entries in rows():
        full, empty = compare(headers, cache_entries, seconds)
        print(f"{name:28}{full:10.1f}{empty:10.1f}{full / empty:8.2f}")


def envoy_config(kind: str, port: int, settings: EnvoySettings) -> str:
    """One Envoy whose listener asks ``kind``; behind it is a listener of its own that answers 200."""
    checks = {
        "neither": [],
        "jwt_authn": [{"name": "check", "typed_config": _jwt_authn()}],
        "ext_authz": [{"name": "check", "typed_config": _ext_authz()}],
    }[kind]
    ready = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    front = {"match": {"prefix": "/"}, "route": {"cluster": "back"}}
    own = str(settings.envoy_health_bind)
    config = {
        "static_resources": {
            "listeners": [_listener("front", port, front, checks), _listener("back", _port(own), ready, [])],
            "clusters": [
                _cluster("back", {"socket_address": {"address": "127.0.0.1", "port_value": _port(own)}}),
                _cluster("authz", {"pipe": {"path": settings.ext_authz_address.path}}, http2=True),
            ],
        }
    }
    return json.dumps(config)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _listener(name: str, port: int, route: dict[str, Any], filters: list[dict[str, Any]]) -> dict[str, Any]:
    router = {"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}}
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "http_filters": [*filters, router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _cluster(name: str, address: dict[str, Any], *, http2: bool = False) -> dict[str, Any]:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    cluster: dict[str, Any] = {"name": name, "load_assignment": {"cluster_name": name, "endpoints": [endpoint]}}
    if http2:
        options = {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        }
    return cluster


def _ext_authz() -> dict[str, Any]:
    return {
        "@type": f"{HTTP}.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "authz"}, "timeout": "5s"},
    }


def _jwt_authn() -> dict[str, Any]:
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "forward": True,
        "local_jwks": {"inline_string": jwks(signing_key("ES256", "ec").jwk()).decode()},
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
        "jwt_cache_config": {"jwt_cache_size": 10_000},
    }
    return {
        "@type": f"{HTTP}.jwt_authn.v3.JwtAuthentication",
        "providers": {"platform": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "platform"}}],
    }


def through_envoy(kind: str, seconds: float) -> tuple[float, float, float]:
    """Microseconds of Envoy and of the service per request, and requests a second."""
    with short_folder() as folder:
        port, settings = free_port(), envoy_settings(folder)
        config = envoy_config(kind, port, settings)
        # The filter names no rule per route here, so the service's only rule has the empty name.
        named = policy().model_copy(update={"rules": {"": policy().rules[RULE]}})
        with serving(folder, named, 10_000) as service, running_envoy(config, settings, folder=folder) as envoy:
            load = Load(port=port, path="/", connections=IN_FLIGHT, headers=bearer(signing_key("ES256", "ec")))
            before = cpu(envoy.process.pid), cpu(service)
            result = asyncio.run(_for(load, seconds))
            after = cpu(envoy.process.pid), cpu(service)
            if set(result.statuses) != {200}:
                raise RuntimeError(f"{kind}: {result.statuses} {result.broken[:3]}")
            each = [(late - early) / result.total * 1e6 for early, late in zip(before, after, strict=True)]
            return each[0], each[1], result.total / seconds


async def _for(load: Load, seconds: float) -> LoadResult:
    running = asyncio.create_task(load.run())
    await asyncio.sleep(seconds)
    load.stop()
    return await running


def envoy_table(seconds: float) -> None:
    """The second table."""
    print(f"\n{'Envoy with':28}{'Envoy µs':>10}{'service µs':>12}{'req/s':>10}")
    for kind in ("neither", "jwt_authn", "ext_authz"):
        envoy, service, rate = through_envoy(kind, seconds)
        print(f"{kind:28}{envoy:10.1f}{service:12.1f}{rate:10.0f}")


def cache_lookup() -> None:
    """Why the cache is our own."""
    own: BoundedCache[int] = BoundedCache(10_000)
    theirs: Any = cachetools.TLRUCache(10_000, ttu=lambda _key, _value, now: now + 300, timer=time.monotonic)
    key = b"k" * 64
    own.put(key, 1, ends_at=1e18)
    theirs[key] = 1
    ours_us = min(timeit.repeat(lambda: own.get(key, 1.0), number=10_000, repeat=5)) * 100
    theirs_us = min(timeit.repeat(lambda: theirs.get(key), number=10_000, repeat=5)) * 100
    print(
        f"\ncache look-up: {ours_us:.2f} µs, cachetools.TLRUCache {theirs_us:.2f} µs, ratio {theirs_us / ours_us:.1f}"
    )


def main() -> None:
    """Print all tables, or be the service process."""
    if sys.argv[1:2] == ["serve"]:
        uvloop.run(serve(sys.argv[2], Path(sys.argv[3]).read_bytes(), int(sys.argv[4])))
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    service_table(seconds)
    envoy_table(seconds)
    cache_lookup()


if __name__ == "__main__":
    main()
