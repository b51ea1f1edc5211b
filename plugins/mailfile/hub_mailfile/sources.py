"""The places mail files keep messages: one file, a folder tree, a tar or zip archive.

Each is an ordered list of containers, and a container holds one message or an mbox of many; what it is shows in its
first bytes, not in its name. Every fault of the file becomes a ConfigError that names it and the way out.
"""

import gzip
import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from hub.api import ConfigError
from hub_mailfile.mbox import MAX_MESSAGE_BYTES, Item, is_mbox, read_mbox

# Files beside the mail in exports and mail folders.
_NOT_MAIL = {
    ".json", ".html", ".htm", ".csv", ".ics", ".vcf", ".xml", ".jpg", ".jpeg", ".png", ".gif", ".pdf", ".msf",
    ".dat", ".index", ".log", ".lock", ".db", ".sqlite", ".zip", ".js", ".css", ".md",
}  # fmt: skip
_MAIL_NOTES = ("dovecot", "courier", "maildirfolder", "subscriptions", "_macosx")


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a source: the container's number and the byte offset in it."""

    container: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A message (None: over the size limit), the place behind it, and a name for reports."""

    data: bytes | None
    after: Place
    name: str


class Source(Protocol):
    """size: bytes on disk. can_grow: new messages are only ever added behind the old ones."""

    path: Path
    size: int
    can_grow: bool

    def fingerprint(self) -> str:
        """The same text as long as nothing has changed."""
        ...

    def messages(self, start: Place) -> Iterator[Found]: ...
    def consumed(self) -> int:
        """Bytes on disk read so far, for estimates."""
        ...


@contextmanager
def file_faults(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into a ConfigError for the admin."""
    try:
        yield
    except FileNotFoundError as exc:
        raise _fault(path, "does not exist", "check the setting `path`") from exc
    except PermissionError as exc:
        raise _fault(path, "may not be read", "give the hub's user read permission") from exc
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile) as exc:
        raise _fault(path, f"is damaged or cut short ({exc})", "download or copy the file again") from exc
    except (NotImplementedError, RuntimeError) as exc:  # zip: unknown compression, password
        raise _fault(path, f"cannot be unpacked ({exc})", "unpack it and point `path` at the folder") from exc
    except OSError as exc:
        raise _fault(path, f"cannot be read ({exc.strerror or exc})", "check the disk and the path") from exc


def _fault(path: Path, what: str, fix: str) -> ConfigError:
    return ConfigError(f"{path} {what}: {fix}", connector="mailfile", stream="messages")


def open_source(path: Path) -> Source:
    """The source a path is. Raises ConfigError when it is missing, unreadable or no mail at all."""
    with file_faults(path):
        if path.is_dir():
            return FolderSource(path)
        with path.open("rb") as raw:
            head = raw.read(512)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return ZipSource(path)
        if _is_tar(path):
            return TarSource(path)
        return FileSource(path, is_gzip=head.startswith(b"\x1f\x8b"))


def _is_tar(path: Path) -> bool:
    """Tar by content, through gzip, bzip2 or xz; a damaged archive is told by its name."""
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return path.name.lower().endswith((".tgz", ".tar.gz", ".tar"))


def _container(stream: IO[bytes], number: int, offset: int, name: str) -> Iterator[Found]:
    """Messages of one opened container from `offset` on."""
    head = stream.read(64)
    stream.seek(offset)
    if not is_mbox(head):
        data = stream.read(MAX_MESSAGE_BYTES + 1)
        if data.strip() or name.lower().endswith(".eml"):  # an empty file is no mail, an empty .eml a broken one
            kept = data if len(data) <= MAX_MESSAGE_BYTES else None
            yield Found(kept, Place(number + 1, 0), name)
        return
    for item in read_mbox(stream, offset):
        yield _found(item, number, name)


def _found(item: Item, number: int, name: str) -> Found:
    return Found(item.data, Place(number, item.end), f"{name}@{item.end}")


class FileSource:
    """One mbox or one message, plain or gzip-compressed."""

    def __init__(self, path: Path, is_gzip: bool) -> None:
        self.path = path
        self.is_gzip = is_gzip
        self.can_grow = not is_gzip
        self.size = path.stat().st_size
        self._raw: IO[bytes] | None = None

    def fingerprint(self) -> str:
        with file_faults(self.path):
            return _stat_print(self.path)

    def messages(self, start: Place) -> Iterator[Found]:
        if start.container:
            return
        with file_faults(self.path), self.path.open("rb") as raw:
            self._raw = raw
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if self.is_gzip else raw
            yield from _container(stream, 0, start.offset, self.path.name)

    def consumed(self) -> int:
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size

    def print_before(self, offset: int) -> str:
        """A hash of the file's beginning and of the last bytes before `offset`, to tell growth from rewriting."""
        with file_faults(self.path), self.path.open("rb") as raw:
            head = raw.read(min(4096, offset))
            raw.seek(max(0, offset - 4096))
            tail = raw.read(min(4096, offset))
        return hashlib.sha256(head + b"|" + tail).hexdigest()[:20]

    def starts_message(self, offset: int) -> bool:
        """Whether nothing or a new message stands at `offset`."""
        with file_faults(self.path), self.path.open("rb") as raw:
            raw.seek(offset)
            head = raw.read(64)
        return not head or is_mbox(head)


