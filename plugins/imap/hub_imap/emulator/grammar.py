"""Command lines taken apart, and strings, dates and sets put together (RFC 3501, section 9)."""

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

Token = str | bytes | list["Token"]
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Bad(Exception):
    """Answered with a tagged BAD."""


class No(Exception):
    """Answered with a tagged NO."""


def tokens(text: bytes, literals: Sequence[bytes]) -> list[Token]:
    """Atoms and quoted strings as str, literals as bytes, parenthesised lists as lists.

    In `text` a literal stands as NUL, its number, NUL.
    """
    stack: list[list[Token]] = [[]]
    at = 0
    while at < len(text):
        char = text[at : at + 1]
        if char == b" ":
            at += 1
        elif char == b"(":
            stack.append([])
            at += 1
        elif char == b")":
            if len(stack) == 1:
                raise Bad("unbalanced parenthesis")
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif char == b'"':
            value, at = _quoted(text, at + 1)
            stack[-1].append(value)
        elif char == b"\0":
            end = text.index(b"\0", at + 1)
            stack[-1].append(literals[int(text[at + 1 : end])])
            at = end + 1
        else:
            value, at = _atom(text, at)
            stack[-1].append(value)
    if len(stack) != 1:
        raise Bad("missing parenthesis")
    return stack[0]


def _quoted(text: bytes, at: int) -> tuple[str, int]:
    out = bytearray()
    while at < len(text):
        char = text[at]
        if char == 0x22:
            return out.decode("utf-8", "replace"), at + 1
        if char == 0x5C:
            at += 1
            if at == len(text):
                break
            char = text[at]
        out.append(char)
        at += 1
    raise Bad("unterminated string")


def _atom(text: bytes, at: int) -> tuple[str, int]:
    """Up to a space or parenthesis; in brackets, as in BODY[HEADER.FIELDS (DATE)], up to the bracket's end."""
    start, depth = at, 0
    while at < len(text):
        char = text[at]
        if char == 0x5B:
            depth += 1
        elif char == 0x5D and depth:
            depth -= 1
        elif not depth and char in b' ()"':
            break
        at += 1
    return text[start:at].decode("utf-8", "replace"), at


def text_of(token: Token) -> str:
    if isinstance(token, list):
        raise Bad("a string was expected")
    return token.decode("utf-8", "replace") if isinstance(token, bytes) else token


def members(text: str, highest: int) -> list[tuple[int, int]]:
    """Ranges of a sequence set; `*` is the highest number in use."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        numbers = [highest if n == "*" else int(n) if n.isdecimal() else -1 for n in (first, last or first)]
        if min(numbers) < 0:
            raise Bad("not a sequence set")
        found.append((min(numbers), max(numbers)))
    return found


def is_member(number: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(low <= number <= high for low, high in ranges)


def as_set(numbers: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


def string(data: bytes) -> bytes:
    """A quoted string where that can hold it, else a literal."""
    if len(data) < 100 and all(32 <= b < 127 and b not in b'"\\' for b in data):
        return b'"' + data + b'"'
    return b"{%d}\r\n" % len(data) + data


def internal_date(at: datetime) -> str:
    return f"{at.day:02d}-{MONTHS[at.month - 1]}-{at.year} {at:%H:%M:%S} +0000"


def parse_internal_date(text: str) -> datetime:
    try:
        day, time, zone = text.strip().split(" ")
        d, m, y = day.split("-")
        hour, minute, second = time.split(":")
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
        tz = timezone(-offset if zone[0] == "-" else offset)
        return datetime(int(y), MONTHS.index(m) + 1, int(d), int(hour), int(minute), int(second), tzinfo=tz)
    except (ValueError, IndexError) as exc:
        raise Bad("not a date-time") from exc


def parse_day(text: str) -> tuple[int, int, int]:
    try:
        d, m, y = text.split("-")
        return int(y), MONTHS.index(m.capitalize()) + 1, int(d)
    except ValueError as exc:
        raise Bad("not a date") from exc


def encode_name(name: str) -> str:
    """Modified UTF-7 (RFC 3501, 5.1.3)."""
    out, pending = [], ""
    for char in [*name, ""]:
        if char and not " " <= char <= "~":
            pending += char
            continue
        if pending:
            packed = base64.b64encode(pending.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out.append(f"&{packed.decode()}-")
            pending = ""
        out.append("&-" if char == "&" else char)
    return "".join(out)


def decode_name(name: str) -> str:
    out, rest = "", name
    while "&" in rest:
        before, _, rest = rest.partition("&")
        packed, found, rest = rest.partition("-")
        if not found:
            raise Bad("not modified UTF-7")
        raw = packed.replace(",", "/").encode()
        out += before + (base64.b64decode(raw + b"=" * (-len(raw) % 4)).decode("utf-16-be") if packed else "&")
    return out + rest
