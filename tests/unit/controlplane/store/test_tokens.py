"""What every token store does, and how a token is written."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from controlplane.store import Store
from controlplane.store.sql_tokens import SqlTokenStore
from controlplane.store.tokens import TOKEN_TEXT, TokenStore, secret_digest
from servicekit.credential_text import Credential

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LETTERS = string.digits + string.ascii_letters


@pytest.fixture
def tokens(everything: Store) -> TokenStore:
    """An empty store of tokens."""
    return everything.tokens


async def test_a_token_comes_back_without_its_secret(tokens: TokenStore) -> None:
    """Name, role, scopes and expiry are kept; of the secret there is only the hash, and it matches."""
    made, text = await tokens.create(name="ci ü", role="operator", scopes=("/routes/team-a-",), expires_at=NOW)
    read = TOKEN_TEXT.read(text)
    assert read is not None
    found = await tokens.find(read.id)
    assert found == made
    assert (found.name, found.role, found.scopes, found.expires_at) == ("ci ü", "operator", ("/routes/team-a-",), NOW)
    assert (found.revoked_at, found.last_used_at) == (None, None)
    assert found.digest == secret_digest(read.secret)
    assert found.matches(read.secret)
    assert not found.matches(TOKEN_TEXT.make().secret)
    assert read.secret not in repr(found)
    assert read.secret not in repr(read)


async def test_an_unknown_token_is_none(tokens: TokenStore) -> None:
    """Nothing to find, to revoke or to touch."""
    for odd in ("unknown", "\0", "\ud800", "x" * 1000):
        assert await tokens.find(odd) is None
    assert await tokens.revoke("unknown") is False
    await tokens.touched("unknown")
    assert await tokens.page() == ()


async def test_a_revoked_token_stays_and_is_invalid(tokens: TokenStore) -> None:
    """Its row tells when it was revoked, the second time changes nothing."""
    made, _ = await tokens.create(name="a", role="admin")
    assert made.is_valid(NOW)
    assert await tokens.revoke(made.id)
    first = await tokens.find(made.id)
    assert first is not None
    assert first.revoked_at is not None
    assert not first.is_valid(NOW)
    assert await tokens.revoke(made.id)
    assert await tokens.find(made.id) == first


async def test_a_token_ends_when_it_says(tokens: TokenStore) -> None:
    """Valid until just before, and not at that moment any more."""
    made, _ = await tokens.create(name="a", role="viewer", expires_at=NOW)
    assert made.is_valid(NOW - timedelta(microseconds=1))
    assert not made.is_valid(NOW)


async def test_pages_go_from_the_newest_on(tokens: TokenStore) -> None:
    """In the order in which they were made, by no clock; each page begins after the last of the one before."""
    ids = [(await tokens.create(name=str(n), role="viewer"))[0].id for n in range(5)][::-1]
    first = await tokens.page(limit=2)
    second = await tokens.page(after=first[-1].id, limit=2)
    third = await tokens.page(after=second[-1].id, limit=2)
    assert [one.id for one in (*first, *second, *third)] == ids
    assert await tokens.page(after="unknown") == ()
    for limit in (0, 501):
        with pytest.raises(ValueError, match="a page has"):
            await tokens.page(limit=limit)


async def test_a_role_or_scope_that_is_none_is_refused(tokens: TokenStore) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match="role"):
        await tokens.create(name="a", role="root")
    with pytest.raises(ValueError, match="scope"):
        await tokens.create(name="a", role="admin", scopes=("routes",))
    assert await tokens.page() == ()


async def test_use_is_written_once_a_minute(tokens: TokenStore) -> None:
    """The first use is remembered, the next ones don't even ask the database."""
    assert isinstance(tokens, SqlTokenStore)
    statements: list[object] = []
    engine = tokens._database.engine.sync_engine
    made, _ = await tokens.create(name="a", role="viewer")
    await tokens.touched(made.id)
    first = await tokens.find(made.id)
    assert first is not None
    assert first.last_used_at is not None
    event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    for _ in range(10):
        await tokens.touched(made.id)
    assert statements == []
    assert await tokens.find(made.id) == first


def test_a_token_has_256_bits_and_its_pattern() -> None:
    """What a scanner for leaked secrets looks for, and no two are the same."""
    texts = {TOKEN_TEXT.write(TOKEN_TEXT.make()) for _ in range(100)}
    assert len(texts) == 100
    assert all(re.fullmatch(r"gwt_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", text) for text in texts)
    assert 62**43 > 2**256


@given(
    st.text(alphabet=LETTERS, min_size=12, max_size=12),
    st.text(alphabet=LETTERS, min_size=43, max_size=43),
    st.integers(0, 65),
    st.sampled_from(LETTERS),
)
def test_a_typing_mistake_is_no_token(token_id: str, secret: str, place: int, letter: str) -> None:
    """What was written is read again; with one character changed or two swapped it is refused without a look-up."""
    text = TOKEN_TEXT.write(Credential(token_id, secret))
    assert TOKEN_TEXT.read(text) == Credential(token_id, secret)
    changed = text[:place] + letter + text[place + 1 :]
    assert changed == text or TOKEN_TEXT.read(changed) is None
    swapped = text[:place] + text[place : place + 2][::-1] + text[place + 2 :]
    assert swapped == text or TOKEN_TEXT.read(swapped) is None


@given(st.text() | st.just("\n") | st.from_regex(r"gwt_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\n?"))
def test_reading_takes_anything(text: str) -> None:
    """Whatever comes is a token, written in its one way, or none; never an error."""
    read = TOKEN_TEXT.read(text)
    assert read is None or TOKEN_TEXT.write(read) == text
    good = TOKEN_TEXT.write(TOKEN_TEXT.make())
    assert TOKEN_TEXT.read(good + text) is None or not text
    assert TOKEN_TEXT.read(text + good) is None or not text


def test_any_secret_can_be_compared() -> None:
    """A bearer may send what is no text in UTF-8."""
    assert secret_digest("\ud800") != secret_digest("")
    assert replace(TOKEN_TEXT.make(), secret=secrets.token_hex()).secret
