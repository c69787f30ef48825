"""When a dead process is started again, and when not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.supervisor.restarts import GiveUp, Restart, RestartHistory, RestartRules, describe_status

KILLED = -9


def history(**rules: float) -> RestartHistory:
    """Of a component that has not died yet."""
    return RestartHistory(RestartRules(**rules))  # type: ignore[arg-type]  # deaths is whole where it is given


def test_the_delay_doubles_up_to_the_longest() -> None:
    """0.1 s first, then twice as long each time."""
    one = history(deaths=100)
    delays = [one.died(now=float(n), status=KILLED, ready_at=None) for n in range(8)]
    assert delays == [Restart(d) for d in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0)]


def test_the_delay_starts_again_after_a_healthy_while() -> None:
    """Ready for ten seconds is healthy; for nine it is not."""
    one = history()
    one.died(now=0, status=KILLED, ready_at=None)
    assert one.died(now=10, status=KILLED, ready_at=1) == Restart(0.2)
    assert one.died(now=21, status=KILLED, ready_at=11) == Restart(0.1)


def test_five_deaths_within_half_a_minute_are_a_crash_loop() -> None:
    """The fifth is given up on."""
    one = history()
    for now in (0, 5, 10, 20):
        assert isinstance(one.died(now=now, status=KILLED, ready_at=now - 1), Restart)
    assert one.died(now=29.9, status=KILLED, ready_at=29) == GiveUp("died 5 times within 30 s")


def test_a_process_that_could_never_start_is_not_tried_again() -> None:
    """It said by its exit status that it can't; it would say so again."""
    assert history().died(now=1, status=2, ready_at=None) == GiveUp("could not start (exit status 2)")


def test_a_process_that_has_worked_once_is_tried_again_whatever_its_status() -> None:
    """An exit status after it was ready is a death like any other."""
    one = history()
    one.died(now=1, status=KILLED, ready_at=0.5)
    assert isinstance(one.died(now=2, status=1, ready_at=None), Restart)


@given(st.lists(st.floats(0, 60), max_size=30))
def test_deaths_far_enough_apart_never_end_it(gaps: list[float]) -> None:
    """It gives up exactly when five deaths fall within the window, whatever came before."""
    one, now, deaths = history(), 0.0, []
    for gap in gaps:
        now += gap
        deaths.append(now)
        recent = [death for death in deaths if now - death < 30]
        decision = one.died(now=now, status=KILLED, ready_at=None)
        assert isinstance(decision, GiveUp) == (len(recent) >= 5)
        if isinstance(decision, Restart):
            assert 0.1 <= decision.delay <= 5.0
        else:
            return


def test_statuses_read_as_words() -> None:
    """For the line that people see."""
    assert describe_status(-9) == "killed by signal 9"
    assert describe_status(3) == "exit status 3"
