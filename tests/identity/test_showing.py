"""What people are told of who is who: one scene of two tools and their mail, looked at from all sides."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from emptying import empty
from world import START, US, World, mail, who

from hub.api import Identifier, Interaction, Organization, Participation, Person
from hub.engine.foresee import foresee
from hub.identity import Rules, lists, showing, why
from hub.store import Store
from hub.store import tables as t

CRM, DESK = "crm:contacts", "desk:users"
OFFICE, CARLS = "+49 30 5550100", "+49 171 5550199"
FIRST, LAST = ("Mia", "Tom", "Udo", "Ida", "Leo"), ("Berg", "Roth", "Kern", "Wolf", "Frey", "Voss", "Lenz", "Kuhn")


def person(tool: str, ext: str, name: str, *given: str) -> Person:
    listed = (Identifier("email" if "@" in g else "phone", g) for g in given)
    return Person(external_id=ext, name=name, identifiers=(Identifier(tool, ext), *listed))


def call(key: str, *numbers: str, minute: int) -> Interaction:
    people = [Participation(Identifier("phone", n), "from") for n in numbers]
    return mail(key, kind="call", channel="phone", participants=(*people, who(f"sam@{US}", "to")), minute=minute)


def build(store: Store) -> World:
    """Ana at Kestrel, Bo with two addresses, Carl in both tools, two Eva Steins nobody can be sure of, an office's number."""
    crm, desk = Vendor(page_size=9), Vendor(page_size=9)
    kestrel = (Identifier("crm:companies", "o1"), Identifier("domain", "kestrel.example"))
    crm.put("parties", "o1", Organization(external_id="o1", name="Kestrel Ltd", identifiers=kestrel))
    north = (Identifier("crm:companies", "o2"), Identifier("domain", "kestrel-north.example"))
    crm.put("parties", "o2", Organization("o2", north, "Kestrel North", parent=kestrel[0]))
    crm.put(
        "parties", "1", person(CRM, "1", "Ana Ruiz", "ana@kestrel.example", "info@kestrel.example", "+49 40 5550123")
    )
    crm.put("parties", "2", person(CRM, "2", "Bo Lee", "bo@kestrel.example", "bo.lee@home.example"))
    crm.put("parties", "3", person(CRM, "3", "Carl Vogel", "carl@finch.example", CARLS))
    crm.put("parties", "4", person(CRM, "4", "Eva Stein", "eva@oak.example"))
    crm.put("parties", "5", person(CRM, "5", "Jane Holm", "j.holm@oak.example"))
    for n in range(40):  # the whole office on one switchboard
        name = f"{FIRST[n % 5]} {LAST[n // 5]}"
        crm.put("parties", f"x{n:02}", person(CRM, f"x{n:02}", name, f"p{n}@town{n}.example", OFFICE))
    desk.put("parties", "u3", person(DESK, "u3", "Carl Vogel", CARLS))
    desk.put("parties", "u4", person(DESK, "u4", "Eva Stein", "eva.stein@oak.example"))
    desk.put("parties", "u5", person(DESK, "u5", "John Holm", "j.holm@oak.example"))
    desk.put("parties", "u6", person(DESK, "u6", "Dora Sand", "dora@home.example", "+49 40 5550123"))
    crm.mail(mail("m0", "ana@former.example", minute=-600_000))
    crm.mail(mail("m1", "ana+news@kestrel.example"))
    crm.mail(mail("m2", "ana@kestrel.example", minute=5))
    for n, numbers in enumerate(
        (("+49 171 5550177",), (OFFICE,), ("anonymous",), ("12 34 56",), ("+49 171 5550177", CARLS))
    ):
        desk.mail(call(f"c{n}", *numbers, minute=n))
    desk.mail(mail("m3", "info@gmail.com", minute=9))
    desk.mail(mail("m4", "info@kestrel.example"))  # Kestrel is known
    world = World(store, {"crm": crm, "desk": desk})
    world.sync()
    acts = world.engine.identities
    acts.different(party(world, "bo@kestrel.example"), party(world, "carl@finch.example"), "sam", "met both")
    acts.merge(party(world, "ana@kestrel.example"), party(world, "ana@former.example"), "sam", "she wrote so")
    return world


