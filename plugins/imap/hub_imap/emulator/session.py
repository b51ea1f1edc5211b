"""One connection to the stand-in: reads commands, answers them, goes wrong where it is told to."""

import asyncio
import base64
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hub_imap.emulator.grammar import (
    Bad,
    No,
    Token,
    as_set,
    decode_name,
    encode_name,
    members,
    parse_internal_date,
    text_of,
    tokens,
)
from hub_imap.emulator.mailbox import Folder
from hub_imap.emulator.reading import Fetch, criteria

if TYPE_CHECKING:
    from hub_imap.emulator import ImapEmulator

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n$")
MAX_LITERAL = 200 * 1024 * 1024
WRITES = {"APPEND", "STORE", "EXPUNGE", "COPY", "MOVE", "CREATE", "DELETE"}
UNPRESSED = {"CAPABILITY", "LOGOUT", "NOOP", "ENABLE"}
PAGE = b"<!doctype html>\r\n<title>Sign in</title>\r\n<h1>We are doing some maintenance</h1>\r\n"


class Cut(Exception):
    """The connection ends here and now."""


class ServerSession:
    def __init__(self, server: "ImapEmulator", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.out = bytearray()
        self.is_in = False
        self.enabled: set[str] = set()
        self.folder: Folder | None = None
        self.can_write = False
        self.uids: list[int] = []

    def say(self, line: str | bytes) -> None:
        self.out += (line.encode() if isinstance(line, str) else line) + b"\r\n"

    async def flush(self) -> None:
        if self.out:
            self.writer.write(bytes(self.out))
            self.out.clear()
            await self.writer.drain()

    async def run(self) -> None:
        board = self.server.faults
        try:
            if board.hits("html", "greeting", "GET"):
                self.out += PAGE
                raise Cut
            if self.server.is_crowded():
                self.say("* BYE [UNAVAILABLE] Maximum number of connections from user+IP exceeded")
                raise Cut
            self.say(f"* OK [CAPABILITY {' '.join(self.server.capabilities(False))}] ready.")
            await self.flush()
            while await self.one():
                pass
        except Cut:
            await self.flush()
            self.writer.transport.abort() if self.writer.transport else None
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writer.close()

    async def one(self) -> bool:
        """One command; False after LOGOUT or when the client is gone."""
        text = b""
        literals: list[bytes] = []
        while True:
            line = await self.reader.readline()
            if not line:
                return False
            found = _LITERAL.search(line)
            if found is None:
                text += line.rstrip(b"\r\n").replace(b"\0", b"")
                break
            size = int(found[1])
            if size > MAX_LITERAL:
                self.say("* BYE [TOOBIG] literal too large")
                raise Cut
            if not found[2]:
                self.writer.write(b"+ OK\r\n")
            text += line[: found.start()] + b"\0%d\0" % len(literals)
            literals.append(await self.reader.readexactly(size))
        tag, _, rest = text.partition(b" ")
        try:
            command = tokens(rest, literals)
        except Bad as exc:
            self.say(f"{tag.decode('ascii', 'replace')} BAD {exc}")
            await self.flush()
            return True
        return await self.carry_out(tag.decode("ascii", "replace"), command)

    async def carry_out(self, tag: str, command: list[Token]) -> bool:
        name = text_of(command.pop(0)).upper() if command else ""
        is_uid = name == "UID" and bool(command)
        if is_uid:
            name = text_of(command.pop(0)).upper()
        board, method = self.server.faults, "POST" if name in WRITES else "GET"
        where = self.folder.name if self.folder else ""
        with self.server.lock:
            self.server.requests.append((name, where, 0))
            self.server.counts[method] += 1
        path = f"/imap/{name}"
        if board.hits("reset", path, method):
            raise Cut
        if name not in UNPRESSED and (refusal := self.server.refusal(path, method)):
            self.say(f"{tag} NO {refusal}")
            await self.flush()
            return True
        is_over = False
        try:
            if name == "AUTHENTICATE":
                done = await self.authenticate(command)
            else:
                with self.server.lock:
                    done = self.method(name, is_uid, command)
            is_over = name == "LOGOUT"
            self.say(f"{tag} OK {done}")
        except No as exc:
            self.say(f"{tag} NO {exc}")
        except Bad as exc:
            self.say(f"{tag} BAD {exc}")
        if board.hits("drop_answer", path, method):
            self.out.clear()
            raise Cut
        if board.hits("truncate", path, method):
            del self.out[len(self.out) // 2 :]
            raise Cut
        await self.flush()
        return not is_over

    def method(self, name: str, is_uid: bool, args: list[Token]) -> str:
        known: Any = getattr(self, f"do_{name.lower()}", None)
        if known is None or not name.isalpha():
            raise Bad("unknown command")
        if name not in {"CAPABILITY", "LOGIN", "LOGOUT", "NOOP", "ID"} and not self.is_in:
            raise Bad("not signed in")
        if name in {"FETCH", "SEARCH", "STORE", "COPY", "MOVE", "EXPUNGE"}:
            if self.folder is None:
                raise Bad("no mailbox selected")
            if not is_uid:
                raise Bad("this stand-in knows the UID form alone")
        done: str = known(args)
        if self.folder is not None and name not in {"SELECT", "EXAMINE"}:
            self.tell_news()
        return done

    # -- signing in ---------------------------------------------------------------------------------

    def do_capability(self, args: list[Token]) -> str:
        self.say(f"* CAPABILITY {' '.join(self.server.capabilities(self.is_in))}")
        return "Capability completed."

    def do_noop(self, args: list[Token]) -> str:
        return "NOOP completed."

    def do_id(self, args: list[Token]) -> str:
        self.say('* ID ("name" "stand-in")')
        return "ID completed."

    def do_logout(self, args: list[Token]) -> str:
        self.say("* BYE Logging out")
        return "Logout completed."

    def do_login(self, args: list[Token]) -> str:
        user, password = (text_of(arg) for arg in args)
        return self.signed_in(self.server.admits(user, password=password))

    async def authenticate(self, args: list[Token]) -> str:
        mechanism = text_of(args[0]).upper()
        if mechanism not in {"PLAIN", "XOAUTH2"}:
            raise No("[CANNOT] unknown mechanism")
        given = text_of(args[1]) if len(args) > 1 else await self.challenge(b"")
        try:
            said = base64.b64decode(given).decode()
            if mechanism == "PLAIN":
                _, user, password = said.split("\0")
                return self.signed_in(self.server.admits(user, password=password))
            fields = dict(part.partition("=")[::2] for part in said.strip("\x01").split("\x01"))
            token = fields["auth"].removeprefix("Bearer ")
        except (ValueError, KeyError) as exc:
            raise Bad("not what the mechanism asks for") from exc
        is_known = self.server.admits(fields.get("user", ""), token=token)
        if not is_known and await self.challenge(b'{"status":"401","schemes":"bearer"}'):
            raise Bad("an empty answer was expected")
        return self.signed_in(is_known)

    async def challenge(self, text: bytes) -> str:
        self.out += b"+ " + base64.b64encode(text) + b"\r\n"
        await self.flush()
        return (await self.reader.readline()).strip().decode("ascii", "replace")

    def signed_in(self, is_known: bool) -> str:
        if not is_known:
            raise No("[AUTHENTICATIONFAILED] Authentication failed.")
        self.is_in = True
        return f"[CAPABILITY {' '.join(self.server.capabilities(True))}] Logged in"

    def do_enable(self, args: list[Token]) -> str:
        asked = {text_of(arg).upper() for arg in args} & {"CONDSTORE", "QRESYNC"} & set(self.server.capabilities(True))
        self.enabled |= asked
        if "QRESYNC" in asked:
            self.enabled.add("CONDSTORE")
        self.say(f"* ENABLED {' '.join(sorted(asked))}".rstrip())
        return "Enabled."

    # -- folders ------------------------------------------------------------------------------------

    def find(self, token: Token) -> Folder:
        name = decode_name(text_of(token))
        name = "INBOX" if name.upper() == "INBOX" else name
        folder = self.server.folders.get(name)
        if folder is None or "l" not in folder.rights:
            raise No(f"Mailbox doesn't exist: {encode_name(name)}")
        return folder

    def do_list(self, args: list[Token]) -> str:
        for folder in self.server.folders.values():
            if "l" in folder.rights:
                flags = " ".join(("\\HasNoChildren", *folder.use))
                self.say(f'* LIST ({flags}) "{self.server.separator}" "{encode_name(folder.name)}"')
        return "List completed."

    def do_create(self, args: list[Token]) -> str:
        name = decode_name(text_of(args[0]))
        if name in self.server.folders:
            raise No("[ALREADYEXISTS] Mailbox already exists")
        self.server.add_folder(name)
        return "Create completed."

    def do_delete(self, args: list[Token]) -> str:
        del self.server.folders[self.find(args[0]).name]
        return "Delete completed."

    def do_status(self, args: list[Token]) -> str:
        folder = self.readable(args[0])
        wanted = [text_of(item).upper() for item in args[1]] if isinstance(args[1], list) else []
        numbers = {
            "MESSAGES": len(self.server.there(folder)), "UIDNEXT": folder.next, "UIDVALIDITY": folder.validity,
            "HIGHESTMODSEQ": folder.modseq, "RECENT": 0, "UNSEEN": 0,
        }  # fmt: skip
        if "HIGHESTMODSEQ" in wanted and "CONDSTORE" not in self.server.capabilities(True):
            raise Bad("unknown status item")
        items = " ".join(f"{name} {numbers[name]}" for name in wanted)
        self.say(f'* STATUS "{encode_name(folder.name)}" ({items})')
        return "Status completed."

    def readable(self, token: Token) -> Folder:
        folder = self.find(token)
        if "r" not in self.server.rights_at(folder):
            raise No("[NOPERM] Permission denied")
        return folder

    def do_myrights(self, args: list[Token]) -> str:
        folder = self.find(args[0])
        self.say(f'* MYRIGHTS "{encode_name(folder.name)}" {self.server.rights_at(folder)}')
        return "Myrights completed."

    def do_examine(self, args: list[Token]) -> str:
        self.open(args, False)
        return "[READ-ONLY] Examine completed."

    def do_select(self, args: list[Token]) -> str:
        self.open(args, True)
        return f"[{'READ-WRITE' if self.can_write else 'READ-ONLY'}] Select completed."

    def open(self, args: list[Token], to_write: bool) -> None:
        self.folder = None
        folder = self.readable(args[0])
        self.can_write = to_write and bool(set("swite") & set(self.server.rights_at(folder)))
        self.uids = sorted(self.server.there(folder))
        self.say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        self.say("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags permitted.")
        self.say(f"* {len(self.uids)} EXISTS")
        self.say("* 0 RECENT")
        self.say(f"* OK [UIDVALIDITY {folder.validity}] UIDs valid")
        self.say(f"* OK [UIDNEXT {folder.next}] Predicted next UID")
        if "CONDSTORE" in self.server.capabilities(True):
            self.say(f"* OK [HIGHESTMODSEQ {folder.modseq}] Highest")
        self.folder = folder

    def opened(self) -> Folder:
        if self.folder is None:
            raise Bad("no mailbox selected")
        return self.folder

    def do_unselect(self, args: list[Token]) -> str:
        self.opened()
        self.folder = None
        return "Unselect completed."

    def tell_news(self) -> None:
        """What others have done to the open folder since: deletions first, then the new count."""
        there = self.server.there(self.opened())
        gone = [uid for uid in self.uids if uid not in there]
        if gone and "QRESYNC" in self.enabled:
            self.say(f"* VANISHED {as_set(gone)}")
        for uid in gone:
            if "QRESYNC" not in self.enabled:
                self.say(f"* {self.number(uid)} EXPUNGE")
            self.uids.remove(uid)
        if new := [uid for uid in sorted(there) if uid not in set(self.uids)]:
            self.uids += new
            self.say(f"* {len(self.uids)} EXISTS")

    # -- messages -----------------------------------------------------------------------------------

    def matching(self, token: Token) -> list[int]:
        ranges = members(text_of(token), self.uids[-1] if self.uids else 0)
        there = self.server.there(self.opened())
        found: list[int] = []
        for low, high in ranges:
            found += self.uids[bisect_left(self.uids, low) : bisect_right(self.uids, high)]
        return [uid for uid in sorted(set(found)) if uid in there]

    def number(self, uid: int) -> int:
        """The sequence number of a message of the open folder, from 1."""
        return bisect_left(self.uids, uid) + 1

    def do_fetch(self, args: list[Token]) -> str:
        folder, since, with_vanished = self.opened(), None, False
        if len(args) > 2 and isinstance(args[2], list):
            words = [text_of(word).upper() for word in args[2]]
            since = int(words[words.index("CHANGEDSINCE") + 1])
            with_vanished = "VANISHED" in words
            if "CONDSTORE" not in self.server.capabilities(True) or (with_vanished and "QRESYNC" not in self.enabled):
                raise Bad("QRESYNC is not enabled")
            self.enabled.add("CONDSTORE")
        fetch = Fetch(args[1], since is not None)
        if with_vanished:
            gone = [uid for uid in folder.vanished_since(since or 0) if uid < folder.next]
            if gone:
                self.say(f"* VANISHED (EARLIER) {as_set(gone)}")
        hidden = self.server.named("hide", folder) if since is not None else set()
        poison, how = self.server.named("poison", folder), self.server.poison_how()
        for uid in self.matching(args[0]):
            message = folder.messages[uid]
            if since is not None and (message.modseq <= since or uid in hidden):
                continue
            if fetch.marks_seen and self.can_write:
                folder.mark(uid, message.flags | {"\\Seen"})
            answer = fetch.answer(message, how if uid in poison else "")
            self.say(b"* %d FETCH " % self.number(uid) + answer)
        return "Fetch completed."

    def do_search(self, args: list[Token]) -> str:
        folder = self.opened()
        there = self.server.there(folder)
        matches = criteria(args, self.uids[-1] if self.uids else 0)
        hits = [str(uid) for uid in self.uids if uid in there and matches(folder.messages[uid])]
        self.say(" ".join(["* SEARCH", *hits]))
        return "Search completed."

    def must_write(self) -> Folder:
        folder = self.opened()
        if not self.can_write:
            raise No("Mailbox is read-only")
        return folder

    def do_store(self, args: list[Token]) -> str:
        folder, how = self.opened(), text_of(args[1]).upper()
        if not self.can_write:  # as Dovecot: said to be done, and not done
            return "Store completed."
        given = args[2] if isinstance(args[2], list) else [args[2]]
        flags = {text_of(flag) for flag in given}
        for uid in self.matching(args[0]):
            old = folder.messages[uid].flags
            folder.mark(uid, old | flags if how[0] == "+" else old - flags if how[0] == "-" else flags)
            with_modseq, is_silent = "CONDSTORE" in self.enabled, how.endswith(".SILENT")
            if with_modseq or not is_silent:
                answer = Fetch([] if is_silent else "FLAGS", with_modseq).answer(folder.messages[uid], "")
                self.say(b"* %d FETCH " % self.number(uid) + answer)
        return "Store completed."

    def highest(self, folder: Folder) -> str:
        return f"[HIGHESTMODSEQ {folder.modseq}] " if "QRESYNC" in self.enabled else ""

    def do_expunge(self, args: list[Token]) -> str:
        folder = self.must_write()
        folder.remove(uid for uid in self.matching(args[0]) if "\\Deleted" in folder.messages[uid].flags)
        return f"{self.highest(folder)}Expunge completed."

    def do_copy(self, args: list[Token]) -> str:
        return f"[COPYUID {self.copied(args)}] Copy completed."

    def do_move(self, args: list[Token]) -> str:
        folder, uids = self.must_write(), self.matching(args[0])
        self.say(f"* OK [COPYUID {self.copied(args)}] Moved UIDs.")
        folder.remove(uids)
        return f"{self.highest(folder)}Move completed."

    def copied(self, args: list[Token]) -> str:
        folder, target, uids = self.opened(), self.find(args[1]), self.matching(args[0])
        made = [target.add((m := folder.messages[uid]).data, m.flags, m.received) for uid in uids]
        return f"{target.validity} {as_set(uids)} {as_set(made)}"

    def do_append(self, args: list[Token]) -> str:
        try:
            folder, data = self.find(args[0]), args[-1]
        except No as exc:
            raise No(f"[TRYCREATE] {exc}") from exc
        if "i" not in self.server.rights_at(folder):
            raise No("[NOPERM] Permission denied")
        if not isinstance(data, bytes):
            raise Bad("a literal was expected")
        flags: Iterable[Token] = next((arg for arg in args[1:-1] if isinstance(arg, list)), [])
        dates = [arg for arg in args[1:-1] if isinstance(arg, str)]
        at = parse_internal_date(dates[0]) if dates else self.server.now()
        uid = folder.add(data, {text_of(flag) for flag in flags}, at)
        done = f"[APPENDUID {folder.validity} {uid}] " if "UIDPLUS" in self.server.capabilities(True) else ""
        return f"{done}Append completed."
