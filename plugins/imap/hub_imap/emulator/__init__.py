"""A stand-in for an IMAP server: real TCP on loopback, one account, numbers as a good server keeps them.

Written from RFC 3501, 4314, 4315, 5530, 6154 and 7162 and compared with a real server by the tests; it shares nothing with
the connector. The base class serves HTTP: here that is the OAuth token endpoint and the control end points; IMAP has a
port of its own, `imap_port`. The base's transport faults strike IMAP commands too: `path` is "/imap/<COMMAND>", `method`
"POST" for commands that write and "GET" for the others.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator, Running
from hub_imap.emulator.mailbox import Folder
from hub_imap.emulator.session import ServerSession

BEFORE = ("IMAP4rev1", "SASL-IR", "LITERAL+", "ENABLE", "AUTH=PLAIN", "AUTH=XOAUTH2")
BARE = ("IMAP4rev1", "LITERAL+")
AFTER = (*BARE, "ENABLE", "UNSELECT", "UIDPLUS", "MOVE", "ACL", "SPECIAL-USE", "LIST-EXTENDED")
LEVELS = {"qresync": (*AFTER, "CONDSTORE", "QRESYNC"), "condstore": (*AFTER, "CONDSTORE"), "plain": BARE}
MAIL = {
    "Drafts": ("\\Drafts",), "Sent": ("\\Sent",), "Junk": ("\\Junk",), "Trash": ("\\Trash",), "INBOX": (),
}  # fmt: skip
LOAD_FLAGS = ("\\Seen",)


def _machine_time() -> datetime:
    return datetime.now(UTC)


class ImapEmulator(Emulator):
    """level: "qresync", "condstore" or "plain". password and refresh token of the one account are given."""

    name = "imap"

    def __init__(
        self, now: Callable[[], datetime] = _machine_time, level: str = "qresync", seed: int = 1, separator: str = "/"
    ) -> None:
        super().__init__(seed)
        self.now = now
        self.level = level
        self.separator = separator
        self.user, self.password, self.refresh_token = "box@example.com", "open-sesame", "refresh-of-box"
        self.tokens: set[str] = set()
        self.issued = 0
        self.is_revoked = False
        self.per_minute: int | None = None
        self.most_connections = 100
        self.refusals = 0
        self.folders: dict[str, Folder] = {}
        self.validity = 1_700_000_000
        for name, use in sorted(MAIL.items()):
            self.add_folder(name, use)
        self.sessions = 0
        self.imap_port = 0
        self._window = (0, 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # -- the account --------------------------------------------------------------------------------

    def add_folder(self, name: str, use: tuple[str, ...] = ()) -> Folder:
        self.validity += 1
        self.folders[name] = Folder(name, self.validity, use)
        return self.folders[name]

    def add(self, folder: str, data: bytes, flags: Sequence[str] = (), at: datetime | None = None) -> str:
        """Deliver a message; its name as `<folder>/<UIDVALIDITY>/<UID>`."""
        with self.lock:
            box = self.folders.get(folder) or self.add_folder(folder)
            return f"{folder}/{box.validity}/{box.add(data, flags, at or self.now())}"

    def place(self, name: str) -> tuple[Folder, int]:
        folder, _, uid = name.rsplit("/", 2)
        return self.folders[folder], int(uid)

    def there(self, folder: Folder) -> set[int]:
        """UIDs the server admits to."""
        return set(folder.messages) - self.named("vanish", folder)

    def named(self, kind: str, folder: Folder) -> set[int]:
        """UIDs of a folder that a fault of this kind is about."""
        prefix = f"{folder.name}/{folder.validity}/"
        args = self.faults.args(kind) or {}
        return {int(i.removeprefix(prefix)) for i in args.get("ids", ()) if i.startswith(prefix)}

    def poison_how(self) -> str:
        return str((self.faults.args("poison") or {}).get("how", "nil"))

    def rights_at(self, folder: Folder) -> str:
        denied = self.faults.args("deny_scope")
        if denied is not None and denied.get("folder", folder.name) == folder.name:
            return "l"
        return folder.rights

    def capabilities(self, is_in: bool) -> tuple[str, ...]:
        return LEVELS[self.level] if is_in else BEFORE

    # -- who may come in ----------------------------------------------------------------------------

    def admits(self, user: str, *, password: str = "", token: str = "") -> bool:
        if self.is_revoked or user != self.user or self.faults.args("revoke_token") is not None:
            return False
        return password == self.password or token in self.tokens

    def is_crowded(self) -> bool:
        return self.sessions > self.most_connections

    def refusal(self, path: str, method: str) -> str:
        """Why this command is not carried out now, "" when it is."""
        if self.faults.args("quota") is not None:
            return "[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"
        if fault := self.faults.hits("status", path, method):
            if fault.args.get("status") == 429:
                return "[LIMIT] Too many commands, slow down"
            return "[UNAVAILABLE] Temporary failure, try again"
        minute = int(self.now().timestamp() // 60)
        self._window = (minute, self._window[1] + 1) if self._window[0] == minute else (minute, 1)
        if self.per_minute is not None and self._window[1] > self.per_minute:
            self.refusals += 1
            return "[LIMIT] Too many commands, slow down"
        return ""

    async def _token(self, request: Request) -> JSONResponse:
        form = dict(parse_qsl((await request.body()).decode()))
        if self.is_revoked or form.get("refresh_token") != self.refresh_token:
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.issued += 1
        token = f"access-{self.issued}"
        self.tokens.add(token)
        return JSONResponse({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    # -- as other emulators -------------------------------------------------------------------------

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/token", self._token, methods=["POST"])]

    def state(self) -> dict[str, Any]:
        return {
            "imap_port": self.imap_port,
            "folders": {
                f.name: {
                    "uidvalidity": f.validity, "uidnext": f.next, "highestmodseq": f.modseq,
                    "messages": {uid: sorted(m.flags) for uid, m in f.messages.items()},
                }
                for f in self.folders.values()
            },
        }  # fmt: skip

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """deliver (folder, text, flags), move (id, folder), delete (id), mark (id, flags), renumber (folder), load."""
        if command == "deliver":
            data = str(args["text"]).replace("\r\n", "\n").replace("\n", "\r\n").encode()
            return {"id": self.add(args.get("folder", "INBOX"), data, args.get("flags", ()))}
        if command == "load":
            return {"messages": self.load(Path(args["path"]), args.get("folder", "INBOX"))}
        if command == "renumber":
            return self.renumber(args["folder"])
        folder, uid = self.place(args["id"])
        if command == "delete":
            folder.remove([uid])
        elif command == "mark":
            folder.mark(uid, set(args["flags"]))
        elif command == "move":
            m = folder.messages[uid]
            moved = self.add(args["folder"], m.data, sorted(m.flags), m.received)
            folder.remove([uid])
            return {"id": moved}
        else:
            raise KeyError(command)
        return {}

    def renumber(self, folder: str) -> dict[str, str]:
        """Give a folder a new UIDVALIDITY; old name of each message -> new name."""
        box = self.folders[folder]
        self.validity += 1
        old = box.validity
        moved = box.renumber(self.validity)
        return {f"{folder}/{old}/{a}": f"{folder}/{box.validity}/{b}" for a, b in moved.items()}

    def load(self, path: Path, folder: str = "INBOX") -> int:
        """Deliver every file of a folder (an unpacked Maildir, say), in order of their names."""
        files = sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            data = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            self.add(folder, data, LOAD_FLAGS, datetime.fromtimestamp(file.stat().st_mtime, UTC))
        return len(files)

    # -- the IMAP port ------------------------------------------------------------------------------

    def start(self, port: int = 0) -> int:
        """Listen for IMAP on loopback, in a thread; the port."""
        ready = threading.Event()

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 20)
            self.imap_port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._stop.wait()
            server.close()

        self._thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True, name="imap-emulator-port")
        self._thread.start()
        if not ready.wait(20):
            raise RuntimeError("the IMAP stand-in did not start")
        return self.imap_port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        try:
            await ServerSession(self, reader, writer).run()
        finally:
            self.sessions -= 1

    def stop(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._loop = self._thread = None

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[Running]:
        """HTTP at `port`, IMAP one port above (or both anywhere free), until the block ends."""
        was_on = self._thread is not None
        if not was_on:
            self.start(port + 1 if port else 0)
        try:
            with super().serve(port) as running:
                yield running
        finally:
            if not was_on:
                self.stop()

    def serve_forever(self, port: int) -> None:
        self.start(port + 1 if port else 0)
        try:
            super().serve_forever(port)
        finally:
            self.stop()