_seen: dict[int, World] = {}


@pytest.fixture
def scene(kept_store: Store) -> World:
    """Built once for each database, and again when another test has emptied it."""
    with kept_store.read() as c:
        is_there = c.execute(sa.select(t.meta.c.value).where(t.meta.c.key == "who-is-who")).scalar() is not None
    if not is_there:
        empty(kept_store)
        _seen[id(kept_store)] = build(kept_store)
        with kept_store.write() as c:
            c.execute(sa.insert(t.meta).values(key="who-is-who", value="scene"))
    return _seen[id(kept_store)]


def ident(world: World, text: str) -> int:
    with world.store.read() as c:
        found = showing.find(c, text, Rules(default_region="DE"))
    assert found is not None, text
    return found


def party(world: World, text: str) -> int:
    with world.store.read() as c:
        return showing.owner(c, ident(world, text))


def ask(world: World, question: Any, *args: Any) -> Any:
    with world.store.read() as c:
        return question(c, *args)


def same(world: World, a: str, b: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(
        world, why.why_same, ident(world, a), ident(world, b), world.engine.identities.rules
    )
    return found


def apart(world: World, a: str, b: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(world, why.why_not, ident(world, a), ident(world, b), world.engine.identities.rules)
    return found


# --- who is meant, and what they are made of --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        (" Ana@Kestrel.example", "ana@kestrel.example"), ("040 5550123", "+49 40 5550123"), ("crm:contacts 1", "crm:contacts:1"),
        ("crm/parties/1", "crm:contacts:1"), ("www.kestrel.example", "kestrel.example"),
    ],
)  # fmt: skip
def test_an_identifier_is_found_however_it_is_written(scene: World, text: str, is_: str) -> None:
    assert ident(scene, text) == ident(scene, is_)


@pytest.mark.parametrize("text", ["", "Ana", "nobody@kestrel.example", "crm/parties/77", "crm/parties/", "12345678"])
def test_what_names_no_identifier_is_found_as_none(scene: World, text: str) -> None:
    assert ask(scene, showing.find, text) is None


def test_a_person_is_shown_with_all_they_are_made_of(scene: World) -> None:
    found = ask(scene, showing.show, party(scene, "ana@kestrel.example"))
    (record,) = found["records"]
    assert (record["connection"], record["stream"], record["external_id"], record["name"]) == (
        "crm",
        "parties",
        "1",
        "Ana Ruiz",
    )
    assert set(record["lists"]) == {"ana@kestrel.example", "info@kestrel.example", "+49 40 5550123"}
    assert {(a["text"], a["sharing"], a["entries"]) for a in found["addresses"]} == {
        ("ana@kestrel.example", "personal", 1), ("ana+news@kestrel.example", "personal", 1), ("ana@former.example", "personal", 1),
    }  # fmt: skip
    assert {(m["text"], m["sharing"]) for m in found["mailboxes"]} == {
        ("info@kestrel.example", "role"), ("+49 40 5550123", "shared"),
    }  # fmt: skip
    now, before = found["employment"]
    assert (now["organization"]["name"], now["until"]) == ("Kestrel Ltd", None)
    assert before["organization"]["name"] == "former.example"
    assert before["since"] == before["until"] == START - timedelta(minutes=600_000)
    (decision,) = found["decisions"]
    assert (decision["verdict"], decision["actor"], decision["notes"]) == ("same", "sam", ["she wrote so"])


