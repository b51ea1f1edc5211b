"""Writes RFC 5322 bytes by hand, so that the same company gives the same bytes on every Python version.

In: headers as text, a plain and an HTML body, attachments. Out: bytes with CRLF line ends. The standard library's
generator folds differently between releases, which would break the promise.
"""

from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LOCAL = timezone(timedelta(hours=1))
"""The zone of everybody's wall clock in the demo, without daylight saving so that dates stay easy to read."""

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """An attachment. `media_type` like "application/pdf"; `content` as bytes."""

    name: str
    media_type: str
    content: bytes


def date_header(at: datetime) -> str:
    """An aware datetime as RFC 5322 writes it, in `LOCAL`: "Tue, 3 Nov 2026 09:14:05 +0100"."""
    t = at.astimezone(LOCAL)
    return f"{_DAYS[t.weekday()]}, {t.day} {_MONTHS[t.month - 1]} {t.year} {t:%H:%M:%S} +0100"


def asctime(at: datetime) -> str:
    """The UTC form of an mbox separator line: "Tue Nov  3 08:14:05 2026"."""
    return f"{_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {at.day:2d} {at:%H:%M:%S} {at.year}"


def encoded(text: str) -> str:
    """Header text; as RFC 2047 encoded words (base64, UTF-8) when it is not plain ASCII."""
    if text.isascii():
        return text
    words = []
    for start in range(0, len(text), 16):
        chunk = b64encode(text[start : start + 16].encode()).decode()
        words.append(f"=?utf-8?B?{chunk}?=")
    return "\r\n ".join(words)


def address(mailbox: str) -> str:
    """`Name <local@domain>` with the name encoded or quoted where it must be; a bare address stays as it is."""
    name, bracket, rest = mailbox.rpartition(" <")
    if not bracket:
        return mailbox
    if not name.isascii():
        return f"{encoded(name)} <{rest}"
    return f'"{name}" <{rest}' if any(c in name for c in ',;:@()."') else f"{name} <{rest}"


def addresses(mailboxes: Sequence[str]) -> str:
    return ",\r\n ".join(address(m) for m in mailboxes)


def head(headers: Sequence[Header]) -> bytes:
    """Header lines without the blank line. Values must be ASCII and folded already (see `encoded`)."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")


def _text_part(text: str, subtype: str) -> bytes:
    """One text part with its own headers, 7bit where lines are short ASCII, else quoted-printable."""
    text = text if text.endswith("\n") else text + "\n"
    if text.isascii() and all(len(line) <= 78 for line in text.split("\n")):
        encoding, data = "7bit", text.encode()
    else:
        encoding, data = "quoted-printable", b2a_qp(text.encode(), istext=True)
    top = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return top.encode() + data.replace(b"\n", b"\r\n")


def _file_part(file: File) -> bytes:
    top = (
        f'Content-Type: {file.media_type}; name="{file.name}"\r\n'
        f'Content-Disposition: attachment; filename="{file.name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return top.encode() + encodebytes(file.content).replace(b"\n", b"\r\n")


def multipart(subtype: str, boundary: str, parts: Sequence[bytes], parameters: str = "") -> bytes:
    """A multipart entity, headers included."""
    top = f'Content-Type: multipart/{subtype}; boundary="{boundary}"{parameters}\r\n\r\n'.encode()
    mark = f"--{boundary}\r\n".encode()
    return top + b"".join(mark + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def content(plain: str, html: str, files: Sequence[File], boundary: str) -> bytes:
    """The body entity: text, HTML or both, with files around them when there are any. "" leaves a body out."""
    parts = []
    if plain:
        parts.append(_text_part(plain, "plain"))
    if html:
        parts.append(_text_part(html, "html"))
    body = parts[0] if len(parts) == 1 else multipart("alternative", f"alt-{boundary}", parts)
    if not files:
        return body
    return multipart("mixed", f"mix-{boundary}", [body, *(_file_part(f) for f in files)])


def pdf(title: str, lines: Sequence[str]) -> bytes:
    """A small valid one-page PDF, so that an attachment opens when somebody clicks on it."""
    text = "".join(f"({_pdf_text(line)}) Tj T* " for line in (title, "", *lines))
    stream = f"BT /F1 12 Tf 72 770 Td 18 TL {text}ET".encode("latin-1", "replace")
    resources = b"<< /Font << /F1 5 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources %s >>" % resources,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer << /Size 6 /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % len(out)
    )


def _pdf_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
