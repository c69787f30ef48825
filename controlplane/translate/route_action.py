"""What happens to a request that a route took: clusters, time-outs, retries; or a redirect, or an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from envoy.config.core.v3.base_pb2 import DataSource, Metadata, RuntimeFractionalPercent
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HedgePolicy,
    RedirectAction,
    RetryPolicy,
    RouteAction,
    WeightedCluster,
)
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.type.v3.percent_pb2 import FractionalPercent

from controlplane import model
from controlplane.translate.labels import metadata
from controlplane.translate.limits import STREAM_IDLE_SECONDS
from controlplane.translate.path_rewrite import path_rewrite
from controlplane.translate.route_match import method_matcher
from controlplane.translate.wellknown import duration, packed, uint32

_PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts"
_HOST_TRIES = 3
_REDIRECTS: Final[Mapping[int, RedirectAction.RedirectResponseCode]] = MappingProxyType(
    {
        301: RedirectAction.MOVED_PERMANENTLY,
        302: RedirectAction.FOUND,
        303: RedirectAction.SEE_OTHER,
        307: RedirectAction.TEMPORARY_REDIRECT,
        308: RedirectAction.PERMANENT_REDIRECT,
    }
)


def route_action(route: model.Route, forward: model.Forward, clusters: Mapping[str, str]) -> RouteAction:
    """Forward to the route's upstreams, which are these clusters."""
    action = RouteAction(
        timeout=duration(route.timeout),
        request_mirror_policies=[_mirror(one, clusters) for one in forward.mirrors],
        hash_policy=[_hash_policy(key) for key in forward.hash_on],
        **_destination(forward.shares, clusters),
        **path_rewrite(route.match.path, forward.path),
    )
    if forward.host is not None:
        action.host_rewrite_literal = forward.host
        action.append_x_forwarded_host = True
    if route.idle_timeout is not None:
        action.idle_timeout.CopyFrom(duration(route.idle_timeout))
    elif route.timeout > STREAM_IDLE_SECONDS:
        # A backend that thinks for longer than the listener lets a stream idle would be cut off before its time.
        action.idle_timeout.CopyFrom(duration(route.timeout))
    if route.max_duration is not None:
        action.max_stream_duration.max_stream_duration.CopyFrom(duration(route.max_duration))
    if route.retry.attempts:
        action.retry_policy.CopyFrom(_retry_policy(route.retry))
        if route.retry.hedge:
            action.hedge_policy.CopyFrom(HedgePolicy(hedge_on_per_try_timeout=True))
    return action


def redirect_action(match: model.PathMatch, redirect: model.Redirect) -> RedirectAction:
    """Send the client elsewhere."""
    action = RedirectAction(
        response_code=_REDIRECTS[redirect.status],
        strip_query=redirect.strip_query,
        host_redirect=redirect.host or "",
        port_redirect=redirect.port or 0,
        **_location(match, redirect.path),
    )
    if redirect.scheme is not None:
        action.scheme_redirect = redirect.scheme
    return action


def direct_response(respond: model.Respond) -> DirectResponseAction:
    """Answer at once."""
    return DirectResponseAction(status=respond.status, body=DataSource(inline_string=respond.body))


def _destination(shares: Sequence[model.Share], clusters: Mapping[str, str]) -> dict[str, object]:
    if len(shares) == 1:
        (only,) = shares
        return {"cluster": clusters[only.upstream], **_subset(only)}
    weights = [
        WeightedCluster.ClusterWeight(name=clusters[share.upstream], weight=uint32(share.weight), **_subset(share))
        for share in shares
    ]
    return {"weighted_clusters": WeightedCluster(clusters=weights)}


def _subset(share: model.Share) -> dict[str, Metadata]:
    return {"metadata_match": metadata(share.subset)} if share.subset else {}


def _mirror(mirror: model.Mirror, clusters: Mapping[str, str]) -> RouteAction.RequestMirrorPolicy:
    millionths = FractionalPercent(numerator=round(mirror.share * 1_000_000), denominator=FractionalPercent.MILLION)
    return RouteAction.RequestMirrorPolicy(
        cluster=clusters[mirror.upstream],
        runtime_fraction=RuntimeFractionalPercent(default_value=millionths),
        # Envoy would call the host "name-shadow", which no backend with virtual hosts knows.
        disable_shadow_host_suffix_append=True,
    )


def _hash_policy(key: model.HashKey) -> RouteAction.HashPolicy:
    policy = RouteAction.HashPolicy
    if key.kind == "header":
        return policy(header=policy.Header(header_name=key.name))
    if key.kind == "query":
        return policy(query_parameter=policy.QueryParameter(name=key.name))
    if key.kind == "client_ip":
        return policy(connection_properties=policy.ConnectionProperties(source_ip=True))
    if key.ttl is None:
        return policy(cookie=policy.Cookie(name=key.name))
    attributes = [policy.CookieAttribute(name="SameSite", value="Lax")]
    return policy(cookie=policy.Cookie(name=key.name, ttl=duration(key.ttl), path="/", attributes=attributes))


def _location(match: model.PathMatch, path: model.PathRewrite | None) -> dict[str, object]:
    return {"path_redirect": path.value} if path is not None and path.kind == "whole" else path_rewrite(match, path)


def _retry_policy(retry: model.RetryPolicy) -> RetryPolicy:
    """Exponential back-off; the jitter is Envoy's own (each wait is random between 0 and the back-off)."""
    policy = RetryPolicy(
        retry_on=",".join([*retry.conditions, *(["retriable-status-codes"] if retry.statuses else [])]),
        retriable_status_codes=retry.statuses,
        num_retries=uint32(retry.attempts),
        retry_back_off=RetryPolicy.RetryBackOff(
            base_interval=duration(retry.backoff_base), max_interval=duration(retry.backoff_max)
        ),
        # Rather an endpoint that has not failed this request yet; with one endpoint it is tried again.
        retry_host_predicate=[
            RetryPolicy.RetryHostPredicate(name=_PREVIOUS_HOSTS, typed_config=packed(PreviousHostsPredicate()))
        ],
        host_selection_retry_max_attempts=_HOST_TRIES,
    )
    if retry.methods:
        policy.retriable_request_headers.append(method_matcher(retry.methods))
    if retry.retry_after:
        seconds = RetryPolicy.ResetHeader(name="retry-after", format=RetryPolicy.SECONDS)
        wait = RetryPolicy.RateLimitedRetryBackOff(reset_headers=[seconds], max_interval=duration(retry.backoff_max))
        policy.rate_limited_retry_back_off.CopyFrom(wait)
    if retry.per_try_timeout is not None:
        policy.per_try_timeout.CopyFrom(duration(retry.per_try_timeout))
    return policy
