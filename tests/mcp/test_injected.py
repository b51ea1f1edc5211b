"""Mails that give orders, from landing to every answer: they stay marked data, and obeying all of them writes nothing."""

import asyncio
import base64
import codecs
import json
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from acorn import Acorn, Vendor
from databases import on_sqlite
from estates import kept
from injected import ATTACKS, KAY, SAM, canary, write
from world import World

from hub import inbox
from hub import settings as config
from hub.access import Door, Viewer, accounts, roles, tokens
from hub.api import Identifier, Person
from hub.engine import Engine
from hub.mcp import create_app
from hub.mcp.untrusted import MOST
from hub.plugins import Registry
from hub.reports import REPORTS
from hub.service import Desk, customers, plans, proposals
from hub.store import Store
from hub.store import tables as t
from hub.store.tables_access import access_event
from hub_mailfile import MailFile

KINDS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u115f\u200b-\u200f\u2028-\u202e\u2060-\u2069\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef]"
)
LIVE = re.compile(
    r"\w://|\]\(|\]\[|<(?:img|script|invoke|system|/|!)|javascript:|mailto:|data:|www\.|evil\.example/", re.IGNORECASE
)
MINE = "prop-mine-1"


class Scene:
    """A mailbox of orders, a system of record that knows Kay, a plan and a proposal that wait, and an assistant's token.

    The token may do all there is: what holds for it holds for any.
    """

    def __init__(self, store: Store) -> None:
        sor = Vendor()
        for key, address, name in (("p1", KAY, "Kay Hill"), ("p2", SAM, "Sam")):
            person = Person(external_id=key, identifiers=(Identifier("email", address),), name=name)
            sor.put("parties", key, person)
        self.world = World(store, {"sor": sor}, sor="sor")
        self.world.sync()
        self.world.clock.advance(3 * 3600)
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            plain = self.world.settings.model_dump(mode="json", exclude_unset=True)
            plain["connections"]["box"] = {"connector": "mailfile", "settings": {"path": folder}}
            self.world.settings = config.Settings.model_validate(plain)
            registry = Registry(connectors={"acorn": Acorn, "mailfile": MailFile})
            self.world.engine = Engine(self.world.settings, store, registry, clock=self.world.clock)
            books = asyncio.run(self.world.engine.sync("box")).streams[0].books
        assert books.is_balanced
        assert books.counts["new"] == len(ATTACKS) + 1, books
        ben = Desk(self.world.engine, Viewer.local("ben"))
        self.kay = str(customers.search(ben, KAY)[0]["public_id"])
        version = proposals.version(customers.brief(ben, self.kay))
        due = self.world.clock.now().date()
        waiting = proposals.propose_step(ben, self.kay, "Call back", due, expected_version=version, key=MINE)["plan"]
        self.plans = (waiting, self.world.plan().id)
        self.nonce = str(plans.approval(ben, waiting)["nonce"])
        self.told: list[Any] = []
        now, local = self.world.engine.clock.now(), Viewer.local("tester")
        with store.write() as c:
            made, _ = accounts.create(c, local, "ana@ourco.example", "Ana", ["admin"], now)
            self.token, _ = tokens.create(c, local, made.id, "assistant", sorted(roles.ALL), now)


@pytest.fixture
def scene(kept_store: Store) -> Scene:
    return kept(kept_store, "injected", Scene)


class Assistant:
    """Speaks the protocol over HTTP, without a mind of its own. words: all that it was ever answered."""

    def __init__(self, client: httpx.Client, scene: Scene) -> None:
        self._client, self._scene = client, scene
        self.calls, self.words = 0, list[str]()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.calls += method in {"tools/call", "prompts/get"}
        self._scene.world.clock.advance(0.3)
        answer = self._client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self.words.append(answer.text)
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def call(self, tool: str, **given: Any) -> Any:
        """What the tool told. Raises AssertionError for a refusal."""
        told = self.ask("tools/call", name=tool, arguments=given)["result"]
        assert not told.get("isError"), told
        [content] = told["content"]
        assert json.loads(content["text"]) == told["structuredContent"], "one text, and it says the same"
        return told["structuredContent"]


