"""Splitting an mbox stream."""

import io

import pytest

from hub_mailfile import mbox
from hub_mailfile.mbox import is_mbox, read_mbox

SEP = b"From x@example.com Mon Mar  1 10:00:00 2021\n"


def split(data: bytes, start: int = 0, **limits: int) -> list[bytes | None]:
    stream = io.BytesIO(data)
    stream.seek(start)
    return [item.data for item in read_mbox(stream, start, **limits)]


def build(*bodies: bytes) -> bytes:
    return b"".join(SEP + b"Subject: s\n\n" + body + b"\n\n" for body in bodies)


def test_messages_and_escapes() -> None:
    got = split(build(b"one\n>From here\n>>From there", b"two\nFrom inside a line"))
    assert got == [
        b"Subject: s\n\none\nFrom here\n>From there\n\n",
        b"Subject: s\n\ntwo\nFrom inside a line\n\n",
    ]


def test_a_forgotten_escape_does_not_split() -> None:
    assert len(split(build(b"one\n\nFrom now on we meet.\n\nBye"))) == 1


def test_separators_without_a_time_where_the_first_has_none() -> None:
    assert len(split(b"From ann\nSubject: a\n\nx\n\nFrom bob\nSubject: b\n\ny\n")) == 2


def test_crlf_empty_and_preamble() -> None:
    assert split(build(b"a", b"b").replace(b"\n", b"\r\n"))[1] == b"Subject: s\r\n\r\nb\r\n\r\n"
    assert split(b"") == []
    assert split(b"some text\n" * 100) == []
    assert split(b"some text\n" * 100 + b"\n" + build(b"a")) == [b"Subject: s\n\na\n\n"]
    assert is_mbox(b"\nFrom x")
    assert not is_mbox(b"From: x")


@pytest.mark.parametrize("size", [1, 7, 64, 450, 1000])
def test_chunk_borders_do_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = build(*(b"line %d\n\nFrom here on\n" % i * (i % 5) for i in range(60)))
    whole = split(data)
    monkeypatch.setattr(mbox, "CHUNK_BYTES", size)
    assert split(data) == whole
    assert len(whole) == 60


def test_reading_goes_on_at_any_item() -> None:
    data = build(*(b"body %d" % i for i in range(20)))
    items = list(read_mbox(io.BytesIO(data), 0))
    for number, item in enumerate(items):
        assert split(data, item.end) == [i.data for i in items[number + 1 :]]


def test_a_huge_message_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbox, "CHUNK_BYTES", 1000)
    data = build(b"small", b"x\n" * 20_000, b"last")
    got = split(data, max_bytes=5000)
    assert got == [b"Subject: s\n\nsmall\n\n", None, b"Subject: s\n\nlast\n\n"]
