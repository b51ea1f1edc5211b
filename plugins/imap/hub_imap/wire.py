"""One line to an IMAP server: connect, sign in, ask.

`Line` speaks through imapclient and blocks; `Session` runs it in a thread, pays from the account's budget and turns what
goes wrong into `hub.api.errors`. Only UID commands and only peeking reads are used: sequence numbers shift under
everybody's deletions, and a plain read would mark mail as seen (RFC 3501, 6.4.5 and 7.4.1).
"""

import asyncio
import contextlib
import imaplib
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from imapclient import IMAPClient, SocketTimeout  # type: ignore[import-untyped]
from imapclient.exceptions import ProtocolError  # type: ignore[import-untyped]
from imapclient.imap_utf7 import decode as decode_name  # type: ignore[import-untyped]
from imapclient.imap_utf7 import encode as encode_name
from imapclient.response_parser import parse_fetch_response, parse_response  # type: ignore[import-untyped]

from hub.api import AuthError, ConfigError, ContractBroken, Http, TokenSource
from hub_imap.errors import of_break, of_refusal
from hub_imap.places import from_set, to_set
from hub_imap.settings import ImapSettings

T = TypeVar("T")

CONNECT_S = 20.0
SIGN_IN_COMMANDS = 5  # CAPABILITY, the sign-in, CAPABILITY again, ENABLE; LOGOUT in the end
AT_ONCE = 700  # messages per FETCH of headers and flags: their names fit the 8,192 bytes a line may have
SEARCH_SPAN = 100_000  # UIDs per SEARCH: imaplib refuses lines beyond a million characters
_APPENDED = re.compile(rb"(\d{1,10}) (\d{1,10})")

# imapclient would write every line of the conversation to its log, sign-in and mail included.
logging.getLogger("imapclient.imaplib").disabled = True

