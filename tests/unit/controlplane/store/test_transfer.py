"""Everything out and in again: whole, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.store import Outcome, Store, StoreError, TransferError, open_store
from controlplane.store.nodes import NodeRecord
from controlplane.store.sql_audit import SqlAuditLog
from controlplane.store.tokens import TOKEN_TEXT
from controlplane.store.transfer_check import Check

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def node(name: str) -> NodeRecord:
    """A node."""
    return NodeRecord(
        id=name,
        replica="one",
        service="envoy",
        group="edge",
        peer="",
        connected_at=NOW,
        disconnected_at=None,
        last_seen=NOW,
        types={"cds": "1"},
    )


async def fill(store: Store) -> str:
    """Something of every kind; the text of a token that works."""
    for raw in (b"a", bytes(range(256)), "ü".encode(), *(b"%d" % n for n in range(10))):
        digest = hashlib.sha256(raw).hexdigest()
        await store.revisions.record(raw, origin="file", author="ann ü", message="why", digest=digest)
    await store.revisions.mark(12, Outcome.REFUSED, {"edge": {"outcome": "refused", "refused": {"n": "no \ud83d"}}})
    await store.revisions.prune(11)
    await store.revisions.saw("file", "0" * 64)
    for n in range(3):
        await store.audit.append(actor="ann", address="", action="put", target="\0", detail={"n": n, "f": 0.1})
    _, revoked = await store.tokens.create(name="old", role="viewer")
    await store.tokens.revoke(TOKEN_TEXT.read(revoked).id)  # type: ignore[union-attr] # it was just written
    _, text = await store.tokens.create(name="ci", role="admin", scopes=("/routes",), expires_at=NOW)
    await store.nodes.save([node("edge-1"), node("edge-2")])
    return text


async def exported(store: Store) -> list[str]:
    """All lines."""
    return [line async for line in store.export()]


async def as_lines(lines: Iterable[bytes | str]) -> AsyncIterator[bytes | str]:
    """As they come from a request."""
    for line in lines:
        yield line


async def fill_and_export(folder: Path) -> list[str]:
    """The lines of a store that has something of every kind."""
    store = await open_store(f"sqlite:///{folder}/full.db")
    try:
        await fill(store)
        return await exported(store)
    finally:
        await store.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of a store that has something of every kind."""
    return asyncio.run(fill_and_export(tmp_path_factory.mktemp("full")))


async def test_everything_comes_back(everything: Store, tmp_path: Path) -> None:
    """From either database into SQLite: what is exported there is the same line by line, and the token still works."""
    text = await fill(everything)
    lines = await exported(everything)
    secret = TOKEN_TEXT.read(text)
    assert secret is not None
    assert not any(secret.secret in line for line in lines)
    other = await open_store(f"sqlite:///{tmp_path}/other.db")
    try:
        counts = await other.import_lines(as_lines(lines))
        assert counts == {
            "revision": 11,
            "audit": 3,
            "token": 2,
            "api_key": 0,
            "limit_override": 0,
            "node": 2,
            "origin": 1,
        }
        assert await exported(other) == lines
        found = await other.tokens.find(secret.id)
        assert found is not None
        assert found.matches(secret.secret)
        assert (await other.audit.verify()).count == 3
        assert (await other.revisions.newest()) == (await everything.revisions.newest())
    finally:
        await other.close()


async def test_it_goes_into_either_database(everything: Store, full: list[str]) -> None:
    """From SQLite into both; writing goes on where it was, and who follows hears of it."""
    await everything.import_lines(as_lines(line.rstrip("\n").encode() for line in full))
    assert await exported(everything) == full
    digest = hashlib.sha256(b"next").hexdigest()
    assert (await everything.revisions.record(b"next", origin="", author="", message="", digest=digest)).number == 14
    assert (await everything.audit.append(actor="", address="", action="", target="", detail={})).number == 4
    made, _ = await everything.tokens.create(name="new", role="viewer")
    assert (await everything.tokens.page(limit=1))[0] == made
    assert (await everything.audit.verify()).first_bad is None