def test_a_question_about_somebody_is_shown_with_them(scene: World) -> None:
    (asked,) = ask(scene, showing.show, party(scene, "eva@oak.example"))["reviews"]
    assert {asked["left"]["text"], asked["right"]["text"]} == {"crm:contacts 4", "desk:users u4"}


def test_a_company_and_nobody(scene: World) -> None:
    found = ask(scene, showing.show, party(scene, "kestrel.example"))
    assert (found["party"]["kind"], [r["external_id"] for r in found["records"]]) == ("organization", ["o1"])
    assert found["part_of"] == []
    (below,) = found["parts"]
    assert (below["organization"]["name"], below["by"]) == ("Kestrel North", ["crm/parties/o2"])
    north = ask(scene, showing.show, party(scene, "kestrel-north.example"))
    assert [(r["organization"]["name"], r["by"]) for r in north["part_of"]] == [("Kestrel Ltd", ["crm/parties/o2"])]
    assert (north["parts"], north["party"]["organization"]) == ([], None)  # a part of it, and a company of its own
    with pytest.raises(KeyError):
        ask(scene, showing.show, 10**9)


# --- why --------------------------------------------------------------------------------------------------------------


def test_evidence_leads_from_one_end_to_the_other(scene: World) -> None:
    chain = same(scene, "ana+news@kestrel.example", "crm:contacts 1")
    assert [e["rule"] for e in chain] == ["same-address", "one-record"]
    assert chain[1]["because"] == "crm/parties/1 lists both"
    assert chain[1]["since"] is not None
    assert {e["without_it"] for e in chain} == {"apart"}


def test_what_a_person_said_is_told_with_their_name_and_reason(scene: World) -> None:
    (said,) = [e for e in same(scene, "crm:contacts 1", "ana@former.example") if e["kind"] == "human"]
    assert said["because"] == "sam said so: she wrote so"
    assert said["act"] == said["decision"]


def test_what_was_weighed_is_told_field_by_field(scene: World) -> None:
    (weighed,) = [e for e in same(scene, "carl@finch.example", "desk:users u3") if e["kind"] == "model"]
    fields = {x["field"]: x for x in weighed["lines"]}
    assert {"prior", "name", "phone"} <= fields.keys()
    assert fields["phone"]["left"] == fields["phone"]["right"] == CARLS.replace(" ", "")
    assert weighed["version"]
    assert weighed["actor"] == "hub"
    assert set(weighed["without"].values()) <= {"same", "review", "apart"}


def test_the_lines_of_every_waterfall_add_up(scene: World) -> None:
    rows = ask(scene, lambda c: showing.told(c, c.execute(sa.select(t.decision)).all()))
    weighed = [d for d in rows if d["lines"]]
    assert len(weighed) >= 2
    for d in [*weighed, apart(scene, "eva@oak.example", "desk:users u4")]:
        assert sum(x["counts"] for x in d["lines"]) == pytest.approx(d["weight"], abs=0.1), d["lines"]


def test_all_that_holds_somebody_together(scene: World) -> None:
    found = same(scene, "bo@kestrel.example", "bo@kestrel.example")
    assert {(e["left"]["text"], e["right"]["text"]) for e in found} == {
        ("crm:contacts 2", "bo@kestrel.example"), ("crm:contacts 2", "bo.lee@home.example"),
    }  # fmt: skip


def test_a_number_leads_to_its_holder_by_their_record(scene: World) -> None:
    number, *rest = same(scene, CARLS, "desk:users u3")
    assert CARLS in {number["left"]["text"], number["right"]["text"]}
    assert number["because"].endswith("lists both")
    assert len(rest) <= 2
    assert same(scene, "ana@kestrel.example", "bo@kestrel.example") == []


# --- why not ----------------------------------------------------------------------------------------------------------


def kinds(found: dict[str, Any]) -> list[str]:
    return [b["kind"] for b in found["because"]]


