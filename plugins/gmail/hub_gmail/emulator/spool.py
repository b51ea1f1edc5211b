"""Where message bytes live: one nameless temporary file, compressed, so that a big mailbox costs little memory."""

import os
import tempfile
import threading
import weakref
import zlib
from typing import NamedTuple


class Place(NamedTuple):
    """Where a blob is in the file, in bytes."""

    offset: int
    length: int


class Spool:
    """Append-only. Space of replaced or deleted blobs is not won back: it lasts as long as the emulator."""

    def __init__(self) -> None:
        file = tempfile.TemporaryFile(prefix="gmail-emulator-", buffering=0)  # noqa: SIM115 - closed by finalize
        self._fd = file.fileno()
        self._end = 0
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, file.close)

    def put(self, data: bytes) -> Place:
        packed = zlib.compress(data, 1)
        with self._lock:
            place = Place(self._end, len(packed))
            view, at = memoryview(packed), self._end
            while view:
                written = os.pwrite(self._fd, view, at)
                view, at = view[written:], at + written
            self._end = at
        return place

    def get(self, place: Place) -> bytes:
        return zlib.decompress(os.pread(self._fd, place.length, place.offset))
