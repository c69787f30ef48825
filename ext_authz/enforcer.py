"""Puts a policy in force: all of it, or nothing and an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from ext_authz.errors import PolicyError
from ext_authz.key_ring import KeyRing
from ext_authz.policy import compile_others, compile_policy
from ext_authz.rule_book import RuleBook
from ext_authz.rules import Rule
from servicekit.contracts import AuthPolicy
from servicekit.secret_reference import NO_SECRETS, Secrets

_log = structlog.get_logger(__name__)


class Enforcer:
    """Holds rules and keys to the latest policy.

    ``knows_revocations`` says whether this process can know what was revoked, ``knows_api_keys`` whether it can verify
    keys that are made while the gateway runs.
    """

    def __init__(
        self,
        *,
        rules: RuleBook,
        keys: KeyRing,
        clock: Callable[[], float],
        secrets: Secrets = NO_SECRETS,
        knows_revocations: bool = False,
        knows_api_keys: bool = False,
    ) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._secrets = secrets
        self._knows_revocations = knows_revocations
        self._knows_api_keys = knows_api_keys

    def apply(self, policy: AuthPolicy) -> None:
        """Enforce ``policy`` from now on; rules of the former one are still answered for a while.

        Raises:
            PolicyError: it can't be enforced; the former one stays.
        """
        rules = compile_policy(policy, self._secrets)
        others = compile_others(policy, self._secrets)
        if not self._knows_revocations:
            _refuse_revocation([*rules.values(), *others.values()])
        if not self._knows_api_keys:
            _refuse_managed_keys([*rules.values(), *others.values()])
        self._rules.apply(rules, self._clock(), others=others)
        self._keys.apply(self._rules.sources())
        _log.info("policy in force", providers=len(policy.providers), rules=len(rules), others=len(others))


def _refuse_revocation(rules: Iterable[Rule]) -> None:
    asking = sorted({check.provider for rule in rules for check in rule.jwt if check.revocation is not None})
    if asking:
        raise PolicyError(f"revocation of {', '.join(asking)}: GATEWAY_REDIS_URL of this process is not set")


def _refuse_managed_keys(rules: Iterable[Rule]) -> None:
    asking = sorted({check.provider for rule in rules for check in rule.managed_keys})
    if asking:
        raise PolicyError(f"managed keys of {', '.join(asking)}: GATEWAY_API_KEY_SECRET of this process is not set")
