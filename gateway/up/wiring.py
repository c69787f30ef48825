"""The processes of a run, what each is told, and in which order they start. Pure."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.http_client import reachable
from gateway.supervisor import Component
from gateway.supervisor.probes import http_ok, redis_pong
from gateway.up.listening import Claim
from gateway.up.settings import UpSettings
from servicekit.address import Address
from servicekit.secret_reference import SECRET_PREFIX

READY_PATH = "/health/ready"
LIVE_PATH = "/health/live"
_ALIVE_WITHIN = 3.0
"""Seconds for an answer that costs nothing: a machine may be busy."""

MANAGED = (
    "GATEWAY_ADMIN_TLS_DIR",
    "GATEWAY_AUTH_TARGETS",
    "GATEWAY_ENVOY_ADMIN",
    "GATEWAY_ENVOY_STATS_URL",
    "GATEWAY_EXT_AUTHZ_ADDRESS",
    "GATEWAY_EXT_AUTHZ_BIND",
    "GATEWAY_METRICS_TARGETS",
    "GATEWAY_NODE_ID",
    "GATEWAY_RATELIMIT_ADDRESS",
    "GATEWAY_RATELIMIT_BIND",
    "GATEWAY_RESPONSE_CACHE_ADDRESS",
    "GATEWAY_RESPONSE_CACHE_BIND",
    "GATEWAY_XDS_ADDRESS",
    "GATEWAY_XDS_BIND",
)
"""Settings that a run gives its processes itself, whatever the environment says: the links between them."""

_SECRETS = ("GATEWAY_ADMIN_TOKEN", "GATEWAY_API_KEY_SECRET", "GATEWAY_REDIS_URL", "GATEWAY_STORE_URL")
_VALKEY_MEMORY = "64mb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that decides what a run consists of."""

    settings: UpSettings
    document: Path | None
    demo: bool
    folder: Path
    """Its private folder."""
    admin_token: str
    api_key_secret: str
    valkey: Path | None
    """The Valkey to start; ``None`` when there is a Redis."""
    drain_seconds: float
    environment: Mapping[str, str]
    """The supervisor's own."""

    def socket(self, name: str) -> Address:
        """A Unix socket of this run."""
        return Address(path=str(self.folder / f"{name}.sock"))

    @property
    def bootstrap(self) -> Path:
        """Envoy's bootstrap."""
        return self.folder / "bootstrap.yaml"


def claims(settings: UpSettings, *, demo: bool) -> list[Claim]:
    """The ports that a run needs besides those of its document."""
    always = [
        Claim(settings.admin_bind, "the admin API", "GATEWAY_ADMIN_BIND"),
        Claim(settings.envoy_health_bind, "Envoy's health listener", "GATEWAY_ENVOY_HEALTH_BIND"),
        Claim(settings.ext_authz_http_bind, "ext_authz", "GATEWAY_EXT_AUTHZ_HTTP_BIND"),
        Claim(settings.ratelimit_http_bind, "the rate limiter", "GATEWAY_RATELIMIT_HTTP_BIND"),
        Claim(settings.response_cache_http_bind, "the response cache", "GATEWAY_RESPONSE_CACHE_HTTP_BIND"),
        Claim(settings.telemetry_http_bind, "telemetry", "GATEWAY_TELEMETRY_HTTP_BIND"),
    ]
    if not demo:
        return always
    return [
        *always,
        Claim(settings.demo_backend_bind, "the demo backend", "GATEWAY_DEMO_BACKEND_BIND"),
        Claim(settings.demo_idp_bind, "the demo identity provider", "GATEWAY_DEMO_IDP_BIND"),
    ]


def components(run: Run) -> list[Component]:
    """The processes, those on the way to the first answer first."""
    store = [_valkey(run, run.valkey)] if run.valkey is not None else []
    needs_store = {component.name for component in store}
    return [
        *store,
        _control_plane(run),
        _bootstrap(run),
        _ext_authz(run),
        _rate_limiter(run, needs_store),
        _response_cache(run),
        _telemetry(run),
        *(_demo(run) if run.demo else ()),
        _envoy(run),
    ]


