"""Where reading stands, in one text the hub keeps: for each calendar its token and what it takes to name what is gone."""

import base64
import hashlib
import zlib

import msgspec

from hub.api import CursorExpired

MOST_BYTES = 64 * 1024 * 1024


class Place(msgspec.Struct, omit_defaults=True):
    """One calendar.

    token: sync token whose changes are asked for; "" on servers without, where `etags` are compared and `ctag` says
    whether that is needed. after: address up to which a first reading has come; None when that is done.
    series: address -> the object without its content (`ics.times_only`), for objects that are several records: their
    names follow from it, so that what an edit took away can be named. etags: digests of address and etag.
    """

    token: str = ""
    ctag: str = ""
    after: str | None = None
    series: dict[str, str] = {}
    etags: dict[str, str] = {}


class Cursor(msgspec.Struct, omit_defaults=True):
    """horizon: day up to which series are laid out ("20260901"). is_full: an enumeration of everything is under way.

    owes_names: something is no longer listed, and the listing of everything that lets the hub ask for it is still owed.
    """

    home: str
    horizon: str
    is_full: bool = False
    owes_names: bool = False
    places: dict[str, Place] = {}

    def text(self) -> str:
        return base64.b85encode(zlib.compress(msgspec.json.encode(self), 6)).decode()


_decode = msgspec.json.Decoder(Cursor).decode


def parse_cursor(text: str) -> Cursor:
    """Raises CursorExpired for a text that is no cursor of ours: reading everything again heals it."""
    try:
        inflating = zlib.decompressobj()
        cursor = _decode(inflating.decompress(base64.b85decode(text), MOST_BYTES))
    except (ValueError, zlib.error, msgspec.DecodeError) as exc:
        raise CursorExpired("the stored cursor is unreadable") from exc
    if not cursor.home:
        raise CursorExpired("the stored cursor names no account")
    return cursor


def short(text: str) -> str:
    """A digest that stands for an address or an etag among one calendar's."""
    return base64.b85encode(hashlib.sha256(text.encode()).digest()[:10]).decode()
