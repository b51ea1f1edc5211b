"""R20: every external participant gets the entry; phones are E.164 with a default country and an ambiguity flag."""

from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from world import US, World, mail, who

from hub.api import Identifier, Interaction, Participation, Person
from hub.identity import phones
from hub.store import Store
from hub.store import tables as t

NUMBER = "+493023125100"


def spellings(last: int = 100) -> tuple[str, ...]:
    """Twelve ways to write one number in the range that Berlin keeps for films and books; last: its last three digits."""
    return (
        f"+49 30 23125 {last}", f"+493023125{last}", f"0049 30 23125{last}", f"011 49 30 23125-{last}", f"030 23125{last}",
        f"(030) 23125-{last}", f"+49 (0)30 23125-{last}", f"030/23125{last}", f"tel:+49-30-23125-{last}",
        f"49 30 23125{last}", f"＋４９ ３０ ２３１２５ {last}", f"+49.30.23125.{last}",
    )  # fmt: skip


PLAIN = ("+49 30 23125 100", NUMBER, "+49-30-23125-100", " +49 (30) 23125/100 ")


def call(key: str, number: str, minute: int = 0) -> Interaction:
    ids = (Identifier("phone", number), "from"), (Identifier("acorn:users", "sam"), "agent")
    people = tuple(Participation(identifier=i, role=role) for i, role in ids)  # type: ignore[arg-type]
    return mail(
        key, minute=minute, kind="call", channel="phone", participants=people, dedup_keys=(), thread_refs=(key,)
    )


def contact(key: str, *numbers: str, address: str = "", tool: str = "acorn:contacts", name: str = "") -> Person:
    own = (Identifier(tool, key), Identifier("email", address or f"{key}@kestrel.example"))
    return Person(
        external_id=key, identifiers=(*own, *(Identifier("phone", n) for n in numbers)), name=f"{name or key} Kestrel"
    )


def world(store: Store, region: str = "DE") -> World:
    return World(store, {"desk": Vendor(page_size=50)}, identity={"default_region": region})


def told(w: World, *steps: Person | Interaction) -> None:
    """The desk tells of these, one sync each."""
    for step in steps:
        tell(w, step)


def tell(w: World, *at_once: Person | Interaction) -> None:
    for one in at_once:
        w.vendors["desk"].put("parties" if isinstance(one, Person) else "mail", one.external_id, one)
    assert w.sync("desk").exit_code == 0


def on_timeline_of(w: World, value: str, scheme: str = "email") -> set[str]:
    """Subjects on the timeline of the party behind an identifier."""
    query = (
        sa.select(t.interaction.c.subject)
        .join(t.link, t.link.c.interaction_id == t.interaction.c.id)
        .join(t.identifier, t.identifier.c.party_id == t.link.c.party_id)
        .where(t.identifier.c.scheme == scheme, t.identifier.c.value == value)
    )
    return {row[0] for row in w.all(query)}


def numbers(w: World) -> set[tuple[str, str, str]]:
    """(as given, sharing, kind of the party) of every number."""
    i = t.identifier.c
    query = sa.select(i.value, i.sharing, t.party.c.kind).join(t.party, t.party.c.id == i.party_id)
    return {(v, s, k) for v, s, k in w.all(query.where(i.scheme == "phone"))}


# --- everybody who was there ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["meeting", "message", "call"])
def test_each_of_twenty_people_gets_the_entry(store: Store, kind: str) -> None:
    """R20: a 20-person meeting, mail or conference call is one entry on the timelines of all 20: 20 of 20 for each."""
    outside = [f"guest{n}@company{n % 4}.example" for n in range(16)]
    dialled = [f"+49 30 2312510{n}" for n in range(4)] if kind == "call" else []
    outside += [] if dialled else [f"guest{n}@free{n}.example" for n in range(16, 20)]
    people = [Participation(identifier=Identifier("email", a), role="attendee") for a in outside]
    people += [Participation(identifier=Identifier("phone", n), role="attendee") for n in dialled]
    w = world(store)
    told(w, mail("all", kind=kind, participants=(who(f"sam@{US}", "organizer"), *people)))
    assert len(w.timeline()) == 1
    reached = [a for a in outside if on_timeline_of(w, a) == {"About all"}]
    reached += [n for n in dialled if on_timeline_of(w, n, "phone") == {"About all"}]
    assert len(reached) == 20
    for n in range(4):
        assert on_timeline_of(w, f"company{n}.example", "domain") == {"About all"}
    w.check()


# --- one number, many spellings --------------------------------------------------------------------------------------


def test_twelve_spellings_are_one_number() -> None:
    """R20: 12 spellings, 1 match key, none ambiguous."""
    assert {phones.match(s, "DE") for s in spellings()} == {(NUMBER, True)}
    assert len(set(spellings())) == 12


