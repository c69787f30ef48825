"""When keys are fetched, how long they last, what an unknown key may cause."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ext_authz.key_state import LAST_RETRY, MAX_ABSENT, Demand, KeyState
from ext_authz.keys import KeySet
from tests.harness.jose import jwks, signing_key
from tests.unit.ext_authz.builders import key_source

OLD, NEW = (KeySet.from_jwks(jwks(signing_key("ES256", kid).jwk())) for kid in ("old", "new"))


def test_keys_are_refreshed_ahead_of_expiry() -> None:
    """Between 72 and 80 % of the ttl, spread by the jitter."""
    state = KeyState(key_source())
    assert state.seconds_until_refresh(0, 0.5) == 0
    state.succeeded(OLD, 0)
    assert state.seconds_until_refresh(0, 0) == pytest.approx(216)
    assert state.seconds_until_refresh(0, 1) == pytest.approx(240)
    assert state.seconds_until_refresh(500, 0) == 0


def test_failures_are_retried_ever_more_slowly() -> None:
    """Doubling up to ten seconds, so that a provider that comes back is noticed soon."""
    state = KeyState(key_source())
    pauses = []
    for _ in range(8):
        state.failed("down", 0)
        pauses.append(state.seconds_until_refresh(0, 1))
    assert pauses == [0.5, 1, 2, 4, 8, LAST_RETRY, LAST_RETRY, LAST_RETRY]


def test_stale_keys_last_for_a_bounded_time() -> None:
    """While the provider is down its keys go on, until ttl plus stale have passed; then there are none."""
    state = KeyState(key_source())
    state.succeeded(OLD, 0)
    state.failed("down", 250)
    assert state.current(899.9) is OLD
    assert state.current(900) is None
    state.succeeded(OLD, 1000)
    assert state.current(1000) is OLD


def test_the_whole_set_is_replaced() -> None:
    """A key that the provider took out is gone."""
    state = KeyState(key_source())
    assert state.succeeded(OLD, 0)
    assert state.succeeded(NEW, 1)
    assert state.current(1) is NEW


def test_equal_keys_stay_the_same_value() -> None:
    """What was cached with them stays good."""
    state = KeyState(key_source())
    state.succeeded(OLD, 0)
    assert not state.succeeded(KeySet.from_jwks(jwks(signing_key("ES256", "old").jwk())), 5)
    assert state.current(5) is OLD
    assert state.fetched_at == 5


def test_a_thousand_unknown_kids_cause_one_fetch_per_cooldown() -> None:
    """Whoever invents kids gets one fetch out of it every ten seconds, and the rest a plain no."""
    state = KeyState(key_source())
    state.succeeded(OLD, 0)
    demands = [state.demand(f"kid{number}", 1 + number / 1000) for number in range(20_000)]
    assert demands.count(Demand.FETCH) == 2
    assert demands.count(Demand.ABSENT) == 19_998


def test_a_kid_that_was_asked_for_in_vain_asks_no_more() -> None:
    """It leaves the next fetch to somebody else, until it is forgotten or the keys change."""
    state = KeyState(key_source())
    state.succeeded(OLD, 0)
    state.note_absent("later", 0)
    assert state.demand("later", 1) is Demand.ABSENT
    assert state.demand("other", 1) is Demand.FETCH
    state.succeeded(NEW, 2)
    assert state.demand("later", 12) is Demand.FETCH


def test_an_absent_kid_is_forgotten() -> None:
    """After six cool-downs it may cause a fetch again."""
    state = KeyState(key_source())
    state.note_absent("new", 0)
    assert state.demand("new", 60) is Demand.FETCH


def test_absent_kids_are_bounded() -> None:
    """Inventing kids uses no memory."""
    state = KeyState(key_source())
    for number in range(3 * MAX_ABSENT):
        state.note_absent(str(number), 0)
    assert state.demand(str(3 * MAX_ABSENT - 1), 1) is Demand.ABSENT
    assert state.demand("0", 1) is Demand.FETCH


def test_a_silent_provider_is_not_a_missing_key() -> None:
    """While it is down, nobody can say that a key does not exist."""
    state = KeyState(key_source())
    state.succeeded(OLD, 0)
    assert state.demand("new", 1) is Demand.FETCH
    state.failed("down", 1)
    assert state.demand("new", 2) is Demand.UNREACHABLE


def test_keys_in_the_policy_are_never_fetched() -> None:
    """An inline set is there at once and for ever."""
    state = KeyState(key_source(given=KeySet.from_jwks(jwks(signing_key("ES256").jwk()))))
    assert state.current(1e12) is not None
    assert state.seconds_until_refresh(1e12, 0) == float("inf")
    assert state.demand("other", 0) is Demand.ABSENT


class Life(RuleBasedStateMachine):
    """Any order of answers, failures, demands and waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.state = KeyState(key_source(ttl=10.0, stale=20.0, cooldown=5.0))
        self.now = 0.0
        self.answered: tuple[float, KeySet] | None = None
        self.demands: dict[bool, list[float]] = {True: [], False: []}

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    @rule(key_set=st.sampled_from([OLD, NEW]))
    def answer(self, key_set: KeySet) -> None:
        """The provider answers."""
        self.state.succeeded(key_set, self.now)
        self.answered = self.now, key_set

    @rule()
    def fail(self) -> None:
        """The provider does not."""
        self.state.failed("down", self.now)

    @rule(kid=st.sampled_from(["a", "b", None]))
    def demand(self, kid: str | None) -> None:
        """A token wants a key."""
        if self.state.demand(kid, self.now) is Demand.FETCH:
            self.demands[kid is None].append(self.now)

    @rule()
    def note(self) -> None:
        """A fetch did not bring a key."""
        self.state.note_absent("a", self.now)

    @invariant()
    def keys_are_the_last_answer_within_its_bound(self) -> None:
        """Never an older set, never beyond ttl plus stale."""
        alive = self.answered is not None and self.now < self.answered[0] + 30
        current = self.state.current(self.now)
        assert (current is not None) == alive
        if self.answered is not None and current is not None:
            assert current.version == self.answered[1].version

    @invariant()
    def demanded_fetches_are_a_cooldown_apart(self) -> None:
        """Whatever happens in between: those for an unknown kid, and those for any key at all."""
        for demands in self.demands.values():
            assert all(later >= earlier + 5 for earlier, later in pairwise(demands))

    @precondition(lambda self: self.answered is None or self.now > self.answered[0] + 10)
    @invariant()
    def old_keys_are_fetched_again_soon(self) -> None:
        """Beyond the ttl, the next attempt is never further away than the longest pause."""
        assert self.state.seconds_until_refresh(self.now, 1.0) <= LAST_RETRY + 1e-6


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLife = Life.TestCase
