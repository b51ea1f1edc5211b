"""Items, runs, connections and figures over REST, and that what is private is in no answer to anybody but its owner."""

import re
from typing import Any

import pytest
from acorn import Vendor
from callers import KAY, NAMES, ROUTES, Site
from databases import on_sqlite
from estates import kept
from world import World, mail, who

from hub.api import Deal, Identifier, Service, Task, Ticket
from hub.store import Store

ANA, SECRET = "admin@ourco.example", "canary"
ABOUT = (Identifier("email", KAY),)
OWNER = Identifier("email", "sam@ourco.example")


class Mixed(Site):
    """The admin's mailbox is their own; the team's tool has deals, tasks, a service, a ticket, and a record that is broken."""

    def world_of(self, store: Store, vendors: dict[str, Vendor]) -> World:
        vendors["hers"] = Vendor()
        world = World(store, vendors, sor="sor", hers={"private": True, "owner": ANA})
        world.engine.keep_private()
        return world

    def seed(self, vendor: Vendor) -> None:
        things: tuple[Any, ...] = (
            Deal(external_id="d1", title="Big", stage="offer", amount="1200.50", currency="EUR", about=ABOUT, owner=OWNER),
            Deal(external_id="d2", title="Lost", is_closed=True, about=ABOUT), Task(external_id="t1", title="Call", about=ABOUT),
            Service(external_id="s1", title="Gold", state="active", about=ABOUT),
            Ticket(external_id="k1", title="Broken", severity="high", about=(Identifier("email", "kim@kestrel.example"),)),
        )  # fmt: skip
        for thing in things:
            vendor.put("parties", thing.external_id, thing)
        vendor.put("mail", "odd", {"not": "a record"})
        vendors = self.world.vendors
        hidden = mail(
            "secret", f"{SECRET}@clinic.example", [KAY], subject=f"About my {SECRET}", body=f"my {SECRET} words"
        )
        vendors["hers"].mail(hidden)
        vendors["hers"].mail(mail("both", KAY, participants=(who(KAY, "from", "Kay Hill"), who(ANA, "to", "Ana"))))
        vendors["hers"].put("parties", "p1", Deal(external_id="p1", title=f"My {SECRET}", about=ABOUT))


@pytest.fixture
def mixed(kept_store: Store) -> Mixed:
    return kept(kept_store, "rest rows", Mixed)


def listed(site: Site, query: str, role: str = "viewer") -> list[str]:
    return sorted(i["title"] for i in site.get(f"/items{query}", role).json()["items"])


def test_what_stands_beside_the_timeline(mixed: Mixed) -> None:
    kay = mixed.get(f"/parties?q={KAY}").json()["parties"][0]["public_id"]
    assert listed(mixed, f"?party={kay}") == ["Big", "Call", "Gold", "Lost"]
    assert listed(mixed, "?kind=deal&is_closed=false") == ["Big"]
    assert listed(mixed, "?kind=ticket") == ["Broken"]
    big = mixed.get("/items?kind=deal&is_closed=false", "viewer").json()["items"][0]
    assert (big["amount"], big["currency"], big["state"], big["owner"]["name"]) == (
        "1200.50",
        "EUR",
        "offer",
        "sam@ourco.example",
    )
    assert [who["public_id"] for who in big["about"]] == [kay]
    assert mixed.get(f"/items/{big['id']}", "viewer").json() == big
    first = mixed.get("/items?limit=3", "viewer").json()
    rest = mixed.get(f"/items?limit=3&before={first['next']}", "viewer").json()
    assert rest["next"] is None
    assert sorted(i["title"] for i in first["items"] + rest["items"]) == ["Big", "Broken", "Call", "Gold", "Lost"]
    for strange in ("itm_0", "itm_01", "itm_x", "7", "itm_99999999999999"):
        assert mixed.get(f"/items/{strange}").status_code == 404, strange
    assert mixed.get("/items?party=nobody").status_code == 404


@on_sqlite
def test_what_is_private_is_in_no_answer(mixed: Mixed) -> None:
    """Every route that reads, asked for everything there is, by somebody whose mailbox it is not and by its owner."""
    ids = {"public_id": "nobody", **{k: v for k, v in NAMES.items() if k != "public_id"}, "name": "a", "number": 1}
    found = dict.fromkeys(("admin", "agent", "operator", "auditor"), "")
    for role in found:
        parties = [p["public_id"] for q in (KAY, SECRET) for p in mixed.get(f"/parties?q={q}").json()["parties"]]
        entries = [e["public_id"] for p in parties for e in mixed.get(f"/parties/{p}/timeline").json()["entries"]]
        items = [i["id"] for i in mixed.get("/items").json()["items"]]
        for (method, path), (_, query, _) in ROUTES.items():
            things = {"{public_id}": entries if path.startswith("/interactions") else parties, "{item}": items}
            name = next((n for n in things if n in path), "")
            for thing in things.get(name, [""]) if method == "GET" else []:
                url = path.replace(name or "\0", thing).format(**ids) + query.replace("?q=kay", f"?q={SECRET}")
                found[role] += mixed.get(url, role).text
    assert f"About my {SECRET}" in found.pop("admin")
    assert f"My {SECRET}" in mixed.get("/items?kind=deal").text
    for role, told in found.items():
        for text in re.findall(f".{{0,60}}{SECRET}.{{0,20}}", told):
            assert "there is no" in text or "nothing is known of" in text, (role, text)


def test_connections_come_without_secrets_and_runs_with_their_books(mixed: Mixed) -> None:
    named = {c["connection"]: c for c in mixed.get("/connections").json()["connections"]}
    assert set(named) == {"a", "hers", "sor"}
    assert (named["hers"]["is_private"], named["hers"]["owner"]) == (True, ANA)
    assert mixed.get("/connections/a").json()["settings"]["connector"] == "acorn"
    runs = mixed.get("/connections/a/runs?show=news").json()["runs"]
    assert {r["stream"] for r in runs} == {"mail", "parties"}
    one = mixed.get(f"/runs/{runs[0]['run']}").json()
    assert one["seen"] == sum(one["books"].values())
    quarantine = mixed.get("/quarantine").json()
    assert [r["external_id"] for r in quarantine["records"]] == ["odd"]
    assert quarantine["by_connection"] == {"a": 1}
    assert len(mixed.get("/coverage").json()["weeks"]) > 1
    assert mixed.get("/issues").json() == {"issues": []}


def test_figures_are_what_health_says_and_name_nobody(mixed: Mixed) -> None:
    answer = mixed.get("/metrics", "auditor")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    values = dict(line.rsplit(" ", 1) for line in lines)
    assert len(values) == len(lines)  # each once
    assert values['ihub_quarantined_records{connection="a",stream="mail"}'] == "1"
    assert values['ihub_records_read_total{connection="a"}'] == str(len(self_read(mixed)))
    assert values['ihub_plans{status="draft"}'] == values['ihub_hook_deliveries{state="failed"}'] == "0"
    assert values['ihub_issues_open{weight="stopped"}'] == "0"
    lag = float(values['ihub_stream_lag_seconds{connection="a",stream="mail"}'])
    assert 0 < lag < 3600
    for text in (SECRET, "kestrel", "ourco", "Kay"):
        assert text not in answer.text
    families = [line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert {re.split(r"[{ ]", line)[0] for line in lines} <= set(families)
    assert all(re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"\\]*",?)+\})? -?[0-9.e+]+', line) for line in lines)


def self_read(site: Site) -> list[str]:
    """Every record the tool `a` gave."""
    return [key for feed in site.world.vendors["a"].feeds.values() for key in feed.log]