def test_calls_in_twelve_spellings_come_to_the_one_person_who_lists_it(store: Store) -> None:
    """R20: whichever spelling the record has, 6 calls before it and 6 after it, one per spelling: 12 of 12 are there."""
    w = world(store)
    cases = {f"p{n}": spellings(100 + n) for n in range(12)}
    calls = {who: [call(f"{who}-{i}", s, i) for i, s in enumerate(said)] for who, said in cases.items()}
    tell(w, *(c for some in calls.values() for c in some[:6]))
    tell(w, *(contact(who, said[n]) for n, (who, said) in enumerate(cases.items())))
    tell(w, *(c for some in calls.values() for c in some[6:]))
    for name in cases:
        assert on_timeline_of(w, f"{name}@kestrel.example") == {f"About {name}-{i}" for i in range(12)}
    assert {v for v, *_ in numbers(w)} == {phones.written(s) for said in cases.values() for s in said}, "kept as given"
    assert {(s, k) for _, s, k in numbers(w)} == {("unknown", "person")}
    w.check()


def test_twelve_spellings_that_nobody_lists_are_one_party(store: Store) -> None:
    w = world(store)
    tell(w, *(call(f"call{n}", s, n) for n, s in enumerate(spellings())))
    assert len({p for (p,) in w.all(sa.select(t.identifier.c.party_id).where(t.identifier.c.scheme == "phone"))}) == 1
    assert len(on_timeline_of(w, NUMBER, "phone")) == 12


@pytest.mark.parametrize(
    ("given", "region", "key"),
    [
        ("030 23125100", "", ""), ("030 23125100", "DE", NUMBER), ("030 23125100", "FR", ""),
        ("0049 30 23125100", "", NUMBER), ("0049 30 23125100", "US", NUMBER), ("011 49 30 23125100", "US", NUMBER),
        ("011 49 30 23125100", "", NUMBER), ("0113 496 0123", "GB", "+441134960123"), ("0113 496 0123", "", ""),
        ("(020) 7946 0123", "GB", "+442079460123"), ("+44 (0)20 7946 0123", "DE", "+442079460123"),
        ("+39 02 1234 5678", "DE", "+390212345678"), ("02 1234 5678", "IT", "+390212345678"),
        ("1-800-FLOWERS", "US", "+18003569377"), ("+1 800 FLOWERS", "", "+18003569377"), ("1-800-FLOWERS", "", ""),
        ("+49 30 23125100 ext. 12", "DE", f"{NUMBER};ext=12"), ("030 23125100 x12", "DE", f"{NUMBER};ext=12"),
        ("23125100", "DE", ""), ("+1 212 555 0123", "DE", "+12125550123"), ("212 555 0123", "US", "+12125550123"),
        ("555-0123", "US", ""), ("12", "DE", ""), ("+", "DE", ""), ("n/a", "DE", ""), ("call me", "DE", ""), ("", "DE", ""),
        ("+49 30 23125100" * 30, "DE", ""), ("\u202a+49 30 23125100\u202c", "DE", NUMBER), ("+49\u00a030\u00a023125100", "", NUMBER),
    ],
)  # fmt: skip
def test_what_a_number_is_and_what_is_none(given: str, region: str, key: str) -> None:
    """A key begins with + exactly if the number is the same one the world over; all others are flagged."""
    found, is_certain = phones.match(given, region)
    assert is_certain is bool(key)
    assert (found if is_certain else "") == key
    assert found.startswith("+") is is_certain


# --- whose it is -----------------------------------------------------------------------------------------------------


def test_a_national_number_without_a_region_is_flagged_and_matches_no_other_country(store: Store) -> None:
    """R20: "030 23125100" may be Berlin's or anybody's: it never meets +49 30, +55 30 or +30 numbers."""
    w = world(store, region="")
    tell(w, contact("ana", "+49 30 23125100"), contact("bea", "+55 30 23125100"), call("c", "030 23125100"))
    assert ("030 23125100", "ambiguous", "mailbox") in numbers(w)
    assert on_timeline_of(w, "ana@kestrel.example") == on_timeline_of(w, "bea@kestrel.example") == set()
    assert on_timeline_of(w, "030 23125100", "phone") == {"About c"}


def test_a_region_named_later_counts_for_what_is_read_from_then_on(store: Store) -> None:
    w = world(store, region="")
    told(w, contact("ana", "030 23125100"), call("c1", "+49 30 23125100"))
    assert on_timeline_of(w, "ana@kestrel.example") == set()
    w = w.restart(identity={"default_region": "DE"})
    told(w, contact("ana", "030 23125100", address="ana@kestrel.example"), call("c2", "030/23125100", 1))
    w.vendors["desk"].put("parties", "ana", contact("ana", "030 23125100", "+49 30 23125199"))
    w.sync("desk")
    assert on_timeline_of(w, "ana@kestrel.example") == {"About c1", "About c2"}
    assert {s for _, s, _ in numbers(w)} == {"unknown"}
    w.check()


