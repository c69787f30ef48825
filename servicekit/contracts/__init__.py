"""What the control plane and the services agree on: the policies that travel over xDS, and their names.

A policy is one xDS resource whose ``Any`` holds the JSON of one of these models. Unknown members are
refused, so that a service never enforces half of a policy that a newer control plane wrote: it NACKs.
"""

from servicekit.contracts.api_keys import ApiKeys, ManagedKey
from servicekit.contracts.auth_policy import (
    ApiKeyProvider,
    Authorize,
    AuthPolicy,
    AuthRule,
    AuthRules,
    ClaimCondition,
    Introspection,
    JwtProvider,
    Provider,
    TokenPlace,
    TokenRefresh,
)
from servicekit.contracts.base import MOST_OTHERS, Contract, ContractError
from servicekit.contracts.limit_overrides import LimitOverrides, Override
from servicekit.contracts.limit_policy import Amount, Limit, LimitPolicy, Limits

__all__ = [
    "MOST_OTHERS",
    "Amount",
    "ApiKeyProvider",
    "ApiKeys",
    "AuthPolicy",
    "AuthRule",
    "AuthRules",
    "Authorize",
    "ClaimCondition",
    "Contract",
    "ContractError",
    "Introspection",
    "JwtProvider",
    "Limit",
    "LimitOverrides",
    "LimitPolicy",
    "Limits",
    "ManagedKey",
    "Override",
    "Provider",
    "TokenPlace",
    "TokenRefresh",
]