# What imapclient and imaplib raise on answers that are not what they expect.
_ODD = (ValueError, TypeError, IndexError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder as LIST names it. flags: lower case, "\\sent" and the like; path: its levels separated by "/"."""

    name: str
    path: str
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Status:
    """A folder in numbers (STATUS or EXAMINE). modseq is 0 where the server keeps none."""

    validity: int
    next: int
    count: int
    modseq: int = 0
    can_write: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a message before it is read. received: INTERNALDATE; date: the Date header as it stands."""

    uid: int
    size: int
    received: datetime | None
    date: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A message as the server holds it. data: None where it named the message and gave no body."""

    uid: int
    received: datetime | None
    flags: tuple[str, ...]
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Feed:
    """What CHANGEDSINCE says: UIDs that are new or have other flags, and UIDs that are gone."""

    changed: tuple[int, ...]
    vanished: frozenset[int]


@contextmanager
def translated(command: str) -> Iterator[None]:
    """Turn what imaplib, imapclient and the socket raise into the hub's errors."""
    try:
        yield
    except ProtocolError:
        raise ContractBroken(f"{command}: the server's answer is not IMAP", connector="imap") from None
    except (imaplib.IMAP4.error, OSError, *_ODD) as exc:
        error = of_break(exc, command)
        error.connector = "imap"
        raise error from None  # the cause may quote mail


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Verifying, TLS 1.2 at least."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as exc:
        raise ConfigError(f"ca_file: {ca_file} holds no certificates", connector="imap") from exc


class Line:
    """A signed-in connection. Not for two threads at a time."""

    def __init__(self, settings: ImapSettings, token: str) -> None:
        s = settings
        with translated("CONNECT"):
            is_tls = s.security == "tls"
            context = tls_context(s.ca_file) if s.security != "plain" else None
            timeout = SocketTimeout(connect=CONNECT_S, read=s.timeout_s)
            self.client = IMAPClient(s.host, s.imap_port, ssl=is_tls, ssl_context=context, timeout=timeout)
        self.client.normalise_times = False  # INTERNALDATE stays an aware instant
        self.imap: imaplib.IMAP4 = self.client._imap
        self.imap.debug = 0  # see above: nothing of the conversation is written anywhere
        # imaplib sends commands in pieces, which would wait for each other.
        self.imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.limit = s.max_message_bytes
        self.selected = ""
        try:
            if s.security == "starttls":
                with translated("STARTTLS"):
                    self.client.starttls(context)
            self._sign_in(s, token)
            with translated("CAPABILITY"):
                answer = self.imap.capability()[1]  # again: after the sign-in it is another one
                self.capabilities = frozenset(b" ".join(x or b"" for x in answer).decode("ascii").upper().split())
                self.has_qresync = self._enable()
        except BaseException:
            self.hang_up()
            raise

    def _sign_in(self, s: ImapSettings, token: str) -> None:
        if token:
            first = f"user={s.sign_in_name}\x01auth=Bearer {token}\x01\x01"
            with translated("AUTHENTICATE"):
                # A refusal comes as a challenge, to be answered with an empty line.
                self.client.sasl_login("XOAUTH2", lambda challenge: b"" if challenge else first)
            return
        password = s.password.get_secret_value()
        if "AUTH=PLAIN" in self.imap.capabilities:
            with translated("AUTHENTICATE"):
                self.client.plain_login(s.sign_in_name, password)
            return
        if "LOGINDISABLED" in self.imap.capabilities:
            raise ConfigError("security: the server takes no password on this line; use tls or starttls")
        with translated("LOGIN"):
            self.client.login(s.sign_in_name, password)

    def _enable(self) -> bool:
        """Ask for the best the server has: QRESYNC names what is gone, CONDSTORE alone what has changed."""
        if "ENABLE" not in self.capabilities:
            return False
        for name in ("QRESYNC", "CONDSTORE"):
            if name in self.capabilities:
                typ, _ = self.imap.xatom("ENABLE", name)
                return typ == "OK" and name == "QRESYNC"
        return False

    @property
    def has_condstore(self) -> bool:
        return self.has_qresync or "CONDSTORE" in self.capabilities

    def close(self) -> None:
        """Say goodbye; a line that is broken is only dropped."""
        with contextlib.suppress(imaplib.IMAP4.error, OSError, *_ODD):
            self.imap.logout()
        self.hang_up()

    def hang_up(self) -> None:
        """Drop the line without a word, also under a thread that still waits for an answer."""
        with contextlib.suppress(OSError):
            self.imap.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(imaplib.IMAP4.error, OSError, *_ODD):
            self.client.shutdown()

    # -- folders ------------------------------------------------------------------------------------

    def folders(self) -> list[Listed]:
        """Every folder that can hold messages."""
        is_extended = {"SPECIAL-USE", "LIST-EXTENDED"} <= self.capabilities
        more = ("RETURN (SPECIAL-USE)",) if is_extended else ()
        with translated("LIST"):
            typ, data = self.imap.xatom("LIST", '""', '"*"', *more)
            self._must_be_ok("LIST", typ, data)
            lines = [item for item in self.imap.response("LIST")[1] if item not in (b"", None)]
            parsed = parse_response(lines) if lines else ()
            found = []
            for flags, separator, name in zip(parsed[::3], parsed[1::3], parsed[2::3], strict=True):
                low = frozenset(_text(flag).lower() for flag in flags)
                if low & {"\\noselect", "\\nonexistent"}:
                    continue
                decoded = str(name) if isinstance(name, int) else decode_name(name)
                levels = decoded.split(_text(separator)) if separator else [decoded]
                found.append(Listed(decoded, "/".join(levels), low))
            return found

    def status(self, folder: str) -> Status:
        names = ["MESSAGES", "UIDNEXT", "UIDVALIDITY", *(["HIGHESTMODSEQ"] if self.has_condstore else [])]
        with translated("STATUS"):
            typ, data = self.imap.status(quoted(folder), f"({' '.join(names)})")
            self._must_be_ok("STATUS", typ, data)
            items = parse_response(data)[-1]
            got = {str(k, "ascii").upper(): v for k, v in zip(items[::2], items[1::2], strict=True)}
            return Status(
                int(got["UIDVALIDITY"]), int(got["UIDNEXT"]), int(got["MESSAGES"]), int(got.get("HIGHESTMODSEQ") or 0)
            )

    def select(self, folder: str, *, to_write: bool = False) -> Status:
        """Open a folder, for reading only unless it is to be written."""
        with translated("SELECT" if to_write else "EXAMINE"):
            self.selected = ""
            got: dict[bytes, Any] = self.client.select_folder(folder, readonly=not to_write)
            self.selected = folder
            exists, modseq = int(got.get(b"EXISTS", 0)), got.get(b"HIGHESTMODSEQ", 0) if self.has_condstore else 0
            if b"UIDVALIDITY" not in got:
                raise ContractBroken("the server gives no UIDVALIDITY: its messages have no lasting names")
            following = got[b"UIDNEXT"] if b"UIDNEXT" in got else max(self.search(["ALL"]), default=0) + 1
            return Status(
                int(got[b"UIDVALIDITY"]), int(following), exists, int(modseq or 0), can_write=b"READ-WRITE" in got
            )

    def rights(self, folder: str) -> str | None:
        """Our rights at a folder (RFC 4314), None where the server has no access lists."""
        if "ACL" not in self.capabilities:
            return None
        with translated("MYRIGHTS"):
            typ, data = self.imap.myrights(quoted(folder))
            self._must_be_ok("MYRIGHTS", typ, data)
            parts = parse_response(data)
            return _text(parts[1]) if len(parts) > 1 else ""

    # -- messages -----------------------------------------------------------------------------------

    def search(self, criteria: Sequence[str], now: Status | None = None) -> list[int]:
        """UIDs in the open folder that match; of a very full one (`now`), asked for in spans that fit a line."""
        with translated("SEARCH"):
            if now is None or now.count <= SEARCH_SPAN:
                return list(self.client.search(list(criteria), charset=None))
            found: list[int] = []
            for low in range(1, now.next, SEARCH_SPAN):
                found += self.client.search(["UID", f"{low}:{low + SEARCH_SPAN - 1}", *criteria], charset=None)
            return found

    def heads(self, uids: Sequence[int]) -> list[Head]:
        items = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE)])"
        found = []
        for uid, item in self._fetch(to_set(uids), items):
            if b"RFC822.SIZE" not in item:
                continue  # somebody else's change, told in passing
            date = next((v for k, v in item.items() if k.startswith(b"BODY[HEADER")), None)
            found.append(Head(uid, int(item[b"RFC822.SIZE"]), _when(item), _header_value(date), _flags(item)))
        return found

    def flags(self, uids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        return {uid: _flags(item) for uid, item in self._fetch(to_set(uids), "(UID FLAGS)") if b"FLAGS" in item}

    def names(self, uids: Sequence[int]) -> dict[int, tuple[str, int]]:
        """Message-ID and size of each message."""
        items = "(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"
        found = {}
        for uid, item in self._fetch(to_set(uids), items):
            header = next((v for k, v in item.items() if k.startswith(b"BODY[HEADER")), None)
            if b"RFC822.SIZE" in item:
                found[uid] = (_header_value(header), int(item[b"RFC822.SIZE"]))
        return found

    def bodies(self, uids: Sequence[int]) -> list[Whole]:
        """These messages byte for byte, at most a byte beyond the cap of each."""
        items = f"(UID FLAGS INTERNALDATE BODY.PEEK[]<0.{self.limit + 1}>)"
        found = []
        for uid, item in self._fetch(to_set(uids), items):
            key = next((k for k in item if k.startswith(b"BODY[]")), None)
            if key is None:
                continue
            data = item[key]
            # A literal8 (RFC 3516) is not for this command; imaplib would hand out its length for its content.
            is_body = isinstance(data, bytes) and not data.startswith(b"~{")
            found.append(Whole(uid, _when(item), _flags(item), data if is_body else None))
        return found

    def changed_since(self, modseq: int, highest: int) -> Feed:
        """What has changed in the open folder since `modseq`; with QRESYNC, also what has gone."""
        more = f"(CHANGEDSINCE {modseq} VANISHED)" if self.has_qresync else f"(CHANGEDSINCE {modseq})"
        self.imap.untagged_responses.pop("VANISHED", None)
        items = self._fetch("1:*", "(UID FLAGS)", more)
        gone: set[int] = set()
        for line in self.imap.untagged_responses.pop("VANISHED", ()):
            text = _text(line)
            gone |= from_set(text.rpartition(" ")[2], highest)
        return Feed(tuple(uid for uid, item in items if b"MODSEQ" in item), frozenset(gone))

    def _fetch(self, uids: str, items: str, more: str = "") -> list[tuple[int, dict[bytes, Any]]]:
        """(UID, items) of each FETCH answer that names its UID; what others do meanwhile is told without."""
        if not uids:
            return []
        with translated("FETCH"):
            typ, data = self.imap.uid("FETCH", uids, items, *([more] if more else []))
            self._must_be_ok("FETCH", typ, data)
            if data == [None]:
                return []
            if self.has_qresync:  # then every FETCH answer names its UID (RFC 7162, 3.2.3)
                return list(parse_fetch_response(data, False, True).items())
            parsed = parse_fetch_response(data, False, False)
            return [(item[b"UID"], item) for item in parsed.values() if b"UID" in item]

    # -- writing ------------------------------------------------------------------------------------

    def append(self, folder: str, message: bytes, flags: Sequence[str], at: datetime | None) -> tuple[int, int] | None:
        """Put a message into a folder; (UIDVALIDITY, UID) where the server tells (UIDPLUS)."""
        with translated("APPEND"):
            answer: bytes = self.client.append(folder, message, flags, at)
            _, found, tail = (answer or b"").upper().partition(b"[APPENDUID ")
            if not found or (match := _APPENDED.match(tail)) is None:
                return None
            return int(match[1]), int(match[2])

    def delete(self, uid: int) -> None:
        """Delete one message of the folder open for writing, and no other that somebody has marked."""
        with translated("STORE"):
            self._must_be_ok("STORE", *self.imap.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)"))
        if "UIDPLUS" in self.capabilities:
            with translated("EXPUNGE"):
                self._must_be_ok("EXPUNGE", *self.imap.uid("EXPUNGE", str(uid)))

    def _must_be_ok(self, command: str, typ: str, data: Sequence[Any]) -> None:
        if typ == "OK":
            return
        text = next((_text(x) for x in data if isinstance(x, bytes | str)), "")
        error = of_refusal(text, command)
        error.connector = "imap"
        raise error


def quoted(folder: str) -> str:
    """A folder's name as commands take it: modified UTF-7, quoted."""
    name = encode_name(folder).decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"'


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _flags(item: dict[bytes, Any]) -> tuple[str, ...]:
    return tuple(_text(flag) for flag in item.get(b"FLAGS") or ())


def _when(item: dict[bytes, Any]) -> datetime | None:
    found = item.get(b"INTERNALDATE")
    return found if isinstance(found, datetime) else None


def _header_value(data: object) -> str:
    """The first header of a few, unfolded, without its name."""
    if not isinstance(data, bytes):
        return ""
    lines = data.decode("latin-1").replace("\r\n", "\n").split("\n")
    first = lines[0].partition(":")[2]
    for line in lines[1:]:
        if line[:1] not in (" ", "\t"):
            break
        first += line
    return first.strip()


class Session:
    """A line used from the event loop: each command paid for, run in a thread, its failures in the hub's words."""

    def __init__(self, http: Http, line: Line) -> None:
        self.http = http
        self.line = line

    async def do(self, call: Callable[..., T], *args: Any, commands: int = 1, **named: Any) -> T:
        """Carry out one of the line's methods, which sends `commands` commands."""
        await self.http.budget.spend("command", commands)
        self.http.requests += commands
        return await asyncio.to_thread(call, *args, **named)

    async def search(self, criteria: Sequence[str], now: Status) -> list[int]:
        """All matching UIDs of the open folder, whose numbers are `now`."""
        if not now.count:
            return []
        commands = now.next // SEARCH_SPAN + 1 if now.count > SEARCH_SPAN else 1
        return await self.do(self.line.search, criteria, now, commands=commands)

    async def pay(self, size: int) -> None:
        """Pay for `size` bytes before they are read."""
        await self.http.budget.spend("kilobytes", size // 1024 + 1)


@asynccontextmanager
async def opened(http: Http, settings: ImapSettings, source: TokenSource | None) -> AsyncIterator[Session]:
    """A session for the length of the block. A refused token is renewed once."""
    await http.budget.spend("command", SIGN_IN_COMMANDS)
    http.requests += SIGN_IN_COMMANDS
    token = await source.token(http.services, http.client) if source else ""
    try:
        line = await asyncio.to_thread(Line, settings, token)
    except AuthError:
        if source is None or not await source.refused(token, http.services, http.client):
            raise
        token = await source.token(http.services, http.client)
        line = await asyncio.to_thread(Line, settings, token)
    try:
        yield Session(http, line)
    except BaseException:
        line.hang_up()
        raise
    else:
        await asyncio.to_thread(line.close)
