"""Whole hubs behind real HTTP, for people with a browser: the made-up company's, and the real mailbox's.

The company's tools stay up beside its hub, so that what the pages do at them is really done.
"""

import asyncio
import io
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from anyio.from_thread import start_blocking_portal

from hub import settings
from hub.access import Door, Viewer, accounts, sessions
from hub.api import Entity, RawRecord, RecordRejected
from hub.cli import main, stage
from hub.cli.serving import answering
from hub.demo import Company, people
from hub.engine import Engine
from hub.service import Desk, hooks, who
from hub.store import tables as t
from hub.testing import Running
from hub_zendesk import Zendesk
from tests.browser.tab import Tab
from tests.e2e import real

PASSWORD = "four quiet otters row"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"
UNREADABLE = "a field this version does not know"


@dataclass
class Hub:
    """A hub that is up. url: of its pages, without a slash at the end."""

    engine: Engine
    url: str
    door: Door = field(init=False)

    def __post_init__(self) -> None:
        self.door = Door(self.engine.store, self.engine.clock)

    def signed_in(self, tab: Tab, *roles: str, path: str = "/", email: str = "", ago: timedelta = timedelta(0)) -> None:
        """Open a page as somebody with these roles (an admin, if none are given), or this account, who signed in `ago`."""
        held = roles or ("admin",)
        email, now = email or f"{'.'.join(held)}@{people.DOMAIN}", self.engine.clock.now()
        with self.engine.store.write() as c:
            of = accounts.find(c, email)
            if of is None:
                of, _ = accounts.create(c, Viewer.local("tests"), email, held[0].title(), held, now)
            cookie = sessions.begin(c, now - ago, of.id, method="password", address="127.0.0.1", agent=AGENT)
        tab.cookie(self.url, "hub", cookie)
        tab.go(self.url + path)

    def account(self, email: str, *roles: str, password: str = PASSWORD) -> None:
        """An account that can sign in."""
        with self.engine.store.write() as c:
            _, code = accounts.create(c, Viewer.local("tests"), email, "", roles, self.engine.clock.now())
        accounts.set_password(self.engine.store, self.door.passwords, code, password, self.engine.clock.now())

    def one(self, query: "sa.Select[Any]") -> Any:
        with self.engine.store.read() as c:
            return c.execute(query).scalars().first()

    def entries(self, public_id: str) -> int:
        """How many entries somebody's timeline has."""
        of = sa.select(t.party.c.id).where(t.party.c.public_id == public_id).scalar_subquery()
        query = sa.select(sa.func.count(sa.distinct(t.link.c.interaction_id))).where(t.link.c.party_id == of)
        return int(self.one(query))

    def party(self, begins: str) -> str:
        """The public id of whose address begins so."""
        of = sa.select(t.party.c.public_id).join(t.identifier, t.identifier.c.party_id == t.party.c.id)
        return str(self.one(of.where(t.identifier.c.scheme == "email", t.identifier.c.value.startswith(begins))))

    def busiest(self, kind: str = "person") -> tuple[str, str]:
        """(public id, name) of the person (or organization) outside with most on their timeline."""
        entries = sa.func.count(t.link.c.interaction_id)
        query = (
            sa.select(t.party.c.public_id, t.party.c.name)
            .join(t.link, t.link.c.party_id == t.party.c.id)
            .where(t.party.c.kind == kind)
            .group_by(t.party.c.id)
            .order_by(entries.desc(), t.party.c.id)
            .limit(1)
        )
        with self.engine.store.read() as c:
            public_id, name = c.execute(query).one()
        return public_id, name


@dataclass
class CompanyHub:
    """The company, its tools, and the folder of a hub that has read everything; copies of it are opened."""

    company: Company
    running: dict[str, Running]
    config: Path

    @contextmanager
    def up(self, folder: Path) -> Iterator[Hub]:
        """A copy of the hub's data in `folder`, opened and served."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.config.parent / "hub.db", folder)
        with opened(self.config, folder) as engine, served(engine) as hub:
            yield hub


@contextmanager
def company_hub(folder: Path, days: int = 90) -> Iterator[CompanyHub]:
    """The tools up, everything read, one plan made, and one ticket that a former version of its connector could not read."""
    folder.mkdir(parents=True, exist_ok=True)
    before = dict(os.environ)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
    company = Company.build(end=end, days=days)
    try:
        with stage.tools(company) as running:
            config = stage.configure(folder, company, {name: tool.url for name, tool in running.items()})
            os.environ["HUB_SCHEDULE__CONCURRENCY"] = "1"  # in one order: each worker's hub asks the same questions
            with _older_version():
                _run(config, "sync", "--quiet")
            _run(config, "plan", "--quiet")
            with opened(config, folder) as engine:
                _furnish(engine)
            yield CompanyHub(company, running, config)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _furnish(engine: Engine) -> None:
    """What a hub has after its first days besides: accounts, somebody told of changes, a question answered."""
    desk = Desk(engine, Viewer.local("ines"))
    for person, *held in (("ines", "admin"), ("tomas", "agent", "operator"), ("nadia", "auditor")):
        with engine.store.write() as c:
            accounts.create(c, desk.viewer, f"{person}@{people.DOMAIN}", "", held, desk.now)
    hooks.add(
        desk,
        "https://warehouse.brindlepost.example/changes",
        ["contact.*", "interaction.created"],
        "the data warehouse",
    )
    asked = who.queue(desk, 20)["questions"]
    [one] = [q["review"] for q in asked if q["left"]["name"] == q["right"]["name"] == "Jonas Adler"]
    who.perform(desk, "accept", one, why="the same signature in both")


def _run(config: Path, *words: str) -> None:
    with redirect_stdout(io.StringIO()) as out:
        code = main(["--config", str(config), *words])
    if code not in (0, 3):  # 3: the one ticket
        raise RuntimeError(f"ihub {' '.join(words)} ended with {code}: {out.getvalue()[-2000:]}")


@contextmanager
def _older_version() -> Iterator[None]:
    """While this lasts, the help desk's connector cannot read one ticket: what an upgrade is there to mend."""
    read, refused = Zendesk.to_canonical, set[str]()

    def older(self: Zendesk, stream: str, raw: RawRecord) -> Iterable[Entity]:
        if stream == "tickets" and (not refused or raw.external_id in refused):
            refused.add(raw.external_id)
            raise RecordRejected(UNREADABLE)
        return read(self, stream, raw)

    with patch.object(Zendesk, "to_canonical", older):
        yield


@contextmanager
def mailbox_hub(folder: Path, messages: int | None) -> Iterator[Hub]:
    """The real support mailbox's hub, with its first messages or (None) all of them."""
    world = real.world(folder, config=f"{real.KEEP_ALL}\n[web]\nport = {free_port()}")
    real.fill(world, messages)

    async def read() -> None:
        async with world.up():
            await world.sync_all()

    asyncio.run(read())
    with world.served(), served(world.engine) as hub:
        yield hub


@contextmanager
def opened(config: Path, data: Path) -> Iterator[Engine]:
    """The engine of these settings on the data in another folder, with a port for its pages."""
    env = {**os.environ, "HUB_HUB__DATA_DIR": str(data), "HUB_WEB__PORT": str(free_port())}
    engine = Engine.open(settings.load(str(config), env))
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def served(engine: Engine) -> Iterator[Hub]:
    """The pages, as `ihub serve` serves them."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(answering(engine)) as url:
        yield Hub(engine, url)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found
