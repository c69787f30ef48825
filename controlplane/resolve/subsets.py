"""Subsets: which labels routes choose endpoints by, and whether there is an endpoint that has them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from controlplane.config import GatewayConfig
from controlplane.config.problems import Path, quoted
from controlplane.model import Forward, Share, Upstream
from controlplane.resolve.draft import Draft


def resolve_subsets(document: GatewayConfig, draft: Draft) -> None:
    """Tell each upstream what is chosen by; a choice that nobody can be meant by is refused."""
    by_name = {upstream.name: upstream for upstream in draft.upstreams}
    wanted: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for index, route in enumerate(draft.routes):
        shares = route.action.shares if isinstance(route.action, Forward) else ()
        for position, share in enumerate(shares):
            if not share.subset or share.upstream not in by_name:
                continue
            wanted[share.upstream].add(tuple(label for label, _ in share.subset))
            path: Path = ("routes", index, "subset")
            if document.routes[index].split is not None:
                path = ("routes", index, "split", position, "subset")
            _check(path, share, by_name[share.upstream], draft)
    draft.upstreams = [replace(one, subsets=tuple(sorted(wanted[one.name]))) for one in draft.upstreams]


def _check(path: Path, share: Share, upstream: Upstream, draft: Draft) -> None:
    if upstream.prefer_own_zone is not None:
        message = f"{quoted(upstream.name)} prefers endpoints by their zone (prefer_own_zone), and not by labels"
        draft.refuse(path, "subset", message, "make it two upstreams")
    elif upstream.discover is None and not _is_there(share, upstream):
        message = f"no endpoint of {quoted(upstream.name)} has all of these labels"
        draft.refuse(path, "subset", message, "add them to labels of an endpoint")


def _is_there(share: Share, upstream: Upstream) -> bool:
    return any({*share.subset} <= {*endpoint.labels} for endpoint in upstream.endpoints)
