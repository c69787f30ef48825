"""Routes: matches normalised, defaults merged, names derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controlplane import model
from controlplane.config import GatewayConfig
from controlplane.config.authorization import Authorize, ClaimCondition
from controlplane.config.bandwidth import Bandwidth
from controlplane.config.cache import Cache
from controlplane.config.defaults import Defaults
from controlplane.config.retry import ANY_METHOD, Backoff, Retry
from controlplane.config.routes import Match, Route, ValueMatch
from controlplane.resolve.actions import action, header_changes, replacements
from controlplane.resolve.address_rules import resolve_addresses
from controlplane.resolve.cors import resolve_cors
from controlplane.resolve.draft import Draft
from controlplane.resolve.route_names import derive_names
from servicekit.contracts.limit_policy import Quota

_EVERY_HOST = ("*",)


def resolve_routes(document: GatewayConfig, draft: Draft) -> None:
    """Turn every route into its model."""
    matches = [_match(route.match) for route in document.routes]
    names = derive_names([route.name for route in document.routes], matches)
    upstreams = {upstream.name: upstream for upstream in draft.upstreams}
    quotas = {limit.name: limit for limit in draft.rate_limits if limit.enforce == "quota"}
    for index, (name, match, written) in enumerate(zip(names, matches, document.routes, strict=True)):
        route = _route(name, match, action(written, upstreams), written, document.defaults)
        quota = next((quotas[one] for one in written.rate_limits if one in quotas), None)
        if quota is not None:
            route = replace(route, quota=Quota(quota.name, quota.by_text, name if quota.by else "").text)
        _check_times(index, route, draft)
        draft.routes.append(route)


def _route(name: str, match: model.RouteMatch, does: model.Action, written: Route, defaults: Defaults) -> model.Route:
    return model.Route(
        name=name,
        match=match,
        action=does,
        authenticate=tuple(written.authenticate),
        authenticate_all=written.authenticate_all,
        scopes=tuple(sorted(written.scopes)),
        rate_limits=tuple(written.rate_limits),
        priority=written.priority,
        timeout=defaults.timeout if written.timeout is None else written.timeout,
        retry=_retry(merge_retry(written.retry, defaults.retry)),
        labels=dict(sorted(written.labels.items())),
        authorization=_authorization(written.authorize),
        forward_token=written.forward_token,
        refresh=written.refresh,
        request_headers=header_changes(written.request_headers),
        response_headers=header_changes(written.response_headers),
        compress=tuple(sorted(written.compress)),
        max_body=written.max_body,
        bandwidth=_bandwidth(written.bandwidth),
        csrf=None if written.csrf is None else _hosts_of_pages(written.csrf.hosts),
        grpc_web=written.grpc_web,
        replacements=replacements(written),
        addresses=resolve_addresses(written.addresses),
        cors=resolve_cors(written, defaults),
        idle_timeout=written.idle_timeout,
        max_duration=written.max_duration,
        cache=_cache(written.cache),
    )


def _hosts_of_pages(written: list[str]) -> tuple[str, ...]:
    return tuple(sorted({host.lower().removesuffix(".") for host in written}))


def _bandwidth(written: Bandwidth | None) -> model.Bandwidth:
    if written is None:
        return model.Bandwidth()
    return model.Bandwidth(requests=written.requests, responses=written.responses)


def _cache(written: Cache | None) -> model.Cache | None:
    if written is None:
        return None
    return model.Cache(
        ttl=written.ttl,
        max_ttl=written.max_ttl,
        max_body=written.max_body,
        callers=written.callers,
        stale_if_error=written.stale_if_error,
    )


def _authorization(written: Authorize) -> model.Authorization | None:
    if not (written.roles or written.claims or written.methods or written.client_ips or written.expression):
        return None
    return model.Authorization(
        roles=tuple(sorted(written.roles)),
        roles_claim=written.roles_claim,
        claims=tuple(_condition(one) for one in written.claims),
        methods=tuple(sorted(written.methods)),
        client_ips=tuple(sorted(written.client_ips)),
        expression=written.expression or "",
    )


def _condition(written: ClaimCondition) -> model.ClaimCondition:
    if written.equals is not None:
        return model.ClaimCondition(path=written.path, operator="equals", values=(written.equals,))
    if written.all_of is not None:
        return model.ClaimCondition(path=written.path, operator="all_of", values=tuple(written.all_of))
    wanted = [written.contains] if written.contains is not None else written.any_of or []
    return model.ClaimCondition(path=written.path, operator="any_of", values=tuple(wanted))


def merge_retry(written: Retry, default: Retry) -> Retry:
    """What was written, and for the keys that were not, the default."""
    backoff = default.backoff.model_copy(update=_set_values(written.backoff))
    return default.model_copy(update={**_set_values(written), "backoff": backoff})


def _set_values(section: Retry | Backoff) -> dict[str, object]:
    return {key: getattr(section, key) for key in section.model_fields_set}


def _retry(merged: Retry) -> model.RetryPolicy:
    return model.RetryPolicy(
        attempts=merged.attempts,
        conditions=tuple(merged.on),
        per_try_timeout=merged.per_try_timeout,
        backoff_base=merged.backoff.base,
        backoff_max=merged.backoff.max,
        methods=() if ANY_METHOD in merged.methods else tuple(merged.methods),
        statuses=tuple(sorted(merged.statuses)),
        retry_after=merged.retry_after,
        hedge=merged.hedge,
    )


def _check_times(index: int, route: model.Route, draft: Draft) -> None:
    retry = route.retry
    if retry.per_try_timeout is not None and 0 < route.timeout < retry.per_try_timeout:
        message = "one try may take longer (per_try_timeout) than the whole exchange (timeout)"
        draft.refuse(("routes", index, "retry", "per_try_timeout"), "timeouts", message)
    if route.max_duration is not None and route.max_duration < route.timeout:
        message = "the exchange may take longer (timeout) than the stream may last (max_duration)"
        draft.refuse(("routes", index, "max_duration"), "timeouts", message)
    if retry.hedge and (retry.per_try_timeout is None or not retry.attempts):
        message = "nothing is tried beside a try that may take as long as it likes, or is the last"
        draft.refuse(("routes", index, "retry", "hedge"), "hedge", message, "add per_try_timeout and attempts")
    if retry.backoff_max < retry.backoff_base:
        message = "the longest wait (max) is shorter than the first (base)"
        draft.refuse(("routes", index, "retry", "backoff"), "backoff", message)


def _match(written: Match) -> model.RouteMatch:
    return model.RouteMatch(
        path=_path(written),
        hosts=_hosts(written.hosts),
        methods=tuple(written.methods),
        headers=_values(written.headers),
        query=_values(written.query),
        cookies=_values(written.cookies),
    )


def _path(written: Match) -> model.PathMatch:
    if written.path is not None:
        return model.PathMatch(kind="exact", value=written.path)
    if written.path_template is not None:
        return model.PathMatch(kind="template", value=written.path_template)
    if written.path_regex is not None:
        return model.PathMatch(kind="regex", value=written.path_regex)
    return model.PathMatch(kind="prefix", value=(written.path_prefix or "").rstrip("/") or "/")


def _hosts(written: list[str]) -> tuple[str, ...]:
    """Lower case, without the root's dot, each once; ``*`` makes the others redundant."""
    hosts = tuple(dict.fromkeys(host.lower().removesuffix(".") for host in written))
    return _EVERY_HOST if "*" in hosts else hosts


def _values(written: Mapping[str, ValueMatch]) -> tuple[model.ValueMatch, ...]:
    return tuple(_value(name, one) for name, one in sorted(written.items()))


def _value(name: str, written: ValueMatch) -> model.ValueMatch:
    if written.exact is not None:
        return model.ValueMatch(name=name, kind="exact", value=written.exact)
    if written.regex is not None:
        return model.ValueMatch(name=name, kind="regex", value=written.regex)
    return model.ValueMatch(name=name, kind="present" if written.present else "absent")
