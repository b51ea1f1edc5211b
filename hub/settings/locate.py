"""Where each key of a TOML text stands, because the standard parser forgets it.

Only for error messages, so it takes text that `tomllib` has already accepted and does not check it again.
"""

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of the file: ("connections", "gmail", "streams", 0)."""

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]}#]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key and its value begin; lines and columns count from 1, columns in characters."""

    line: int
    column: int
    value_line: int
    value_column: int


def locate(text: str) -> dict[KeyPath, Place]:
    """The place of every table, key and list item of a valid TOML text."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.places


class _Scanner:
    def __init__(self, text: str) -> None:
        self.places: dict[KeyPath, Place] = {}
        self._text = text
        self._at = 0
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]
        self._last_item: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 2 if is_array else 1
        keys = self._keys()
        self._skip(_SPACE)
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for i, key in enumerate(keys):
            path += (key,)
            if is_array and i == len(keys) - 1:
                self._last_item[path] = self._last_item.get(path, -1) + 1
                self._note(path, start, start)
                path += (self._last_item[path],)
            elif path in self._last_item:
                path += (self._last_item[path],)
            self._note(path, start, start)
        return path

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        keys = self._keys()
        self._skip(_SPACE)
        self._at += 1  # the "="
        self._skip(_SPACE)
        path = table
        for key in keys:
            path += (key,)
            self._note(path, start, self._at)
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                keys.append(str(tomllib.loads("key = " + self._take(_STRING))["key"]))
            else:
                keys.append(self._take(_BARE_KEY))
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        first = self._text[self._at]
        if first in "\"'":
            self._take(_STRING)
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._take(_PLAIN)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._at += 1
        while self._has_more("]"):
            self._note((*path, index), self._at, self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._has_more("}"):
            self._pair(path)

    def _has_more(self, end: str) -> bool:
        """At the next item (a comma is stepped over), or False just past the closing bracket."""
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] == end:
            self._at += 1
            return False
        return True

    def _note(self, path: KeyPath, start: int, value: int) -> None:
        self.places.setdefault(path, Place(*self._line_column(start), *self._line_column(value)))

    def _line_column(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"not TOML at offset {self._at}")
        self._at = found.end()
        return found[0]
