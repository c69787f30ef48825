"""Headers that the gateway removes from every request, and that something in the document would read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controlplane.config import GatewayConfig
from controlplane.config.problems import Path
from controlplane.model import ApiKeyProvider, IdentityProvider, JwtProvider
from controlplane.resolve.draft import Draft
from servicekit.contracts.data_plane import CLAIMED_HEADERS, ENVOY_HEADER_PREFIX, REWRITTEN_HEADERS


def find_removed_headers(_document: GatewayConfig, draft: Draft) -> None:
    """Refuse credentials in headers, and matches of headers, that no request has when it comes to them."""
    owners = {header: provider.name for provider in draft.identity_providers for header in _forwarded(provider)}
    for provider in draft.identity_providers:
        for at, name in _read(provider):
            if name in owners:
                message = f"{name} carries the identity that '{owners[name]}' forwards"
                draft.refuse(at, "header-conflict", message, "credentials need a header of their own")
            elif _is_claimed(name):
                draft.refuse(at, "header-conflict", _why(name, owners), "credentials need a header of their own")
    for index, route in enumerate(draft.routes):
        for header in route.match.headers:
            if header.name in owners or _is_claimed(header.name):
                path: Path = ("routes", index, "match", "headers", header.name)
                draft.refuse(path, "header-conflict", _why(header.name, owners), "match another header", at_key=True)
        for key, changed in (("set", route.request_headers.set), ("add", route.request_headers.add)):
            for name in owners.keys() & changed.keys():
                path = ("routes", index, "request_headers", key, name)
                message = f"{name} carries the identity that '{owners[name]}' forwards"
                draft.refuse(
                    path, "header-conflict", message, "the upstream would believe it: take another", at_key=True
                )


def _read(provider: IdentityProvider) -> Iterator[tuple[Path, str]]:
    """Where the document names a header with credentials, and the header."""
    at: Path = ("authentication", provider.name)
    if isinstance(provider, ApiKeyProvider):
        yield (*at, "api_key", "header"), provider.header
        return
    for place, where in enumerate(provider.token_from):
        if where.kind == "header":
            yield (*at, provider.kind, "token_from", place, "header"), where.name


def _is_claimed(header: str) -> bool:
    removed = header in CLAIMED_HEADERS or header.startswith(ENVOY_HEADER_PREFIX)
    return removed and header not in REWRITTEN_HEADERS


def _why(header: str, owners: Mapping[str, str]) -> str:
    reason = f"'{owners[header]}' sets it" if header in owners else "a client could claim anything by it"
    return f"{header} is removed from requests, for {reason}"


def _forwarded(provider: JwtProvider | ApiKeyProvider) -> Iterable[str]:
    if isinstance(provider, JwtProvider):
        return provider.forward_claims.values()
    return () if provider.forward_id is None else (provider.forward_id,)
