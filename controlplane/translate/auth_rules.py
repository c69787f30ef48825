"""Which rule ext_authz applies to a route, and the rule's id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from controlplane import model
from servicekit import contracts

_DIGITS = 12


def provider_contract(provider: model.IdentityProvider) -> contracts.Provider:
    """A provider as ext_authz knows it."""
    if isinstance(provider, model.JwtProvider):
        return contracts.JwtProvider(
            name=provider.name,
            issuer=provider.issuer,
            audiences=provider.audiences,
            algorithms=provider.algorithms,
            jwks_uri=provider.jwks_uri or "",
            leeway_seconds=provider.leeway,
            jwks_ttl_seconds=provider.jwks_ttl,
            jwks_stale_seconds=provider.jwks_stale,
            forward_claims=dict(sorted(provider.forward_claims.items())),
            required_claims=provider.required_claims,
            types=provider.types,
            max_lifetime_seconds=provider.max_lifetime,
            forward_token=provider.forward_token,
            tier_claim=provider.tier_claim,
            revocation=provider.revocation,
            jwks=provider.jwks,
            jwks_file=provider.jwks_file,
            pem=provider.pem,
            secret=provider.secret,
            discovery=provider.discovery,
            refresh=_refresh(provider.refresh),
            introspection=_introspection(provider.introspection),
            token_from=tuple(
                contracts.TokenPlace(kind=place.kind, name=place.name, prefix=place.prefix)
                for place in provider.token_from
            ),
        )
    return contracts.ApiKeyProvider(
        name=provider.name,
        header=provider.header,
        keys=dict(sorted(provider.keys.items())),
        forward_id=provider.forward_id,
        tiers=dict(sorted(provider.tiers.items())),
        managed=provider.managed,
    )


def _introspection(asked: model.Introspection | None) -> contracts.Introspection | None:
    if asked is None:
        return None
    return contracts.Introspection(
        uri=asked.uri, client_id=asked.client_id, client_secret=asked.client_secret, ttl_seconds=asked.ttl
    )


def _refresh(refresh: model.TokenRefresh | None) -> contracts.TokenRefresh | None:
    if refresh is None:
        return None
    return contracts.TokenRefresh(
        token_uri=refresh.token_uri,
        client_id=refresh.client_id,
        client_secret=refresh.client_secret,
        access_cookie=refresh.access_cookie,
        refresh_cookie=refresh.refresh_cookie,
        path=refresh.path,
        same_site=refresh.same_site,
        secure=refresh.secure,
        lifetime_seconds=refresh.lifetime,
    )


class RuleBook:
    """Gives each route its rule; equal demands share one."""

    def __init__(self, providers: Iterable[model.IdentityProvider]) -> None:
        self.providers: Mapping[str, contracts.Provider] = {p.name: provider_contract(p) for p in providers}
        self.rules: dict[str, contracts.AuthRule] = {}
        self._ids: dict[bytes, str] = {}

    def rule_for(self, route: model.Route) -> str | None:
        """The id of the rule for what a route asks of its callers, noted in :attr:`rules`; ``None`` when it is open.

        An id is the providers' names and a hash of all that they are, so that it means the same for ever.
        """
        if not route.authenticate:
            return None
        rule = contracts.AuthRule(
            any_of=route.authenticate,
            needs_all=route.authenticate_all,
            scopes=route.scopes,
            authorize=_authorize(route.authorization),
            forward_token=route.forward_token,
            refresh=None if route.refresh else False,
        )
        demand = rule.encode()
        if demand not in self._ids:
            self._ids[demand] = self._identify(rule)
            self.rules[self._ids[demand]] = rule
        return self._ids[demand]

    def _identify(self, rule: contracts.AuthRule) -> str:
        digest = hashlib.sha256(rule.encode())
        for name in rule.any_of:
            digest.update(self.providers[name].encode())
        return f"{'+'.join(rule.any_of)}~{digest.hexdigest()[:_DIGITS]}"


def _authorize(authorization: model.Authorization | None) -> contracts.Authorize | None:
    if authorization is None:
        return None
    return contracts.Authorize(
        roles=authorization.roles,
        roles_claim=authorization.roles_claim,
        claims=tuple(
            contracts.ClaimCondition(path=one.path, operator=one.operator, values=one.values)
            for one in authorization.claims
        ),
        methods=authorization.methods,
        client_ips=authorization.client_ips,
        expression=authorization.expression,
    )
