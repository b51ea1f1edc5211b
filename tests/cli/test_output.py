"""Widths, wrapping, words for times; what goes to a terminal and what to a file."""

import io
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hub.cli import text
from hub.cli.output import Screen, as_json

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "columns"),
    [("abc", 3), ("Tomás", 5), ("Toma\u0301s", 5), ("日本", 4), ("🙂", 2), ("a\u200bb", 2), ("", 0)],
)
def test_width_counts_columns(shown: str, columns: int) -> None:
    assert text.width(shown) == columns


def test_cut_and_pad_keep_to_the_columns() -> None:
    assert text.cut("abcdef", 4) == "abc…"
    assert text.width(text.cut("日本語日本語", 6)) <= 6
    assert text.pad("日本", 6) == "日本  "
    assert text.pad("7", 3, ">") == "  7"
    assert text.cut("abc", 0) == ""


def test_wrap_breaks_at_spaces_and_long_words() -> None:
    assert text.wrap("one two three", 7) == ["one two", "three"]
    assert text.wrap("x" * 10, 4) == ["xxxx", "xxxx", "xx"]
    assert text.wrap("see /a/very/long/path", 8, is_breaking=False) == ["see", "/a/very/long/path"]
    assert text.wrap("one two three four", 7, 2) == ["one two", "three…"]
    assert text.wrap("日本語" * 3, 6) == ["日本語"] * 3
    assert text.wrap("", 5) == []


def test_foreign_text_cannot_steer_the_terminal() -> None:
    evil = "hi\x1b[31mred\x1b]0;title\x07\r\nnext\u202egnp.exe\x9b2J\ud800"
    assert text.clean(evil) == "hi [31mred ]0;title next gnp.exe 2J"


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        (timedelta(seconds=20), "just now"), (timedelta(minutes=3), "3 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=-5), "in 5 hours"), (timedelta(hours=21), "yesterday"), (timedelta(hours=-20), "tomorrow"),
        (timedelta(days=9), "9 days ago"), (timedelta(days=-3, hours=5), "in 3 days"),
        (timedelta(days=90), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)  # fmt: skip
def test_times_in_words(apart: timedelta, words: str) -> None:
    assert text.ago(NOW - apart, NOW) == words


def test_days_are_counted_in_the_zone_shown() -> None:
    late = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    assert text.ago(late, NOW) == "yesterday"
    assert text.ago(late, NOW, ZoneInfo("Asia/Tokyo")) == "2 days ago"


def test_moments_carry_their_zone() -> None:
    assert text.moment(NOW, ZoneInfo("Europe/Berlin")) == "Sat 21 Nov 2026 21:00 CET"
    assert text.moment(None, UTC) == "never"
    assert text.day(datetime(2026, 11, 1, tzinfo=UTC), UTC) == "1 Nov 2026"


def test_json_of_instants_spans_and_odd_text() -> None:
    assert '"2026-11-21T20:00:00Z"' in as_json({"at": NOW})
    assert "90.0" in as_json([timedelta(seconds=90)])
    assert as_json({"x": {"b", "a"}}).split() == ["{", '"x":', "[", '"a",', '"b"', "]", "}"]
    as_json({"text": "\ud800"}).encode()


def test_an_old_terminal_gets_plain_signs() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    Screen(out=out).line("Tomás → Ana … 日")
    out.flush()
    assert raw.getvalue() == b"Tom?s > Ana ~ ?\n"
    out.close()


def test_progress_on_a_pipe_is_rare_lines_and_nothing_when_quiet(monkeypatch) -> None:
    err = io.StringIO()
    clock = iter([0.0, 1.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr("hub.cli.output.monotonic", lambda: next(clock))
    screen = Screen(out=io.StringIO(), err=err)
    for n in range(3):
        screen.progress(f"step {n}")
    assert err.getvalue() == "step 1\n"
    quiet = Screen(is_quiet=True, out=io.StringIO(), err=err)
    quiet.progress("more", is_forced=True)
    assert "more" not in err.getvalue()


def test_a_table_gives_way_in_its_flexible_column() -> None:
    out = io.StringIO()
    Screen(out=out).table(("name", "n"), [("x" * 200, 7), ("short", 12)], "<>")
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith("…   7")


def _on_terminal(home, **env: str) -> bytes:
    """A bold line with a terminal for all three streams."""
    ours, theirs = pty.openpty()
    keep = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TERM"}}
    program = [sys.executable, "-c", "from hub.cli.output import Screen; Screen().line('Halden', 'bold')"]
    done = subprocess.run(
        program, stdin=theirs, stdout=theirs, stderr=theirs, cwd=home, env={**keep, "TERM": "xterm", **env}, check=True
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(ours)
    assert done.returncode == 0
    return shown


def test_colour_only_on_a_terminal_that_wants_it(tmp_path) -> None:
    assert b"\x1b[1m" in _on_terminal(tmp_path)
    assert b"\x1b" not in _on_terminal(tmp_path, NO_COLOR="1")
    assert b"\x1b" not in _on_terminal(tmp_path, TERM="dumb")
