"""Random resolved gateways: everything they name is in them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from controlplane.model import (
    CertificateFiles,
    Endpoint,
    Gateway,
    IdentityProvider,
    RateLimit,
    RetryPolicy,
    Route,
    Upstream,
    UpstreamTls,
    ValueMatch,
)
from tests.harness import gateways as g

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
HOSTS = st.sampled_from(["*", "a.example.com", "b.example.com", "*.example.com", "*.b.example.com", "other.org"])
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "M-SEARCH"])
_FILES = CertificateFiles(certificate="/tls.crt", key="/tls.key")
PATHS = st.sampled_from(["/", "/api", "/public/", "/health", "/a/b"])


def endpoints() -> st.SearchStrategy[tuple[Endpoint, ...]]:
    """One to three addresses."""
    address = st.builds(
        Endpoint, host=st.sampled_from(["127.0.0.1", "10.0.0.1", "2001:db8::1"]), port=st.integers(1, 65535)
    )
    return st.lists(address, min_size=1, max_size=3, unique=True).map(tuple)


def upstreams(name: str) -> st.SearchStrategy[Upstream]:
    """One upstream called ``name``."""
    checks = st.none() | st.just(g.health_check())
    failures = st.none() | st.integers(1, 10)
    return st.builds(
        lambda found, tls, http2, discovery, check, limit: g.upstream(
            name,
            endpoints=found,
            tls=tls,
            http2=http2,
            discovery=discovery,
            health_check=check,
            circuit_breaker=g.circuit_breaker(consecutive_failures=limit),
        ),
        endpoints(),
        st.sampled_from([None, UpstreamTls(), UpstreamTls(ca="/ca.crt", client_certificate=_FILES, sni="a.example")]),
        st.booleans(),
        st.sampled_from(["static", "dns"]),
        checks,
        failures,
    )


def providers(names: Sequence[str]) -> list[IdentityProvider]:
    """A provider for each name; every other one takes API keys."""
    makers = (g.jwt_provider, g.api_key_provider)
    return [makers[index % 2](name) for index, name in enumerate(names)]


def limits(names: Sequence[str]) -> list[RateLimit]:
    """A limit for each name, of all tiers in turn."""
    tiers = ("ip", "user", "api_key")
    return [g.rate_limit(name, tiers[index % 3]) for index, name in enumerate(names)]


@st.composite
def routes(
    draw: st.DrawFn, name: str, upstream_names: Sequence[str], provider_names: Sequence[str], limit_names: Sequence[str]
) -> Route:
    """One route that names only what there is."""

    def some(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=3))) if names else ()

    retry = RetryPolicy(
        attempts=draw(st.integers(0, 3)),
        conditions=("5xx", "connect-failure"),
        per_try_timeout=draw(st.none() | st.just(1.0)),
        backoff_base=0.025,
        backoff_max=0.25,
        methods=tuple(draw(st.lists(METHODS, unique=True, max_size=3))),
    )
    headers = draw(st.sampled_from(["exact", "regex", "present", "absent"]).map(lambda kind: _header(kind)))
    return g.route(
        draw(PATHS),
        draw(st.sampled_from(["prefix", "exact"])),
        name=name,
        hosts=tuple(draw(st.lists(HOSTS, unique=True, min_size=1, max_size=3))),
        methods=tuple(draw(st.lists(METHODS, unique=True, max_size=3))),
        headers=draw(st.sampled_from([(), (headers,)])),
        upstream=draw(st.sampled_from(upstream_names)),
        authenticate=some(provider_names),
        rate_limits=some(limit_names),
        timeout=draw(st.sampled_from([0.0, 0.5, 15.0, 600.0])),
        retry=retry,
    )


@st.composite
def gateways(draw: st.DrawFn, prefix: str = "") -> Gateway:
    """A whole gateway; ``prefix`` begins the names of its upstreams, policies and routes."""

    def some_names(least: int) -> list[str]:
        return [prefix + name for name in draw(st.lists(NAMES, unique=True, min_size=least, max_size=4))]

    upstream_names, provider_names, limit_names, route_names = (
        some_names(1),
        some_names(0),
        some_names(0),
        some_names(1),
    )
    return Gateway(
        listeners=(g.listener(),),
        upstreams=tuple(draw(upstreams(name)) for name in upstream_names),
        routes=tuple(draw(routes(name, upstream_names, provider_names, limit_names)) for name in route_names),
        identity_providers=tuple(providers(provider_names)),
        rate_limits=tuple(limits(limit_names)),
    )


def _header(kind: str) -> ValueMatch:
    return ValueMatch(name="x-beta", kind=kind, value="1")  # type: ignore[arg-type]  # one of the four words
