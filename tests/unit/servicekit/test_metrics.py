"""Merging several processes' metrics into one page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from servicekit.metrics import collect, merge_expositions


def page(**counters: float) -> str:
    """A page with one counter for each argument, labelled with its name."""
    registry = CollectorRegistry()
    family = Counter("requests", "Requests.", ["who"], registry=registry)
    for who, value in counters.items():
        family.labels(who).inc(value)
    return generate_latest(registry).decode()


def values(text: str, sample: str) -> dict[str, float]:
    """The samples of that name by their ``who`` label, as Prometheus' own parser reads them."""
    return {
        s.labels.get("who", ""): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
        if s.name == sample
    }


def test_families_of_one_name_become_one() -> None:
    """Samples of both pages stand under one HELP and one TYPE."""
    merged = merge_expositions([page(a=1), page(b=2)])
    assert values(merged, "requests_total") == {"a": 1, "b": 2}
    assert merged.count("# TYPE requests_total counter") == 1
    assert merged.count("# HELP requests_total Requests.") == 1


def test_the_first_of_two_equal_series_is_kept() -> None:
    """Prometheus refuses a page in which a series stands twice."""
    assert values(merge_expositions([page(a=1), page(a=9)]), "requests_total") == {"a": 1}


def test_samples_of_another_type_are_left_out() -> None:
    """A gauge called like a counter does not spoil the page."""
    registry = CollectorRegistry()
    Gauge("requests_total", "Something else.", ["who"], registry=registry).labels("b").set(5)
    merged = merge_expositions([page(a=1), generate_latest(registry).decode()])
    assert values(merged, "requests_total") == {"a": 1}


def test_a_histogram_stays_whole() -> None:
    """Buckets, sum and count go with the family that declares them."""
    registry = CollectorRegistry()
    Histogram("seconds", "Time.", registry=registry, buckets=(1, 2)).observe(1.5)
    text = generate_latest(registry).decode()
    families = {f.name: f for f in text_string_to_metric_families(merge_expositions([page(a=1), text]))}
    assert families["seconds"].type == "histogram"
    assert {s.name for s in families["seconds"].samples} == {"seconds_bucket", "seconds_count", "seconds_sum"}


def test_lines_that_are_no_samples_are_left_out() -> None:
    """An error page of a proxy in between adds nothing."""
    merged = merge_expositions(["<html>\nno healthy upstream\n# TYPE\nx{ 1\nok 1\n", "upstream 2 3\n"])
    assert merged == "ok 1\nupstream 2 3\n"


@given(st.lists(st.text(max_size=200), max_size=4))
def test_any_text_is_taken_and_merging_again_changes_nothing(texts: list[str]) -> None:
    """It never raises, and its own output is a fixed point."""
    merged = merge_expositions(texts)
    assert merge_expositions([merged]) == merged


@given(st.dictionaries(st.text(min_size=1), st.floats(min_value=0, allow_infinity=False), max_size=5))
def test_label_values_of_any_kind_survive(series: dict[str, float]) -> None:
    """Quotes, braces, backslashes and line ends in a label stay what they were."""
    assert values(merge_expositions([page(**series)]), "requests_total") == series


async def respond(request: httpx.Request) -> httpx.Response:
    """Four targets: one good, one broken, one endless, one too slow."""
    if request.url.path == "/good":
        return httpx.Response(200, text=page(good=1))
    if request.url.path == "/large":
        return httpx.Response(200, content=endless())
    if request.url.path == "/slow":
        await asyncio.sleep(60)
    return httpx.Response(500, text=page(bad=1))


async def endless() -> AsyncIterator[bytes]:
    """A body without an end."""
    while True:
        yield b"x" * 65536


async def test_targets_that_do_not_answer_do_not_spoil_the_page() -> None:
    """Each has its deadline and its bound; the page says which are missing."""
    targets = [f"http://t/{name}" for name in ("good", "bad", "large", "slow")]
    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        merged = await collect(targets, own=page(own=1), deadline=0.5, client=client)
    assert values(merged, "requests_total") == {"own": 1, "good": 1}
    up = {
        s.labels["target"]: s.value for f in text_string_to_metric_families(merged) for s in f.samples if "up" in s.name
    }
    assert up == {"http://t/good": 1, "http://t/bad": 0, "http://t/large": 0, "http://t/slow": 0}


async def test_without_targets_the_page_is_ones_own() -> None:
    """No target, no extra family."""
    assert values(await collect([], own=page(own=1)), "requests_total") == {"own": 1}
    assert "target_up" not in await collect([], own=page(own=1))


async def test_a_url_that_is_none_counts_as_no_answer() -> None:
    """A misspelt target must not take the whole page down."""
    assert 'target_up{target="nonsense"} 0' in await collect(["nonsense"], own="")
