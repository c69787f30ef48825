"""What happens to a request that a route took: cluster, time-outs, retries."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import RetryPolicy, RouteAction
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate

from controlplane import model
from controlplane.translate import names
from controlplane.translate.limits import STREAM_IDLE_SECONDS
from controlplane.translate.route_match import method_matcher
from controlplane.translate.wellknown import duration, packed, uint32

_PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts"
_HOST_TRIES = 3


def route_action(route: model.Route) -> RouteAction:
    """Forward to the route's upstream."""
    action = RouteAction(cluster=names.cluster(route.upstream), timeout=duration(route.timeout))
    if route.timeout > STREAM_IDLE_SECONDS:
        # A backend that thinks for longer than the listener lets a stream idle would be cut off before its time.
        action.idle_timeout.CopyFrom(duration(route.timeout))
    if route.retry.attempts:
        action.retry_policy.CopyFrom(_retry_policy(route.retry))
    return action


def _retry_policy(retry: model.RetryPolicy) -> RetryPolicy:
    """Exponential back-off; the jitter is Envoy's own (each wait is random between 0 and the back-off)."""
    policy = RetryPolicy(
        retry_on=",".join(retry.conditions),
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
    if retry.per_try_timeout is not None:
        policy.per_try_timeout.CopyFrom(duration(retry.per_try_timeout))
    return policy
