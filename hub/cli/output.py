"""What commands write with: one JSON document, or text of at most 80 columns; progress and problems go to stderr."""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from time import monotonic
from typing import Any, TextIO

from hub.cli.text import clean, cut, pad, width, wrap

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_PLAIN = str.maketrans({"…": "~", "·": "-", "→": ">", "←": "<", "↔": "=", "─": "-", "█": "#", "–": "-"})
STATUS_STYLES = {
    "healthy": "green", "applied": "green", "approved": "green", "needs-reconnect": "red", "broken": "red",
    "degraded": "yellow", "stale": "yellow", "waiting-until": "yellow", "held": "yellow", "partly": "yellow",
}  # fmt: skip
PROGRESS_EVERY_S = 5.0


class Screen:
    """One command's output. `is_json`: `emit` prints the document and `line` nothing, else the other way round.

    A plain class, as all that `ihub health` needs: the module dataclasses costs more than its question to the database.
    """

    def __init__(
        self, is_json: bool = False, is_quiet: bool = False, zone: tzinfo = UTC, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:  # fmt: skip
        self.is_json, self.is_quiet, self.zone = is_json, is_quiet, zone
        self.out, self.err = out or sys.stdout, err or sys.stderr
        self.colour = _has_colour(self.out)
        self.columns = _columns(self.out)
        self._progress = ""
        self._progress_at = monotonic()

    # --- results on stdout --------------------------------------------------------------------------------------

    def emit(self, document: Any) -> None:
        """The command's one JSON document."""
        if self.is_json:
            self.clear()
            print(as_json(document), file=self.out)

    def line(self, text: str = "", style: str = "", indent: int = 0) -> None:
        """One line, cut to the width."""
        if not self.is_json:
            self.clear()
            self._print(" " * indent + self.styled(cut(text, self.columns - indent), style))

    def pieces(self, *pieces: tuple[str, str], indent: int = 0) -> None:
        """One line of (text, style) pieces; the last one is cut where they do not fit."""
        if self.is_json:
            return
        room, shown = self.columns - indent, []
        for text, style in pieces:
            kept = cut(text, room)
            room -= width(kept)
            shown.append(self.styled(kept, style))
        self.clear()
        self._print(" " * indent + "".join(shown).rstrip(" "))

    def text(self, text: str, style: str = "", indent: int = 0, lines: int | None = None) -> None:
        """A paragraph, wrapped."""
        for each in wrap(text, self.columns - indent, lines):
            self.line(each, style, indent)

    def ends(self, left: str, right: str, style: str = "", indent: int = 0, right_style: str = "dim") -> None:
        """Text on the left, cut where it would run into the text on the right."""
        room = self.columns - indent - width(right) - 2
        if room < 16:
            self.line(left, style, indent)
            self.line(right, right_style, indent)
        else:
            self.pieces((pad(left, room), style), ("  ", ""), (right, right_style), indent=indent)

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, "bold")

    def fields(self, rows: Sequence[tuple[str, str]], indent: int = 2) -> None:
        """Name and value per line, the values under each other and wrapped."""
        left = max((width(name) for name, _ in rows), default=0) + 2
        for name, value in rows:
            first, *rest = wrap(value, self.columns - indent - left) or [""]
            self.pieces((pad(name, left), "dim"), (first, ""), indent=indent)
            for each in rest:
                self.line(each, indent=indent + left)

    def table(
        self, head: Sequence[str], rows: Sequence[Sequence[object]], align: str = "", flexible: int = 0, indent: int = 2
    ) -> None:
        """Columns as wide as needed; `flexible` names the one that gives way. align: "<" or ">" per column."""
        if self.is_json or not rows:
            return
        cells = [[clean(cell) for cell in row] for row in rows]
        align = align or "<" * len(head)
        sizes = [max(width(str(row[i])) for row in [list(head), *cells]) for i in range(len(head))]
        over = sum(sizes) + 2 * (len(sizes) - 1) + indent - self.columns
        sizes[flexible] = max(8, sizes[flexible] - max(0, over))
        titles = "  ".join(pad(name, size, a) for name, size, a in zip(head, sizes, align, strict=True))
        self.line(titles.rstrip(), "dim", indent)
        for row in cells:
            pieces = []
            for text, size, a in zip(row, sizes, align, strict=True):
                pieces += [(pad(text, size, a), STATUS_STYLES.get(text, "")), ("  ", "")]
            self.pieces(*pieces[:-1], indent=indent)

    def hint(self, text: str) -> None:
        """What to do next; not for scripts."""
        if not self.is_quiet and not self.is_json:
            self.line()
            self.text(text, "dim")

    def styled(self, text: str, style: str) -> str:
        if not self.colour or style not in _STYLES or not text.strip():
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def _print(self, text: str) -> None:
        print(_safe(self.out, text), file=self.out)

    # --- the way there, on stderr -------------------------------------------------------------------------------

    def progress(self, text: str, *, is_forced: bool = False) -> None:
        """On a terminal one line that overwrites itself; elsewhere a line every few seconds."""
        if self.is_quiet:
            return
        now = monotonic()
        if self.err.isatty():
            self._progress = cut(clean(text), self.columns - 1)
            self.err.write(f"\r\x1b[K{_safe(self.err, self._progress)}")
            self.err.flush()
        elif is_forced or now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            print(_safe(self.err, clean(text)), file=self.err, flush=True)

    def clear(self) -> None:
        """Take the progress line away."""
        if self._progress:
            self.err.write("\r\x1b[K")
            self.err.flush()
            self._progress = ""

    def complain(self, text: str) -> None:
        """A problem, wrapped; messages about settings bring their own lines. Paths and addresses are not broken."""
        self.clear()
        for row in text.splitlines():
            indent = "  " if row.startswith(" ") else ""
            for i, line in enumerate(wrap(row, self.columns - 2, is_breaking=False)):
                print(_safe(self.err, (indent if i == 0 else "  ") + line), file=self.err)

    def aside(self, text: str) -> None:
        """One laid-out line on stderr, cut to the width."""
        self.clear()
        print(_safe(self.err, cut(text, self.columns).rstrip()), file=self.err)

    def ask(self, question: str) -> bool:
        """A person's yes, asked on the terminal; False where nobody can be asked."""
        if not can_ask():
            return False
        self.clear()
        self.err.write(f"{question} [y/N] ")
        self.err.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}


def can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _has_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _columns(stream: TextIO) -> int:
    """80, less on a narrow terminal."""
    if stream.isatty():
        try:
            return max(40, min(80, os.get_terminal_size(stream.fileno()).columns))
        except (OSError, ValueError):
            pass
    return 80


def _safe(stream: TextIO, text: str) -> str:
    """The text as the stream can show it: an old terminal gets plain signs instead of an error."""
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN).encode("ascii", "replace").decode()
    return text


def as_json(document: Any) -> str:
    """Readable JSON: instants as ISO 8601 UTC with "Z", spans in seconds, anything unknown as its text."""
    import json

    return json.dumps(_plain(document), indent=2, ensure_ascii=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
