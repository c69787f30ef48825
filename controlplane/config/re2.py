"""Whether a text is a regular expression that RE2, Envoy's engine, understands.

A checker of syntax only, without RE2 itself: names of Unicode classes and the size of the compiled program are left to
Envoy. See https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_REPEAT = 1000
_MAX_GROUPS_DEEP = 200

_REPEAT = re.compile(r"\{([0-9]{1,9})(?:(,)([0-9]{0,9}))?\}")
_FLAGS = re.compile(r"(?P<on>[imsU]*)(?:-[imsU]+)?[:)]")
_GROUP_NAME = re.compile(r"P?<([A-Za-z0-9_]+)>")
_UNICODE_CLASS = re.compile(r"[pP](?:[A-Za-z]|\{\^?[A-Za-z_]+\})")
_CHARACTER = re.compile(r"x(?:[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,6}\})|0[0-7]{0,2}|[1-7][0-7]{1,2}|[aftnrv]")
_CLASS_LETTERS = "dDsSwW"
_EMPTY_LETTERS = "AzbBC"
_POSIX = re.compile(r"\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]")
_MISSING_IN_RE2 = {
    "?=": "lookahead",
    "?!": "lookahead",
    "?<=": "lookbehind",
    "?<!": "lookbehind",
    "?>": "atomic group",
    "?P=": "backreference",
    "?P>": "recursion",
    "?R": "recursion",
    "?#": "comment",
    "?|": "branch reset",
    "?(": "condition",
    "?&": "recursion",
}
_LINEAR = "RE2 does without it to match in linear time; match with several routes instead"


class RegexError(ValueError):
    """A text is not a regular expression of RE2."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


def check_regex(text: str) -> None:
    """Read ``text`` as RE2 would.

    Raises:
        RegexError: RE2 would refuse it.
    """
    _Checker(text).check()


@dataclass(slots=True)
class _Group:
    """An open group: where it began, and how often its parts repeat each other at most."""

    begun_at: int
    repeats: int = 1


