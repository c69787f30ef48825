"""One check from request headers to a finished answer: rules, cache, keys and decision brought together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from ext_authz.api_key_decision import decide_api_key
from ext_authz.authorization import NOBODY, Caller, RequestFacts
from ext_authz.cache import BoundedCache
from ext_authz.credentials import Headers, Malformed, api_key
from ext_authz.decision import Allow, Decision, NeedsIntrospection, NeedsKeys
from ext_authz.denials import (
    INVALID_REQUEST,
    INVALID_TOKEN_PLACE,
    REVOKED,
    UNKNOWN_KEY,
    UNKNOWN_RULE,
    Deny,
    Unavailable,
    deny_forbidden,
    deny_missing,
    deny_token,
    introspection_unavailable,
    keys_unreachable,
    revocations_unknown,
)
from ext_authz.introspection import Introspections
from ext_authz.key_book import KeyBook, Shelf
from ext_authz.key_ring import KeyRing
from ext_authz.key_state import Demand
from ext_authz.keys import KeySet
from ext_authz.revocations import Revocable, RevocationList
from ext_authz.rule_arrivals import RuleArrivals
from ext_authz.rule_book import RuleBook
from ext_authz.rules import KeySource, Rule, TokenGroup
from ext_authz.steps import Tell
from ext_authz.token_decision import decide_opaque, decide_token
from ext_authz.token_places import COOKIE, without_cookies

R = TypeVar("R")
Needs: TypeAlias = NeedsKeys | NeedsIntrospection
"""What only others can tell: :meth:`Checker.check_with` asks them."""
Settled: TypeAlias = Mapping[Needs, Deny | Unavailable]
"""What they could not tell, and what that makes of a credential."""
_NOTHING_SETTLED: Final[Settled] = MappingProxyType({})

CACHE_TTL: Final = 300.0
"""Longest time in seconds that an accepted credential is not looked at again."""
REFUSED_TTL: Final = 30.0
MAX_ROUNDS: Final = 3
"""Times that one request waits for others: for the keys of a provider, or for an issuer that is asked about it."""


class NeedsRule:
    """Nothing can be said: the rule is in no policy that this service has."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """A finished answer, and how it is counted."""

    rendered: R
    provider: str
    outcome: str
    """``allow``, ``deny`` or ``unavailable``."""
    reason: str
    strip: frozenset[str] = frozenset()
    """Cookies that the backend must not see."""
    caller: Caller = NOBODY
    """Who it is, as far as the request is asked about that."""

    @property
    def allowed(self) -> bool:
        """Whether the request may pass."""
        return self.outcome == "allow"


class _Grounds(Protocol):
    """What an answer stands on."""

    def current(self, now: float, /) -> object:
        """Another object whenever it is not what it was."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[R]):
    answer: Answer[R]
    grounds: _Grounds | None
    found: object
    """What :attr:`grounds` were when the answer was made."""
    revocable: Revocable | None = None
    """An answer for what can be revoked is kept as it was without that, and looked at each time."""