async def test_an_export_from_before_there_were_api_keys_and_overrides(everything: Store) -> None:
    """Its end counts none, and that is right."""
    header, end = await exported(everything)
    counts = json.loads(end)
    del counts["counts"]["api_key"], counts["counts"]["limit_override"]
    assert sum((await everything.import_lines(as_lines([header, json.dumps(counts)]))).values()) == 0


async def test_an_empty_store_is_exported_too(everything: Store) -> None:
    """A header and an end, which can be imported."""
    lines = await exported(everything)
    assert len(lines) == 2
    assert sum((await everything.import_lines(as_lines(lines))).values()) == 0


async def test_a_control_plane_that_has_just_started_is_empty(everything: Store, full: list[str]) -> None:
    """The one revision that it has recorded gives way, attempts to import stay at the end of the log, what it has seen
    itself counts."""
    digest = hashlib.sha256(b"first").hexdigest()
    await everything.revisions.record(b"first", origin="file", author="", message="", digest=digest)
    await everything.revisions.saw("file", digest)
    await everything.nodes.save([node("edge-1"), node("edge-9")])
    for n in range(2):
        await everything.audit.append(actor="ann", address="", action="import", target="", detail={"try": n})
    await everything.import_lines(as_lines(full))
    newest = await everything.revisions.newest()
    assert newest is not None
    assert newest.number == 13
    assert await everything.revisions.seen("file") == digest
    assert {one.id for one in await everything.nodes.load()} == {"edge-1", "edge-2", "edge-9"}
    log = await everything.audit.page()
    assert [(entry.number, entry.action) for entry in log][:3] == [(5, "import"), (4, "import"), (3, "put")]
    assert (log[0].detail, log[1].detail) == ({"try": 1}, {"try": 0})
    assert isinstance(everything.audit, SqlAuditLog)
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'eve'"):
        with pytest.raises(StoreError, match="append-only"):
            await execute(everything.audit, statement)
    assert (await everything.audit.verify()).first_bad is None


async def execute(log: SqlAuditLog, statement: str) -> None:
    """What the log itself would never do."""
    async with log._database.writing("nothing was done") as connection:
        await connection.exec_driver_sql(statement)


@pytest.mark.parametrize("what", ["token", "two revisions", "audit entry"])
async def test_a_store_that_was_used_takes_nothing(everything: Store, full: list[str], what: str) -> None:
    """What somebody made would be lost."""
    if what == "token":
        await everything.tokens.create(name="a", role="admin")
    elif what == "audit entry":
        await everything.audit.append(actor="", address="", action="put", target="", detail={})
    else:
        for raw in (b"a", b"b"):
            digest = hashlib.sha256(raw).hexdigest()
            await everything.revisions.record(raw, origin="", author="", message="", digest=digest)
    before = await exported(everything)
    with pytest.raises(TransferError, match="not empty"):
        await everything.import_lines(as_lines(full))
    assert await exported(everything) == before


def changed(kind: str, **values: Any) -> Callable[[list[str]], list[str]]:
    """A change to the first line of a kind, with an end that fits."""

    def change(lines: list[str]) -> list[str]:
        place = next(n for n, line in enumerate(lines) if json.loads(line)["kind"] == kind)
        line = json.dumps(json.loads(lines[place]) | values, separators=(",", ":")) + "\n"
        return with_end([*lines[:place], line, *lines[place + 1 : -1]], lines[-1])

    return change


def with_end(lines: list[str], end: str) -> list[str]:
    """Lines with an end whose digest is right."""
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return [*lines, json.dumps(json.loads(end) | {"digest": digest})]