def _valkey(run: Run, binary: Path) -> Component:
    socket = run.socket("valkey")
    arguments = ["--port", "0", "--unixsocket", socket.path, "--unixsocketperm", "700", "--dir", str(run.folder)]
    arguments += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
    arguments += ["--maxmemory", _VALKEY_MEMORY, "--maxmemory-policy", "volatile-lru"]  # never a revocation
    return Component(
        name="valkey",
        arguments=(str(binary), *arguments),
        environment=_without_secrets(run.environment),
        probe=redis_pong(socket),
        alive=redis_pong(socket),
        shown=False,  # its lines are not JSON
    )


def _control_plane(run: Run) -> Component:
    settings = run.settings
    pages = (
        settings.telemetry_http_bind,
        settings.ext_authz_http_bind,
        settings.ratelimit_http_bind,
        settings.response_cache_http_bind,
    )
    told = {
        "GATEWAY_DOCUMENT": str(run.document.absolute()) if run.document is not None else "",
        "GATEWAY_XDS_BIND": str(run.socket("xds")),
        "GATEWAY_ADMIN_BIND": str(settings.admin_bind),
        "GATEWAY_ADMIN_TLS_DIR": "",  # commands and probes of this machine reach it over loopback
        "GATEWAY_ADMIN_TOKEN": run.admin_token,
        "GATEWAY_API_KEY_SECRET": run.api_key_secret,
        "GATEWAY_STATE_DIR": str(state_folder(settings, run.folder) / "controlplane"),
        "GATEWAY_STORE_URL": settings.store_url.get_secret_value() if settings.store_url else _own_history(run),
        "GATEWAY_AUTH_TARGETS": json.dumps([f"http://{reachable(settings.ext_authz_http_bind)}"]),
        "GATEWAY_REDIS_URL": _redis_url(run),
        "GATEWAY_METRICS_TARGETS": json.dumps([f"http://{reachable(page)}/metrics" for page in pages]),
    }
    return _process(run, "controlplane", told=told, ready=settings.admin_bind)


def _own_history(run: Run) -> str:
    return f"sqlite:///{state_folder(run.settings, run.folder) / 'history.db'}"


def state_folder(settings: UpSettings, folder: Path) -> Path:
    """What outlives the processes of a run whose own folder is ``folder``, and the run itself where it is asked to."""
    return (settings.state_dir or folder / "state").absolute()


def _bootstrap(run: Run) -> Component:
    """Renders Envoy's bootstrap while others start: it takes longer than Envoy itself."""
    return _process(run, "bootstrap", "--output", str(run.bootstrap), told=_for_envoy(run), ready=None)


def _ext_authz(run: Run) -> Component:
    told = {
        "GATEWAY_EXT_AUTHZ_BIND": str(run.socket("ext_authz")),
        "GATEWAY_EXT_AUTHZ_HTTP_BIND": str(run.settings.ext_authz_http_bind),
        "GATEWAY_API_KEY_SECRET": run.api_key_secret,
        "GATEWAY_REDIS_URL": _redis_url(run),
        **_for_xds_client(run, "ext-authz"),
        **_opened(run),
    }
    return _process(run, "ext-authz", told=told, ready=run.settings.ext_authz_http_bind, needs={"controlplane"})


def _rate_limiter(run: Run, needs_store: set[str]) -> Component:
    told = {
        "GATEWAY_RATELIMIT_BIND": str(run.socket("ratelimit")),
        "GATEWAY_RATELIMIT_HTTP_BIND": str(run.settings.ratelimit_http_bind),
        "GATEWAY_REDIS_URL": _redis_url(run),
        **_for_xds_client(run, "ratelimit"),
    }
    needs = {"controlplane", *needs_store}
    return _process(run, "ratelimit", told=told, ready=run.settings.ratelimit_http_bind, needs=needs)


def _redis_url(run: Run) -> str:
    redis = run.settings.redis_url
    if redis is not None:
        return redis.get_secret_value()
    return f"unix://{run.socket('valkey').path}?db=0"


