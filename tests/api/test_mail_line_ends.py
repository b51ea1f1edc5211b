"""One message, whatever ends its lines: as on the wire, as in a file, or as a careless program has mixed them."""

import re
from datetime import UTC, datetime
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.api import Interaction
from hub.api.mail import parse_mime, to_interaction
from hub.demo import Company

END = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


@cache
def letters() -> list[bytes]:
    """Every distinct message of the made-up company, the odd ones and those with files included."""
    return sorted({letter.core for letter in Company.build(end=END, days=30).letters}, key=len)


def read(raw: bytes) -> Interaction:
    return to_interaction(parse_mime(raw), external_id="m")


def in_a_file(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n")


def test_every_letter_is_the_same_with_either_line_end() -> None:
    assert any(b"multipart/mixed" in raw for raw in letters())
    assert any(b"quoted-printable" in raw for raw in letters())
    for raw in letters():
        assert read(in_a_file(raw)) == read(raw)


@given(st.data())
def test_and_with_line_ends_of_both_kinds(data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(letters()[:-5]))
    rng = Random(data.draw(st.integers(0, 2**32)))
    mixed = re.sub(rb"\r\n", lambda _: rng.choice((b"\r\n", b"\n")), raw)
    assert read(mixed) == read(raw)


TREE = """From: a@x.example\r
Date: Tue, 10 Mar 2026 09:00:00 +0000\r
Content-Type: multipart/mixed; boundary=b\r
\r
preamble\r
--b\r
Content-Type: text/plain; format=flowed\r
\r
One line \r
that flows\r
\r
-- \r
Ana\r
--b\r
Content-Type: {kind}\r
Content-Disposition: attachment; filename="a"\r
Content-Transfer-Encoding: {encoding}\r
\r
{content}\r
--b--\r
"""


@pytest.mark.parametrize(
    ("kind", "encoding", "content", "size"),
    [
        ("text/plain", "7bit", "one\r\ntwo\r\n", 10), ("application/json", "8bit", "{\r\n}", 4),
        ("text/csv", "quoted-printable", "a=3Db\r\nsoft=\r\nbreak\r\n=0A", 17),
        ("application/pdf", "base64", "AAEC\r\nAwQF", 6), ("text/x-diff", "binary", "", 0),
    ],
)  # fmt: skip
def test_files_have_the_size_they_have_on_the_wire(kind: str, encoding: str, content: str, size: int) -> None:
    raw = TREE.format(kind=kind, encoding=encoding, content=content).encode()
    found = read(raw)
    assert ([f.size for f in found.attachments], found.text) == ([size], "One line that flows")
    assert read(in_a_file(raw)) == found
    assert read(in_a_file(raw).replace(b"\n", b"\r")).subject == found.subject, "the line ends of an old Mac"


def test_a_named_text_shown_in_place_has_its_size_too() -> None:
    raw = TREE.format(kind="text/plain", encoding="7bit", content="a\r\nb").replace("attachment;", "inline;").encode()
    assert [f.size for f in read(raw).attachments] == [4]
    assert read(in_a_file(raw)) == read(raw)