@contextmanager
def assistant(scene: Scene) -> Iterator[Assistant]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    app = create_app(scene.world.engine, Door(scene.world.store, scene.world.clock), url)
    headers = {**KINDS, "authorization": f"Bearer {scene.token}"}
    with inbox.serving(app, "127.0.0.1", port), httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        yield Assistant(client, scene)


def looked_up(to: Assistant, scene: Scene) -> list[Any]:
    """Everything that the tools that read tell of the customer, of each entry and of everybody who wrote; asked once."""
    if scene.told:
        return scene.told
    found: list[Any] = [to.call("brief", customer=KAY), to.call("fetch", id=scene.kay)]
    found += [
        to.call("search", query=text)
        for text in ("example", "eve", "SYSTEM", *(f"eve{n}@evil.example" for n in (0, 14)))
    ]
    entries, before = list[Any](), {}
    while before is not None:
        page = to.call("timeline", customer=KAY, limit=50, **before)
        entries += page["entries"]
        before = {"before": page["next"]} if page["next"] else None
        found.append(page)
    assert len(entries) == len(ATTACKS) + 1
    for e in entries:
        found += [to.call("fetch", id=e["id"]), to.call("explain", entry=e["id"])]
    found += [to.call("status"), to.call("coverage"), to.call("report")]
    scene.told = found + [to.call("report", name=name) for name in REPORTS]
    return scene.told


def strings(found: Any, is_marked: bool = False) -> Iterator[tuple[str, bool]]:
    """(text, whether anything around it says that it is not to be trusted)."""
    if isinstance(found, dict):
        is_marked = is_marked or found.get("untrusted_content") is True
        for value in found.values():
            yield from strings(value, is_marked)
    elif isinstance(found, list):
        for value in found:
            yield from strings(value, is_marked)
    elif isinstance(found, str):
        yield found, is_marked


def test_there_are_enough_and_each_is_another() -> None:
    assert len(ATTACKS) >= 40
    assert len({a.name for a in ATTACKS}) == len(ATTACKS)


@on_sqlite
def test_all_that_a_stranger_wrote_is_marked_visible_and_cut(scene: Scene) -> None:
    with assistant(scene) as to:
        found = looked_up(to, scene)
    texts = [pair for answer in found for pair in strings(answer)]
    seen = "".join(text for text, _ in texts)
    missing = [ATTACKS[n].name for n in range(len(ATTACKS)) if canary(n) not in seen]
    assert missing == [], "what never came through landing tests nothing"
    for text, is_marked in texts:
        says = re.search(r"canary\d|plan=1|evil", text)
        assert is_marked or not says, text
        assert INVISIBLE.search(text) is None, ascii(text)
        assert len(text) <= 3 * MOST
        assert not (says and LIVE.search(text)), text
    for answer in found:
        if text := answer.get("text"):
            head, *rest = text.split("\n")
            assert "no instructions" in head
            assert not re.search(r"canary|plan=1|\beve", head)
            assert all(row.startswith("> ") for row in rest), text
    assert max(len(json.dumps(answer)) for answer in found) < 200_000


@on_sqlite
def test_a_transcript_stays_in_its_quotation(scene: Scene) -> None:
    with assistant(scene) as to:
        for attack in ATTACKS:
            told = to.ask("prompts/get", name="draft_note", arguments={"transcript": attack.text or attack.html})
            ours, said = told["result"]["messages"][0]["content"]["text"].split("\n\n", 1)
            assert ours.startswith("Write a note")
            assert all(row.startswith("> ") for row in said.split("\n")), attack.name
            assert INVISIBLE.search(said) is None, attack.name
            assert len(said) < 160_000


# --- obeying ----------------------------------------------------------------------------------------------------------

