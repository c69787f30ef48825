"""An explanation of one request for people and for programs. No token is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ext_authz.decision import Allow, NeedsKeys
from ext_authz.denials import Unavailable
from ext_authz.explanation import Outcome
from gateway.cli.explanation import Told
from gateway.cli.output import plain, understood


def for_programs(told: Told, services: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Plain data; ``services`` is what each running ext_authz says of its keys."""
    return {
        "request": {"method": told.method, "host": told.host, "path": _without_query(told)},
        "route": told.route,
        "rule": told.rule,
        "providers": list(told.providers),
        "token_in": told.shown_in or None,
        "steps": [
            {"step": step.name, "ok": step.ok, "provider": step.provider or None, "text": step.text}
            for step in told.steps
        ],
        "verdict": _verdict(told.outcome) if told.outcome is not None else None,
        "not_asked": told.why_not or None,
        "running": [line for service in services for line in _running(service, told.providers)],
    }


def for_people(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines: the route, every step, and the end of it."""
    request = found["request"]
    yield plain(f"{request['method']} {request['host']}{request['path']}: {_route(found)}")
    if found["token_in"]:
        yield plain(f"the token stands in the {found['token_in']}")
    for step in found["steps"]:
        where = f"{step['step']} ({step['provider']})" if step["provider"] else step["step"]
        yield plain(f"  {'ok' if step['ok'] else 'no'}  {where}: {step['text']}")
    yield plain(_ending(found))
    yield from (plain(f"running: {line}") for line in found["running"])


def _without_query(told: Told) -> str:
    """A token may stand in the query."""
    return told.path.partition("?")[0]


def _route(found: Mapping[str, Any]) -> str:
    if found["route"] is None:
        return "no route"
    asks = f", asks for {' or '.join(found['providers'])} (rule {found['rule']})" if found["rule"] else ""
    return f"route {found['route']}{asks}"


def _ending(found: Mapping[str, Any]) -> str:
    verdict = found["verdict"]
    if verdict is None:
        return f"ext_authz is not asked: {found['not_asked']}"
    if verdict["allowed"]:
        user = f" as {verdict['user']}" if verdict["user"] else ""
        return f"allowed{user}, by {verdict['provider']}"
    if verdict["allowed"] is None:
        return f"undecided: {verdict['detail']}"
    return f"refused: {verdict['status']} {verdict['code']}: {verdict['detail']}"


def _verdict(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, Allow):
        who = outcome.identity
        passed = _ended(True, None, "ok", who.provider, "The request may pass.")
        return passed | {"user": who.user, "tier": who.tier, "scopes": who.scopes}
    if isinstance(outcome, NeedsKeys):
        detail = "the rest depends on the keys of the provider; give them with --jwks, or let --fetch get them"
        return _ended(None, None, "keys_not_given", outcome.source.provider, detail)
    status = 503 if isinstance(outcome, Unavailable) else outcome.status
    return _ended(False, status, outcome.code, outcome.provider, outcome.detail)


def _ended(allowed: bool | None, status: int | None, code: str, provider: str, detail: str) -> dict[str, object]:
    return {
        "allowed": allowed,
        "status": status,
        "code": code,
        "provider": provider or None,
        "detail": detail,
    }


def _running(service: Mapping[str, Any], providers: Iterable[str]) -> Iterator[str]:
    """What one ext_authz has of these providers' keys."""
    with understood():
        if service["error"]:
            yield f"{service['service']} does not answer: {service['error']}"
        for source in service["sources"]:
            if source["provider"] in providers:
                keys = ", ".join(str(key["kid"] or "(no name)") for key in source["keys"]) or "none"
                state = "in use" if source["usable"] else "not usable"
                why = f" ({source['last_error']})" if source["last_error"] else ""
                yield f"{service['service']} has of {source['provider']} the keys: {keys}; {state}{why}"
