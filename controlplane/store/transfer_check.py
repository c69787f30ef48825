"""Whether lines are a whole export, line by line: nothing missing, nothing changed, nothing twice."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

from controlplane.store.errors import TransferError
from controlplane.store.sql_audit import Chain
from controlplane.store.transfer_lines import (
    VERSION,
    ApiKeyLine,
    AuditLine,
    EndLine,
    HeaderLine,
    Line,
    NodeLine,
    OriginLine,
    OverrideLine,
    RevisionLine,
    TokenLine,
    read_line,
)

KINDS = ("revision", "audit", "token", "api_key", "limit_override", "node", "origin")
_MOST_NAMED = 200_000
"""Tokens, API keys, overrides, nodes and origins that one export may have: their names are remembered meanwhile."""


class Check:
    """Sees every line of an export once, in order."""

    def __init__(self) -> None:
        self._seen = 0
        self._hash = hashlib.sha256()
        self._counts: Counter[str] = Counter()
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._revision: int | None = None
        self._chain = Chain()
        self._ended = False

    def take(self, raw: bytes) -> Line:
        """The next line, without its line feed.

        Raises:
            TransferError: it can't be the next one of a whole export.
        """
        self._seen += 1
        line = read_line(raw, self._seen)
        if self._ended:
            raise self._wrong("something comes after the end")
        if isinstance(line, HeaderLine) is not (self._seen == 1):
            raise self._wrong("a header is the first line and no other")
        if isinstance(line, EndLine):
            self._end(line)
        else:
            self._check(line)
            self._hash.update(raw + b"\n")
        return line

    def finish(self) -> dict[str, int]:
        """Lines by kind, when there is no line any more.

        Raises:
            TransferError: the end is missing.
        """
        if not self._ended:
            raise TransferError("the import ends before its last line: it is not whole")
        return {kind: self._counts[kind] for kind in KINDS}

    def _check(self, line: Line) -> None:
        match line:
            case HeaderLine():
                if line.version != VERSION:
                    raise self._wrong(f"version {line.version} of the format is not known, only {VERSION}")
                return
            case RevisionLine():
                self._check_revision(line)
            case AuditLine():
                if not self._chain.add(line.entry()):
                    raise self._wrong("the chain of the audit log is broken here")
            case TokenLine() | ApiKeyLine() | OverrideLine() | NodeLine():
                self._check_name(line.kind, line.id)
            case OriginLine():
                self._check_name(line.kind, line.origin)
        self._counts[line.kind] += 1

    def _check_revision(self, line: RevisionLine) -> None:
        try:
            raw = line.raw()
        except ValueError as error:
            raise self._wrong(str(error)) from None
        if hashlib.sha256(raw).hexdigest() != line.digest:
            raise self._wrong("the digest is not that of the text")
        if self._revision is not None and line.number != self._revision - 1:
            raise self._wrong("revisions come newest first, without gaps")
        self._revision = line.number

    def _check_name(self, kind: str, name: str) -> None:
        names = self._names[kind]
        if name in names:
            raise self._wrong(f"this {kind} was there before")
        if len(names) == _MOST_NAMED:
            raise self._wrong(f"an import has at most {_MOST_NAMED} of these")
        names.add(name)

    def _end(self, line: EndLine) -> None:
        said = dict.fromkeys(KINDS, 0) | line.counts  # what was written before there were some of them counts none
        if line.digest != self._hash.hexdigest() or said != {kind: self._counts[kind] for kind in KINDS}:
            raise self._wrong("this is not the end of the lines before: some are missing, or were changed")
        self._ended = True

    def _wrong(self, why: str) -> TransferError:
        return TransferError(f"line {self._seen} of the import is not right: {why}")
