"""The order of the HTTP filters, and why each stands where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter as Entry
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from controlplane.model import Listener, Route
from controlplane.translate import names
from controlplane.translate.filters.adaptive_concurrency import AdaptiveConcurrencyFilter
from controlplane.translate.filters.address_rules import AddressRulesFilter
from controlplane.translate.filters.bandwidth import BandwidthFilter
from controlplane.translate.filters.buffer import BufferFilter
from controlplane.translate.filters.cache import CacheFilter
from controlplane.translate.filters.compressor import CompressorFilter
from controlplane.translate.filters.cors import CorsFilter
from controlplane.translate.filters.csrf import CsrfFilter
from controlplane.translate.filters.custom_response import CustomResponseFilter
from controlplane.translate.filters.ext_authz import ExtAuthzFilter
from controlplane.translate.filters.grpc_web import GrpcWebFilter
from controlplane.translate.filters.local_ratelimit import LocalRateLimitFilter
from controlplane.translate.filters.quota import QuotaFilter, QuotaMarkFilter
from controlplane.translate.filters.ratelimit import LONGEST_WAITS, RateLimitFilter, WaitingFilter
from controlplane.translate.filters.response_cleaning import ResponseCleaningFilter
from controlplane.translate.filters.router import RouterFilter
from controlplane.translate.http_filter import HttpFilter, RouteContext
from controlplane.translate.wellknown import packed

ADAPTIVE_CONCURRENCY: Final = AdaptiveConcurrencyFilter()

FILTERS: tuple[HttpFilter, ...] = (
    # Responses pass this last, whoever made them.
    ResponseCleaningFilter(),
    # A preflight has no credentials, and refusing it would hide the real answer from the browser.
    CorsFilter(),
    # Whoever answers behind it speaks gRPC, refusals too.
    GrpcWebFilter(),
    # Costs no call, and who may not come at all need not be counted.
    AddressRulesFilter(),
    # The same: what a page of somebody else sends is no caller's.
    CsrfFilter(),
    # A flood ends here: counted in Envoy itself, and nobody is asked.
    LocalRateLimitFilter(),
    # What many may do together, counted in Envoy too: one filter says which quota it is, the next one counts.
    QuotaMarkFilter(),
    QuotaFilter(),
    # By IP before authentication: a flood of bad tokens must not reach the signature check.
    RateLimitFilter(
        name=names.EARLY_RATELIMIT_FILTER, stat_prefix="early", asks=lambda limit: limit.is_early and not limit.waits
    ),
    # Who is it? Everything below may rely on the identity in the metadata.
    ExtAuthzFilter(),
    # All others after it: they count whom it found, or what strangers should not use up for those it finds.
    RateLimitFilter(
        name=names.LATE_RATELIMIT_FILTER,
        stat_prefix="late",
        asks=lambda limit: not limit.is_early and not limit.waits,
    ),
    # Who may wait does so once nothing else can refuse it: apart, for the others' answers are not waited for as long.
    *(WaitingFilter(seconds) for seconds in LONGEST_WAITS),
    # What passes the wire counts: responses when they are compressed, requests before they are kept.
    *(BandwidthFilter(direction) for direction in ("requests", "responses")),
    # Responses pass these from below: what is replaced is compressed, too.
    *(CompressorFilter(algorithm) for algorithm in ("zstd", "br", "gzip")),
    CustomResponseFilter(),
    # Only for callers let through; it sees what upstreams answer before anything takes its place, and keeps it as it
    # is before it is compressed.
    CacheFilter(),
    # Only the bodies of callers who were let through are kept.
    BufferFilter(),
    # Measures upstreams and no more: refusals are fast, and would count as good answers.
    ADAPTIVE_CONCURRENCY,
    # Fault injection, Wasm, Lua and transformations come here: only for callers let through.
    # Terminal: Envoy refuses a chain that does not end with it.
    RouterFilter(),
)


WHERE_ASKED: Mapping[str, Callable[[Route], bool]] = {
    # Work in progress, as Envoy calls it: outside its threat model.
    names.CUSTOM_RESPONSE_FILTER: lambda route: bool(route.replacements),
    # A node whose bootstrap is older knows no such cluster, and would refuse its listeners.
    names.CACHE_FILTER: lambda route: route.cache is not None,
    # The same work in progress.
    names.QUOTA_MARK_FILTER: lambda route: route.quota is not None,
    names.QUOTA_FILTER: lambda route: route.quota is not None,
}
"""What stands in the chain only where a route asks for it. The first route that does, and the last, change the
listeners."""


def chain(routes: Sequence[Route], listener: Listener) -> list[Entry]:
    """The filters of the connection manager of one listener of a gateway with these routes."""
    used = [one for one in FILTERS if one.name not in WHERE_ASKED or any(map(WHERE_ASKED[one.name], routes))]
    return [
        Entry(name=one.name, typed_config=packed(config), disabled=one.is_optional)
        for one in used
        if (config := _of_listener(one, listener)) is not None
    ]


def _of_listener(one: HttpFilter, listener: Listener) -> Message | None:
    return ADAPTIVE_CONCURRENCY.on_listener(listener) if one is ADAPTIVE_CONCURRENCY else one.on_connection_manager()


def on_route(context: RouteContext) -> Mapping[str, Any]:
    """What the filters do differently on one route of the document, by filter name."""
    return _present((f.name, f.on_route(context)) for f in FILTERS)


def on_preflight(context: RouteContext) -> Mapping[str, Any]:
    """What they do where only preflights of CORS for a route come, which nobody is asked about."""
    own = {names.CORS_FILTER: on_route(context)[names.CORS_FILTER]} if context.route.cors is not None else {}
    return {**on_own_route(), **own}


def on_own_route() -> Mapping[str, Any]:
    """What the filters do differently where Envoy answers by itself, by filter name."""
    return _present((f.name, f.on_own_route()) for f in FILTERS)


def _present(configs: Iterable[tuple[str, Message | None]]) -> Mapping[str, Any]:
    return {name: packed(config) for name, config in configs if config is not None}
