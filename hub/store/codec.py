"""How values are written: instants as microseconds, text and payloads compressed, short stable hashes."""

import base64
import hashlib
import threading
from datetime import UTC, datetime, timedelta

import zstandard

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_WEEK_ZERO = 4  # 1970-01-05 was a Monday
DAY_US = 86_400_000_000


def micros(at: datetime) -> int:
    """Aware instant -> microseconds since 1970 UTC, exactly."""
    return (at - _EPOCH) // _MICRO


def instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def instant_or_none(us: int | None) -> datetime | None:
    return None if us is None else instant(us)


def week_of(us: int) -> int:
    """Days since 1970-01-01 of the Monday (UTC) that begins the instant's week."""
    day = us // DAY_US
    return int((day - _WEEK_ZERO) // 7 * 7 + _WEEK_ZERO)


class _Zstd(threading.local):
    """One compressor and decompressor a thread: making them costs more than a record's worth of work."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def pack(data: bytes, above: int = 200) -> tuple[str, bytes]:
    """(codec, bytes): compressed where that pays; never at or below `above` bytes."""
    if len(data) > above:
        small = squeeze(data)
        if len(small) < len(data):
            return "zstd", small
    return "plain", data


def squeeze(data: bytes) -> bytes:
    """As codec "zstd", whether that makes it smaller or not."""
    return _zstd.compress(data)


def unpack(codec: str, data: bytes) -> bytes:
    return _zstd.decompress(data) if codec == "zstd" else bytes(data)


def digest(data: bytes) -> bytes:
    """16 bytes that name this content."""
    return hashlib.blake2b(data, digest_size=16).digest()


def short_id(prefix: str, *parts: str) -> str:
    """A public id that depends on nothing but `parts`: the same in every installation and after every restore."""
    data = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return prefix + base64.b32encode(hashlib.blake2b(data, digest_size=15).digest()).decode().lower()
