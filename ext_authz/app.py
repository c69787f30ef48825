"""Wires the ext_authz process; the only module of the package that constructs its parts."""

from __future__ import annotations

import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from ext_authz.answers import encode
from ext_authz.checker import Checker
from ext_authz.enforcer import Enforcer
from ext_authz.key_fetcher import HttpKeyFetcher
from ext_authz.key_ring import KeyRing
from ext_authz.metrics import Metrics
from ext_authz.rule_book import RuleBook
from ext_authz.service import CheckService


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything of the service but its sockets."""

    service: CheckService
    enforcer: Enforcer
    keys: KeyRing
    fetcher: HttpKeyFetcher


def assemble(*, registry: CollectorRegistry, cache_entries: int) -> Parts:
    """Build the service; its metrics are in ``registry``."""
    metrics = Metrics(clock=time.monotonic)
    registry.register(metrics)
    fetcher = HttpKeyFetcher()
    keys = KeyRing(fetcher=fetcher, clock=time.monotonic, count_fetch=metrics.fetch)
    rules = RuleBook()
    checker = Checker(
        rules=rules, keys=keys, render=encode, clock=time.monotonic, wall=time.time, cache_entries=cache_entries
    )
    metrics.watch(key_states=keys.states, cache=checker.lookups)
    return Parts(
        service=CheckService(checker=checker, metrics=metrics, clock=time.perf_counter),
        enforcer=Enforcer(rules=rules, keys=keys, clock=time.monotonic),
        keys=keys,
        fetcher=fetcher,
    )
