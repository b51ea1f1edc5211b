"""Questions over a small estate: timelines, the four answers, explanations, health, figures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from estates import kept
from world import START, US, World, mail, who

from hub import reports
from hub.api import (
    Attachment,
    AuthError,
    Deal,
    Identifier,
    Interaction,
    Organization,
    Person,
    Task,
    Ticket,
)
from hub.own import Own
from hub.store import Store
from hub.store import tables as t

OWN = Own(frozenset({US}))
ANA = "ana@kestrel.example"
OWNER = Identifier("acorn:owners", "u1")


def estate(store: Store) -> World:
    """Ana of Kestrel and Sam: a thread of three, a meeting next week, a deal, two tasks; Bo wrote once, unanswered."""
    vendor = Vendor()
    named: dict[str, Any] = {"participants": (who(ANA, "from", "Ana Ruiz"), who(f"sam@{US}", "to", "Sam Own"))}
    vendor.mail(mail("m1", **named, attachments=(Attachment(external_id="f1", filename="offer.pdf", size=10),)))
    vendor.mail(mail("m2", f"sam@{US}", [ANA], refs=("m1",), minute=120, body="All of it\n> quoted"))
    vendor.mail(mail("m3", ANA, refs=("m2",), minute=180))
    vendor.mail(mail("m4", "bo@kestrel.example", minute=240, cc=[ANA]))
    vendor.mail(
        mail(
            "meet",
            f"sam@{US}",
            [ANA],
            minute=7 * 24 * 60,
            kind="meeting",
            channel="calendar",
            thread_refs=(),
            dedup_keys=(),
        )
    )
    about = (Identifier("email", ANA),)
    vendor.put(
        "parties",
        "u1",
        Person(external_id="u1", identifiers=(OWNER, Identifier("email", f"sam@{US}")), name="Sam Own", is_own=True),
    )
    vendor.put(
        "parties",
        "c1",
        Organization(
            external_id="c1",
            identifiers=(Identifier("acorn:companies", "c1"), Identifier("domain", "kestrel.example")),
            name="Kestrel Ltd",
        ),
    )
    vendor.put(
        "parties",
        "d1",
        Deal(external_id="d1", title="Big", stage="offer", amount="1200.50", currency="EUR", about=about, owner=OWNER),
    )
    vendor.put("parties", "d2", Deal(external_id="d2", title="Lost", is_closed=True, about=about))
    vendor.put(
        "parties",
        "t1",
        Task(external_id="t1", title="Send contract", due_at=START + timedelta(days=1), about=about, owner=OWNER),
    )
    vendor.put("parties", "t2", Task(external_id="t2", title="Some day", about=about))
    vendor.put("parties", "t3", Task(external_id="t3", title="Done", is_done=True, due_at=START, about=about))
    vendor.put("parties", "k1", Ticket(external_id="k1", title="Broken", about=about))
    world = World(store, {"a": vendor, "sor": Vendor()}, sor="sor")
    world.sync("a")
    return world


@pytest.fixture
def world(store: Store) -> World:
    """The estate, for a test that changes it."""
    return estate(store)


@pytest.fixture
def view(kept_store: Store) -> World:
    """The estate, for tests that only look at it: built once, and again when another test has emptied the store."""
    return kept(kept_store, "reports", estate)


def ask(world: World, question: Any, *args: Any, **kwargs: Any) -> Any:
    with world.store.read() as c:
        return question(c, *args, **kwargs)


def public(world: World, text: str) -> str:
    return str(ask(world, reports.find, text)[0]["public_id"])


# --- finding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ANA, " ANA@kestrel.example ", "Ana Ruiz", "ana ruiz", "ruiz", "Ana R"])
def test_people_are_found_by_address_and_name(view: World, text: str) -> None:
    found = ask(view, reports.find, text)
    assert found[0]["name"] == "Ana Ruiz"
    assert found[0]["addresses"] == [ANA]
    assert found[0]["organization"]["name"] == "Kestrel Ltd"
    assert found[0]["interactions"] == 5
    assert found[0]["last_at"] == START + timedelta(days=7)


def test_companies_are_found_too_after_people(view: World) -> None:
    found = ask(view, reports.find, "kestrel")
    assert [p["kind"] for p in found] == ["person", "person", "organization"]
    assert ask(view, reports.find, public(view, "Kestrel Ltd"))[0]["name"] == "Kestrel Ltd"
    assert len(ask(view, reports.find, "kestrel", 1)) == 1


@pytest.mark.parametrize("name", ["Émile Zélig", "ÉMILE ZÉLIG", "émile", "Ольга Петрова", "ольга"])
def test_names_beyond_ascii_are_found_whatever_their_case(store: Store, name: str) -> None:
    vendor = Vendor()
    vendor.mail(
        mail(
            "m1",
            participants=(
                who("e@kestrel.example", "from", "Émile Zélig"),
                who("o@kestrel.example", "cc", "Ольга Петрова"),
            ),
        )
    )
    world = World(store, {"a": vendor})
    world.sync()
    assert len(ask(world, reports.find, name)) == 1


def test_people_who_were_joined_are_found_once(world: World) -> None:
    world.vendors["a"].mail(
        mail("m5", participants=(who("ana@home.example", "from", "Ana Ruiz"), who(f"sam@{US}", "to")))
    )
    world.sync("a")
    assert len(ask(world, reports.find, "Ana Ruiz")) == 2
    both = (Identifier("email", ANA), Identifier("email", "ana@home.example"))
    world.vendors["a"].put("parties", "7", Person(external_id="7", identifiers=both))
    world.sync("a")
    [ana] = ask(world, reports.find, "Ana Ruiz")
    assert sorted(ana["addresses"]) == ["ana@home.example", ANA]
    assert ana["interactions"] == 6


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("émile", ["Emile Zelig"]), ("ruiz kes", ["Ana Ruiz"]), ("ana", ["Ana Ruiz", "Bo Ana", "ana.x@heron.example"]),
        ("an", ["Ana Ruiz", "Bo Ana", "ana.x@heron.example"]), ("ana heron", ["Bo Ana", "ana.x@heron.example"]),
        ("heron.example", ["heron.example"]), ("ruiz ana", ["Ana Ruiz"]), ("uiz", []), ("49 30 12", ["Cy Fox"]),
    ],
)  # fmt: skip
def test_who_is_found_by_words_and_in_which_order(kept_store: Store, text: str, names: list[str]) -> None:
    found = ask(kept(kept_store, "found", _crowd), reports.find, text)
    assert [p["name"] for p in found] == names


def _crowd(store: Store) -> World:
    """Bo writes more than Ana, whose name begins with what is asked; one has it in an address alone."""
    vendor = Vendor()
    people = {"ana@kestrel.example": "Ana Ruiz", "bo@heron.example": "Bo Ana", "e@kestrel.example": "Emile Zelig"}
    for n, (address, name) in enumerate([*people.items(), ("bo@heron.example", "Bo Ana")]):
        vendor.mail(mail(f"m{n}", participants=(who(address, "from", name),)))
    vendor.mail(mail("shared", "sales@heron.example", ["ana.x@heron.example"]))
    phone = (Identifier("phone", "+493012345"), Identifier("email", "cy@fox.example"))
    vendor.put("parties", "9", Person(external_id="9", identifiers=phone, name="Cy Fox"))
    world = World(store, {"a": vendor})
    world.sync()
    return world


@pytest.mark.parametrize(
    "text", ["%", "+", "(", "_", "100%", "a_a", "\\", "x\\", "", "   ", "'", "nobody", "%%", "a%z"]
)
def test_odd_questions_find_nobody_rather_than_everybody(view: World, text: str) -> None:
    assert ask(view, reports.find, text) == []


# --- timelines ----------------------------------------------------------------------------------------------------


def pages(world: World, party: str, limit: int, **filters: Any) -> list[str]:
    found: list[str] = []
    before = None
    while True:
        page = ask(world, reports.timeline, party, limit=limit, before=before, **filters)
        assert len(page["entries"]) <= limit
        found += [e["public_id"] for e in page["entries"]]
        before = page["next"]
        if before is None:
            return found


def test_a_timeline_is_the_newest_first(view: World) -> None:
    page = ask(view, reports.timeline, public(view, ANA))
    assert [e["subject"] for e in page["entries"]] == ["About meet", "About m4", "About m3", "About m2", "About m1"]
    assert page["next"] is None
    assert page["party"]["name"] == "Ana Ruiz"
    newest, oldest = page["entries"][0], page["entries"][-1]
    assert (newest["kind"], newest["channel"], newest["direction"]) == ("meeting", "calendar", "outbound")
    assert oldest["files"] == 1
    assert {(p["role"], p["name"], p["address"], p["kind"]) for p in oldest["people"]} == {
        ("from", "Ana Ruiz", ANA, "person"), ("to", "Sam Own", f"sam@{US}", "own"),
    }  # fmt: skip
    assert [(s["connection"], s["stream"], s["external_id"]) for s in oldest["sources"]] == [("a", "mail", "m1")]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
def test_pages_of_any_size_give_the_same_timeline(view: World, limit: int) -> None:
    party = public(view, "Kestrel Ltd")
    assert pages(view, party, limit) == pages(view, party, 100)
    assert len(pages(view, party, limit)) == 5


def test_pages_hold_still_while_new_mail_arrives_and_at_equal_times(store: Store) -> None:
    vendor = Vendor(page_size=50)
    for i in range(12):
        vendor.mail(mail(f"m{i:02}", minute=i // 4))
    world = World(store, {"a": vendor})
    world.sync()
    party = public(world, ANA)
    before = pages(world, party, 100)
    first = ask(world, reports.timeline, party, limit=5)
    vendor.mail(mail("new", minute=99))
    vendor.mail(mail("old", minute=-99))
    world.sync()
    seen = [e["public_id"] for e in first["entries"]]
    following = first["next"]
    while following:
        page = ask(world, reports.timeline, party, limit=5, before=following)
        seen += [e["public_id"] for e in page["entries"]]
        following = page["next"]
    assert seen[:12] == before
    assert len(seen) == len(set(seen)) == 13


def test_timelines_can_be_narrowed(view: World) -> None:
    party = public(view, ANA)
    assert len(pages(view, party, 2, channel="email")) == 4
    assert len(pages(view, party, 2, direction="outbound")) == 2
    assert len(pages(view, party, 2, kind="meeting")) == 1
    assert len(pages(view, party, 2, since=START + timedelta(minutes=180))) == 3
    assert pages(view, party, 2, channel="phone") == []


def test_nobody_is_told_from_nothing(view: World) -> None:
    for question in (reports.timeline, lambda c, p: reports.brief(c, p, START), reports.explain):
        with pytest.raises(KeyError):
            ask(view, question, "pnobody")


# --- the four answers ---------------------------------------------------------------------------------------------


def test_the_four_answers(view: World) -> None:
    now = START + timedelta(days=2)
    answers = ask(view, reports.brief, public(view, ANA), now)
    assert answers["last"]["subject"] == "About m4"
    assert (answers["responsible"]["name"], answers["responsible"]["why"]) == ("Sam Own", "owner of the deal 'Big'")
    step = answers["next_step"]
    assert (step["title"], step["is_overdue"], step["others"], step["source"]) == ("Send contract", True, 1, "a")
    assert step["owner"]["name"] == "Sam Own"
    told = answers["relationship"]
    assert told["first_at"] == START
    assert (told["interactions"], told["conversations"]) == (5, 3)
    assert told["by_channel"] == {"calendar": 1, "email": 4}
    assert told["by_direction"] == {"inbound": 3, "outbound": 2}
    assert told["people"] == [{"public_id": public(view, "Sam Own"), "name": "Sam Own", "interactions": 5}]
    assert [(d["title"], d["amount"], d["currency"], d["owner"]) for d in told["open_deals"]] == [
        ("Big", "1200.50", "EUR", "Sam Own")
    ]
    assert told["open_tickets"] == ["Broken"]
    assert answers["coverage"]["percent"] == 100.0
    assert [s["is_complete"] for s in answers["sources"] if s["connection"] == "a"] == [True]


def test_a_company_answers_for_its_people(view: World) -> None:
    answers = ask(view, reports.brief, public(view, "Kestrel Ltd"), START)
    assert answers["party"]["name"] == "Kestrel Ltd"
    assert answers["relationship"]["interactions"] == 5
    assert [d["title"] for d in answers["relationship"]["open_deals"]] == ["Big"]


def test_who_is_responsible_and_what_is_next_when_less_is_known(store: Store) -> None:
    vendor = Vendor()
    vendor.mail(mail("m1"))
    vendor.mail(mail("m2", f"kim@{US}", [ANA], minute=1))
    vendor.mail(mail("meet", f"sam@{US}", [ANA], minute=600, kind="meeting", channel="calendar"))
    vendor.mail(mail("m9", "bo@other.example"))
    world = World(store, {"a": vendor})
    world.sync()
    answers = ask(world, reports.brief, public(world, ANA), START + timedelta(minutes=5))
    assert (answers["responsible"]["address"], answers["responsible"]["why"]) == (
        f"sam@{US}",
        "wrote last; nobody is named as owner",
    )
    assert (answers["next_step"]["kind"], answers["next_step"]["title"]) == ("meeting", "About meet")
    bo = ask(world, reports.brief, public(world, "bo@other.example"), START + timedelta(days=9))
    assert (bo["responsible"], bo["next_step"]) == (None, None)
    vendor.put(
        "parties",
        "7",
        Person(
            external_id="7",
            identifiers=(Identifier("acorn:contacts", "7"), Identifier("email", ANA)),
            owner=Identifier("email", f"lee@{US}"),
        ),
    )
    world.sync()
    owner = ask(world, reports.brief, public(world, ANA), START)["responsible"]
    assert (owner["address"], owner["why"]) == (f"lee@{US}", "owner of the record")


def test_nothing_is_made_up_for_a_party_without_interactions(store: Store) -> None:
    vendor = Vendor()
    vendor.put("parties", "7", Person(external_id="7", identifiers=(Identifier("email", ANA),), name="Ana Ruiz"))
    world = World(store, {"a": vendor})
    world.sync()
    answers = ask(world, reports.brief, public(world, ANA), START)
    assert (answers["last"], answers["responsible"], answers["next_step"]) == (None, None, None)
    assert answers["relationship"]["interactions"] == 0
    assert answers["coverage"]["percent"] is None or answers["coverage"]["percent"] == 100.0


# --- why is this here ---------------------------------------------------------------------------------------------


def entry(world: World, subject: str) -> str:
    return str(world.one(sa.select(t.interaction.c.public_id).where(t.interaction.c.subject == subject)))


def test_an_entry_explains_itself(world: World) -> None:
    world.vendors["a"].put(
        "parties",
        "7",
        Person(external_id="7", identifiers=(Identifier("email", ANA), Identifier("email", "ana@home.example"))),
    )
    world.vendors["a"].mail(mail("m5", "ana@home.example", minute=300))
    world.sync("a")
    world.settle()
    told = ask(world, reports.explain, entry(world, "About m2"))
    assert (told["text"], told["has_more"], told["is_gone"]) == ("Text of m2", True, False)
    assert told["fused_by"] == ["message-id:<m2>"]
    assert told["conversation"]["interactions"] == 3
    assert told["conversation"]["first_at"] == START
    assert "message-id:<m1>" in told["conversation"]["joined_by"]
    assert [(i["address"], i["sharing"], i["party"]["kind"]) for i in told["identity"]] == [
        (ANA, "personal", "person"), (f"sam@{US}", "own", "own"),
    ]  # fmt: skip
    [push] = told["pushes"]
    assert (push["destination"], push["effect"], push["state"], push["outcome"]) == ("sor", "create", "done", "created")
    assert push["remote_id"] in world.vendors["sor"].objects
    assert [a["outcome"] for a in push["attempts"]] == ["created"]
    files = ask(world, reports.explain, entry(world, "About m1"))["attachments"]
    assert [(f["filename"], f["size"]) for f in files] == [("offer.pdf", 10)]


def test_what_is_gone_says_so(world: World) -> None:
    public_id = entry(world, "About m4")
    world.vendors["a"].delete("mail", "m4")
    world.sync("a")
    told = ask(world, reports.explain, public_id)
    assert (told["is_gone"], told["text"], told["sources"]) == (True, "", [])


# --- health -------------------------------------------------------------------------------------------------------


def test_health_of_a_quiet_hub(view: World) -> None:
    now = view.clock.now()
    told = ask(view, reports.health, ["a"], now)
    assert (told["status"], told["balanced"], told["issues"], told["holds"], told["outbox"]) == (
        "healthy",
        True,
        [],
        [],
        None,
    )
    [stream] = [s for c in told["connections"] for s in c["streams"] if s["stream"] == "mail"]
    assert stream["records"] == {"new": 5}
    assert stream["census"]["held"] == stream["census"]["at_source"] == 5
    assert stream["books"]["seen"] == 5


def test_health_is_never_green_while_something_is_wrong(world: World) -> None:
    now = world.clock.now()
    stale = ask(world, reports.health, ["a"], now + timedelta(hours=25))
    assert stale["status"] == "stale"
    assert ask(world, reports.health, ["a", "never run"], now)["connections"][0]["status"] == "new"
    world.vendors["a"].trouble = [AuthError("revoked")]
    world.sync("a")
    told = ask(world, reports.health, ["a"], world.clock.now())
    assert told["status"] == "needs-reconnect"
    assert [(i["connection"], i["cause"], i["times"]) for i in told["issues"]] == [("a", "sign-in", 1)]


def test_a_run_that_never_ended_shows(world: World) -> None:
    world.run("a")
    world.clock.advance(600)
    assert ask(world, reports.health, ["a"], world.clock.now())["status"] == "degraded"


def test_health_tells_of_plans_and_holds(world: World) -> None:
    plan = world.plan()
    assert ask(world, reports.health, ["a"], world.clock.now())["outbox"]["changes"] == {"due": plan.changes}
    world.apply(plan.id)
    assert ask(world, reports.health, ["a"], world.clock.now())["outbox"]["changes"] == {"done": plan.changes}


def test_quarantine_lists_what_could_not_be_taken_in(world: World) -> None:
    world.vendors["a"].put_raw("mail", "bad", reject="no date at all")
    world.sync("a")
    [row] = ask(world, reports.quarantine)
    assert (row["connection"], row["stream"], row["external_id"], row["reason"]) == (
        "a",
        "mail",
        "bad",
        "no date at all",
    )
    assert row["raw_bytes"] > 0
    [stream] = [
        s
        for c in ask(world, reports.health, ["a"], START)["connections"]
        for s in c["streams"]
        if s["stream"] == "mail"
    ]
    assert stream["quarantined"] == 1


# --- figures ------------------------------------------------------------------------------------------------------


def test_the_figures_of_a_small_estate(view: World) -> None:
    told = ask(view, reports.summary, OWN, people=[ANA, "nobody@kestrel.example"])
    assert told["interactions"] == 5
    assert told["message_ids"] == 4
    assert (told["conversations"], told["largest_conversation"], told["conversations_of_one"]) == (3, 3, 2)
    assert (told["first_at"], told["last_at"]) == (START, START + timedelta(days=7))
    assert told["with_files"] == 1
    assert told["by_channel"] == {"calendar": 1, "email": 4}
    assert told["by_direction"] == {"inbound": 3, "outbound": 2}
    assert told["by_kind"] == {"meeting": 1, "message": 4}
    assert told["senders"] == 3
    assert told["correspondents"] == 3
    assert told["response"]["started"] == {"inbound": 2, "outbound": 0, "internal": 0}
    assert (told["response"]["answered"], told["response"]["unanswered"], told["response"]["median_hours"]) == (
        1,
        1,
        2.0,
    )
    ana, nobody = told["people"]
    assert (ana["sent"], ana["received"], ana["conversations"]) == (2, 3, 3)
    assert ana["last_at"] == START + timedelta(days=7)
    assert (nobody["sent"], nobody["received"], nobody["first_at"]) == (0, 0, None)
    [mailbox] = [r for r in told["records"] if r["stream"] == "mail"]
    assert (mailbox["seen"], mailbox["dispositions"]) == (5, {"new": 5})
    assert ask(view, reports.top, 1) == [ANA] or ask(view, reports.top, 1) == [f"sam@{US}"]


def test_an_empty_hub_has_figures_too(store: Store) -> None:
    told = ask(World(store, {"a": Vendor()}), reports.summary, OWN, people=["x@y.example"])
    assert (told["interactions"], told["first_at"], told["largest_conversation"]) == (0, None, 0)
    assert told["response"]["median_hours"] is None


def test_the_state_hash_names_the_state_and_nothing_else(emptied: Any) -> None:
    def hashed(letters: list[Interaction], **more: Any) -> str:
        vendor = Vendor(page_size=2)
        for letter in letters:
            vendor.mail(letter)
        world = World(emptied(), {"a": vendor}, **more)
        for _ in range(2):
            world.clock.advance(5)
            world.sync()
        return str(ask(world, reports.state_hash))

    letters = [mail("m1"), mail("m2", refs=("m1",), minute=1), mail("m3", "bo@other.example", minute=2)]
    same = hashed(letters)
    assert hashed(letters[::-1]) == same
    assert (
        len({same, hashed(letters[:2]), hashed([*letters[:2], mail("m3", "bo@other.example", minute=2, text="Other")])})
        == 3
    )
    assert hashed([letters[0], mail("m2", minute=1), letters[2]]) != same  # another conversation
    assert hashed([letters[0], letters[1], mail("m3", "cy@other.example", minute=2)]) != same


def test_figures_of_one_address(view: World) -> None:
    told = ask(view, reports.person_facts, f" SAM@{US} ")
    assert (told["sent"], told["received"]) == (2, 3)
    assert told["first_at"] == datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
