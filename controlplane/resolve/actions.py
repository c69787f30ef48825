"""What routes do: one way to say each of the ways in which a document can."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from controlplane import model
from controlplane.config.actions import Redirect, Respond, Rewrite
from controlplane.config.header_changes import RequestHeaders, ResponseHeaders, pieces
from controlplane.config.routes import Route
from controlplane.resolve.labels import labels


def action(written: Route, upstreams: Mapping[str, model.Upstream]) -> model.Action:
    """What a route does with its share of ``upstreams``."""
    if written.respond is not None:
        return _respond(written.respond)
    if written.redirect is not None:
        return _redirect(written.redirect)
    shares = _shares(written)
    keys = (key for share in shares if share.upstream in upstreams for key in upstreams[share.upstream].hash_on)
    return model.Forward(
        shares=shares,
        hash_on=tuple(dict.fromkeys(keys)),
        path=_path(written.rewrite),
        host=written.rewrite.host.lower() if written.rewrite.host else None,
        mirrors=tuple(model.Mirror(upstream=one.upstream, share=one.share) for one in written.mirror),
    )


def replacements(written: Route) -> tuple[model.Replacement, ...]:
    """Answers in the place of an upstream's."""
    return tuple(
        model.Replacement(statuses=tuple(one.statuses), answer=_respond(one.respond)) for one in written.replace
    )


def header_changes(written: RequestHeaders | ResponseHeaders) -> model.HeaderChanges:
    """What happens to headers, in an order that does not depend on how it was written."""
    return model.HeaderChanges(
        set=_values(written.set),
        add=_values(written.add),
        remove=tuple(sorted(written.remove)),
    )


def _respond(written: Respond) -> model.Respond:
    return model.Respond(status=written.status, body=written.body, content_type=written.content_type)


def _values(written: Mapping[str, str]) -> Mapping[str, model.HeaderValue]:
    return MappingProxyType({name: _value(text) for name, text in sorted(written.items())})


def _value(text: str) -> model.HeaderValue:
    found = pieces(text)
    return tuple(model.Variable(piece) if is_variable else piece for piece, is_variable in found if piece)


def _shares(written: Route) -> tuple[model.Share, ...]:
    if written.split is None:
        return (model.Share(upstream=written.upstream or "", weight=1, subset=labels(written.subset)),)
    if len(written.split) == 1:
        (only,) = written.split
        return (model.Share(upstream=only.upstream, weight=1, subset=labels(only.subset)),)
    return tuple(
        model.Share(upstream=share.upstream, weight=share.weight, subset=labels(share.subset))
        for share in written.split
    )


def _redirect(written: Redirect) -> model.Redirect:
    return model.Redirect(
        status=written.status,
        scheme=written.scheme,
        host=written.host.lower() if written.host else None,
        port=written.port,
        path=_path(written),
        strip_query=written.strip_query,
    )


def _path(written: Rewrite | Redirect) -> model.PathRewrite | None:
    if written.path is not None:
        return model.PathRewrite(kind="whole", value=written.path)
    if written.prefix is not None:
        return model.PathRewrite(kind="prefix", value=written.prefix.rstrip("/") or "/")
    if written.template is not None:
        return model.PathRewrite(kind="template", value=written.template)
    if isinstance(written, Rewrite) and written.regex is not None:
        return model.PathRewrite(kind="regex", value=written.regex.substitution, pattern=written.regex.pattern)
    return None