def test_a_persons_word_stands_between_two(scene: World) -> None:
    found = apart(scene, "bo.lee@home.example", "desk:users u3")
    assert (found["verdict"], kinds(found)[0]) == ("different", "person")
    assert "met both" in found["because"][0]["text"]
    assert found["because"][0]["act"]


def test_other_names_on_one_telephone_and_on_one_address(scene: World) -> None:
    assert apart(scene, "ana@kestrel.example", "desk/parties/u6")["verdict"] == "refused"
    found = apart(scene, "crm:contacts 5", "desk:users u5")
    assert (found["verdict"], kinds(found)[0]) == ("refused", "refused")
    assert "lists both, but: other names on one address" in found["because"][0]["text"]
    assert found["review"]  # and a person is asked


def test_what_never_joins(scene: World) -> None:
    for text, reason in (("info@kestrel.example", "a desk, never one person"), (OFFICE, "shared by several")):
        found = apart(scene, text, "bo@kestrel.example")
        assert (found["verdict"], kinds(found)) == ("refused", ["shared"])
        assert reason in found["because"][0]["text"]
    assert kinds(apart(scene, "kestrel.example", "ana@kestrel.example")) == ["kind"]


def test_a_question_says_what_is_lacking(scene: World) -> None:
    found = apart(scene, "eva@oak.example", "eva.stein@oak.example")
    assert found["verdict"] == "review"
    assert found["review"] in {q["review"] for q in ask(scene, lists.queue)}
    assert set(kinds(found)) & {"weak", "thin"}
    assert found["lines"]


def test_nothing_shared_and_a_key_that_says_nothing(scene: World) -> None:
    found = apart(scene, "eva@oak.example", "dora@home.example")
    assert (found["verdict"], kinds(found)[-1], found["shared"]) == ("apart", "nothing", [])
    assert found["weight"] is None or found["weight"] < found["asked_from"]
    office = f"t:{OFFICE.replace(' ', '')}"
    assert office in apart(scene, "p1@town1.example", "p2@town2.example")["hubs"]
    assert apart(scene, "bo@kestrel.example", "bo.lee@home.example")["verdict"] == "same"


# --- lists ------------------------------------------------------------------------------------------------------------


def test_the_queue_is_ordered_paged_and_narrowed(scene: World) -> None:
    everything = ask(scene, lists.queue)
    assert len(everything) == ask(scene, lists.waiting) >= 2
    assert [q["rank"] for q in everything] == sorted((q["rank"] for q in everything), reverse=True)
    pages, after = [], None
    while page := ask(scene, lists.queue, 1, after):
        pages += page
        after = page[0]["review"]
    assert [q["review"] for q in pages] == [q["review"] for q in everything]
    eva = next(q for q in everything if q["left"]["name"] == "Eva Stein")
    assert {*eva["left"]["addresses"], *eva["right"]["addresses"]} == {"eva@oak.example", "eva.stein@oak.example"}
    assert eva["why"]
    weighed = ask(scene, lists.queue, 50, None, "weighed", eva["weight"] - 0.01)
    assert eva["review"] in {q["review"] for q in weighed}
    assert eva["review"] not in {q["review"] for q in ask(scene, lists.queue, 50, None, "weighed", eva["weight"])}
    with pytest.raises(KeyError):
        ask(scene, lists.queue, 5, 10**9)


def test_what_is_tied_to_nobody_is_told_with_its_reason_and_age(scene: World) -> None:
    found = ask(scene, lists.orphans, 50)
    assert {(r["text"], r["entries"]): r["rule"] for r in found} == {
        ("+49 171 5550177", 1): "no record lists this number",  # the other call was Carl's, too
        (OFFICE, 1): "listed by several", ("anonymous", 1): "the number was withheld",
        ("12 34 56", 1): "no record lists this number, and it does not say its country",
        ("info@gmail.com", 1): "a desk, and its company is not known",
    }  # fmt: skip
    assert next(r["since"] for r in found if r["text"] == OFFICE) == START + timedelta(minutes=1)
    assert ask(scene, lists.orphaned) == len(found)
    assert [r["text"] for r in ask(scene, lists.orphans, 2, found[1]["identifier"])] == [r["text"] for r in found[2:4]]


