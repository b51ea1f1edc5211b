"""One timeline out of many sources: copies fused, conversations joined, content by rank, all of it whatever comes first."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from acorn import Vendor, body
from databases import on_sqlite
from world import START, US, World, mail, timeline, who

from hub.api import Attachment, Identifier, Interaction, Organization, Person, RawRecord
from hub.landing import Books
from hub.store import Store, micros
from hub.store import tables as t


class Desk:
    """Two sources, `a` and `b`, feeding one timeline by pages."""

    def __init__(self, store: Store) -> None:
        self.world = World(store, {"a": Vendor(), "b": Vendor()})
        self.runs = {name: self.world.run(name) for name in ("a", "b")}

    def take(self, source: str, *letters: Interaction, **page: Any) -> Books:
        return self.world.take(self.runs[source], *(RawRecord(m.external_id, body(m)) for m in letters), **page)

    def gone(self, source: str, *external_ids: str) -> Books:
        return self.world.take(self.runs[source], gone=external_ids)

    def party(self, source: str, *records: Person | Organization) -> Books:
        run = self.world.run(source, "parties")
        return self.world.take(run, *(RawRecord(r.external_id, body(r)) for r in records))

    @property
    def entries(self) -> list[dict[str, Any]]:
        self.world.check()
        return sorted(self.world.timeline().values(), key=lambda e: (e["occurred_at"], e["subject"]))

    @property
    def only(self) -> dict[str, Any]:
        [entry] = self.entries
        return entry


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


@pytest.fixture
def fresh(emptied: Callable[[], Store]) -> Callable[[], Desk]:
    return lambda: Desk(emptied())


def in_every_order(fresh: Callable[[], Desk], steps: Sequence[Callable[[Desk], object]]) -> list[dict[str, Any]]:
    """The timelines that all orders of these steps give."""
    found = []
    for order in permutations(steps):
        desk = fresh()
        for step in order:
            step(desk)
        desk.world.check()
        found.append(desk.world.timeline())
    return found


def takes(*steps: tuple[Any, ...]) -> list[Callable[[Desk], object]]:
    """Steps that each deliver a page: (source, letter, ...)."""

    def step(source: str, *letters: Interaction) -> Callable[[Desk], object]:
        return lambda desk: desk.take(source, *letters)

    return [step(*given) for given in steps]


# --- one interaction ----------------------------------------------------------------------------------------------


def test_a_mail_is_an_entry_of_everybody_in_it_and_of_their_company(desk: Desk) -> None:
    books = desk.take("a", mail("m1", cc=("bo@kestrel.example", f"kim@{US}")))
    entry = desk.only
    assert books.counts == {"new": 1}
    assert entry["direction"] == "inbound"
    assert (entry["subject"], entry["text"]) == ("About m1", "Text of m1")
    assert {tuple(sorted(name[2])) for name, *_ in entry["links"]} == {
        ("email:ana@kestrel.example",), ("email:bo@kestrel.example",), ("domain:kestrel.example",),
        (f"email:sam@{US}",), (f"email:kim@{US}",),
    }  # fmt: skip


@on_sqlite
@pytest.mark.parametrize(
    ("sender", "to", "direction"),
    [
        ("ana@kestrel.example", [f"sam@{US}"], "inbound"), (f"sam@{US}", ["ana@kestrel.example"], "outbound"),
        (f"sam@{US}", [f"kim@{US}", "ana@kestrel.example"], "outbound"), (f"sam@{US}", [f"kim@{US}"], "internal"),
        (f"sam@{US}", [], "outbound"), ("ana@kestrel.example", ["bo@kestrel.example"], "inbound"),
    ],
)  # fmt: skip
def test_direction_is_seen_from_us(store: Store, sender: str, to: list[str], direction: str) -> None:
    desk = Desk(store)
    desk.world = World(store, desk.world.vendors, capture={"internal": "keep"})
    desk.runs["a"] = desk.world.run("a")
    desk.take("a", mail("m1", sender, to))
    assert desk.only["direction"] == direction


@on_sqlite
def test_a_source_that_knows_the_direction_is_believed(desk: Desk) -> None:
    desk.take("a", mail("m1", direction="outbound"))
    assert desk.only["direction"] == "outbound"


@on_sqlite
def test_a_meeting_of_a_whole_day_starts_its_day_and_one_without_time_takes_its_change(desk: Desk) -> None:
    changed = datetime(2026, 3, 1, 8, tzinfo=UTC)
    meeting: dict[str, Any] = {"kind": "meeting", "channel": "calendar", "occurred_at": None}
    desk.take("a", mail("d", all_day=date(2026, 5, 4), **meeting), mail("c", changed_at=changed, **meeting))
    times = [e["occurred_at"] for e in desk.entries]
    assert times == [micros(changed), micros(datetime(2026, 5, 4, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("before", "after", "column"),
    [
        ({}, {"subject": "Other"}, "subject"), ({}, {"text": "Other"}, "text"), ({}, {"occurred_at": START}, "occurred_at"),
        ({}, {"status": "done"}, "status"), ({}, {"zone": "Europe/Berlin"}, "zone"), ({}, {"direction": "outbound"}, "direction"),
        ({}, {"channel": "chat"}, "channel"), ({}, {"kind": "note"}, "kind"), ({}, {"purpose": "sales"}, "purpose"),
        ({}, {"owner": Identifier("email", f"kim@{US}")}, "owner_identifier_id"),
        ({}, {"attachments": (Attachment(external_id="f1", filename="a.pdf"),)}, "files"),
        ({}, {"ended_at": START + timedelta(hours=9)}, "ended_at"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)  # fmt: skip
def test_what_changes_at_the_source_changes_here(desk: Desk, before: Any, after: Any, column: str) -> None:
    def shown() -> Any:
        if column == "text":
            return desk.only["text"]
        return desk.world.one(sa.select(t.interaction.c[column]))

    desk.take("a", mail("m1", minute=5, **before))
    old, stamp = shown(), desk.world.one(sa.select(t.interaction.c.changed_at))
    books = desk.take("a", mail("m1", minute=5, **(before | after)))
    assert shown() != old
    assert books.counts["updated"] == 1
    assert desk.world.one(sa.select(t.interaction.c.changed_at)) > stamp  # what we wrote of it elsewhere is stale
    desk.world.check()


@on_sqlite
def test_nothing_changes_when_the_tools_own_marks_do(desk: Desk) -> None:
    desk.take("a", mail("m1"))
    stamp = desk.world.one(sa.select(t.interaction.c.changed_at))
    books = desk.take("a", mail("m1", labels=("STARRED",), changed_at=START + timedelta(days=1)))
    assert books.counts == {"unchanged": 1}
    assert desk.world.one(sa.select(t.interaction.c.changed_at)) == stamp


def test_people_who_come_and_go(desk: Desk) -> None:
    desk.take("a", mail("m1", cc=("bo@kestrel.example",)))
    desk.take("a", mail("m1", cc=("cy@other.example",)))
    assert {value for _, _, value in desk.only["people"]} == {"ana@kestrel.example", f"sam@{US}", "cy@other.example"}
    assert desk.world.one(sa.select(sa.func.sum(t.volume.c.count))) == len(desk.only["links"]) == 5


# --- several sources ----------------------------------------------------------------------------------------------


@on_sqlite
def test_copies_of_one_mail_become_one_entry_with_the_people_of_both(fresh: Callable[[], Desk]) -> None:
    one, two = mail("m1", cc=("bo@kestrel.example",)), mail("m1", cc=("cy@kestrel.example",), text="Text of m1, longer")
    orders = in_every_order(fresh, [lambda d: d.take("a", one), lambda d: d.take("b", two)])
    assert orders[0] == orders[1]
    [entry] = orders[0].values()
    assert {v for _, _, v in entry["people"]} == {
        "ana@kestrel.example",
        f"sam@{US}",
        "bo@kestrel.example",
        "cy@kestrel.example",
    }
    assert {(connection, ext) for connection, _, ext, _ in entry["sources"]} == {("a", "m1"), ("b", "m1")}


@on_sqlite
def test_the_second_copy_is_a_duplicate_in_the_books(desk: Desk) -> None:
    assert desk.take("a", mail("m1")).counts == {"new": 1}
    books = desk.take("b", mail("m1"))
    assert books.counts == {"duplicate": 1}
    assert books.rules == {"duplicate:same interaction": 1}
    assert desk.take("b", mail("m1")).counts == {"unchanged": 1}


@on_sqlite
def test_copies_in_one_page(desk: Desk) -> None:
    copy = msgspec.structs.replace(mail("m1"), external_id="copy")
    assert desk.take("a", mail("m1"), copy).counts == {"new": 1, "duplicate": 1}
    assert {ext for _, _, ext, _ in desk.only["sources"]} == {"m1", "copy"}


def test_the_fuller_copy_is_shown_though_another_is_older(fresh: Callable[[], Desk]) -> None:
    whole = mail("m1", text="New words", body="New words\n> old ones", minute=5)
    note = mail("m1", text="New words, cut", participants=(whole.participants[0],))
    orders = in_every_order(fresh, takes(("a", whole), ("b", msgspec.structs.replace(note, external_id="c1"))))
    assert all(o == orders[0] for o in orders)
    assert [e["text"] for e in orders[0].values()] == ["New words"]


@on_sqlite
def test_content_is_the_lowest_ranked_sources_whatever_came_first(fresh: Callable[[], Desk]) -> None:
    versions = [mail("m1", text=f"Version {i}", minute=i) for i in range(3)]
    copies = [msgspec.structs.replace(m, external_id=f"x{i}") for i, m in enumerate(versions)]
    orders = in_every_order(fresh, takes(*zip("aba", copies, strict=True)))
    assert all(o == orders[0] for o in orders)
    assert [e["text"] for e in orders[0].values()] == ["Version 0"]


@on_sqlite
def test_copies_with_one_content_and_different_people_show_one_direction(fresh: Callable[[], Desk]) -> None:
    one, two = mail("m1", "ana@kestrel.example"), mail("m1", f"sam@{US}", ["ana@kestrel.example"])
    orders = in_every_order(fresh, [lambda d: d.take("a", one), lambda d: d.take("b", two)])
    assert orders[0] == orders[1]


def test_content_follows_when_the_source_that_gave_it_changes_or_goes(desk: Desk) -> None:
    desk.take("a", mail("m1", text="first", minute=0))
    desk.take("b", mail("m1", text="second", minute=1))
    assert desk.only["text"] == "first"
    desk.take("a", mail("m1", text="first, moved", minute=2))
    assert desk.only["text"] == "second"
    desk.take("a", mail("m1", text="first", minute=0))
    assert desk.only["text"] == "first"
    desk.gone("a", "m1")
    assert desk.only["text"] == "second"
    assert {c for c, *_ in desk.only["sources"]} == {"b"}
    desk.gone("b", "m1")
    assert desk.entries == []


@on_sqlite
def test_a_record_that_changes_its_message_id_to_anothers_joins_it(desk: Desk) -> None:
    desk.take("a", mail("m1"), mail("m2", minute=1))
    desk.take("a", mail("m2", minute=1, dedup_keys=("message-id:<m1>",)))
    assert {ext for _, _, ext, _ in desk.only["sources"]} == {"m1", "m2"}


@on_sqlite
@pytest.mark.xfail(strict=True, reason="two entries that turn out to be one stay two; no mail has two Message-IDs")
def test_a_record_that_shares_a_key_with_two_joins_them(fresh: Callable[[], Desk]) -> None:
    one, two = mail("1", dedup_keys=("k:1",)), mail("2", dedup_keys=("k:2",), minute=1)
    both = mail("3", dedup_keys=("k:1", "k:2"), minute=2)
    orders = in_every_order(fresh, takes(("a", one), ("a", two), ("a", both)))
    assert [len(o) for o in orders] == [1] * 6
    assert all(o == orders[0] for o in orders)


@on_sqlite
@pytest.mark.xfail(
    strict=True, reason="the first copy's keys name the entry; copies with further keys do not rename it"
)
def test_the_public_id_is_the_same_whichever_copy_comes_first(fresh: Callable[[], Desk]) -> None:
    less, more = mail("1", dedup_keys=("k:2",)), mail("2", dedup_keys=("k:1", "k:2"))
    orders = in_every_order(fresh, [lambda d: d.take("a", less), lambda d: d.take("b", more)])
    assert list(orders[0]) == list(orders[1])


@on_sqlite
def test_without_a_shared_key_two_records_stay_two(desk: Desk) -> None:
    desk.take("a", mail("c1", dedup_keys=(), kind="call", channel="phone"))
    desk.take("b", mail("c1", dedup_keys=(), kind="call", channel="phone"))
    assert len(desk.entries) == 2


def test_very_long_keys_and_texts(desk: Desk) -> None:
    long = "message-id:<" + "x" * 3000 + ">"
    values: dict[str, Any] = {
        "dedup_keys": (long,),
        "thread_refs": (long,),
        "subject": "s" * 5000,
        "text": "é" * 100_000,
        "zone": "z" * 99,
    }
    desk.take("a", mail("m1", body="b" * 300_000, **values))
    desk.take("b", mail("m1", body="b" * 300_000, **values))
    assert desk.only["text"] == "é" * 100_000
    assert len(desk.only["sources"]) == 2


# --- leaving and coming back --------------------------------------------------------------------------------------


def test_what_is_gone_at_its_only_source_leaves_nothing_but_its_memory(desk: Desk) -> None:
    desk.take("a", mail("m1", attachments=(Attachment(external_id="f", filename="secret.pdf"),)))
    books = desk.gone("a", "m1")
    assert books.counts == {"deleted": 1, "unchanged": 0}
    assert desk.entries == []
    for table in (t.body, t.attachment, t.raw, t.link, t.participation, t.source):
        assert desk.world.all(sa.select(sa.func.count()).select_from(table)) == [(0,)]
    i = t.interaction.c
    assert desk.world.all(sa.select(i.subject, i.snippet, i.gone_at.is_not(None))) == [("", "", True)]
    assert desk.gone("a", "m1").counts == {"deleted": 0, "unchanged": 1}


@on_sqlite
def test_it_comes_back_under_the_same_id(desk: Desk) -> None:
    desk.take("a", mail("m1"))
    before = desk.world.timeline()
    desk.gone("a", "m1")
    assert desk.take("a", mail("m1")).counts == {"updated": 1}
    assert desk.world.timeline() == before
    desk.world.check()


@on_sqlite
def test_gone_and_back_through_the_other_source(desk: Desk) -> None:
    desk.take("a", mail("m1"))
    [before] = desk.world.timeline()
    desk.gone("a", "m1")
    desk.take("b", mail("m1"))
    assert list(desk.world.timeline()) == [before]
    assert {c for c, *_ in desk.only["sources"]} == {"b"}


# --- echoes -------------------------------------------------------------------------------------------------------


def echo(desk: Desk, ext: str = "e1", **more: Any) -> Interaction:
    """What we wrote of the only entry, as the tool hands it back: its own words, its own people."""
    [key] = desk.world.timeline()
    return mail(
        ext, "bot@tool.example", ["other@elsewhere.example"], text="Rewritten", dedup_keys=(f"hub-key:{key}",), **more
    )


@on_sqlite
def test_our_own_write_coming_back_is_a_source_that_says_nothing(desk: Desk) -> None:
    desk.take("a", mail("m1"))
    before = desk.only
    books = desk.take("b", echo(desk, minute=-9))
    assert books.rules == {"duplicate:echo": 1}
    after = desk.only
    assert after["sources"] - before["sources"] == {("b", "mail", "e1", True)}
    assert {k: v for k, v in after.items() if k != "sources"} == {k: v for k, v in before.items() if k != "sources"}
    desk.take("b", echo(desk, minute=-10))
    assert desk.only == after


@on_sqlite
def test_an_echo_goes_without_a_trace(desk: Desk) -> None:
    desk.take("a", mail("m1"))
    before = desk.only
    desk.take("b", echo(desk))
    desk.gone("b", "e1")
    assert desk.only == before


@on_sqlite
def test_an_echo_does_not_keep_alive_or_bring_back_what_is_gone(desk: Desk) -> None:
    desk.take("a", mail("m1"))
    written = echo(desk)
    desk.take("b", written)
    desk.gone("a", "m1")
    assert desk.entries == []
    desk.take("b", msgspec.structs.replace(written, text="Edited there"))
    assert desk.entries == []


@on_sqlite
def test_an_echo_before_what_it_echoes_makes_no_second_entry(fresh: Callable[[], Desk]) -> None:
    first = fresh()
    first.take("a", mail("m1"))
    written = echo(first, minute=-5)
    orders = in_every_order(fresh, [lambda d: d.take("a", mail("m1")), lambda d: d.take("b", written)])
    assert orders[0] == orders[1]
    assert len(orders[0]) == 1


@pytest.mark.parametrize("key", ["inever", "x" * 99, "i\x1f", "p1"])
def test_an_echo_of_what_we_never_knew_is_not_on_the_timeline(desk: Desk, key: str) -> None:
    books = desk.take("b", mail("e1", dedup_keys=(f"hub-key:{key}",)))
    assert books.is_balanced
    assert desk.entries == []
    desk.take("b", mail("e1", dedup_keys=(f"hub-key:{key}",), text="Edited"))
    desk.gone("b", "e1")
    assert desk.entries == []


# --- conversations ------------------------------------------------------------------------------------------------


def test_answers_join_whatever_the_order_and_though_the_parent_is_missing(fresh: Callable[[], Desk]) -> None:
    thread = [mail("m2", refs=("m1",)), mail("m3", refs=("m1",), minute=1), mail("m4", refs=("m3",), minute=2)]
    orders = in_every_order(fresh, takes(*(("a", m, mail("m9", minute=3)) for m in thread)))
    assert all(o == orders[0] for o in orders)
    assert sorted(len(e["thread"]) for e in orders[0].values()) == [1, 3, 3, 3]


def test_a_late_message_joins_two_conversations(desk: Desk) -> None:
    desk.take("a", mail("m1"), mail("m2", minute=1), mail("m3", minute=2))
    assert [len(e["thread"]) for e in desk.entries] == [1, 1, 1]
    desk.take("a", mail("m4", refs=("m1", "m3"), minute=3))
    assert [len(e["thread"]) for e in desk.entries] == [3, 1, 3, 3]
    assert desk.world.one(sa.select(sa.func.count()).select_from(t.conversation)) == 2


@on_sqlite
def test_the_same_subject_joins_nothing(desk: Desk) -> None:
    desk.take("a", mail("m1", subject="Invoice"), mail("m2", subject="Re: Invoice", minute=1))
    assert [len(e["thread"]) for e in desk.entries] == [1, 1]


def test_a_long_chain_in_pages_from_both_ends(desk: Desk) -> None:
    chain = [mail(f"m{i:03}", refs=(f"m{i - 1:03}",) if i else (), minute=i) for i in range(40)]
    desk.take("a", *chain[::2])
    desk.take("b", *reversed(chain[1::2]))
    assert {len(e["thread"]) for e in desk.entries} == {40}


@on_sqlite
def test_the_second_copys_references_count_too(desk: Desk) -> None:
    desk.take("a", mail("m1"), mail("m2", minute=1))
    desk.take("b", mail("m2", minute=1, refs=("m1",)))
    assert [len(e["thread"]) for e in desk.entries] == [2, 2]


@on_sqlite
def test_interactions_without_references_each_stand_alone(desk: Desk) -> None:
    desk.take("a", *(mail(f"c{i}", thread_refs=(), dedup_keys=(), minute=i) for i in range(3)))
    assert [len(e["thread"]) for e in desk.entries] == [1, 1, 1]


# --- parties that move --------------------------------------------------------------------------------------------


def card(ext: str, *addresses: str, **more: Any) -> Person:
    identifiers = (Identifier("acorn:contacts", ext), *(Identifier("email", a) for a in addresses))
    return Person(external_id=ext, identifiers=identifiers, **more)


def test_when_a_record_makes_two_people_one_their_timelines_become_one(desk: Desk) -> None:
    desk.take("a", mail("m1"), mail("m2", "ana@home.example", minute=1), mail("m3", cc=("ana@home.example",), minute=2))
    desk.party("b", card("7", "ana@kestrel.example", "ana@home.example"))
    both = frozenset({"email:ana@kestrel.example", "email:ana@home.example"})
    for entry in desk.entries:
        assert both in {name[2] for name, *_ in entry["links"]}
    desk.world.check()


def test_when_a_person_gets_a_company_their_timeline_is_the_companys_too(desk: Desk) -> None:
    desk.take("a", mail("m1", "ana@gmail.com"))
    company = Organization(
        external_id="c1", identifiers=(Identifier("acorn:companies", "c1"), Identifier("domain", "kestrel.example"))
    )
    desk.party("b", company)
    desk.party("b", card("7", "ana@gmail.com", organizations=(Identifier("acorn:companies", "c1"),)))
    assert "organization" in {name[0] for name, *_ in desk.only["links"]}


@on_sqlite
def test_when_an_address_turns_out_to_be_a_list_old_mail_leaves_the_company(fresh: Callable[[], Desk]) -> None:
    plain = mail("m1", "crew@kestrel.example")
    listed = mail("m2", "ana@other.example", ["crew@kestrel.example"], signals=("list:crew@kestrel.example",), minute=1)
    orders = in_every_order(fresh, [lambda d: d.take("a", plain), lambda d: d.take("a", listed)])
    assert orders[0] == orders[1]


def test_when_a_user_of_a_tool_turns_out_to_be_ours_direction_follows(store: Store) -> None:
    vendor = Vendor()
    vendor.mail(mail("m1", "kim@agency.example", ["ana@kestrel.example"]))
    world = World(store, {"a": vendor})
    world.sync()
    assert [e["direction"] for e in world.timeline().values()] == ["inbound"]
    vendor.put("parties", "u1", card("u1", "kim@agency.example", is_own=True))
    world.sync()
    world.sync()  # the user is known from the end of the first one on
    assert [e["direction"] for e in world.timeline().values()] == ["outbound"]
    world.check()


def test_volume_is_kept_by_week_channel_and_direction(desk: Desk) -> None:
    desk.take(
        "a",
        mail("m1"),
        mail("m2", minute=8 * 24 * 60),
        mail("m3", f"sam@{US}", ["ana@kestrel.example"]),
        mail("c", channel="phone"),
    )
    v, ana = t.volume.c, sa.select(t.party.c.id).where(t.party.c.kind == "person").scalar_subquery()
    rows = desk.world.all(sa.select(v.week, v.channel, v.direction, v.count).where(v.party_id == ana).order_by(*v))
    monday = 20759  # days since 1970 of 2026-11-02
    assert sorted(rows) == [
        (monday, "email", "inbound", 1), (monday, "email", "outbound", 1), (monday, "phone", "inbound", 1),
        (monday + 7, "email", "inbound", 1),
    ]  # fmt: skip


def test_names_are_shown_with_participants(desk: Desk) -> None:
    desk.take("a", mail("m1", participants=(who("ana@kestrel.example", "from", "Ana Ruiz"), who(f"sam@{US}", "to"))))
    assert desk.world.one(sa.select(t.party.c.name).where(t.party.c.kind == "person")) == "Ana Ruiz"
    with desk.world.store.read() as c:
        assert timeline(c)
