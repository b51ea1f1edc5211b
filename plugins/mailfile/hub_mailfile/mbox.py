"""Messages out of an mbox stream (mboxrd, mboxo, mboxcl), in constant memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

CHUNK_BYTES = 1024 * 1024
MAX_MESSAGE_BYTES = 150 * 1024 * 1024

# A separator carries a time of day; a body line "From now on ..." that somebody failed to escape does not.
_ENVELOPE = re.compile(rb"From [^\n]{0,300}\d\d:\d\d")
_ANY_ENVELOPE = re.compile(rb"From ")
_MARGIN = 400  # bytes a separator line and the blank line before it may need
_ESCAPED = re.compile(rb"^>(>*From )", re.M)


@dataclass(frozen=True, slots=True)
class Item:
    """A message and where the next one starts. data is None when it is larger than the limit of `size`."""

    data: bytes | None
    end: int
    size: int


def is_mbox(head: bytes) -> bool:
    """Whether these first bytes of a file are an mbox's."""
    return head.lstrip(b"\r\n").startswith(b"From ")


def read_mbox(stream: IO[bytes], start: int, max_bytes: int = MAX_MESSAGE_BYTES) -> Iterator[Item]:
    """Messages from the byte offset `start` on, which is 0 or the `end` of an earlier item.

    Yields message bytes without the "From " line, ">From " unescaped. A message over `max_bytes` is passed over
    without being held. Text before the first separator is dropped.
    """
    splitter = _Splitter(start, max_bytes)
    while chunk := stream.read(CHUNK_BYTES):
        yield from splitter.feed(chunk)
    yield from splitter.finish()


class _Splitter:
    """Holds the part of the stream from the open message's "From " line on, or a tail that may start one."""

    def __init__(self, start: int, max_bytes: int) -> None:
        self.buffer = b""
        self.base = start  # offset of buffer[0] in the stream
        self.origin = start
        self.message_at = -1  # offset of the open message's "From " line, -1 before the first
        self.search_from = 0  # no separator starts in the buffer before this
        self.envelope = _ENVELOPE
        self.max_bytes = max_bytes

    def feed(self, chunk: bytes) -> Iterator[Item]:
        self.buffer = self.buffer + chunk if self.buffer else chunk
        yield from self._cut(len(self.buffer) - _MARGIN)
        keep = self.message_at - self.base if self.message_at >= 0 else -1
        if keep < 0 or len(self.buffer) - keep > self.max_bytes:
            keep = max(keep, len(self.buffer) - _MARGIN - 4)  # too large, or no mail yet: nothing worth holding
        if keep > 0:
            self.buffer = self.buffer[keep:]
            self.base += keep
            self.search_from = max(0, self.search_from - keep)

    def finish(self) -> Iterator[Item]:
        yield from self._cut(len(self.buffer))
        if self.message_at >= 0:
            yield self._item(len(self.buffer))

    def _cut(self, limit: int) -> Iterator[Item]:
        """Yield every message whose following separator starts before `limit`."""
        at = self.search_from
        while 0 <= (at := self.buffer.find(b"From ", at)) < limit:
            if self._is_separator(at):
                if self.message_at >= 0:
                    yield self._item(at)
                self.message_at = self.base + at
            at += 5
        self.search_from = max(self.search_from, limit if at < 0 else min(at, limit))

    def _is_separator(self, at: int) -> bool:
        if self.message_at < 0 and not self.buffer[max(0, at - 100) : at].strip(b"\r\n") and self._is_origin(at):
            if _ENVELOPE.match(self.buffer, at) is None:
                self.envelope = _ANY_ENVELOPE  # a program that writes no time here writes it nowhere
            return True
        before = self.buffer[max(0, at - 3) : at]
        return before.endswith((b"\n\n", b"\n\r\n")) and self.envelope.match(self.buffer, at) is not None

    def _is_origin(self, at: int) -> bool:
        return self.base + at - self.origin <= 100

    def _item(self, end: int) -> Item:
        start = self.message_at - self.base
        size = self.base + end - self.message_at
        if start < 0 or size > self.max_bytes:
            return Item(None, self.base + end, size)
        line_end = self.buffer.find(b"\n", start, end)
        data = self.buffer[line_end + 1 : end] if line_end >= 0 else b""
        if b">From " in data:
            data = _ESCAPED.sub(rb"\1", data)
        return Item(data, self.base + end, size)
