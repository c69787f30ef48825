"""Rules of files: what they match, what is counted where, and that no text breaks the loader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ratelimit_service.local_store import LocalStore
from ratelimit_service.rules.errors import Mistake, RulesError
from ratelimit_service.rules.folder import RuleFolder
from ratelimit_service.rules.limiter import Answer
from ratelimit_service.rules.loading import load
from ratelimit_service.rules.matching import Asked, match
from ratelimit_service.rules.tree import Domains, Level, Rule, RuleLimit, dump, fits
from tests.unit.ratelimit_service.builders import Clock, rule_limiter, sample

WORDS = ("a", "b", "ab", "a_b", "")
GOOD = """
domain: d
descriptors:
  - {key: k, rate_limit: {unit: minute, requests_per_unit: 2}}
"""


def rules(text: str) -> Domains:
    """The rules of one file."""
    return load({"rules.yaml": text.encode()})


async def asked(domains: Domains, *descriptors: str, registry: CollectorRegistry | None = None) -> Answer:
    """The answer to descriptors written as ``k=v, l=w``, all in the domain ``d``."""
    clock = Clock()
    limiter = rule_limiter(domains, LocalStore(clock_us=clock.microseconds), clock, registry)
    entries = [tuple((part.split("=")[0], part.split("=")[1]) for part in one.split(", ")) for one in descriptors]
    return await limiter.decide("d", [Asked(one, 1) for one in entries])


def some_rule(key: str, value: str = "") -> Rule:
    """A rule without a limit."""
    return Rule(key=key, value=value, limit=None, value_to_metric=False, share_threshold=False, below=Level())


def mistakes_of(source: bytes) -> tuple[Mistake, ...]:
    """The mistakes of one file; none of a good one."""
    try:
        load({"f": source})
    except RulesError as error:
        return error.mistakes or pytest.fail("an error without a mistake")
    return ()


words = st.sampled_from(WORDS)
entries = st.lists(st.tuples(words.filter(bool), words), min_size=1, max_size=3)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> list[dict[str, object]]:
    """Descriptors of a file: distinct in each list, with and without limits and values."""
    made = []
    for key, value in draw(st.lists(st.tuples(words.filter(bool), words), max_size=4, unique=True)):
        descriptor: dict[str, object] = {"key": key, "value": value}
        if draw(st.booleans()):
            descriptor["rate_limit"] = {"unit": "minute", "requests_per_unit": draw(st.integers(0, 9))}
        if depth > 1 and draw(st.booleans()):
            descriptor["descriptors"] = draw(trees(depth - 1))
        made.append(descriptor)
    return made


def reference(descriptors: list[dict[str, object]], wanted: list[tuple[str, str]]) -> object:
    """The limit of a descriptor, by the words of the documentation."""
    (key, value), *rest = wanted
    fitting = [one for one in descriptors if one["key"] == key and one["value"] in (value, "")]
    if not fitting:
        return None
    best = max(fitting, key=lambda one: one["value"] != "")
    return reference(best.get("descriptors", []), rest) if rest else best.get("rate_limit")  # type: ignore[arg-type]  # plain data


@settings(max_examples=200)
@given(trees(), entries)
def test_matching_is_what_the_documentation_says(tree: list[dict[str, object]], wanted: list[tuple[str, str]]) -> None:
    """Key and value before key alone, at each level; as many entries as levels; names with _ are no trap."""
    domains = rules(json.dumps({"domain": "d", "descriptors": tree}))
    (ruled,) = match(domains, "d", [Asked(tuple(wanted), 1)])
    expected = reference(tree, wanted)
    found = None if ruled is None else {"unit": "minute", "requests_per_unit": ruled.limit.requests_per_unit}
    assert found == expected


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text(alphabet="ab:-*&[]{}|> \n\t#'\"!,0.<", max_size=120).map(str.encode))
def test_no_text_breaks_the_loader(source: bytes) -> None:
    """It loads, or every mistake has a line and a column."""
    assert all(one.line >= 1 and one.column >= 1 and one.message for one in mistakes_of(source))


@settings(max_examples=300)
@given(st.data())
def test_no_change_of_a_good_file_breaks_the_loader(data: st.DataObject) -> None:
    """A letter taken out, put in or doubled anywhere."""
    at = data.draw(st.integers(0, len(GOOD)))
    changed = (
        GOOD[:at]
        + data.draw(st.sampled_from(["", " ", "\n", "-", ":", "*x", "&x ", "{", "]", "\x00"]))
        + GOOD[at + 1 :]
    )
    assert all(str(one).startswith("f:") for one in mistakes_of(changed.encode()))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"[" * 100_000, "nested more than 64 deep"),
        (
            b"domain: a\ndescriptors: &x [{key: a, descriptors: *x}, {key: b, descriptors: *x}]",
            "nested more than 32 deep",
        ),
        (b"a" * (4 * 1024 * 1024 + 1), "larger than 4 MiB"),
        (b"domain: \xff", "not UTF-8"),
        (b"domain: a\n---\ndomain: b", "not YAML"),
    ],
)
def test_a_hostile_file_costs_little(source: bytes, why: str) -> None:
    """Depth, repetition and size are bounded."""
    with pytest.raises(RulesError, match=why):
        load({"f": source})


def test_all_mistakes_of_all_files_are_told() -> None:
    """A domain that stands in two files is one of them."""
    with pytest.raises(RulesError) as caught:
        load({"a.yaml": GOOD.encode(), "b.yaml": GOOD.encode(), "c.yaml": b"domain: c\nx: y"})
    assert str(caught.value).splitlines() == [
        "b.yaml:2:9: the domain 'd' stands in a.yaml too",
        "c.yaml:2:1: the file has no key 'x'; it has descriptors, domain",
    ]


def test_files_of_one_domain_are_put_together_where_that_is_wanted() -> None:
    """Their descriptors stand side by side; one that is in both is a mistake of the second."""
    other = GOOD.replace("key: k", "key: l").encode()
    merged = load({"a.yaml": GOOD.encode(), "b.yaml": other}, merge=True)
    assert [line.split(":")[0] for line in dump(merged).splitlines()] == ["d.k", "d.l"]
    with pytest.raises(RulesError, match=r"b\.yaml:4:5: the descriptor 'k' stands in this list twice"):
        load({"a.yaml": GOOD.encode(), "b.yaml": GOOD.encode()}, merge=True)


@pytest.mark.parametrize(
    ("key", "value", "entry", "covered"),
    [
        ("k", "a*", ("k", "a"), True),
        ("k", "a*", ("k", "b"), False),
        ("k", "a*", ("l", "ab"), False),
        ("k", "*", ("k", ""), True),
        ("k", "a*b*c", ("k", "a1b2c"), True),
        ("k", "a*b*c", ("k", "acb"), False),
        ("k", "ab*ba", ("k", "aba"), False),
        ("k*", "", ("key", "x"), True),
        ("k*", "", ("other", "x"), False),
    ],
)
def test_wildcards(key: str, value: str, entry: tuple[str, str], covered: bool) -> None:
    """Each star is any text; what stands around it has to be there, in order, once."""
    assert fits(some_rule(key, value), *entry) is covered


async def test_metrics_name_rules_and_callers_only_where_asked() -> None:
    """``detailed_metric`` and ``value_to_metric`` bring values into the label; else there are none."""
    registry = CollectorRegistry()
    limit = "rate_limit: {unit: minute, requests_per_unit: 9}"
    domains = rules(
        f"{{domain: d, descriptors: [{{key: a, {limit}}}, {{key: b, detailed_metric: true, {limit}}},"
        f" {{key: c, value_to_metric: true, descriptors: [{{key: e, {limit}}}]}}, {{key: w, value: 'x*', {limit}}}]}}"
    )
    await asked(domains, "a=1", "b=2", "c=3, e=4", "w=xyz", registry=registry)
    for label in ("a", "b_2", "c_3.e", "w_x*"):
        assert sample(registry, "gateway_ratelimit_rule_total", domain="d", rule=label, outcome="within_limit") == 1


async def test_one_denied_descriptor_does_not_spare_the_others() -> None:
    """As the files mean it: every descriptor is counted, whatever the others say."""
    clock = Clock()
    domains = rules(
        "{domain: d, descriptors: [{key: a, rate_limit: {unit: day, requests_per_unit: 0}},"
        " {key: b, rate_limit: {unit: day, requests_per_unit: 5}}]}"
    )
    limiter = rule_limiter(domains, LocalStore(clock_us=clock.microseconds), clock)
    answers = [await limiter.decide("d", [Asked((("a", "1"),), 1), Asked((("b", "1"),), 1)]) for _ in range(3)]
    assert [answer.allowed for answer in answers] == [False] * 3
    left = [outcome.level.remaining for answer in answers if (outcome := answer.outcomes[1]) and outcome.level]
    assert left == [4, 3, 2]


async def test_a_limit_that_the_request_brings_holds_in_place_of_the_rule() -> None:
    """Also where no rule is, but not in a domain that no file has."""
    clock = Clock()
    limiter = rule_limiter(rules(GOOD), LocalStore(clock_us=clock.microseconds), clock)
    brought = Asked((("other", "1"),), 1, RuleLimit(unit="HOUR", requests_per_unit=1))
    assert [(await limiter.decide("d", [brought])).allowed for _ in range(2)] == [True, False]
    assert (await limiter.decide("unknown", [brought])).outcomes == [None]


def test_keys_of_different_descriptors_differ() -> None:
    """Where a joined text would be the same."""
    domains = rules(
        "{domain: d, descriptors: [{key: a, rate_limit: {unit: day, requests_per_unit: 1}},"
        " {key: a_b, rate_limit: {unit: day, requests_per_unit: 1}}]}"
    )
    one, other = match(domains, "d", [Asked((("a", "b_c"),), 1), Asked((("a_b", "c"),), 1)])
    assert one is not None
    assert other is not None
    assert one.key != other.key


async def test_the_folder_is_read_again_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    """Written, added, swapped by a symlink, broken, mended."""
    registry = CollectorRegistry()
    folder = RuleFolder(tmp_path, registry)
    folder.load()
    assert dump(folder.domains()) == ""
    (tmp_path / "first.yaml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("no rules")
    await folder.refresh()
    good = dump(folder.domains())
    assert good == "d.k: unit=MINUTE requests_per_unit=2, shadow_mode: false\n"
    (tmp_path / "second.yaml").write_text("domain: [")
    await folder.refresh()
    assert dump(folder.domains()) == good
    assert sample(registry, "gateway_ratelimit_rule_loads_total", outcome="error") == 1
    (tmp_path / ".other").write_text("domain: e")
    (tmp_path / "swap").symlink_to(".other")
    (tmp_path / "swap").replace(tmp_path / "second.yaml")
    await folder.refresh()
    assert sorted(folder.domains()) == ["d", "e"]
    (tmp_path / "first.yaml").unlink()
    await folder.refresh()
    assert sorted(folder.domains()) == ["e"]


def test_a_folder_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    """Named."""
    with pytest.raises(RulesError, match="no readable folder"):
        RuleFolder(tmp_path / "absent", CollectorRegistry()).load()
