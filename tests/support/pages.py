"""A small hub behind the pages, and browsers that are signed in, without a browser."""

import asyncio
import html
import re
from collections.abc import Mapping, Sequence
from http.cookies import SimpleCookie
from typing import Any

import httpx
import sqlalchemy as sa
from acorn import Vendor
from world import World, mail

from hub.access import Door, Passwords, Viewer, accounts, sessions
from hub.api import Identifier, Person
from hub.engine import Engine
from hub.service import Desk
from hub.store import Store
from hub.store import tables as t
from hub.web import create_app

BASE = "https://hub.ourco.example"
PASSWORD = "four quiet otters row"
KAY, KIM = "kay@kestrel.example", "kim@kestrel.example"
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class Browser:
    """A browser that keeps its cookies, and answers forms with what the last page it was shown said.

    Answers are httpx.Response; redirects are not followed.
    """

    def __init__(self, site: "Site", cookie: str = "") -> None:
        self.site = site
        self.cookies = {"__Host-hub": cookie} if cookie else {}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._send("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str | Sequence[str]] | None = None, **headers: str) -> httpx.Response:
        """A form of a page of this session; "csrf" and "origin" may be given to be wrong."""
        visit = self.site.door.visit(self.cookies.get("__Host-hub", ""))
        csrf = visit.session.csrf if visit else ""
        return self._send("POST", path, data={"csrf": csrf, **(form or {})}, headers={"origin": BASE, **headers})

    def follow(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == 303, (answer.status_code, text_of(answer)[:500])
        return self.get(answer.headers["location"])

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.site.app, client=("203.0.113.7", 5000))
            async with httpx.AsyncClient(transport=transport, base_url=BASE, cookies=self.cookies) as http:
                answer = await http.request(method, path, **more)
            for line in answer.headers.get_list("set-cookie"):
                for name, morsel in SimpleCookie(line).items():
                    self.cookies.pop(name, None)
                    if morsel["max-age"] != "0":
                        self.cookies[name] = morsel.value
            return answer

        return asyncio.run(send())


class Site:
    """ids: what tests ask for by name: "kay", "kim", "kestrel" (parties) and "order", "hostile" ... (entries by subject)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engine: Engine = world.engine
        self.door = Door(world.store, world.clock, Passwords(memory_kib=8, passes=1))
        self.app = create_app(world.engine, self.door, BASE)

    def client(self, role: str = "admin", email: str = "") -> Browser:
        """Somebody with this role, signed in just now."""
        email = email or f"{role}@ourco.example"
        now = self.world.clock.now()
        with self.world.store.write() as c:
            found = accounts.find(c, email)
            if found is None:
                found, _ = accounts.create(c, Viewer.local("tests"), email, role.title(), (role,), now)
            return Browser(self, sessions.begin(c, now, found.id, method="test"))

    def stranger(self) -> Browser:
        return Browser(self)

    def desk(self) -> Desk:
        return Desk(self.engine, Viewer.local("tests"))

    def party(self, name: str) -> str:
        """The public id of the person or organization of this name."""
        of = sa.exists().where(t.identifier.c.party_id == t.party.c.id)
        found = self.world.one(sa.select(t.party.c.public_id).where(t.party.c.name == name, of))
        assert found, name
        return str(found)

    def entry(self, subject: str) -> str:
        return str(self.world.one(sa.select(t.interaction.c.public_id).where(t.interaction.c.subject == subject)))


def estate(store: Store) -> World:
    """Two people of one company known to two tools, a conversation, hostile text, a deal and a task, a record that cannot be read."""
    vendors = {"desk": Vendor(), "mailbox": Vendor(), "sor": Vendor()}
    world = World(store, vendors, sor="sor")
    for tool, number in (("desk", "7"), ("mailbox", "8")):
        ids = (Identifier("acorn:users", number), Identifier("email", KAY))
        vendors[tool].put("parties", f"p{number}", Person(external_id=number, identifiers=ids, name="Kay Hill"))
    ids = (Identifier("acorn:users", "9"), Identifier("email", KIM))
    vendors["desk"].put("parties", "p9", Person(external_id="9", identifiers=ids, name="Kim Reed"))
    first = mail(
        "m1", KAY, subject="Order", text="Twelve crates, please.", body="Twelve crates, please.\n\n> older words"
    )
    vendors["mailbox"].mail(first)
    vendors["desk"].mail(first)
    for n in range(2, 6):
        vendors["mailbox"].mail(mail(f"m{n}", KAY, refs=("m1",), minute=n, subject="Re: Order", text=f"Word {n}."))
    vendors["mailbox"].mail(mail("h", KIM, minute=30, subject=HOSTILE, text=HOSTILE, body=HOSTILE))
    vendors["mailbox"].mail(
        mail("out", "sam@ourco.example", [KAY], minute=60, subject="Your order", text="It is on its way.")
    )
    vendors["mailbox"].put("mail", "broken", {"not": "a record"})
    world.sync()
    return world


def text_of(answer: httpx.Response) -> str:
    """What a person reads on a page, with single blanks."""
    body = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", answer.text)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
