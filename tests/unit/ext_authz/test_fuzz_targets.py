"""The fuzz targets keep their promises for what hypothesis thinks of; ``make fuzz`` looks for longer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext_authz.jwt import Verified, verify
from tests.fuzz.targets import TARGETS, _known, seeds
from tests.harness.tokens import ALL, NOW, policy

SEEDS = seeds()


def mangled(seed: bytes) -> st.SearchStrategy[bytes]:
    """Something right with a part of it replaced."""
    place, parts = st.integers(0, len(seed)), st.binary() | st.text("abcXYZ019.-_", max_size=3).map(str.encode)
    return st.builds(lambda at, part: seed[:at] + part + seed[at + len(part) :], place, parts)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_keeps_its_promises(name: str) -> None:
    """For any octets, and for things that are almost right."""
    inputs = st.one_of(st.binary(), *(mangled(seed) for seed in SEEDS[name]))

    @settings(max_examples=200)
    @given(inputs)
    def keeps(data: bytes) -> None:
        TARGETS[name](data)

    for seed in SEEDS[name]:
        TARGETS[name](seed)
    keeps()


def test_the_seeds_of_tokens_are_good() -> None:
    """Else nothing near them would be looked at."""
    keys, signed = _known()
    assert all(isinstance(verify(text, keys, policy(algorithms=ALL), now=NOW), Verified) for text in signed)