class _Checker:
    """One pass from left to right; ``_operand`` is how often the last operand repeats inside, or ``None``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._groups = [_Group(0)]
        self._operand: int | None = None
        self._just_repeated = False

    def check(self) -> None:
        while self._at < len(self._text):
            self._step(self._text[self._at])
        if len(self._groups) > 1:
            raise RegexError("a '(' is never closed", self._groups[-1].begun_at)

    def _step(self, character: str) -> None:
        if character == "(":
            self._open()
        elif character == ")":
            self._close()
        elif character == "|":
            self._at += 1
            self._operand, self._just_repeated = None, False
        elif character in "*+?":
            self._repeat(1, self._at + 1)
        elif character == "{" and (match := _REPEAT.match(self._text, self._at)):
            self._repeat(self._count(match), match.end())
        elif character == "[":
            self._take(self._class_end())
        elif character == "\\":
            self._take_escape()
        else:
            self._take(self._at + 1)

    def _take(self, end: int) -> None:
        self._at = end
        self._operand, self._just_repeated = 1, False

    def _open(self) -> None:
        if len(self._groups) > _MAX_GROUPS_DEEP:
            raise RegexError("groups are nested too deep", self._at)
        begun_at, rest = self._at, self._text[self._at + 1 :]
        self._at += 1
        if rest.startswith("?") and not self._open_special(rest):
            return
        self._groups.append(_Group(begun_at))
        self._operand, self._just_repeated = None, False

    def _open_special(self, rest: str) -> bool:
        """Step behind what follows ``(``; whether a group is open then (``(?i)`` opens none)."""
        missing = next((what for form, what in _MISSING_IN_RE2.items() if rest.startswith(form)), None)
        if missing is not None:
            raise RegexError(f"Envoy's regular expressions (RE2) have no {missing}", self._at - 1, _LINEAR)
        match = _GROUP_NAME.match(rest, 1) or _FLAGS.match(rest, 1)
        if match is None:
            raise RegexError("this group is not one that RE2 knows", self._at - 1, "write (…) or (?:…)")
        self._at += match.end()
        return not match[0].endswith(")")

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise RegexError("a ')' closes nothing", self._at, r"a literal one is \)")
        group = self._groups.pop()
        self._at += 1
        self._note(group.repeats)
        self._operand, self._just_repeated = group.repeats, False

    def _repeat(self, count: int, end: int) -> None:
        if self._operand is None:
            raise RegexError("there is nothing to repeat", self._at, "a literal one needs a \\ before it")
        if self._just_repeated:
            hint = "put the first into (?:…)" if self._text[self._at] != "+" else "RE2 has no possessive repetition"
            raise RegexError("a repetition of a repetition", self._at, hint)
        self._operand *= max(count, 1)
        if self._operand > _MAX_REPEAT:
            raise RegexError(f"a part is repeated more than {_MAX_REPEAT} times", self._at)
        self._note(self._operand)
        self._just_repeated = True
        self._at = end + 1 if self._text[end : end + 1] == "?" else end

    def _note(self, repeats: int) -> None:
        self._groups[-1].repeats = max(self._groups[-1].repeats, repeats)

    def _count(self, match: re.Match[str]) -> int:
        least = int(match[1])
        most = int(match[3]) if match[3] else least
        if most < least:
            raise RegexError("the most is less than the least", match.start())
        if most > _MAX_REPEAT:
            raise RegexError(f"a part is repeated more than {_MAX_REPEAT} times", match.start())
        return most

    def _take_escape(self) -> None:
        if not self._text.startswith(r"\Q", self._at):
            self._take(self._escape_end())
            return
        begun_at, end = self._at + 2, self._text.find(r"\E", self._at)
        if end == begun_at:
            self._at = end + 2
        else:
            self._take(len(self._text) if end < 0 else end + 2)

    def _escape_end(self) -> int:
        """Where the escape outside a class that begins here ends."""
        rest = self._text[self._at + 1 :]
        if rest[:1] and rest[0] in _EMPTY_LETTERS + _CLASS_LETTERS:
            return self._at + 2
        if match := _UNICODE_CLASS.match(rest):
            return self._at + 1 + match.end()
        return self._character_end(self._at)

    def _character_end(self, at: int) -> int:
        """Where the one (perhaps escaped) character that begins at ``at`` ends."""
        if self._text[at] != "\\":
            return at + 1
        rest = self._text[at + 1 :]
        if match := _CHARACTER.match(rest):
            if rest.startswith("x{") and int(match[0][2:-1], 16) > 0x10FFFF:
                raise RegexError("there is no such character", at)
            return at + 1 + match.end()
        if not rest:
            raise RegexError("the last \\ has nothing after it", at)
        if rest[0] in "123456789" or rest[0] == "k":
            raise RegexError("Envoy's regular expressions (RE2) have no backreference", at, _LINEAR)
        if not rest[0].isascii() or rest[0].isalnum():
            raise RegexError(f"\\{rest[0]} has no meaning", at)
        return at + 2

    def _class_end(self) -> int:
        """Where the ``[…]`` that begins here ends."""
        begun_at, at = self._at, self._at + 1
        at += self._text.startswith("^", at)
        first = True
        while first or not self._text.startswith("]", at):
            if at >= len(self._text):
                raise RegexError("a '[' is never closed", begun_at)
            at = self._class_item_end(at)
            first = False
        return at + 1

    def _class_item_end(self, at: int) -> int:
        if self._text.startswith("[:", at) and self._text.find(":]", at + 2) >= 0:
            match = _POSIX.match(self._text, at)
            if match is None:
                raise RegexError("this is not a class of characters", at, "[:alpha:] and [:digit:] are ones")
            return match.end()
        if self._text[at] == "\\":
            if self._text[at + 1 : at + 2] in tuple(_CLASS_LETTERS):
                return at + 2
            if match := _UNICODE_CLASS.match(self._text, at + 1):
                return match.end()
        end = self._character_end(at)
        is_range = self._text.startswith("-", end) and self._text[end + 1 : end + 2] not in ("]", "")
        return self._range_end(at, end) if is_range else end

    def _range_end(self, at: int, end: int) -> int:
        last = self._character_end(end + 1)
        low, high = _code_point(self._text[at:end]), _code_point(self._text[end + 1 : last])
        if high < low:
            raise RegexError("a range of characters runs backwards", at)
        return last


def _code_point(character: str) -> int:
    """The number of one character as a class writes it."""
    if not character.startswith("\\"):
        return ord(character)
    body = character[1:]
    if body[0] == "x":
        return int(body[1:].strip("{}"), 16)
    if body[0] in "01234567":
        return int(body, 8)
    return {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}.get(body, ord(body))