def test_a_number_kept_under_another_regions_key_is_known_again_when_it_is_read(store: Store) -> None:
    w = world(store)
    tell(w, call("early", PLAIN[2]))
    with store.write() as c:  # as it was kept under a key of its own, before its country was known
        c.execute(sa.update(t.identifier).where(t.identifier.c.scheme == "phone").values(
            match_value="4930", sharing="ambiguous"))  # fmt: skip
    tell(w, contact("ana", PLAIN[0]))
    assert on_timeline_of(w, "ana@kestrel.example") == set()
    tell(w, call("late", PLAIN[2], 1))
    assert on_timeline_of(w, "ana@kestrel.example") == {"About early", "About late"}
    assert {(s, k) for _, s, k in numbers(w)} == {("unknown", "person")}
    w.check()


def test_whatever_comes_first_a_call_is_the_one_persons_or_nobodys(store: Store) -> None:
    """R20, IDENTITY: a phone alone never joins two people; listed by one it is theirs, listed by two it is nobody's.

    Every order of a call and two people's records, of whom one or both list the number: 12 cases, three syncs.
    """
    w = world(store)
    cases: dict[str, tuple[bool, list[Person | Interaction]]] = {}
    for n, (both, order) in enumerate((both, order) for both in (False, True) for order in permutations(range(3))):
        number = f"+49 30 23125 {100 + n}"
        steps = (
            call(f"call{n}", number.replace(" ", "-")),
            contact(f"a{n}", number),
            contact(f"b{n}", number if both else ""),
        )
        cases[str(n)] = both, [steps[i] for i in order]
    for at in range(3):
        tell(w, *(steps[at] for _, steps in cases.values()))
    for n, (both, _) in cases.items():
        assert on_timeline_of(w, f"a{n}@kestrel.example") == (set() if both else {f"About call{n}"})
        assert on_timeline_of(w, f"b{n}@kestrel.example") == set()
        number = f"+49 30 23125 {100 + int(n)}"
        assert on_timeline_of(w, number, "phone") == {f"About call{n}"}
        expected = ("shared", "mailbox") if both else ("unknown", "person")
        assert {(s, k) for v, s, k in numbers(w) if v in {number, number.replace(" ", "-")}} == {expected}
    w.check()


def test_a_number_changes_hands_as_the_records_say(store: Store) -> None:
    """Listed by two, dropped by one, listed by two whom a third record joins: home each time it is one person's."""
    w = world(store)
    tell(w, *(call(f"call{n}", number, n) for n, number in enumerate(PLAIN[1:3])))
    tell(w, contact("ana", PLAIN[0]), contact("bo", PLAIN[3], tool="beech:users", name="ana"))
    both = {"About call0", "About call1"}
    assert on_timeline_of(w, "ana@kestrel.example") == on_timeline_of(w, "bo@kestrel.example") == set()
    told(w, contact("ana"))
    assert on_timeline_of(w, "bo@kestrel.example") == both
    told(w, contact("ana", PLAIN[2]))
    assert on_timeline_of(w, "ana@kestrel.example") == on_timeline_of(w, "bo@kestrel.example") == set()
    joined = contact("cy", address="ana@kestrel.example", tool="cedar:members")
    also = (*joined.identifiers, Identifier("email", "bo@kestrel.example"))
    told(w, Person(external_id="cy", identifiers=also, name="Ana Kestrel"))
    assert on_timeline_of(w, "ana@kestrel.example") == on_timeline_of(w, "bo@kestrel.example") == both
    assert {(s, k) for _, s, k in numbers(w)} == {("unknown", "person")}
    w.check()


def test_what_is_no_number_brings_nobody_together(store: Store) -> None:
    w = world(store)
    told(w, contact("ana", "n/a"), call("c", "n/a"))
    assert on_timeline_of(w, "ana@kestrel.example") == set()


@pytest.mark.anyio
@pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("order", [("contacts", "calls"), ("calls", "contacts")])
async def test_a_call_logged_in_a_real_tool_finds_its_person(stand: Any, order: tuple[str, str]) -> None:
    """R20 through HubSpot: a call that names numbers alone is on the timeline of the contact who has the number."""
    stand.portal()
    people = [
        {"email": "ana@kestrel.example", "phone": "+49 (30) 23125-100"}, {"email": "bo@kestrel.example", "phone": "n/a"},
    ]  # fmt: skip
    call = {
        "hs_timestamp": "2026-03-09T09:00:00Z", "hs_call_title": "Prices", "hs_call_direction": "INBOUND",
        "hs_call_from_number": NUMBER, "hs_call_to_number": "+49 30 23125 999",
    }  # fmt: skip
    stand.hubspot.seed({"contacts": [{"properties": p} for p in people], "calls": [{"properties": call}]})
    for stream in order:
        await stand.sync(["crm"], stream)
    (public_id,) = stand.meetings()
    assert stand.timeline("ana@kestrel.example") == stand.timeline("kestrel.example") == {public_id}
    assert stand.timeline("bo@kestrel.example") == set()
