"""Puts a policy in force: all of it, or nothing and an error."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ext_authz.key_ring import KeyRing
from ext_authz.policy import compile_others, compile_policy
from ext_authz.rule_book import RuleBook
from servicekit.contracts import AuthPolicy
from servicekit.secret_reference import NO_SECRETS, Secrets

_log = structlog.get_logger(__name__)


class Enforcer:
    """Holds rules and keys to the latest policy."""

    def __init__(
        self, *, rules: RuleBook, keys: KeyRing, clock: Callable[[], float], secrets: Secrets = NO_SECRETS
    ) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._secrets = secrets

    def apply(self, policy: AuthPolicy) -> None:
        """Enforce ``policy`` from now on; rules of the former one are still answered for a while.

        Raises:
            PolicyError: it can't be enforced; the former one stays.
        """
        rules = compile_policy(policy, self._secrets)
        others = compile_others(policy, self._secrets)
        self._rules.apply(rules, self._clock(), others=others)
        self._keys.apply(self._rules.sources())
        _log.info("policy in force", providers=len(policy.providers), rules=len(rules), others=len(others))
