"""FETCH and SEARCH: what is told of messages, and which ones match."""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

from hub_imap.emulator.grammar import (
    Bad,
    Token,
    internal_date,
    is_member,
    members,
    parse_day,
    string,
    text_of,
)
from hub_imap.emulator.mailbox import Message

Match = Callable[[Message], bool]
_MARKS = {"SEEN", "ANSWERED", "FLAGGED", "DELETED", "DRAFT"}


def header_of(data: bytes) -> bytes:
    end = data.find(b"\r\n\r\n")
    return data if end < 0 else data[: end + 4]


def fields(data: bytes, names: list[str]) -> bytes:
    """These header fields with their folded lines, and the empty line that ends a header."""
    kept, is_kept = [], False
    for line in header_of(data).split(b"\r\n"):
        if line[:1] not in (b" ", b"\t"):
            is_kept = line.partition(b":")[0].decode("latin-1").strip().lower() in names and b":" in line
        if is_kept:
            kept.append(line + b"\r\n")
    return b"".join(kept) + b"\r\n"


def value(data: bytes, name: str) -> str:
    text = fields(data, [name.lower()]).decode("latin-1")
    return text.partition(":")[2].replace("\r\n", "").strip()


class Fetch:
    """One FETCH command's items. marks_seen: one of them reads a body without PEEK."""

    def __init__(self, items: Token, with_modseq: bool) -> None:
        wanted = items if isinstance(items, list) else [items]
        self.items = [text_of(item) for item in wanted]
        if with_modseq and "MODSEQ" not in (item.upper() for item in self.items):
            self.items.append("MODSEQ")
        macros = {"ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"], "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]}
        if len(wanted) == 1 and self.items[0].upper() in macros:
            self.items[:1] = macros[self.items[0].upper()]
        self.marks_seen = any(i.upper().startswith("BODY[") or i.upper() == "RFC822" for i in self.items)

    def answer(self, message: Message, poison: str) -> bytes:
        """The parenthesised part of a FETCH answer."""
        named = {item.upper() for item in self.items}
        parts = [] if "UID" in named else [b"UID %d" % message.uid]
        parts += [self._item(item, message, poison) for item in self.items]
        return b"(" + b" ".join(parts) + b")"

    def _item(self, item: str, m: Message, poison: str) -> bytes:
        name = item.upper()
        if name == "UID":
            return b"UID %d" % m.uid
        if name == "FLAGS":
            return f"FLAGS ({' '.join(sorted(m.flags))})".encode()
        if name == "INTERNALDATE":
            return f'INTERNALDATE "{internal_date(m.received.astimezone(UTC))}"'.encode()
        if name == "RFC822.SIZE":
            return b"RFC822.SIZE %d" % len(m.data)
        if name == "MODSEQ":
            return b"MODSEQ (%d)" % m.modseq
        if name == "RFC822":
            return b"RFC822 " + string(m.data)
        if name.startswith(("BODY[", "BODY.PEEK[")):
            return _section(item, m, poison)
        raise Bad(f"unknown FETCH item {item}")


def _section(item: str, m: Message, poison: str) -> bytes:
    inner, _, partial = item[item.index("[") + 1 :].partition("]")
    name, origin = inner.upper(), ""
    if not name:
        data = m.data
    elif name == "HEADER":
        data = header_of(m.data)
    elif name.startswith("HEADER.FIELDS ("):
        data = fields(m.data, inner[inner.index("(") + 1 : -1].lower().split())
    elif name == "TEXT":
        data = m.data[len(header_of(m.data)) :]
    else:
        raise Bad(f"unknown section {inner}")
    if partial:
        start, _, length = partial.strip("<>").partition(".")
        data, origin = data[int(start) : int(start) + int(length)], f"<{start}>"
    head = f"BODY[{inner}]{origin} ".encode()
    if poison and not name:
        # A broken store: the message is named and has no body, or a body that is no message.
        return head + (b"NIL" if poison == "nil" else string(b"\x00\x01broken\r\n" * 3))
    return head + b"{%d}\r\n" % len(data) + data


def criteria(given: list[Token], highest: int) -> Match:
    """One predicate for a whole SEARCH: all keys must hold."""
    rest = list(given)
    if len(rest) > 1 and isinstance(rest[0], str) and rest[0].upper() == "CHARSET":
        rest = rest[2:]
    tests: list[Match] = []
    while rest:
        tests.append(_key(rest, highest))
    if not tests:
        raise Bad("SEARCH without criteria")
    return lambda m: all(test(m) for test in tests)


def _key(rest: list[Token], highest: int) -> Match:
    token = rest.pop(0)
    if isinstance(token, list):
        return criteria(token, highest)
    name = text_of(token).upper()
    if name == "ALL":
        return lambda m: True
    if name in _MARKS:
        return lambda m: f"\\{name.capitalize()}" in m.flags
    if name.startswith("UN") and name[2:] in _MARKS:
        return lambda m: f"\\{name[2:].capitalize()}" not in m.flags
    if name == "NOT":
        inner = _key(rest, highest)
        return lambda m: not inner(m)
    if name == "OR":
        one, other = _key(rest, highest), _key(rest, highest)
        return lambda m: one(m) or other(m)
    if not rest:
        raise Bad(f"{name} needs an argument")
    argument = text_of(rest.pop(0))
    if name == "UID":
        ranges = members(argument, highest)
        return lambda m: is_member(m.uid, ranges)
    if name == "KEYWORD":
        return lambda m: argument in m.flags
    if name == "HEADER":
        wanted = text_of(rest.pop(0)).lower()
        return lambda m: wanted in value(m.data, argument).lower()
    if name in {"SINCE", "BEFORE", "ON", "SENTSINCE", "SENTBEFORE", "SENTON"}:
        return _by_day(name, parse_day(argument))
    raise Bad(f"unknown search key {name}")


def _by_day(name: str, day: tuple[int, int, int]) -> Match:
    """Days as they stand: INTERNALDATE in the server's zone, the Date header without regard to its zone."""

    def test(m: Message) -> bool:
        at = m.received.astimezone(UTC)
        if name.startswith("SENT"):
            try:
                at = parsedate_to_datetime(value(m.data, "date"))
            except ValueError:
                return False
        found = (at.year, at.month, at.day)
        how = name.removeprefix("SENT")
        return found >= day if how == "SINCE" else found < day if how == "BEFORE" else found == day

    return test
