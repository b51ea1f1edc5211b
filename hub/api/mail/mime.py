"""RFC 5322 / MIME bytes to a Mail: one pass over the delimiter lines, within budgets.

The standard library's `policy.default` costs about 3 ms a message, this about 0.4.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hub.api.errors import RecordRejected
from hub.api.mail.decode import decode_text, decode_transfer, decoded_size
from hub.api.mail.message import CONTAINERS, Headers, Mail, Part, assemble, part_from_headers

MAX_BYTES = 150 * 1024 * 1024
MAX_PARTS = 1000
MAX_DEPTH = 50
MAX_HEADER_BYTES = 8 * 1024 * 1024
MAX_PART_HEADER_BYTES = 64 * 1024

_FIRST_DELIMITER = re.compile(rb"(?:\A|\n)--([^\s][^\r\n]{0,100}?)[ \t]*\r?\n[A-Za-z-]{1,40}:")


def parse_mime(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_parts: int = MAX_PARTS, max_depth: int = MAX_DEPTH
) -> Mail:
    """A Mail from message bytes (an mbox "From " line before it is skipped).

    Whatever ends the lines, CR LF as on the wire or LF as in files, the Mail is the same; sizes are those on the wire.
    Parts beyond `max_parts` and nesting beyond `max_depth` are left out and named in `defects`.
    Raises: RecordRejected when there is nothing, more than `max_bytes`, or no header at all.
    Cost: one pass; linear in len(data).
    """
    if len(data) > max_bytes:
        raise RecordRejected(f"message of {len(data)} bytes: larger than the limit of {max_bytes}")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n") if b"\n" in data else data.replace(b"\r", b"\n")
    start = _after_envelope(data)
    defects: list[str] = []
    headers, body = _headers(data, start, len(data), MAX_HEADER_BYTES, defects)
    if not headers:
        raise RecordRejected("no mail headers found: not a message" if data.strip() else "the message is empty")
    root = part_from_headers("", headers)
    splitter = _Splitter(data, max_parts, max_depth, defects)
    splitter.run(root, headers, body)
    return assemble(headers, root, defects)


def _blank_line(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Where the first blank line from `start` on begins and ends, (-1, -1) when there is none before `stop`."""
    blank = data.find(b"\n\n", start, stop)
    return (blank, blank + 2) if blank >= 0 else (-1, -1)


def _delimiters(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, bytes]]:
    """Lines that begin with "--": (start, end without the line end, text behind the dashes)."""
    at = start if data.startswith(b"--", start) else data.find(b"\n--", start, stop) + 1 or -1
    while at >= 0:
        end = data.find(b"\n", at, stop)
        end = stop if end < 0 else end
        yield at, end, data[at + 2 : min(end, at + 1000)].rstrip()
        at = data.find(b"\n--", end, stop) + 1 or -1


def _after_envelope(data: bytes) -> int:
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while data[start : start + 1] == b"\n":
        start += 1
    while data.startswith((b"From ", b">From "), start):
        line_end = data.find(b"\n", start)
        if line_end < 0:
            break
        start = line_end + 1
    return start


def _headers(data: bytes, start: int, end: int, limit: int, defects: list[str]) -> tuple[Headers, int]:
    """Headers from `start` on, and where the body begins. Lines that are no header are passed over."""
    if data.startswith(b"\n", start):
        return [], start + 1
    stop = min(end, start + limit)
    blank, after_blank = _blank_line(data, start, stop)
    if blank >= 0:
        block, body = data[start:blank], after_blank
    else:
        block, body = data[start:stop], stop
        if stop < end:
            defects.append("too long a header")
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        text = "\n".join(decode_text(line) for line in block.split(b"\n"))
    if "\x00" in text:
        text = text.replace("\x00", "")
    if "\r" in text:
        text = text.replace("\r", "")
    found: Headers = []
    for line in text.replace("\n ", " ").replace("\n\t", "\t").split("\n"):
        name, colon, value = line.partition(":")
        if not colon or " " in (name := name.rstrip(" \t")) or not name:
            if line.strip():
                defects.append("line without a header name")
            continue
        found.append((name, value.strip()))
    if not found and blank < 0:
        return [], start
    return found, body


@dataclass(slots=True)
class _Open:
    """A multipart whose closing delimiter has not been met."""

    part: Part
    boundary: bytes
    depth: int
    next_number: int = 0