WRONG: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "nothing": (lambda _: [], "not whole"),
    "no header": (lambda lines: lines[1:], "header"),
    "two headers": (lambda lines: [lines[0], *lines], "header"),
    "another version": (changed("header", version=2), "version 2"),
    "another format": (changed("header", format="x"), "line 1"),
    "no end": (lambda lines: lines[:-1], "not whole"),
    "cut in a line": (lambda lines: [*lines[:-1], lines[-1][:-9]], "line"),
    "a line missing": (lambda lines: [*lines[:3], *lines[4:]], "line"),
    "after the end": (lambda lines: [*lines, lines[1]], "after the end"),
    "a text changed": (changed("revision", text="YQ=="), "digest"),
    "a group changed": (lambda lines: [line.replace('"group":"edge"', '"group":"eu"') for line in lines], "changed"),
    "no Base64": (changed("revision", text="%"), "Base64"),
    "a revision missing": (
        lambda lines: with_end([line for line in lines[:-1] if '"number":12,' not in line], lines[-1]),
        "without gaps",
    ),
    "an entry changed": (changed("audit", actor="eve"), "chain"),
    "an entry's number": (changed("audit", number=2), "chain"),
    "a token twice": (lambda lines: with_end([*lines[:3], lines[2], *lines[3:-1]], lines[-1]), "there before"),
    "another role": (changed("token", role="root"), "role"),
    "an unknown key": (changed("token", secret="x"), "secret"),
    "a year before time": (changed("token", created_at="0001-01-01T00:00:00+14:00"), "years"),
    "no time zone": (changed("token", created_at="2030-01-01T00:00:00"), "timezone"),
    "not storable": (changed("token", name="\0"), "stored"),
    "a negative number": (changed("revision", number=-1), "number"),
}


def read_whole(lines: list[str]) -> None:
    """As an import does before it touches the database."""
    check = Check()
    for line in lines:
        check.take(line.rstrip("\n").encode())
    check.finish()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_whole_is_refused(full: list[str], name: str) -> None:
    """The error says which line is wrong and why."""
    change, words = WRONG[name]
    with pytest.raises(TransferError, match=words):
        read_whole(change(full))


async def test_what_is_not_whole_changes_nothing(everything: Store, full: list[str]) -> None:
    """The store is as empty as before."""
    for lines in (full[:-1], [*full[:-2], full[-1]], ["".join(full)]):
        with pytest.raises(TransferError):
            await everything.import_lines(as_lines(lines))
    assert len(await exported(everything)) == 2


async def test_a_line_without_end_is_refused(everything: Store) -> None:
    """Memory has a bound, whatever is sent."""
    with pytest.raises(TransferError, match="more than"):
        await everything.import_lines(as_lines([b"x" * (17 * 1024 * 1024)]))


async def test_an_import_that_dies_on_the_way_changes_nothing(everything: Store, full: list[str]) -> None:
    """The caller goes away amid its lines."""

    async def broken() -> AsyncIterator[str]:
        for line in full[:5]:
            yield line
        raise StoreError("gone")

    with pytest.raises(StoreError, match="gone"):
        await everything.import_lines(broken())
    assert len(await exported(everything)) == 2


async def test_pruning_amid_an_export_leaves_no_gap(everything: Store) -> None:
    """An export is no transaction: what goes while it runs is missing at the old end, and it can be imported still."""
    await fill(everything)
    lines = []
    async for line in everything.export():
        lines.append(line)
        if '"kind":"revision"' in line:
            await everything.revisions.prune(2)
    read_whole(lines)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_line_is_right_or_a_transfer_error(full: list[str], data: st.DataObject) -> None:
    """Bytes of any kind, and lines of a real export with any of their values replaced, raise nothing else."""
    check = Check()
    for line in full[: data.draw(st.integers(0, len(full)))]:
        check.take(line.rstrip("\n").encode())
    line = json.loads(data.draw(st.sampled_from(full)))
    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(JSON)
    raw = data.draw(st.binary() | st.just(json.dumps(line).encode()))
    try:
        check.take(raw)
        check.finish()
    except TransferError:
        pass


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"kind":"node","types":{"a":' + b"[" * 100_000, b"9" * 10_000])
def test_what_would_break_a_parser_is_a_transfer_error(raw: bytes) -> None:
    """Depth and size that Python's own parser does not survive."""
    with pytest.raises(TransferError):
        Check().take(raw)


def test_values_that_no_json_writer_takes_are_a_transfer_error(full: list[str]) -> None:
    """A number of ten thousand digits and one that is infinite can be read and not be written again."""
    place = next(n for n, line in enumerate(full) if '"kind":"node"' in line)
    for value in ("9" * 10_000, "1e999", "[" * 190 + "]" * 190):
        check = Check()
        for line in full[:place]:
            check.take(line.rstrip("\n").encode())
        raw = full[place].rstrip("\n").replace('{"cds":"1"}', f'{{"cds":{value}}}')
        try:
            check.take(raw.encode())
        except TransferError:
            continue
        assert value.startswith("[")
