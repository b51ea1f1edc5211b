"""The clauses' second run: the same rigs, and the real engine, a real database, settings as an admin would write."""

import asyncio
import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import sqlalchemy as sa
from emptying import empty_database
from hub_bulletin import Bulletin
from hub_bulletin.rig import MessagesRig, PeopleRig

from hub import plugins
from hub import settings as config
from hub.api import FakeClock
from hub.engine import Engine, SyncResult
from hub.store import Store, unpack
from hub.store import tables as t
from hub.testing import Emulator, Rig
from hub.testing.suite import START, serve
from hub.testing.suite_bench import TLS

PLUGINS = Path(__file__).parents[2] / "plugins"
OWN = "example.com"


@cache
def _tests_of(plugin: str) -> ModuleType:
    """A plugin's conformance tests, for their rigs."""
    path = PLUGINS / plugin / "tests" / "test_conformance.py"
    spec = importlib.util.spec_from_file_location(f"conformance_of_{plugin}", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RIGS: dict[str, type[Rig]] = {
    "caldav": _tests_of("caldav").CalDavRig,
    "calendar": _tests_of("calendar").CalendarRig,
    "gmail": _tests_of("gmail").GmailRig,
    "hubspot-contacts": _tests_of("hubspot").ContactsRig,
    "hubspot-emails": _tests_of("hubspot").EmailsRig,
    "imap": _tests_of("imap").ImapRig,
    "mailchimp": _tests_of("mailchimp").MembersRig,
    "mailfile": _tests_of("mailfile").MboxRig,
    "zendesk": _tests_of("zendesk").CommentsRig,
    "bulletin-messages": MessagesRig,
    "bulletin-people": PeopleRig,
}


class Transport(httpx.AsyncHTTPTransport):
    """One pool for all syncs of a test; what a connector closes stays open until the end."""

    def __init__(self) -> None:
        super().__init__(verify=TLS)

    async def aclose(self) -> None:
        """The stand closes it."""

    async def really_close(self) -> None:
        await super().aclose()


class Hub:
    """A hub with one connection, `it`, to a rig's account; further ones may be added. Opened anew, it is restarted."""

    def __init__(self, name: str, folder: Path, **sections: Any) -> None:
        self.folder = folder
        self.clock = FakeClock(START)
        self.transport = Transport()
        self.rigs: dict[str, Rig] = {}
        self.connections: dict[str, config.Connection] = {}
        self.sections = sections
        self.rig = self.add("it", name)
        (folder / "hub.db").write_bytes(empty_database())
        self._engine: Engine | None = None
        self._served = ExitStack()

    def add(self, connection: str, name: str, **changed: Any) -> Rig:
        """One more connection, with a rig of its own and its emulator served."""
        folder = self.folder / connection
        folder.mkdir()
        rig = self.rigs[connection] = RIGS[name](self.clock, folder)
        url = serve(rig.emulator) if not self.connections else self._serve_too(rig.emulator)
        given = {**rig.settings(url), **changed}
        self.connections[connection] = config.Connection(connector=name.partition("-")[0], settings=given)
        return rig

    def _serve_too(self, emulator: Emulator | None) -> str:
        return self._served.enter_context(emulator.serve()).url if emulator is not None else ""

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            own = self.sections.pop("own", config.Own(domains=(OWN,)))
            wanted = config.Settings(
                hub=config.Hub(data_dir=self.folder), own=own, connections=self.connections, **self.sections
            )
            self.sections["own"] = own
            registry = plugins.load()
            registry.connectors.setdefault("bulletin", Bulletin)
            store = Store.open(wanted.hub.database_url)
            self._engine = Engine(wanted, store, registry, clock=self.clock, transport=self.transport)
        return self._engine

    def restart(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    async def close(self) -> None:
        self.restart()
        await self.transport.really_close()
        await asyncio.to_thread(self._served.close)

    async def sync(self, *streams: str, census: bool = False, of: str = "it") -> SyncResult:
        """Only the rig's stream unless others are named."""
        return await self.engine.sync(of, streams=streams or (self.rigs[of].stream,), census=census)

    # What is held

    def rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        with self.engine.store.read() as c:
            return c.execute(query).all()

    def live(self, of: str = "it") -> set[str]:
        """External ids that stand: neither gone nor merged away."""
        joined = (
            sa.select(t.record.c.external_id)
            .join(t.stream, t.stream.c.id == t.record.c.stream_id)
            .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
            .where(t.connection.c.name == of, t.stream.c.name == self.rigs[of].stream, t.record.c.gone_at.is_(None))
        )
        return {row[0] for row in self.rows(joined)}

    def open_issues(self) -> list[tuple[str, int]]:
        """(cause, how often it struck) of everything open."""
        query = sa.select(t.issue.c.cause, t.issue.c.times).where(t.issue.c.closed_at.is_(None))
        return [(cause, times) for cause, times in self.rows(query)]

    def everything_stored(self) -> bytes:
        """The database file as it is, and what is packed in it unpacked."""
        with self.engine.store.write() as c:
            c.exec_driver_sql("select 1")
        parts = [path.read_bytes() for path in sorted(self.folder.glob("hub.db*"))]
        parts += [unpack(codec, body) for codec, body in self.rows(sa.select(t.raw.c.codec, t.raw.c.body))]
        for codec, text, full in self.rows(sa.select(t.body.c.codec, t.body.c.text, t.body.c.full_text)):
            parts += [unpack(codec, text), unpack(codec, full) if full else b""]
        return b"\0".join(parts)
