"""Full text of the timeline: what is asked, what is found, in which order, and that nothing stays of what went."""

import asyncio
from importlib import import_module
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from estates import kept
from hypothesis import given
from hypothesis import strategies as st
from world import US, World, mail

from hub import reports
from hub.engine import disconnect as leaving
from hub.reports.search import question
from hub.store import Store, texts, unpack
from hub.store import tables as t
from hub.store.migrate import upgrade

TEXTS = (
    ("a", "Größe der Rechnung", "Die Straße nach Łódź ist lang.\nInvoice number 4711-B for kay@kestrel.example."),
    ("b", "Lunch", "Shall we have lunch? This is not an invoice."),
    ("c", "東京都です", "お世話になっております"),
    ("d", "number of the invoice", "The number invoice order."),
    ("e", "Re: plan", "x" * 70 + " renew renewal"),
    ("f", "", ""),
    ("g", "Long", "word " * 200 + "needle in it " + "word " * 200),
)
ASKED = {
    "invoice": "dba", "invo": "dba", "INVOICE number": "da", '"invoice number"': "a", '"number invoice"': "d",
    "invoice -lunch": "da", 'invoice -"invoice number"': "db", "grosse strasse": "a", "lodz": "a", "東京": "c", "京東": "",
    "kay@kestrel.example": "a", "kay@kest": "a", "4711-b": "a", "x" * 70: "e", "x" * 61: "e", "renew": "e", '"renew"': "e",
    '"rene"': "", "-invoice": "", "": "", '"': "", "* OR NEAR(": "", "'; drop table search --": "", "i": "",
    "“invoice number”": "a", "plan invoice": "", "in needle": "g", "ren": "e", '"have lun': "b",
}  # fmt: skip
LETTERS = st.text(alphabet="aeinrv \"'-*()\\:&|!<>^~%_éß東\x00", max_size=24)


def estate(store: Store) -> World:
    world = World(store, {"a": Vendor()})
    for minute, (key, subject, text) in enumerate(TEXTS):
        sender = "ana@kestrel.example" if key in "abg" else "bo@heron.example"
        world.vendors["a"].mail(mail(key, sender, subject=subject, text=text, body=text, minute=minute))
    world.sync()
    return world


@pytest.fixture
def world(kept_store: Store) -> World:
    return kept(kept_store, "search", estate)