class FolderSource:
    """A Maildir, a folder of messages or mbox files, or any tree of these."""

    can_grow = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = sorted(self._walk())
        self.size = sum(size for _, size, _ in self._files)
        self._read = 0
        if not self._files:
            raise _fault(path, "holds no mail", "point `path` at an mbox file, a Maildir or a folder of .eml files")

    def _walk(self) -> Iterator[tuple[str, int, int]]:
        for folder, names, files in os.walk(self.path):
            names[:] = [n for n in names if n != "tmp"]  # Maildir: still being delivered
            for name in files:
                if _is_candidate(name):
                    full = os.path.join(folder, name)
                    stat = os.stat(full)
                    yield os.path.relpath(full, self.path), stat.st_size, stat.st_mtime_ns

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, size, changed in self._files:
            stable = name.split(":2,", 1)[0]  # Maildir: reading a message changes the flags in its name
            digest.update(f"{stable}\0{size}\0{0 if ':2,' in name else changed}\n".encode("utf-8", "replace"))
        return digest.hexdigest()[:20]

    def messages(self, start: Place) -> Iterator[Found]:
        for number in range(start.container, len(self._files)):
            name, size, _ = self._files[number]
            full = self.path / name
            with file_faults(full), full.open("rb") as stream:
                offset = start.offset if number == start.container else 0
                yield from _container(stream, number, offset, name)
            self._read += size

    def consumed(self) -> int:
        return self._read


class TarSource:
    """A tar archive, compressed or not, of messages or mbox files (Takeout's .tgz)."""

    can_grow = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._raw: IO[bytes] | None = None

    def fingerprint(self) -> str:
        with file_faults(self.path):
            return _stat_print(self.path)

    def messages(self, start: Place) -> Iterator[Found]:
        with file_faults(self.path), self.path.open("rb") as raw:
            self._raw = raw
            with tarfile.open(fileobj=raw, mode="r:*") as archive:
                number = -1
                while (member := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
                    if not member.isreg() or not _is_candidate(member.name):
                        continue
                    number += 1
                    stream = archive.extractfile(member) if number >= start.container else None
                    if stream is not None:
                        offset = start.offset if number == start.container else 0
                        yield from _container(stream, number, offset, member.name)
                self._require_end(archive)

    @staticmethod
    def _require_end(archive: tarfile.TarFile) -> None:
        """tarfile takes a broken header for the end of the archive; what is lost then must not go unnoticed."""
        stream = cast("IO[bytes]", archive.fileobj)
        stream.seek(archive.offset)
        block = stream.read(tarfile.BLOCKSIZE)
        if block.strip(b"\0") or 0 < len(block) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("unexpected end of the archive")

    def consumed(self) -> int:
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size


class ZipSource:
    """A zip archive of messages or mbox files, as Google Takeout gives."""

    can_grow = False

    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self._members = [
                (i.filename, i.file_size) for i in archive.infolist() if not i.is_dir() and _is_candidate(i.filename)
            ]
        self.size = sum(size for _, size in self._members)
        self._read = 0
        if not self._members:
            raise _fault(path, "holds no mail", "export again with Mail selected")

    def fingerprint(self) -> str:
        with file_faults(self.path):
            return _stat_print(self.path)

    def messages(self, start: Place) -> Iterator[Found]:
        with file_faults(self.path), zipfile.ZipFile(self.path) as archive:
            for number in range(start.container, len(self._members)):
                name, size = self._members[number]
                with archive.open(name) as stream:
                    offset = start.offset if number == start.container else 0
                    before = self._read
                    for found in _container(stream, number, offset, name):
                        self._read = before + min(size, found.after.offset or size)
                        yield found
                    self._read = before + size

    def consumed(self) -> int:
        return self._read


def _is_candidate(name: str) -> bool:
    low = name.replace("\\", "/").lower()
    base = low.rsplit("/", 1)[-1]
    if not base or base.startswith((".", *_MAIL_NOTES)) or low.startswith("__macosx/"):
        return False
    return ":2," in base or os.path.splitext(base)[1] not in _NOT_MAIL


def _stat_print(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"
