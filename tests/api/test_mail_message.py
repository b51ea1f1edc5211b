"""MIME bytes to a Mail: structure, encodings, broken input within budgets."""

import base64
import binascii
import time
import tracemalloc

import pytest

from hub.api import RecordRejected
from hub.api.mail import Mail, Part, assemble, parse_mime, part_from_headers, to_interaction

HEAD = (
    b"From: ann@example.com\nTo: bob@example.org\nDate: Mon, 1 Mar 2021 10:00:00 +0100\nMessage-ID: <m1@example.com>\n"
)


def mail(extra: bytes, body: bytes = b"") -> Mail:
    return parse_mime(HEAD + extra + b"\n" + body)


def test_plain_message() -> None:
    got = parse_mime(HEAD + b"Subject: one\n  two\nX-A: 1\nx-a: 2\n\nHello\r\nthere\x00")
    assert got.get("SUBJECT") == "one  two"
    assert got.get_all("X-a") == ["1", "2"]
    assert got.get("none", "-") == "-"
    assert got.text == "Hello\nthere"
    assert (got.html, got.attachments, got.defects) == ("", (), ())


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_line_ends(newline: bytes) -> None:
    data = (HEAD + b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\none\n--b\n\ntwo\n--b--\n').replace(
        b"\n", newline
    )
    assert parse_mime(data).text == "one\ntwo"


def test_envelope_line_and_byte_order_mark_are_skipped() -> None:
    assert parse_mime(b"From x Mon Mar  1 10:00:00 2021\n" + HEAD + b"\nhi").get("from") == "ann@example.com"
    assert parse_mime(b"\xef\xbb\xbf" + HEAD + b"\nhi").headers[0] == ("From", "ann@example.com")


def test_alternatives_and_attachments() -> None:
    inner = (
        b"--o\nContent-Type: multipart/alternative; boundary=i\n\n"
        b"--i\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"Gr=C3=BC=\n=C3=9Fe\n"
        b"--i\nContent-Type: multipart/related; boundary=r\n\n--r\nContent-Type: text/html\n\n<p>Hi</p>\n"
        b"--r\nContent-Type: image/png; name=logo.png\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(b"x" * 100)
        + b"\n--r--\n--i--\n--o\nContent-Type: application/pdf\n"
        b"Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fb%C3%BC.pdf\n\nabc\n"
        b"--o\nContent-Type: text/plain\n\nfooter\n--o--\n"
    )
    got = mail(b"Content-Type: multipart/mixed; boundary=o\n", inner)
    assert got.text == "Grüße\nfooter"
    assert got.html == "<p>Hi</p>"
    assert [(a.external_id, a.filename, a.media_type, a.size) for a in got.attachments] == [
        ("0.1.1", "logo.png", "image/png", 100),
        ("1", "bü.pdf", "application/pdf", 3),
    ]


def test_html_between_plain_parts_keeps_its_place() -> None:
    body = b"--b\nContent-Type: text/html\n\n<b>words</b>\n--b\nContent-Type: text/plain\n\nfooter\n--b--"
    assert mail(b"Content-Type: multipart/mixed; boundary=b\n", body).text == "words\nfooter"


def test_a_named_part_is_the_body_when_there_is_no_other() -> None:
    got = mail(b"Content-Type: text/html; name=body.html\n", b"<p>words</p>")
    assert got.html == "<p>words</p>"
    assert got.attachments[0].filename == "body.html"


def test_enclosed_message_gives_files_but_no_words() -> None:
    body = (
        b"--b\n\nsee below\n--b\nContent-Type: message/rfc822\n\nFrom: eve@example.net\n"
        b"Content-Type: multipart/mixed; boundary=c\n\n--c\n\nsecret\n--c\n"
        b"Content-Disposition: attachment; filename=a.txt\n\nx\n--c--\n--b--\n"
    )
    got = mail(b"Content-Type: multipart/mixed; boundary=b\n", body)
    assert got.text == "see below"
    assert [a.filename for a in got.attachments] == ["a.txt"]


@pytest.mark.parametrize(
    ("extra", "body", "text"),
    [
        (b"Content-Type: multipart/mixed\n", b"--x\nContent-Type: text/plain\n\nhi\n--x--\n", "hi"),  # no boundary
        (b"Content-Type: multipart/mixed; boundary=b\n", b"--b\n\nhi\n", "hi"),  # never closed
        (b"Content-Type: multipart/mixed; boundary=nowhere\n", b"just words", "just words"),
        (b"Content-Type: multipart/mixed; boundary=b\n", b"--b\nContent-Type: text/plain\n--b\n\nhi\n--b--", "hi"),
        (b"Content-Type: nonsense\n", b"hi", "hi"),
        (b"Content-Type: text/plain; charset=no-such\n", b"caf\xe9", "café"),
        (b"Content-Transfer-Encoding: base64\n", b"aGk!=\n", "hi"),
        (b"Content-Transfer-Encoding: x-uuencode\n", b"begin 644 a\n" + binascii.b2a_uu(b"hi") + b"`\nend\n", "hi"),
        (b"this is no header\nX-B: 1\n", b"hi", "hi"),
        (b"Content-Type: text/plain; format=flowed\n", b"one \ntwo\n> q \n> r\n-- \nsig", "one two\n> q r\n-- \nsig"),
    ],
)
def test_broken_structures_keep_the_words(extra: bytes, body: bytes, text: str) -> None:
    assert mail(extra, body).text.strip() == text