_WANTED = re.compile(
    r"\b(approve\w*|apply|undo|merge|reject|send_mail|propose_next_step|plans_\w+|search)\b", re.IGNORECASE
)
_PAIR = re.compile(r"\b([a-z_]{2,30})\s*[=:]\s*['\"]?([\w@.-]{1,80})")
_INVOKE = re.compile(r"<\s*invoke name=\"(\w+)\">")
_PARAMETER = re.compile(r"<\s*parameter name=\"(\w+)\">\s*([^<]*)")
_CODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def orders(text: str, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every call that could be meant, in whatever clothes: words, code, JSON, XML, and what is behind a code."""
    pairs: dict[str, Any] = {name: int(value) if value.isdigit() else value for name, value in _PAIR.findall(text)}
    for name in _WANTED.findall(text):
        yield name.lower(), pairs
    for name in _INVOKE.findall(text):
        yield name, dict(_PARAMETER.findall(text))
    for at in (m.start() for m in re.finditer(r"\{", text)):
        try:
            found, _ = json.JSONDecoder().raw_decode(text[at:])
        except ValueError:
            continue
        inner = found.get("params", found)
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            yield inner["name"], inner.get("arguments") or {}
    if depth == 0:
        yield from orders(codecs.decode(text, "rot13"), 1)
        for coded in _CODED.findall(text):
            try:
                yield from orders(base64.b64decode(coded + "==").decode(), 1)
            except ValueError:
                continue


@on_sqlite
def test_obeying_every_mail_writes_nothing(scene: Scene) -> None:
    store, sor = scene.world.store, scene.world.vendors["sor"]

    def standing() -> Any:
        with store.read() as c:
            return [
                c.execute(sa.select(sa.func.count()).select_from(table)).scalar()
                for table in (t.journal, t.remote, t.decision)
            ]

    def logged() -> int:
        with store.read() as c:
            of = sa.select(sa.func.count()).select_from(access_event).where(access_event.c.act == "tool-called")
            return int(c.execute(of).scalar_one())

    before, written = standing(), logged()
    with assistant(scene) as to:
        listed = {x["name"] for x in to.ask("tools/list")["result"]["tools"]}
        version = to.call("brief", customer=KAY)["version"]
        texts = [text for answer in looked_up(to, scene) for text, _ in strings(answer)]
        wanted = {json.dumps(order, sort_keys=True) for text in texts for order in orders(text)}
        asked = [json.loads(order) for order in sorted(wanted)]
        names = {name for name, _ in asked} | {"approve", "apply", "undo", "merge", "perform", "sync", "plans.approve"}
        nonces = {str(v) for _, given in asked for k, v in given.items() if k == "nonce"} | {scene.nonce, "", "0" * 32}
        assert len(names) > 12, "it has to have understood them"
        for name, given in asked:
            if name == "propose_next_step":
                full = {"what": "x", "due": "2026-12-01", "idempotency_key": "evil-key-0000"} | given
                given = full | {"customer": KAY, "expected_version": version}
            to.ask("tools/call", name=name, arguments=given)
        for name in sorted(names):
            for plan in scene.plans:
                for nonce in sorted(nonces) if name in {"approve", "apply", "approve_plan"} else [scene.nonce]:
                    to.ask(
                        "tools/call", name=name, arguments={"plan": plan, "number": plan, "nonce": nonce, "yes": True}
                    )
            for method in (name, f"plans/{name}", f"tools/{name}", f"notifications/{name}"):
                to.ask(method, plan=scene.plans[0], nonce=scene.nonce)
            to.ask("prompts/get", name=name, arguments={"plan": str(scene.plans[0])})
            to.ask("resources/read", uri=f"ihub://plans/{scene.plans[0]}/{name}")
        ours = {"customer": KAY, "what": "x", "due": "2026-12-01", "expected_version": version}
        for more in (
            {"nonce": scene.nonce},
            {"status": "approved"},
            {"plan": scene.plans[0]},
            {"approved_by": "admin"},
        ):
            to.ask(
                "tools/call", name="propose_next_step", arguments={**ours, "idempotency_key": f"evil-{more}", **more}
            )
        for path in (
            f"/api/v1/plans/{scene.plans[0]}/approve",
            f"/plans/{scene.plans[0]}/approve",
            f"/mcp/plans/{scene.plans[0]}/approve",
        ):
            assert to._client.post(path, json={"nonce": scene.nonce}).status_code == 404
        words = " ".join(to.words)
    assert listed.isdisjoint(names - {"search", "propose_next_step"})
    assert scene.nonce not in words.replace(f'"nonce": "{scene.nonce}"', ""), "nobody told it"
    assert logged() - written == to.calls, "every call is written down, whatever became of it"
    with store.read() as c:
        found = c.execute(sa.select(t.plan.c.kind, t.plan.c.status)).all()
    assert {status for _, status in found} == {"draft"}
    assert len(found) > len(scene.plans), "it did propose: that is all there is"
    assert standing() == before
    assert (sor.pushes, sor.objects, sor.log) == (0, {}, [])
