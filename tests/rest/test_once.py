"""A call that is sent twice is done once; a change is made only to what is still as its caller saw it."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from callers import API, KAY, Site
from cryptography.fernet import Fernet
from databases import on_sqlite

from hub.access import Invalid
from hub.access.once import KEPT, Call, StillRunning
from hub.store import Store, marks, tables_hooks
from hub.store.tables_access import answered

HOOK = {"url": "https://hooks.example/in", "events": ["deal.*"]}


@pytest.fixture
def busy(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A hub of its own, with a key for the secrets of webhooks."""
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    yield Site(store)
    marks.arm(store, ())


def once(site: Site, key: str, path: str, body: Any = None, role: str = "admin", method: str = "POST") -> Any:
    return site.ask(method, path, role, json=body, headers={"idempotency-key": key})


def endpoints(site: Site) -> int:
    return len(site.get("/webhooks").json()["endpoints"])


def test_the_second_call_gets_the_answer_of_the_first(busy: Site) -> None:
    first, second = once(busy, "k-1", "/webhooks", HOOK), once(busy, '"k-1"', "/webhooks", HOOK)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert first.json()["secret"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert endpoints(busy) == 1
    other = once(busy, "k-1", "/webhooks", {**HOOK, "description": "another"})
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    assert once(busy, "k-1", "/plans", {}).status_code == 422  # another address is another request, too
    assert once(busy, "k-2", "/webhooks", HOOK).json()["endpoint"] != first.json()["endpoint"]
    with busy.world.store.read() as c:  # what opens something is kept as only its caller reads it
        kept = b"".join(bytes(row.answer or b"") + bytes(row.key) for row in c.execute(sa.select(answered)))
    assert first.json()["secret"].encode() not in kept
    assert b"hooks.example" not in kept
    busy.world.clock.advance(KEPT.total_seconds() + 1)
    assert once(busy, "k-1", "/webhooks", HOOK).json()["endpoint"] != first.json()["endpoint"]


@on_sqlite
def test_a_key_is_its_token_s_alone_and_counts_while_the_token_may_the_same(busy: Site) -> None:
    made = once(busy, "k", "/webhooks", HOOK)
    assert once(busy, "k", "/webhooks", HOOK, "viewer").status_code == 403
    busy.tokens["agent"] = busy.token("admin", "other")
    assert once(busy, "k", "/webhooks", HOOK, "agent").json()["endpoint"] != made.json()["endpoint"]


@on_sqlite
def test_what_was_refused_was_not_done_and_is_looked_at_anew(busy: Site) -> None:
    assert once(busy, "k", "/plans/1/approve").status_code == 404
    assert once(busy, "k", "/webhooks", {"url": 7}).status_code == 422
    assert busy.ask("POST", "/plans", json={}).json()["plan"] == 1
    assert once(busy, "k", "/plans/1/approve").json()["status"] == "approved"
    for key in ("", "x" * 256, "a b", 'a"b', "é".encode().decode("latin-1")):
        answer = busy.ask("POST", "/plans", json={}, headers={"idempotency-key": key.encode("latin-1")})
        assert answer.status_code == 422, key


def test_two_at_once_are_one(busy: Site) -> None:
    async def both() -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {busy.tokens['admin']}", "idempotency-key": "k"}
        transport = httpx.ASGITransport(busy.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example", headers=headers) as client:
            return list(await asyncio.gather(*(client.post(f"{API}/webhooks", json=HOOK) for _ in range(4))))

    answers = asyncio.run(both())
    done = [a for a in answers if a.status_code == 201]
    assert done
    assert {a.status_code for a in answers} <= {201, 409}
    assert len({a.json()["endpoint"] for a in done}) == endpoints(busy) == 1


def test_calls_of_two_processes_agree_on_who_is_first(store: Store) -> None:
    """A second engine over the same database stands for another process."""
    now = Site(store).world.engine.clock.now()
    one, other = (Call(store, "token", "key") for _ in range(2))
    assert one.begin(b"merge", now) is None
    with pytest.raises(StillRunning, match="has not been answered"):
        other.begin(b"merge", now)
    with pytest.raises(Invalid, match="another request"):
        other.begin(b"split", now)
    one.keep(b"done")
    other.let_go()  # too late: what was answered stays
    assert other.begin(b"merge", now + KEPT - timedelta(seconds=1)) == b"done"
    assert Call(store, "another token", "key").begin(b"merge", now) is None
    assert other.begin(b"merge", now + KEPT) is None


# --- If-Match -----------------------------------------------------------------------------------------------------------


def test_a_change_is_made_to_what_was_seen_and_to_nothing_else(busy: Site) -> None:
    made = busy.ask("POST", "/webhooks", json=HOOK).json()["endpoint"]
    seen = busy.get(f"/webhooks/{made}").headers["etag"]
    with busy.world.store.write() as c:  # a delivery went well: another answer, and nothing that anybody set
        c.execute(sa.update(tables_hooks.endpoint).values(last_ok_at=1))
    assert busy.get(f"/webhooks/{made}", headers={"if-none-match": seen}).status_code == 200
    edited = busy.ask("PATCH", f"/webhooks/{made}", json={"description": "mine"}, headers={"if-match": f'"x", {seen}'})
    assert edited.json()["description"] == "mine"
    for method, path, body in (
        ("PATCH", "", {"description": "lost"}), ("DELETE", "", None), ("POST", "/pause", {}), ("POST", "/resume", None),
        ("POST", "/rotate", None),
    ):  # fmt: skip
        late = busy.ask(method, f"/webhooks/{made}{path}", json=body, headers={"if-match": seen})
        assert (late.status_code, late.json()["title"]) == (412, "Precondition Failed"), path
    now = busy.get(f"/webhooks/{made}")
    assert (now.json()["description"], now.json()["state"]) == ("mine", "active")
    assert late.headers["etag"] == now.headers["etag"]
    weak = busy.ask("POST", f"/webhooks/{made}/pause", json={}, headers={"if-match": "W/" + now.headers["etag"]})
    assert weak.status_code == 412
    assert busy.ask("POST", f"/webhooks/{made}/pause", json={}, headers={"if-match": "*"}).json()["state"] == "paused"
    assert busy.ask("DELETE", "/webhooks/ep_x", headers={"if-match": "*"}).status_code == 404
    assert busy.ask("DELETE", f"/webhooks/{made}", "viewer", headers={"if-match": "*"}).status_code == 403
    assert busy.send("DELETE", f"{API}/webhooks/{made}", headers={"if-match": "*"}).status_code == 401


@on_sqlite
def test_of_two_who_saw_the_same_one_changes_it(busy: Site) -> None:
    made = busy.ask("POST", "/webhooks", json=HOOK).json()["endpoint"]
    headers = {
        "authorization": f"Bearer {busy.tokens['admin']}",
        "if-match": busy.get(f"/webhooks/{made}").headers["etag"],
    }

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(busy.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example", headers=headers) as client:
            sent = (client.patch(f"{API}/webhooks/{made}", json={"description": f"by {n}"}) for n in range(4))
            return sorted(a.status_code for a in await asyncio.gather(*sent))

    assert asyncio.run(all_at_once()) == [200, 412, 412, 412]


@on_sqlite
def test_a_plan_is_approved_as_it_was_read(busy: Site) -> None:
    number = busy.ask("POST", "/plans", json={}).json()["plan"]
    read = busy.get(f"/plans/{number}").headers["etag"]
    assert busy.ask("POST", f"/plans/{number}/approve", headers={"if-match": '"old"'}).status_code == 412
    assert busy.ask("POST", f"/plans/{number}/approve", headers={"if-match": read}).json()["status"] == "approved"
    for act in ("reject", "apply", "undo"):
        assert busy.ask("POST", f"/plans/{number}/{act}", headers={"if-match": read}).status_code == 412


@on_sqlite
def test_an_act_is_made_if_it_changes_what_its_preview_said(busy: Site) -> None:
    kay, sam = (busy.get(f"/parties?q={name}").json()["parties"][0]["public_id"] for name in (KAY, "sam"))
    asked = {"act": "merge", "what": [kay, sam]}
    preview = busy.ask("POST", "/identity/acts", json={**asked, "is_preview": True})
    assert preview.json()["changed"]["moves"]
    other = busy.ask(
        "POST", "/identity/acts", json={**asked, "act": "different"}, headers={"if-match": preview.headers["etag"]}
    )
    assert other.status_code == 412
    done = busy.ask("POST", "/identity/acts", json=asked, headers={"if-match": preview.headers["etag"]})
    assert done.json()["changed"] == preview.json()["changed"]
    assert busy.get(f"/identity/acts/{done.json()['act']}").json()["verdict"] == "same"