def test_raw_eight_bit_headers() -> None:
    assert parse_mime("From: Jörg <j@example.com>\n\nx".encode()).get("from") == "Jörg <j@example.com>"
    assert parse_mime("From: Jörg <j@example.com>\n\nx".encode("latin-1")).get("from") == "Jörg <j@example.com>"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"no headers here", b"\x00\x01\x02" * 500])
def test_what_is_no_message_is_rejected(data: bytes) -> None:
    with pytest.raises(RecordRejected):
        parse_mime(data)


def test_size_budget() -> None:
    with pytest.raises(RecordRejected, match="larger than"):
        parse_mime(HEAD + b"\n" + b"x" * 1000, max_bytes=500)


def _nested(levels: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(levels))
    return HEAD + head + b"Content-Type: text/plain\n\nhi\n"


MULTIPART = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n"
BOMBS = {
    "nested multipart x1500": _nested(1500),
    "nested multipart x20000": _nested(20_000),
    "100k empty parts": MULTIPART + b"--b\n\n" * 100_000,
    "100k parts without a blank line": (MULTIPART + b"--b\n" * 100_000).replace(b"\n", b"\r\n"),
    "200k recipients": HEAD + b"Cc: " + b",\n ".join(b"u%d@example.com" % i for i in range(200_000)) + b"\n\nhi",
    "enclosed messages x20000": HEAD + b"Content-Type: message/rfc822\n\n" * 20_000 + b"\nhi",
    "delimiter-like lines": MULTIPART + b"--\n" * 100_000,
    "broken encoded words": HEAD + b"Subject: " + b"=?a?b?" * 100_000 + b"\n\nhi",
    "broken parameters": HEAD + b"Content-Type: text/plain" + b'; a*1*="\\"' * 50_000 + b"\n\nhi",
    "header lines": HEAD + b"X: y\n" * 100_000 + b"\nhi",
    "broken base64": HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"a=!" * 300_000,
    "one line of 10 MB": HEAD + b"\n" + b"a" * 10_000_000,
    "references loop": HEAD + b"References: " + b"<m1@example.com> " * 50_000 + b"\n\nhi",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_stay_within_time(name: str) -> None:
    started = time.process_time()
    result = to_interaction(parse_mime(BOMBS[name]), external_id="x")
    assert time.process_time() - started < 2
    assert result.dedup_keys == ("message-id:m1@example.com",)


def test_memory_is_bounded_by_the_message() -> None:
    data = BOMBS["100k empty parts"]
    tracemalloc.start()
    parse_mime(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * len(data) + 2_000_000


def test_what_was_left_out_is_named() -> None:
    assert any("too deeply" in d for d in parse_mime(BOMBS["nested multipart x1500"]).defects)
    assert any("too many parts" in d for d in parse_mime(BOMBS["100k empty parts"]).defects)
    for name in ("200k recipients", "one line of 10 MB"):
        assert "incomplete" in to_interaction(parse_mime(BOMBS[name]), external_id="x").signals
    long_html = mail(b"Content-Type: text/html\n", b"<p>word</p>" * 300_000)
    assert long_html.defects == ("too long a text",)


def test_parts_split_by_an_api_give_the_same_mail() -> None:
    """What the Gmail connector does: headers and decoded bodies arrive apart."""
    headers = [("From", "ann@example.com"), ("Content-Type", "multipart/alternative; boundary=b")]
    plain = part_from_headers("0", [("Content-Type", 'text/plain; charset="iso-8859-1"')])
    plain.content, plain.size = "Grüße".encode("latin-1"), 5
    markup = part_from_headers("1", [("Content-Type", "text/html; charset=utf-8")])
    markup.content = "<p>Grüße</p>".encode()
    root = part_from_headers("", headers)
    root.children = [plain, markup]
    raw = (
        b"From: ann@example.com\nContent-Type: multipart/alternative; boundary=b\n\n--b\n"
        b'Content-Type: text/plain; charset="iso-8859-1"\n\nGr\xfc\xdfe\n--b\n'
        b"Content-Type: text/html; charset=utf-8\n\n<p>Gr\xc3\xbc\xc3\x9fe</p>\n--b--\n"
    )
    assert assemble(headers, root) == parse_mime(raw)


def test_part_defaults() -> None:
    assert Part("0").media_type == "text/plain"
    assert part_from_headers("", [("Content-Disposition", 'attachment; filename="C:\\\\x\\\\CON"')]).filename == "CON"