def _response_cache(run: Run) -> Component:
    """Nobody needs it to start: without it, cached routes go to their upstreams."""
    told = {
        "GATEWAY_RESPONSE_CACHE_BIND": str(run.socket("response_cache")),
        "GATEWAY_RESPONSE_CACHE_HTTP_BIND": str(run.settings.response_cache_http_bind),
        "GATEWAY_REDIS_URL": _redis_url(run),
    }
    return _process(
        run, "response-cache", told=told, ready=run.settings.response_cache_http_bind, needs={"controlplane"}
    )


def _telemetry(run: Run) -> Component:
    told = {
        "GATEWAY_TELEMETRY_HTTP_BIND": str(run.settings.telemetry_http_bind),
        "GATEWAY_ENVOY_STATS_URL": f"http://{reachable(run.settings.envoy_health_bind)}/metrics",
    }
    return _process(run, "telemetry", told=told, ready=run.settings.telemetry_http_bind, needs={"controlplane"})


def _demo(run: Run) -> Iterator[Component]:
    binds = {"backend": run.settings.demo_backend_bind, "identity-provider": run.settings.demo_idp_bind}
    variables = {"backend": "GATEWAY_DEMO_BACKEND_BIND", "identity-provider": "GATEWAY_DEMO_IDP_BIND"}
    for part, bind in binds.items():
        told = {variables[part]: str(bind)}
        yield _process(run, "demo", part, name=f"demo-{part}", told=told, ready=bind, needs={"controlplane"})


def _envoy(run: Run) -> Component:
    return _process(
        run,
        *("envoy", "--bootstrap", str(run.bootstrap)),
        told=_for_envoy(run),
        ready=run.settings.envoy_health_bind,
        needs={"bootstrap", "controlplane", "ext-authz", "ratelimit"},
        stop_within=run.drain_seconds + 1.5,
    )


def _for_envoy(run: Run) -> dict[str, str]:
    return {
        "GATEWAY_EXT_AUTHZ_ADDRESS": str(run.socket("ext_authz")),
        "GATEWAY_RATELIMIT_ADDRESS": str(run.socket("ratelimit")),
        "GATEWAY_RESPONSE_CACHE_ADDRESS": str(run.socket("response_cache")),
        "GATEWAY_ENVOY_HEALTH_BIND": str(run.settings.envoy_health_bind),
        "GATEWAY_ENVOY_ADMIN": str(run.socket("envoy_admin")),
        **_for_xds_client(run, "envoy"),
    }


def _for_xds_client(run: Run, node_id: str) -> dict[str, str]:
    return {
        "GATEWAY_XDS_ADDRESS": str(run.socket("xds")),
        "GATEWAY_NODE_ID": node_id,
        "GATEWAY_STATE_DIR": str(state_folder(run.settings, run.folder) / node_id),
    }


def _process(
    run: Run,
    *command: str,
    told: Mapping[str, str],
    ready: Address | None,
    name: str | None = None,
    needs: Collection[str] = (),
    stop_within: float = 2.0,
) -> Component:
    """One of our own commands. ``told`` is what its environment says besides; it is ready when ``ready`` says so."""
    drain = {"GATEWAY_DRAIN_SECONDS": f"{run.drain_seconds:g}"}
    return Component(
        name=name or command[0],
        # -P: a folder of the user's that is called like one of our packages must not be taken for it.
        arguments=(sys.executable, "-P", "-m", "gateway", *command),
        environment={**_without_secrets(run.environment), **drain, **told},
        probe=http_ok(ready, READY_PATH) if ready is not None else None,
        alive=http_ok(ready, LIVE_PATH, deadline=_ALIVE_WITHIN) if ready is not None else None,
        needs=frozenset(needs),
        stop_within=stop_within,
    )


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """For processes that don't need them; those that do are given theirs."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() not in _SECRETS and not name.upper().startswith(SECRET_PREFIX)
    }


def _opened(run: Run) -> dict[str, str]:
    """What the document may name as ``env:NAME``, for a process that resolves such references."""
    return {name: value for name, value in run.environment.items() if name.startswith(SECRET_PREFIX)}