class Checker(Generic[R]):
    """Answers checks. ``render`` turns a decision into what the transport sends; a cached answer is not rendered again.
    ``replace_cookies`` adds to a rendered yes what the backend gets for the request's cookies; ``join`` makes one yes
    of several, the first of which says who is calling.

    ``clock`` never goes back; ``wall`` is the time in seconds since the epoch, which tokens speak of. ``tell`` hears
    the steps of every decision that is not remembered, for who asks why.
    """

    def __init__(
        self,
        *,
        rules: RuleBook,
        keys: KeyRing,
        book: KeyBook,
        introspections: Introspections,
        revocations: RevocationList,
        render: Callable[[Allow | Deny | Unavailable], R],
        replace_cookies: Callable[[R, str], R],
        join: Callable[[Sequence[R]], R],
        clock: Callable[[], float],
        wall: Callable[[], float],
        cache_entries: int,
        tell: Tell | None = None,
    ) -> None:
        self._rules = rules
        self._keys = keys
        self._book = book
        self._introspections = introspections
        self._revocations = revocations
        self._render = render
        self._replace_cookies = replace_cookies
        self._join = join
        self._clock = clock
        self._wall = wall
        # Bound once: checks that nobody asks about pay nothing for those that somebody does.
        self._decide_token = decide_token if tell is None else partial(decide_token, tell=tell)
        self._decide_opaque = decide_opaque if tell is None else partial(decide_opaque, tell=tell)
        self._decide_api_key = decide_api_key if tell is None else partial(decide_api_key, tell=tell)
        self._accepted: BoundedCache[_Kept[R]] = BoundedCache(cache_entries)
        # A cache of its own, so that a flood of bad tokens never pushes out a good one.
        self._refused: BoundedCache[_Kept[R]] = BoundedCache(max(1, cache_entries // 10))
        self._hits = 0
        self._misses = 0
        self.arrivals = RuleArrivals(rules=rules, clock=clock)

    def check(
        self,
        rule_id: str,
        headers: Headers,
        facts: Callable[[], RequestFacts] = RequestFacts,
        settled: Settled = _NOTHING_SETTLED,
    ) -> Answer[R] | Needs | NeedsRule:
        """Decide with what is known now. ``facts`` is only called for a rule that asks for more than credentials.
        ``settled`` is what was asked for in vain.

        :data:`Needs` asks for :meth:`check_with`, :class:`NeedsRule` for :meth:`check_with_rule`.
        """
        rule = self._rules.get(rule_id, self._clock())
        if rule is None:
            return _NEEDS_RULE
        if rule.parts:
            return self._check_all(rule.parts, headers, facts, settled)
        found = self._check_any(rule, headers, facts, settled)
        if isinstance(found, Answer) and found.allowed:
            return self._for_request(rule, found, headers, facts)
        return found

    def _check_all(
        self, parts: Sequence[Rule], headers: Headers, facts: Callable[[], RequestFacts], settled: Settled
    ) -> Answer[R] | Needs:
        """Every part has a cache entry of its own, so that each ends when it has to."""
        answers = []
        for part in parts:
            found = self._check_any(part, headers, facts, settled)
            if not isinstance(found, Answer) or not found.allowed:
                return found
            answers.append(found)
        joined = replace(
            answers[0],
            rendered=self._join([answer.rendered for answer in answers]),
            strip=frozenset().union(*(answer.strip for answer in answers)),
        )
        return self._for_request(parts[0], joined, headers, facts)

    def _check_any(
        self, rule: Rule, headers: Headers, facts: Callable[[], RequestFacts], settled: Settled
    ) -> Answer[R] | Needs:
        tokens: list[tuple[TokenGroup, str]] = []
        for group in rule.tokens:
            token = group.find(headers, facts)
            if isinstance(token, Malformed):
                return self._answer(INVALID_REQUEST if token is Malformed.AUTHORIZATION else INVALID_TOKEN_PLACE)
            if token is not None:
                tokens.append((group, token))
        verdict: Answer[R] | Needs | None = None
        for fingerprint, credential, decide in self._shown(rule, tokens, headers):
            found = self._judge(fingerprint, credential, decide)
            if isinstance(found, Answer) and found.allowed:
                return found
            if not isinstance(found, Answer) and found in settled:
                found = self._answer(settled[found])
            if verdict is None or _openness(found) > _openness(verdict):
                verdict = found
        return verdict or self._answer(deny_missing(bearer=bool(rule.tokens), api_key=bool(rule.api_keys)))

    async def check_with(
        self,
        rule_id: str,
        headers: Headers,
        needs: Needs,
        patience: float,
        facts: Callable[[], RequestFacts] = RequestFacts,
    ) -> Answer[R]:
        """Try to get what ``needs`` names, waiting up to ``patience`` seconds, and decide again."""
        deadline = self._clock() + patience
        settled: dict[Needs, Deny | Unavailable] = {}
        for _ in range(MAX_ROUNDS):
            said = await self._obtain(needs, max(0.0, deadline - self._clock()))
            if said is not None:
                settled[needs] = said
            result = self.check(rule_id, headers, facts, settled)
            if isinstance(result, Answer | NeedsRule):
                return result if isinstance(result, Answer) else self._answer(UNKNOWN_RULE)
            needs = result
        return self._answer(_out_of_reach(needs))

    async def _obtain(self, needs: Needs, patience: float) -> Deny | Unavailable | None:
        """Ask whoever knows; ``None`` when they have answered."""
        if isinstance(needs, NeedsIntrospection):
            has_answered = await self._introspections.obtain(needs.introspection, needs.token, patience=patience)
            return None if has_answered else _out_of_reach(needs)
        refresher = self._keys.refresher(needs.source)
        if refresher is None:
            return _out_of_reach(needs)
        demand = await refresher.obtain(needs.kid, patience=patience)
        if demand is Demand.ABSENT:
            return deny_token(needs.source.provider, UNKNOWN_KEY)
        return _out_of_reach(needs) if demand is Demand.UNREACHABLE else None

    async def check_with_rule(
        self, rule_id: str, headers: Headers, patience: float, facts: Callable[[], RequestFacts] = RequestFacts
    ) -> Answer[R]:
        """Wait up to ``patience`` seconds for the policy that has the rule, and decide then.

        Proxies that come back to a new control plane sooner than this service ask by rules that are on their way here.
        """
        deadline = self._clock() + patience
        if not await self.arrivals.comes(rule_id, deadline):
            return self._answer(UNKNOWN_RULE)
        result = self.check(rule_id, headers, facts)
        if isinstance(result, NeedsKeys | NeedsIntrospection):
            return await self.check_with(rule_id, headers, result, max(0.0, deadline - self._clock()), facts)
        return result if isinstance(result, Answer) else self._answer(UNKNOWN_RULE)

    def _for_request(
        self, rule: Rule, allowed: Answer[R], headers: Headers, facts: Callable[[], RequestFacts]
    ) -> Answer[R]:
        """What good credentials get for this very request: nothing of this is ever cached."""
        if rule.authorization.asks_request:
            failed = rule.authorization.refuses_request(facts(), allowed.caller)
            if failed is not None:
                return self._answer(deny_forbidden(allowed.provider, failed))
        if allowed.strip:
            cookies = without_cookies(headers.get(COOKIE) or "", allowed.strip)
            if cookies is not None:
                return replace(allowed, rendered=self._replace_cookies(allowed.rendered, cookies))
        return allowed

    def lookups(self) -> tuple[int, int]:
        """Hits and misses of the cache so far."""
        return self._hits, self._misses

    def entries(self) -> tuple[int, int]:
        """Accepted and refused credentials remembered now."""
        return len(self._accepted), len(self._refused)

    def _shown(
        self, rule: Rule, tokens: list[tuple[TokenGroup, str]], headers: Headers
    ) -> Iterator[tuple[bytes, str, Callable[[], Decision]]]:
        """Every credential that the request shows, under what its answer is filed, and how it is judged."""
        for group, token in tokens:
            first, now = group.checks[0], self._wall()
            decide = (
                partial(self._decide_token, rule, group.checks, token, self._usable_keys, now)
                if first.introspection is None
                else partial(self._decide_opaque, rule, first, token, self._introspections.known, now)
            )
            yield group.fingerprint, token, decide
        for check in rule.api_keys:
            key = api_key(headers, check.header)
            if key is not None:
                yield rule.fingerprint, key, partial(self._decide_api_key, rule, check, key, self._book, self._wall())

    def _judge(self, fingerprint: bytes, credential: str, decide: Callable[[], Decision]) -> Answer[R] | Needs:
        digest = fingerprint + hashlib.sha256(credential.encode("utf-8", "surrogateescape")).digest()
        known = self._recall(self._accepted, digest) or self._recall(self._refused, digest)
        if known is not None:
            self._hits += 1
            return known
        self._misses += 1
        decision = decide()
        if isinstance(decision, NeedsKeys | NeedsIntrospection):
            return decision
        answer = self._answer(decision)
        self._keep(digest, decision, answer)
        token = decision.revocable if isinstance(decision, Allow) else None
        return answer if token is None else self._revoked(token) or answer

    def _revoked(self, token: Revocable) -> Answer[R] | None:
        """The answer for a token that was revoked, or of which nobody knows yet whether it was."""
        if self._revocations.refuses(token, self._wall()):
            return self._answer(deny_token(token.provider, REVOKED))
        if not self._revocations.loaded and not token.unknown_passes:
            return self._answer(revocations_unknown(token.provider))
        return None

    def _recall(self, cache: BoundedCache[_Kept[R]], digest: bytes) -> Answer[R] | None:
        kept = cache.get(digest, self._wall())
        if kept is None:
            return None
        # The very keys that the answer came from must still be in use: not replaced, not too old.
        if kept.grounds is not None and kept.grounds.current(self._clock()) is not kept.found:
            cache.discard(digest)
            return None
        return kept.answer if kept.revocable is None else self._revoked(kept.revocable) or kept.answer

    def _keep(self, digest: bytes, decision: Allow | Deny | Unavailable, answer: Answer[R]) -> None:
        source = decision.source if isinstance(decision, Allow | Deny) else None
        grounds = self._grounds(source)
        if source is not None and grounds is None:
            return
        now = self._wall()
        found = grounds.current(self._clock()) if grounds is not None else None
        kept = _Kept(answer, grounds, found, decision.revocable if isinstance(decision, Allow) else None)
        if isinstance(decision, Allow):
            self._accepted.put(digest, kept, ends_at=min(decision.expires_at, now + CACHE_TTL))
        elif isinstance(decision, Deny) and (decision.lasting or grounds is not None):
            self._refused.put(digest, kept, ends_at=now + REFUSED_TTL)

    def _answer(self, decision: Allow | Deny | Unavailable) -> Answer[R]:
        if isinstance(decision, Allow):
            rendered = self._render(decision)
            return Answer(rendered, decision.identity.provider, "allow", "ok", decision.remove_cookies, decision.caller)
        outcome = "deny" if isinstance(decision, Deny) else "unavailable"
        return Answer(self._render(decision), decision.provider, outcome, str(decision.reason))

    def _grounds(self, source: KeySource | Shelf | None) -> _Grounds | None:
        if isinstance(source, KeySource):
            refresher = self._keys.refresher(source)
            return refresher.state if refresher is not None else None
        return source

    def _usable_keys(self, source: KeySource) -> KeySet | None:
        refresher = self._keys.refresher(source)
        return refresher.state.current(self._clock()) if refresher is not None else None


_NEEDS_RULE: Final = NeedsRule()


def _openness(found: Answer[R] | Needs) -> int:
    """How much a no leaves open: who has not been asked may still say yes, who is away might have."""
    if not isinstance(found, Answer):
        return 2
    return 1 if found.outcome == "unavailable" else 0


def _out_of_reach(needs: Needs) -> Deny | Unavailable:
    if isinstance(needs, NeedsIntrospection):
        return introspection_unavailable(needs.introspection.provider)
    return keys_unreachable(needs.source.provider, known_issuer_keys=needs.kid is not None)