def test_keys_that_too_many_share_are_told_in_words(scene: World) -> None:
    found = ask(scene, lists.hubs)
    assert {
        "key": f"t:{OFFICE.replace(' ', '')}",
        "what": "telephone",
        "value": OFFICE.replace(" ", ""),
    }.items() <= next(h for h in found if h["what"] == "telephone").items()
    assert found[0]["skipped"] >= 1


@pytest.mark.parametrize(
    ("key", "what", "value"),
    [
        ("e:ana@kestrel.example", "address", "ana@kestrel.example"), ("organization w:kestrel", "word of a company's name", "kestrel"),
        ("m453&okestrel", "two weak ones", "sound of a name m453, employer kestrel"),
        ("d199001&cb652", "two weak ones", "month of birth 199001, sound of a town b652"), ("odd", "two weak ones", "employer dd, key "),
    ],
)  # fmt: skip
def test_every_form_of_key_is_readable(key: str, what: str, value: str) -> None:
    assert lists.readable(key) == {"what": what, "value": value}


def test_what_people_did_can_be_looked_up(scene: World) -> None:
    newest, oldest = ask(scene, lists.history)
    assert (newest["verdict"], newest["why"], newest["can_undo"], newest["actor"]) == (
        "same",
        "she wrote so",
        True,
        "sam",
    )
    assert (oldest["verdict"], oldest["why"]) == ("different", "met both")
    assert [a["act"] for a in ask(scene, lists.history, 1, newest["act"])] == [oldest["act"]]
    everything = ask(scene, lists.history, 50, None, True)
    assert {a["kind"] for a in everything} >= {"human", "model"}


# --- what an act would do ---------------------------------------------------------------------------------------------


@pytest.fixture
def unchanged(scene: World) -> Iterator[World]:
    """Fails when a look has left a trace."""

    def state() -> list[Any]:
        i, d = t.identifier.c, t.decision.c
        return [
            scene.all(sa.select(i.id, i.party_id, i.home_id)),
            scene.all(sa.select(d.id, d.revoked_at)),
            scene.all(sa.select(t.link)),
        ]

    before = [sorted(rows) for rows in state()]
    yield scene
    assert [sorted(rows) for rows in state()] == before


def test_an_act_is_foreseen_and_not_made(unchanged: World) -> None:
    bo, dora = party(unchanged, "bo@kestrel.example"), party(unchanged, "dora@home.example")
    merged = foresee(unchanged.engine, "merge", bo, dora, actor="sam")
    public = {p["was"]: p["public_id"] for p in merged["parties"]}
    assert [p["was"] for p in merged["parties"] if p["is_emptied"]] == ["Dora Sand"]
    assert {(m["text"], m["from"], m["to"]) for m in merged["moves"]} == {
        (text, public["Dora Sand"], public["Bo Lee"]) for text in ("desk:users u6", "dora@home.example")
    }
    parted = foresee(unchanged.engine, "split", [ident(unchanged, "bo.lee@home.example")], actor="sam")
    (new,) = [p for p in parted["parties"] if p["is_new"]]
    assert [(m["text"], m["to"]) for m in parted["moves"]] == [("bo.lee@home.example", new["public_id"])]


def test_the_side_that_a_question_is_about_is_told(unchanged: World) -> None:
    (asked,) = [q["review"] for q in ask(unchanged, lists.queue) if q["left"]["name"] == "Eva Stein"]
    sides = ask(unchanged, lists.asked, asked)
    assert {(s["text"], s["others"]) for s in sides} == {("crm:contacts 4", 1), ("desk:users u4", 1)}
    assert ask(unchanged, lists.asked, 10**9) == []
