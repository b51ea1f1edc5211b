"""Names of messages, and where a reading stands.

A message's external id is `<folder>/<UIDVALIDITY>/<UID>`: what IMAP promises never to give to another message (RFC 3501,
2.3.1.1). Two copies of one mail in two folders are two records and, by their Message-ID, one interaction.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from hub.api import ContractBroken, CursorExpired

MAX_NAME = 200
MAX_UIDS = 5_000_000
MAX_UID = 0xFFFFFFFF


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """One folder as far as it has been read.

    validity: UIDVALIDITY, next: UIDNEXT, modseq: HIGHESTMODSEQ (0: the folder keeps none), count: messages.
    uids: the sequence set of everything given, kept only where the server cannot name what has gone (no QRESYNC).
    """

    validity: int
    next: int
    modseq: int = 0
    count: int = 0
    uids: str = ""


class Epoch(msgspec.Struct, frozen=True):
    """UIDs that name nothing any more: those below `next` of a folder and UIDVALIDITY that are no longer there."""

    folder: str
    validity: int
    next: int


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """folders: folder name -> place. at: during a backfill, the last message given as (micros, folder, uid).

    is_done: the backfill is over. lost: epochs whose records are still to be taken off the timeline.
    """

    folders: dict[str, Place]
    is_done: bool = False
    at: tuple[int, str, int] | None = None
    lost: tuple[Epoch, ...] = ()

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


_decode = msgspec.json.Decoder(Cursor).decode


def parse_cursor(text: str) -> Cursor:
    """Raises CursorExpired for a text that is no cursor of ours: reading everything again heals it."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise CursorExpired("the stored cursor is unreadable", connector="imap", stream="mail") from exc


def folder_key(name: str) -> str:
    """A folder's part of an external id: its name, or a hash of a very long one."""
    if len(name) <= MAX_NAME:
        return name
    return f"{name[:40]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def external_id(folder: str, validity: int, uid: int) -> str:
    return f"{folder_key(folder)}/{validity}/{uid}"


def parse_id(text: str) -> tuple[str, int, int] | None:
    """(folder key, UIDVALIDITY, UID); None for a text that is no id of ours."""
    key, _, rest = text.rpartition("/")
    key, _, validity = key.rpartition("/")
    if not (key and validity.isascii() and validity.isdecimal() and rest.isascii() and rest.isdecimal()):
        return None
    return key, int(validity), int(rest)


def to_set(uids: Iterable[int]) -> str:
    """A sequence set, "1:4,7", of these UIDs."""
    parts = []
    for _, run in groupby(enumerate(sorted(set(uids))), lambda pair: pair[1] - pair[0]):
        numbers = [uid for _, uid in run]
        parts.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}:{numbers[-1]}")
    return ",".join(parts)


def from_set(text: str, highest: int = MAX_UID) -> set[int]:
    """The UIDs of a sequence set, those above `highest` left out. Raises ContractBroken when it is none, or endless."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, colon, last = part.partition(":")
        if not (_is_uid(first) and (not colon or _is_uid(last))):
            raise ContractBroken("the server gave a set of UIDs that is none", connector="imap")
        low, high = sorted((int(first), int(last or first)))
        high = min(high, highest)
        if high - low > MAX_UIDS or len(found) > MAX_UIDS:
            raise ContractBroken("the server named an endless set of UIDs", connector="imap")
        found.update(range(low, high + 1))
    return found


def _is_uid(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10


def slices(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