class _Splitter:
    """Fills a part's tree by walking the lines that begin with "--" once, with a stack of open boundaries."""

    def __init__(self, data: bytes, max_parts: int, max_depth: int, defects: list[str]) -> None:
        self.data = data
        self.max_parts = max_parts
        self.max_depth = max_depth
        self.defects = defects
        self.parts = 1
        self.open: list[_Open] = []
        self.level: dict[bytes, int] = {}  # boundary -> its place in `open`
        self.leaf: Part | None = None  # the part whose content is being passed over
        self.leaf_headers: Headers = []
        self.leaf_start = 0

    def run(self, root: Part, headers: Headers, body: int) -> None:
        self._enter(root, headers, body, 0)
        if self.open:
            self._split(body)
            if not root.children and root.media_type.startswith("multipart/"):
                self.defects.append("boundary not found")
                root.media_type = "text/plain"
                self.leaf, self.leaf_headers, self.leaf_start = root, headers, body
        self._close_leaf(len(self.data))

    def _split(self, body: int) -> None:
        for start, end, line in _delimiters(self.data, body, len(self.data)):
            level = self.level.get(line)
            is_last = False
            if level is None and line.endswith(b"--"):
                level = self.level.get(line[:-2])
                is_last = level is not None
            if level is None:
                continue
            self._close_leaf(start, before_delimiter=True)
            self._close_above(level + 1)
            if is_last:
                self._close_above(level)
                if not self.open:
                    return
            elif not self._next_part(level, end):
                return
        self.defects.append("multipart never closed")
        self._close_leaf(len(self.data))

    def _next_part(self, level: int, after: int) -> bool:
        if self.parts >= self.max_parts:
            self.defects.append(f"too many parts: the first {self.max_parts} kept")
            return False
        self.parts += 1
        owner = self.open[level]
        start = self.data.find(b"\n", after) + 1 or len(self.data)
        headers, body = self._part_headers(start)
        prefix = f"{owner.part.part_id}." if owner.part.part_id else ""
        part = part_from_headers(f"{prefix}{owner.next_number}", headers)
        if not headers and owner.part.media_type == "multipart/digest":
            part.media_type = "message/rfc822"
        owner.next_number += 1
        owner.part.children.append(part)
        self._enter(part, headers, body, owner.depth + 1)
        return True

    def _part_headers(self, start: int) -> tuple[Headers, int]:
        """Headers of a part, which end at a blank line or at the next delimiter of an open multipart."""
        data = self.data
        end = min(len(data), start + MAX_PART_HEADER_BYTES)
        blank, after_blank = _blank_line(data, max(0, start - 1), end)
        if blank >= 0:
            end = after_blank
        for at, _, line in _delimiters(data, start, end):
            if line in self.level or line.removesuffix(b"--") in self.level:
                end = at
                break
        if 0 <= blank < start:  # no headers at all
            return [], min(end, data.find(b"\n", start) + 1 or len(data))
        headers, body = _headers(data, start, end, MAX_PART_HEADER_BYTES, self.defects)
        return headers, body

    def _enter(self, part: Part, headers: Headers, body: int, depth: int) -> None:
        """Go into a multipart or an enclosed message, or note a leaf."""
        while part.media_type in CONTAINERS and self._may_go_deeper(depth):
            if _encoding(headers) in {"base64", "quoted-printable"}:
                break  # opaque, as RFC 2046 forbids encoding it
            headers, body = self._part_headers(body)
            prefix = f"{part.part_id}." if part.part_id else ""
            inner = part_from_headers(f"{prefix}0", headers)
            part.children.append(inner)
            part = inner
            depth += 1
        boundary = part.params.get("boundary", "") if part.media_type.startswith("multipart/") else ""
        key = boundary.rstrip().encode("utf-8", "replace")
        if part.media_type.startswith("multipart/") and not key:
            first = _FIRST_DELIMITER.search(self.data, max(0, body - 1), body + MAX_PART_HEADER_BYTES)
            key = first.group(1) if first else b""
            self.defects.append("multipart without boundary")
        if key and self._may_go_deeper(depth):
            if key not in self.level:
                self.level[key] = len(self.open)
                self.open.append(_Open(part, key, depth))
                self.leaf = None
                return
            self.defects.append("boundary used twice")
        if key or (part.media_type.startswith("multipart/") and self.open):
            self.leaf = None
            return
        if part.media_type.startswith("multipart/"):
            part.media_type = "text/plain"  # nothing to split at: read as text
        self.leaf, self.leaf_headers, self.leaf_start = part, headers, body

    def _may_go_deeper(self, depth: int) -> bool:
        if depth < self.max_depth:
            return True
        note = f"too deeply nested: {self.max_depth} levels kept"
        if note not in self.defects:
            self.defects.append(note)
        return False

    def _close_above(self, level: int) -> None:
        for closed in self.open[level:]:
            self.level.pop(closed.boundary, None)
        del self.open[level:]
        self.leaf = None

    def _close_leaf(self, end: int, before_delimiter: bool = False) -> None:
        part = self.leaf
        if part is None:
            return
        self.leaf = None
        if before_delimiter:  # the line end before a delimiter belongs to the delimiter
            end -= self.data[end - 1 : end] == b"\n"
        raw = self.data[self.leaf_start : max(self.leaf_start, end)]
        encoding = _encoding(self.leaf_headers)
        if part.is_text:
            part.content = decode_transfer(raw, encoding)
        if part.is_attachment or not part.is_text:
            part.size = decoded_size(raw if encoding == "base64" else raw.replace(b"\n", b"\r\n"), encoding)


def _encoding(headers: Headers) -> str:
    for name, value in headers:
        if len(name) == 25 and name.lower() == "content-transfer-encoding":
            return value.split(";", 1)[0].strip().lower()
    return ""