@pytest.fixture(params=["looked up", "read"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of finding: the index alone, and reading the newest ones first because very many fit."""
    module = import_module("hub.reports.search")
    monkeypatch.setattr(module, "FEW", 0)
    monkeypatch.setattr(module, "BATCH", 2)
    if request.param == "read":
        monkeypatch.setattr(module, "MOST_READ", 3)
        monkeypatch.setattr(texts, "_FEW", 0)


def found(world: World, text: str, **more: Any) -> str:
    """The keys of all entries that are found, page by page."""
    keys, before = "", None
    while True:
        with world.store.read() as c:
            page = reports.search(c, text, before=before, **more)
        keys += "".join(e["sources"][0]["external_id"] for e in page["entries"])
        before = page["next"]
        if before is None:
            return keys


@pytest.mark.parametrize("text", ASKED)
def test_what_is_found(world: World, way: None, text: str) -> None:
    assert found(world, text, limit=2) == ASKED[text]


@given(LETTERS | st.text(max_size=30))
def test_any_text_can_be_asked_and_finds_what_fits(kept_store: Store, text: str) -> None:
    world = kept(kept_store, "search", estate)
    asked = question(text)
    with world.store.read() as c:
        query = sa.select(t.interaction.c.subject, t.body.c.codec, t.body.c.text).outerjoin(t.body)
        rows = c.execute(query.order_by(t.interaction.c.occurred_at.desc())).all()
        fitting = [
            s for s, codec, body in rows if asked.parts and asked.fits(s, unpack(codec, body).decode() if codec else "")
        ]
        assert [e["subject"] for e in reports.search(c, text)["entries"]] == fitting
        reports.find(c, text)


def test_a_page_shows_whose_it_is_and_the_words_around(world: World) -> None:
    with world.store.read() as c:
        [entry] = reports.search(c, "needle")["entries"]
        [of_subject] = reports.search(c, "rechnung")["entries"]
    assert entry["party"]["name"] == "ana@kestrel.example"
    assert entry["party"]["kind"] == "person"
    assert [piece["text"] for piece in entry["excerpt"] if piece["hit"]] == ["needle"]
    shown = "".join(piece["text"] for piece in entry["excerpt"])
    assert shown.startswith("… word")
    assert shown.endswith("word …")
    assert len(shown) < 240
    assert of_subject["excerpt"][0]["text"].startswith("Die Straße nach Łódź ist lang. Invoice")


def test_on_one_party_s_timeline_alone(world: World, way: None) -> None:
    with world.store.read() as c:
        ana, bo = (reports.find(c, a)[0]["public_id"] for a in ("ana@kestrel.example", "bo@heron.example"))
        assert reports.search(c, "invoice", party=ana)["entries"][0]["party"]["public_id"] == ana
        with pytest.raises(KeyError):
            reports.search(c, "invoice", party="nobody")
        for mark in ("x", "1-", "99999999999999999999-1"):
            with pytest.raises(ValueError, match=r"invalid literal|^99"):
                reports.search(c, "invoice", before=mark)
    assert (found(world, "invoice", party=ana), found(world, "invoice", party=bo, limit=1)) == ("ba", "d")


def held(store: Store, word: str) -> bool:
    """Whether the index itself has the word, whatever an entry says."""
    with store.read() as c:
        if store.is_sqlite:
            return bool(c.exec_driver_sql("select 1 from search_word where term = ?", (word,)).first())
        return bool(
            c.exec_driver_sql("select 1 from search where words @@ cast(%s as tsquery)", (f"'{word}'",)).first()
        )


def test_what_changes_goes_or_is_erased_leaves_the_index(store: Store) -> None:
    world = World(store, {"a": Vendor(), "b": Vendor()})
    for key in ("one", "two", "three"):
        world.vendors["a"].mail(mail(key, subject=f"Subject{key}", text=f"body{key}", body=f"body{key}"))
    world.vendors["b"].mail(mail("four", subject="Subjectfour", text="bodyfour", body="bodyfour"))
    world.sync()
    assert all(held(store, f"{part}{key}") for part in ("subject", "body") for key in ("one", "two", "three", "four"))
    world.vendors["a"].mail(mail("one", subject="Anew", text="otherwise", body="otherwise"))
    world.vendors["a"].delete("mail", "two")
    world.sync()
    assert [held(store, w) for w in ("subjectone", "bodyone", "anew", "otherwise")] == [False, False, True, True]
    assert [held(store, w) for w in ("subjecttwo", "bodytwo", "bodythree")] == [False, False, True]
    asyncio.run(leaving.disconnect(world.engine, "a", erase=True))
    assert [held(store, w) for w in ("anew", "otherwise", "bodythree", "bodyfour")] == [False, False, False, True]


def test_a_database_of_before_is_indexed(database_url: str) -> None:
    store = Store.open(database_url)
    world = estate(store)
    before = {text: found(world, text) for text in ASKED}
    with store.read() as c:
        people = [reports.find(c, text) for text in ("ana", "heron", f"sam@{US}")]
    with store.write() as c:
        for table in ("search_word", "search", "party_word", "identifier_word"):
            c.exec_driver_sql(f"drop table if exists {table}")
        c.exec_driver_sql("update alembic_version set version_num = '0010'")
    upgrade(store.engine)
    assert {text: found(world, text) for text in ASKED} == before == ASKED
    with store.read() as c:
        assert [reports.find(c, text) for text in ("ana", "heron", f"sam@{US}")] == people
        assert all(people)
    store.close()
