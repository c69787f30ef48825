"""Who waits for whom."""

from __future__ import annotations

import asyncio

from response_cache.flights import Flights, Landing
from tests.unit.response_cache.builders import key


async def test_others_wait() -> None:
    """Until it lands, and no longer than they like."""
    flights = Flights(lambda: 0.0)
    flight = flights.begin((key(), None))
    assert flights.to_wait_for((key(), None)) is flight
    assert await flight.landing(0) is None
    waiting = asyncio.create_task(flight.landing(10))
    await asyncio.sleep(0)
    assert flights.waiting == 1
    flights.end((key(), None), flight, Landing.KEPT)
    assert await waiting is Landing.KEPT
    assert (flights.to_wait_for((key(), None)), flights.waiting) == (None, 0)


async def test_nobody_waits_where_the_last_answer_was_for_one() -> None:
    """For a while, or until one can be kept."""
    now, place = [0.0], (key(), None)
    flights = Flights(lambda: now[0])
    flights.end(place, flights.begin(place), Landing.ALONE)
    alone = flights.begin(place)
    assert flights.to_wait_for(place) is None
    flights.end(place, alone, Landing.KEPT)
    first = flights.begin(place)
    assert flights.to_wait_for(place) is first
    flights.end(place, first, Landing.ALONE)
    now[0] = 10
    assert flights.to_wait_for(place) is None
    assert flights.to_wait_for(place) is not flights.begin(place)


async def test_failures_are_not_remembered() -> None:
    """The next one may be waited for again."""
    flights, place = Flights(lambda: 0.0), (key(), None)
    flights.end(place, flights.begin(place), Landing.FAILED)
    assert flights.begin(place) is flights.to_wait_for(place)


async def test_a_second_flight_of_a_place() -> None:
    """It takes nobody's place, and its end ends only itself."""
    flights, place = Flights(lambda: 0.0), (key(), None)
    first, second = flights.begin(place), flights.begin(place)
    flights.end(place, second, Landing.KEPT)
    assert flights.to_wait_for(place) is first


async def test_grounded_flights() -> None:
    """Nobody begins to wait for them."""
    flights = Flights(lambda: 0.0)
    first, other = flights.begin((key("/a"), None)), flights.begin((key("/b"), None))
    flights.ground(lambda one: one.target == "/a")
    assert (first.grounded, other.grounded) == (True, False)
    assert flights.to_wait_for((key("/a"), None)) is None
    flights.end((key("/a"), None), first, Landing.LOST)
