"""What Envoy refuses is found in the document by leaving parts out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlplane.config import GatewayConfig, Problem, load_document
from controlplane.preflight.locate import MOST_FOUND, OutOfTimeError, locate
from controlplane.preflight.parts import parts, without

BAD = "bad"


def document(**changes: Any) -> GatewayConfig:
    """A small one, as if it had been read from ``g.yaml``."""
    plain = {
        "listeners": [{"name": "http", "port": 8000}],
        "upstreams": [{"name": "a", "endpoints": ["http://127.0.0.1:1"]}],
        "routes": [{"match": {"path_prefix": "/"}, "upstream": "a"}],
    }
    return load_document(yaml.safe_dump(plain | changes, sort_keys=False).encode(), origin="g.yaml")


def route(path: str, **changes: Any) -> dict[str, Any]:
    """One that takes a path."""
    return {"match": {"path_prefix": path}, "upstream": "a"} | changes


def refusing(*texts: str) -> Callable[[GatewayConfig], str | None]:
    """Whoever sees one of ``texts`` says so; only the first is ever named, as Envoy does."""

    def ask(smaller: GatewayConfig) -> str | None:
        seen = smaller.model_dump_json()
        return next((f"'{text}' is no good" for text in texts if f'"{text}"' in seen), "")

    return ask


def found(whole: GatewayConfig, ask: Callable[[GatewayConfig], str | None], **changes: Any) -> list[Problem]:
    """What is located."""
    words = ask(whole)
    assert words
    return locate(whole, words, ask, **({"seconds": 60} | changes))


def test_a_value_deep_in_one_of_many_routes() -> None:
    """File, line and column of the very value, and what was said of it."""
    routes = [route(f"/{number}") for number in range(200)]
    routes[120]["match"]["headers"] = {"x-fine": "fine", "x-odd": {"regex": BAD}}
    (problem,) = found(document(routes=routes), refusing(BAD))
    assert problem.path == ("routes", 120, "match", "headers", "x-odd", "regex")
    assert problem.where.startswith("g.yaml:")
    assert problem.message == "Envoy refuses what this becomes: 'bad' is no good"


def test_few_questions_are_asked() -> None:
    """Twice the logarithm of the routes, and a few for what is left."""
    asked = 0
    refuse = refusing("/bad")

    def ask(smaller: GatewayConfig) -> str | None:
        nonlocal asked
        asked += 1
        return refuse(smaller)

    found(document(routes=[*(route(f"/{number}") for number in range(1000)), route("/bad")]), ask)
    assert asked < 40


def test_every_culprit_is_named() -> None:
    """Though Envoy stops at the first."""
    routes = [route(f"/{number}") for number in range(30)]
    routes[3]["match"], routes[17]["match"], routes[18]["match"] = ({"path_regex": text} for text in ("u", "v", "w"))
    problems = found(document(routes=routes), refusing("w", "u", "v"))
    assert {problem.path for problem in problems} == {
        ("routes", number, "match", "path_regex") for number in (3, 17, 18)
    }


def test_what_a_route_uses_is_to_blame_and_not_the_route() -> None:
    """The upstream goes with its last route, but the mistake is its own."""
    upstreams = [
        {"name": "a", "endpoints": ["http://127.0.0.1:1"]},
        {"name": "b", "endpoints": ["http://127.0.0.1:1"], "health_check": {"path": "/bad"}},
    ]
    routes = [route("/1"), route("/2", upstream="b", timeout="5s")]
    (problem,) = found(document(upstreams=upstreams, routes=routes), refusing("/bad"))
    assert problem.path == ("upstreams", 1, "health_check", "path")


def test_what_can_not_be_left_out_stands_at_its_member() -> None:
    """A listener without its address is one too, but never one without its name."""
    listeners = [{"name": "http", "port": 8000}, {"name": "odd", "port": 8001}]
    (problem,) = found(document(listeners=listeners), refusing("odd"))
    assert problem.path == ("listeners", 1)


def test_what_is_wrong_with_everything_has_no_place() -> None:
    """Not even one route alone, nor one listener, is taken."""
    problems = found(document(), lambda _: "no")
    assert [problem.path for problem in problems] == [()]


def test_time_runs_out() -> None:
    """The smallest part that is known is named, and nothing hangs."""
    now = iter(range(1000))
    whole = document(routes=[*(route(f"/{number}") for number in range(60)), route("/bad")])
    problems = found(whole, refusing("/bad"), seconds=3, clock=lambda: next(now))
    assert [problem.path for problem in problems] == [()]


def test_nobody_can_be_asked_any_more() -> None:
    """The words that were heard are told all the same."""

    def ask(_: GatewayConfig) -> str | None:
        raise OutOfTimeError

    (problem,) = locate(document(), "no good", ask, seconds=9)
    assert problem.message.endswith("no good")


@given(st.sets(st.integers(0, 39), min_size=1, max_size=MOST_FOUND))
def test_all_that_is_planted_is_found(planted: set[int]) -> None:
    """Wherever the culprits are, each is found once and nobody else is blamed."""
    whole = document(routes=[route(f"/bad{n}" if n in planted else f"/{n}") for n in range(40)])
    problems = found(whole, refusing(*(f"/bad{number}" for number in planted)))
    assert sorted(problem.path[1] for problem in problems) == sorted(planted)
    assert {problem.path[:1] for problem in problems} == {("routes",)}


def test_the_parts_of_a_document_are_those_that_were_written() -> None:
    """A default that nobody wrote can't be at fault; the last member of a list can't be left out."""
    whole = document()
    assert [part.step for part in parts(whole)] == ["listeners", "upstreams", "routes"]
    assert [part.optional for part in parts(whole.routes)] == [False]
    assert without(document(defaults={"timeout": "5s"}), ("defaults", "timeout")).defaults.timeout != 5
