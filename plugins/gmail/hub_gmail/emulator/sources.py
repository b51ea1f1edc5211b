"""Reading mailbox files: mbox (mboxrd, plain or .gz), Maildir, a folder or a tar of one-message files."""

import gzip
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

_QUOTED_FROM = re.compile(rb"^>(>*From )")
_NOT_MAIL = (".json", ".jsonl", ".json.gz", ".jsonl.gz")


class Loaded(NamedTuple):
    """raw: the message's bytes. flags: Maildir flag letters, "" elsewhere."""

    raw: bytes
    flags: str = ""
    is_maildir: bool = False


def read(path: Path) -> Iterator[Loaded]:
    """Messages in file order (archives), else by name. Raises FileNotFoundError, tarfile.TarError, OSError."""
    if path.is_dir():
        folders = [path / "new", path / "cur"]
        if all(f.is_dir() for f in folders):
            for file in sorted(f for folder in folders for f in folder.iterdir() if f.is_file()):
                flags = file.name.rpartition(":2,")[2] if ":2," in file.name else ""
                yield Loaded(file.read_bytes(), flags, True)
            return
        for file in sorted(f for f in path.rglob("*") if f.is_file()):
            if _is_mail(file.name):
                yield Loaded(file.read_bytes())
    elif path.name.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() and _is_mail(member.name) else None
                if content is not None:
                    yield Loaded(content.read())
    elif path.suffix == ".gz":
        with gzip.open(path, "rb") as file_gz:
            yield from map(Loaded, _mbox(file_gz))
    elif path.suffix == ".eml":
        yield Loaded(path.read_bytes())
    else:
        with path.open("rb") as file_plain:
            yield from map(Loaded, _mbox(file_plain))


def _is_mail(name: str) -> bool:
    base = name.rpartition("/")[2]
    return not base.startswith(".") and not base.endswith(_NOT_MAIL)


def _mbox(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    """A message starts at a "From " line at the file's start or after a blank line; one ">" of ">From " goes."""
    lines: list[bytes] = []
    is_open, after_blank = False, True
    for line in file:
        if after_blank and line.startswith(b"From "):
            if is_open:
                yield _join(lines)
            lines, is_open, after_blank = [], True, False
            continue
        after_blank = line in {b"\n", b"\r\n"}
        if is_open:
            lines.append(_QUOTED_FROM.sub(rb"\1", line))
    if is_open:
        yield _join(lines)


def _join(lines: list[bytes]) -> bytes:
    # The blank line before the next separator belongs to the format, not to the message.
    return b"".join(lines[:-1] if lines and lines[-1] in {b"\n", b"\r\n"} else lines)
