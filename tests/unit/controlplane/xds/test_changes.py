"""Versions that say what they are made of, and what is remembered of each."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from controlplane.xds import types
from controlplane.xds.changes import MOST_UNITED, Differ, united
from controlplane.xds.messages import SotwRequest
from controlplane.xds.snapshot import EMPTY_SET, ResourceSet, encode_bytes, resource_set
from controlplane.xds.sotw import SotwSubscription

NAMES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6)


def made(contents: dict[str, str]) -> ResourceSet:
    """A set of clusters whose bytes are not looked at."""
    return resource_set(encode_bytes(name, types.CLUSTER, value.encode()) for name, value in contents.items())


@given(st.lists(st.tuples(NAMES, st.booleans()), min_size=1, max_size=20), st.booleans())
def test_what_a_client_claims_is_what_it_was_sent(steps: list[tuple[dict[str, str], bool]], refuse: bool) -> None:
    """Another server knows it exactly, if it knows the sets: whatever went, was kept, came back or was refused."""
    subscription = SotwSubscription(
        type_url=types.CLUSTER, differ=Differ(), new_nonce=iter(map(str, range(99))).__next__
    )
    subscription.take(SotwRequest(type_url=types.CLUSTER, names=(), version="", nonce="", error=None), 0)
    other = Differ()
    for number, (contents, removals) in enumerate(steps):
        target = made(contents)
        other.remember(target)
        subscription.aim(target)
        response = subscription.next_response(removals=removals, now=0)
        if response is None:
            continue
        error = "no" if refuse and number == 0 else None
        answer = SotwRequest(
            type_url=types.CLUSTER, names=(), version=response.version, nonce=response.nonce, error=error
        )
        subscription.take(answer, 0)
        held, is_all = other.recall(response.version)
        content = {resource.name: resource for resource in response.resources}
        assert is_all or refuse or len(steps) >= MOST_UNITED
        assert dict(held.resources) == content if is_all else held.resources.items() <= content.items()


@given(st.text())
def test_any_claim_is_taken(claim: str) -> None:
    """Whatever a client says it has, the answer is a set or that it is not known."""
    differ = Differ()
    differ.remember(made({"a": "1"}))
    assert differ.recall(claim) == (EMPTY_SET, False)


def test_claims_are_bounded() -> None:
    """What no server of ours would have said is not looked for."""
    differ, sets = Differ(), [made({"a": str(number)}) for number in range(MOST_UNITED + 1)]
    for one, _ in pairwise([*sets, sets[0]]):
        differ.remember(one)
    versions = tuple(one.version for one in sets)
    assert differ.recall(united(versions[:-1])) == (sets[0], True)
    assert differ.recall(united(versions)) == (EMPTY_SET, False)


def test_what_is_known_in_part() -> None:
    """Is better than nothing, and not taken for all."""
    differ, newer, unknown, older = Differ(), made({"a": "2", "b": "1"}), made({"a": "3"}), made({"a": "1", "c": "1"})
    differ.remember(newer)
    differ.remember(older)
    held, is_all = differ.recall(united((newer.version, unknown.version, older.version)))
    assert (held, is_all) == (made({"a": "2", "b": "1", "c": "1"}), False)
    assert differ.recall(unknown.version) == (EMPTY_SET, False)
