"""The reports over an estate small enough to count by hand; pages, files and documents made of them."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from acorn import Vendor
from emptying import empty
from world import START, US, World, mail, who

from hub import reports
from hub.access import Sees, Viewer, visible
from hub.api import Deal, Identifier, Interaction, Organization, Person, Task
from hub.reports import Answer, BadParameter
from hub.store import Store
from hub.store import tables as t

ANA, BO, CY, SAM = "ana@kestrel.example", "bo@kestrel.example", "cy@heron.example", f"sam@{US}"
OWNER = Identifier("acorn:owners", "u1")
DAY, HOUR = 24 * 60, 60
NOW = START + timedelta(days=16)  # Wednesday 18 November 2026, 09:00 UTC; START is Monday the 2nd


def party(key: str, domain: str, name: str) -> Organization:
    ids = (Identifier("acorn:companies", key), Identifier("domain", domain))
    return Organization(external_id=key, identifiers=ids, name=name)


def call(key: str, sender: str, minute: int) -> Interaction:
    people = (who(sender, "from"), who(SAM, "to"))
    return mail(
        key, kind="call", channel="phone", participants=people, minute=minute, dedup_keys=(), thread_refs=(key,)
    )


def estate(store: Store) -> World:
    """Kestrel (Ana, Bo) and Heron (Cy) write and are answered or not; Owl is known and silent; deals, tasks.

    The connection "private" is the boss's own: Ana wrote there once more.
    """
    tool, private = Vendor(page_size=50), Vendor()
    for entry in (
        mail("m1", ANA),
        mail("m2", SAM, [ANA], refs=("m1",), minute=2 * HOUR),  # answered after two hours
        mail("m3", ANA, refs=("m2",), minute=3 * HOUR),
        mail("m4", BO, minute=4 * HOUR),  # waits
        mail("m8", SAM, [CY], minute=3 * DAY),  # we begin
        mail("m9", CY, refs=("m8",), minute=3 * DAY + 60),
        mail("m10", SAM, [CY], refs=("m9",), minute=3 * DAY + 90),  # answered after half an hour
        mail("m7", BO, minute=6 * DAY + 14 * HOUR + 30),  # Sunday 23:30 in UTC, Monday 00:30 in Berlin; waits
        mail("m5", CY, minute=8 * DAY),
        mail("m6", SAM, [CY], refs=("m5",), minute=8 * DAY + 10 * HOUR),  # answered after ten hours
        call("c1", CY, 9 * DAY),
        mail("meet", SAM, [ANA], minute=17 * DAY, kind="meeting", channel="calendar", dedup_keys=(), thread_refs=()),
    ):
        tool.mail(entry)
    sam = (OWNER, Identifier("email", SAM))
    for key, entity in {
        "u1": Person(external_id="u1", identifiers=sam, name="Sam Own", is_own=True),
        "o1": party("o1", "kestrel.example", "=Kestrel"), "o2": party("o2", "owl.example", "Owl"),
        "p1": Person(external_id="p1", identifiers=(Identifier("email", CY),), name="Cy Heron"),
        "d1": Deal(external_id="d1", title="Big", stage="offer", amount="1200.50", currency="EUR", owner=OWNER,
                   about=(Identifier("email", ANA),), url="https://tool.example/d1"),
        "d2": Deal(external_id="d2", title="Fresh", amount="7", currency="EUR", about=(Identifier("email", CY),)),
        "d3": Deal(external_id="d3", title="Nobody's", amount="much", currency="EUR"),
        "d4": Deal(external_id="d4", title="Won", is_closed=True, about=(Identifier("email", ANA),)),
        "t1": Task(external_id="t1", title="Late", due_at=NOW - timedelta(minutes=1), owner=OWNER),
        "t2": Task(external_id="t2", title="Soon", due_at=NOW + timedelta(days=3), owner=OWNER),
        "t3": Task(external_id="t3", title="Some day", owner=OWNER),
        "t4": Task(external_id="t4", title="Whose", due_at=NOW + timedelta(days=30)),
        "t5": Task(external_id="t5", title="Done", is_done=True, due_at=NOW - timedelta(days=9), owner=OWNER),
    }.items():  # fmt: skip
        tool.put("parties", key, entity)
    private.mail(mail("x1", ANA, ["boss@ourco.example"], minute=10 * DAY))
    world = World(store, {"tool": tool, "private": private})
    world.sync()
    with store.write() as c:
        c.execute(
            sa.update(t.connection)
            .where(t.connection.c.name == "private")
            .values(is_private=True, owner="boss@ourco.example")
        )
    return world


_made: dict[int, World] = {}


@pytest.fixture
def view(kept_store: Store) -> World:
    """The estate, for tests that only look at it: built once for each database."""
    with kept_store.read() as c:
        is_there = c.execute(sa.select(t.meta.c.value).where(t.meta.c.key == "estate to count")).scalar()
    if not is_there:
        empty(kept_store)
        _made[id(kept_store)] = estate(kept_store)
        with kept_store.write() as c:
            c.execute(sa.insert(t.meta).values(key="estate to count", value=""))
    return _made[id(kept_store)]


def ask(
    world: World, name: str, zone: str = "UTC", seen: Any = reports.everything, now: datetime = NOW, **given: Any
) -> Answer:
    with world.store.read() as c:
        return reports.ask(c, name, given, now=now, zone=ZoneInfo(zone), seen=seen)


def figures(answer: Answer) -> dict[str, Any]:
    return {f.name: f.value for f in answer.found.figures}


def rows(answer: Answer, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[n] for n in names) for row in answer.found.rows]


def of(mailbox: str) -> Any:
    return partial(visible, Viewer(1, mailbox, frozenset(), Sees(mailbox)))


# --- volume -----------------------------------------------------------------------------------------------------------

COUNTED = ("account", "week", "channel", "interactions", "inbound", "outbound")


def test_volume_counts_by_account_week_and_channel(view: World) -> None:
    answer = ask(view, "volume")
    assert rows(answer, *COUNTED) == [
        ("=Kestrel", "2026-W45", "email", 5, 4, 1),
        ("=Kestrel", "2026-W46", "email", 1, 1, 0),
        ("heron.example", "2026-W45", "email", 3, 1, 2),
        ("heron.example", "2026-W46", "email", 2, 1, 1),
        ("heron.example", "2026-W46", "phone", 1, 1, 0),
    ]
    assert figures(answer) == {"interactions": 12, "accounts": 2, "inbound": 8, "outbound": 4}
    assert dict(answer.found.bars)["2026-W46"] == {"email": 3, "phone": 1}
    assert len(answer.found.bars) == 12
    assert answer.found.notes == ("The week 2026-W47 is not over.",)


def test_weeks_are_those_of_the_zone(view: World) -> None:
    assert rows(ask(view, "volume", "Europe/Berlin"), "account", "week", "interactions")[:2] == [
        ("=Kestrel", "2026-W45", 4), ("=Kestrel", "2026-W46", 2),
    ]  # fmt: skip
    given = ask(view, "volume", zone="Europe/Berlin")
    assert given.found.rows == ask(view, "volume", "Europe/Berlin").found.rows
    assert rows(ask(view, "volume", "Pacific/Kiritimati"), "account", "week", "interactions")[1] == (
        "=Kestrel",
        "2026-W46",
        2,
    )


def test_what_is_planned_counts_once_its_time_has_come(view: World) -> None:
    before = START + timedelta(days=17, minutes=-1)
    assert figures(ask(view, "volume", now=before))["interactions"] == 12
    assert figures(ask(view, "volume", now=START + timedelta(days=17)))["interactions"] == 13


def test_the_accounts_beyond_the_top_are_one(view: World) -> None:
    assert rows(ask(view, "volume", top="1"), *COUNTED[:4], "account_id")[2:] == [
        ("All others", "2026-W45", "email", 3, None), ("All others", "2026-W46", "email", 2, None),
        ("All others", "2026-W46", "phone", 1, None),
    ]  # fmt: skip


def test_one_account_and_some_weeks(view: World) -> None:
    heron = next(r["account_id"] for r in ask(view, "volume").found.rows if r["account"] == "heron.example")
    answer = ask(view, "volume", "Europe/Berlin", account=heron, since="2026-11-10", until="2026-11-15")
    assert rows(answer, *COUNTED[:4]) == [
        ("heron.example", "2026-W46", "email", 2),
        ("heron.example", "2026-W46", "phone", 1),
    ]
    assert answer.found.notes == ()


def test_a_person_of_a_company_can_be_asked_for_too(view: World) -> None:
    with view.store.read() as c:
        ana, bo = (reports.find(c, address)[0]["public_id"] for address in (ANA, BO))
    for seen in (reports.everything, of("boss@ourco.example")):
        told = ask(view, "volume", "Europe/Berlin", seen=seen, account=bo)
        assert rows(told, "week", "interactions") == [("2026-W45", 1), ("2026-W46", 1)]
        assert figures(ask(view, "volume", seen=seen, account=ana))["interactions"] == 4


# --- response ---------------------------------------------------------------------------------------------------------


def test_response_times(view: World) -> None:
    (email,) = ask(view, "response").found.rows
    assert email == {
        "channel": "email", "conversations": 6, "answered": 3, "waiting": 3, "median_s": 7200.0, "p90_s": 36000.0,
        "within_target": 2 / 6, "late": 4,
    }  # fmt: skip


def test_the_target_decides_and_who_waits_less_is_undecided(view: World) -> None:
    assert figures(ask(view, "response", target_minutes=30))["within_target"] == 1 / 6
    long = figures(ask(view, "response", target_minutes=43_200))
    assert (long["within_target"], long["waiting"]) == (1.0, 3)


def test_only_conversations_of_these_days(view: World) -> None:
    def count(zone: str, since: str, until: str) -> int:
        return int(figures(ask(view, "response", zone, since=since, until=until))["conversations"])

    assert count("UTC", "2026-11-02", "2026-11-02") == 2
    assert (count("UTC", "2026-11-08", "2026-11-08"), count("UTC", "2026-11-09", "2026-11-09")) == (1, 0)
    assert (count("Europe/Berlin", "2026-11-08", "2026-11-08"), count("Europe/Berlin", "2026-11-09", "2026-11-09")) == (
        0,
        1,
    )


def test_an_answer_that_is_only_planned_is_none(view: World) -> None:
    at = START + timedelta(days=8, hours=9, minutes=59)
    assert figures(ask(view, "response", now=at))["answered"] == 2
    assert figures(ask(view, "response", now=at + timedelta(minutes=1)))["answered"] == 3


# --- tasks, deals, customers, capture ---------------------------------------------------------------------------------


def test_tasks_per_owner(view: World) -> None:
    answer = ask(view, "tasks")
    assert rows(answer, "owner", "open", "overdue", "due_soon", "undated", "first_due_at") == [
        ("Sam Own", 3, 1, 1, 1, NOW - timedelta(minutes=1)), ("Nobody", 1, 0, 0, 0, NOW + timedelta(days=30)),
    ]  # fmt: skip
    assert figures(answer) == {"open": 4, "overdue": 1, "unowned": 1}
    assert rows(ask(view, "tasks", soon_days=2), "due_soon")[0] == (0,)


def test_deals_that_are_silent(view: World) -> None:
    answer = ask(view, "silent-deals", seen=of("sam@ourco.example"))
    assert rows(answer, "deal", "silent_days", "amount", "owner", "account", "channel") == [
        ("Nobody's", None, "much", "", "", ""), ("Big", 15, "1200.50", "Sam Own", "ana@kestrel.example", "email"),
    ]  # fmt: skip
    assert figures(answer) == {"silent": 2, "open": 3, "worth_eur": "1200.50"}
    last = answer.found.rows[1]
    assert last["last_contact_at"] == START + timedelta(hours=3)
    with view.store.read() as c:
        entry = reports.explain(c, last["entry_id"])
    assert entry["subject"] == "About m3"


def test_silence_is_longer_than_the_days_given(view: World) -> None:
    assert [r[0] for r in rows(ask(view, "silent-deals"), "deal")] == [
        "Nobody's"
    ]  # the boss's mailbox knows of a later word
    assert [r[0] for r in rows(ask(view, "silent-deals", days=7), "deal")] == ["Nobody's"]
    assert [r[0] for r in rows(ask(view, "silent-deals", days=6), "deal")] == ["Nobody's", "Fresh"]
    assert [r[0] for r in rows(ask(view, "silent-deals", days=5), "deal")] == ["Nobody's", "Fresh", "Big"]
    assert ask(view, "silent-deals", days=5, top=1).found.total == 3


def test_which_customers_were_in_touch(view: World) -> None:
    answer = ask(view, "activity")
    assert rows(answer, "account", "in_touch", "interactions", "silent_days") == [
        ("=Kestrel", True, 6, 6), ("heron.example", True, 6, 7), ("Owl", False, 0, None),
    ]  # fmt: skip
    assert figures(answer) == {"customers": 3, "active": 2, "share": 2 / 3, "captured": 1.0}
    assert rows(ask(view, "activity", show="silent", days=6), "account") == [("Owl",), ("heron.example",)]
    assert figures(ask(view, "activity", who="all"))["customers"] == 2


def test_capture_is_the_newest_count_of_each_source(view: World) -> None:
    answer = ask(view, "capture")
    assert rows(answer, "connection", "stream", "at_source", "held", "covered", "missing") == [
        ("tool", "parties", None, None, None, None), ("private", "mail", 1, 1, 1.0, 0), ("tool", "mail", 12, 12, 1.0, 0),
    ]  # fmt: skip
    assert figures(answer) == {"captured": 1.0, "at_source": 13, "held": 13, "uncounted": 1}


def test_what_was_not_captured_is_told_beside_the_activity(store: Store) -> None:
    vendor = Vendor(can_fetch=False)
    for n in range(4):
        vendor.mail(mail(f"m{n}", ANA, minute=n))
    vendor.feeds["mail"].hidden.add("m3")
    world = World(store, {"a": vendor})
    world.sync()
    assert rows(ask(world, "capture"), "at_source", "held", "covered", "missing", "explained") == [(4, 3, 0.75, 1, 0)]
    activity = ask(world, "activity", who="all")
    assert figures(activity)["captured"] == 0.75
    assert "Not everything the sources hold was seen" in activity.found.notes[0]


# --- who sees what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(reports.REPORTS))
def test_counting_anew_gives_what_was_kept(view: World, name: str) -> None:
    """`of` its owner the private mailbox is open, so nothing is hidden: the two ways to count must agree."""
    kept, anew = ask(view, name, "Asia/Tokyo"), ask(view, name, "Asia/Tokyo", seen=of("boss@ourco.example"))
    assert anew.found == kept.found
    assert anew.fresh == kept.fresh


def test_a_private_mailbox_is_in_nobody_elses_figures(view: World) -> None:
    others = of("sam@ourco.example")
    assert rows(ask(view, "volume", seen=others), "account", "week", "interactions")[0] == (
        "heron.example",
        "2026-W45",
        3,
    )
    assert figures(ask(view, "volume", seen=others))["interactions"] == 11
    assert figures(ask(view, "response", seen=others))["conversations"] == 5
    assert rows(ask(view, "activity", seen=others), "account", "interactions")[1] == ("=Kestrel", 5)
    assert [r[0] for r in rows(ask(view, "capture", seen=others), "connection")] == ["tool", "tool"]
    assert [f.connection for f in ask(view, "tasks", seen=others).fresh] == ["tool"]


# --- parameters, documents, pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("volume", {"since": "2026-13-01"}), ("volume", {"since": "2026-11-19"}), ("volume", {"since": "2020-01-01"}),
        ("volume", {"top": "0"}), ("volume", {"top": "1e3"}), ("volume", {"top": "٣"}), ("volume", {"top": True}),
        ("volume", {"zone": "Mars/Base"}), ("volume", {"account": "nobody"}), ("volume", {"account": 5}),
        ("volume", {"account": "x" * 65}), ("volume", {"colour": "red"}), ("response", {"target_minutes": -1}),
        ("response", {"since": "2024-01-01"}), ("response", {"until": "2026-01-01"}), ("response", {"since": 5}),
        ("activity", {"who": "me"}), ("activity", {"days": "9999999999"}), ("capture", {"days": "1"}),
        ("tasks", {"zone": "../../etc/passwd"}), ("silent-deals", {"days": "0"}), ("response", {"since": "0001-01-01"}),
    ],
)  # fmt: skip
def test_what_a_report_does_not_take_is_refused_by_name(view: World, name: str, given: dict[str, Any]) -> None:
    with view.store.read() as c, pytest.raises(BadParameter) as caught:
        reports.ask(c, name, given, now=NOW)
    assert caught.value.name == next(iter(given)) or "until" in given
    assert len(str(caught.value)) < 200


def test_documents_are_plain_and_complete(view: World) -> None:
    import json

    for name, report in reports.REPORTS.items():
        told = json.loads(json.dumps(reports.document(ask(view, name))))
        assert told["version"] == report.version
        assert [c["name"] for c in told["columns"]] == [c.name for c in report.columns]
        assert all(list(row) and set(row) == {c.name for c in report.columns} for row in told["rows"]), name
        assert told["left_out"] and told["asked_at"] == "2026-11-18T09:00:00Z"
        assert told["parameters"].keys() == {p.name for p in report.parameters}
        assert told["fresh_as_of"]
    assert reports.document(ask(view, "volume"))["parameters"] == {
        "zone": "UTC", "since": "2026-09-02", "until": "2026-11-18", "account": "", "top": 10,
    }  # fmt: skip


def test_fresh_as_of_is_the_oldest_and_unknown_while_something_was_never_read(store: Store) -> None:
    world = World(store, {"a": Vendor(), "b": Vendor()})
    assert ask(world, "tasks").fresh_as_of is None
    world.vendors["a"].mail(mail("m1"))
    world.vendors["b"].mail(mail("m2"))
    world.sync("a")
    first = ask(world, "tasks").fresh_as_of
    world.clock.advance(3600)
    world.sync("b")
    assert first is not None and ask(world, "tasks").fresh_as_of == first
    with store.write() as c:
        c.execute(
            sa.update(t.stream)
            .values(last_good_at=None)
            .where(t.stream.c.id == sa.select(sa.func.min(t.stream.c.id)).scalar_subquery())
        )
    assert ask(world, "tasks").fresh_as_of is None


@pytest.mark.parametrize("name", list(reports.REPORTS))
def test_a_page_has_all_a_template_needs(view: World, name: str) -> None:
    found = reports.page(ask(view, name, "Europe/Berlin"))
    assert found["svg"].startswith("<svg ") and len(found["svg"]) < 20_000
    assert len(found["chart"]["rows"]) >= 1
    assert all(len(row) == len(found["head"]) for row in found["rows"])
    assert found["empty"] == "" and found["zone"] == "Europe/Berlin" and found["fresh_as_of"].endswith("CET")
    assert {f["name"] for f in found["fields"]} == {p.name for p in reports.REPORTS[name].parameters}


def test_cells_lead_where_they_came_from(view: World) -> None:
    big = reports.page(ask(view, "silent-deals", days=5))["rows"][2]
    by_name = dict(zip([h["name"] for h in reports.page(ask(view, "silent-deals"))["head"]], big, strict=True))
    assert by_name["deal"]["text"] == "Big" and by_name["deal"]["is_told"]
    assert by_name["account"]["of"] == "customer" and by_name["account"]["id"]
    assert by_name["last_contact_at"]["of"] == "entry" and by_name["last_contact_at"]["id"].startswith("i")
    assert by_name["url"] == {"text": "open", "is_told": False, "of": "", "id": "", "url": "https://tool.example/d1"}
    assert by_name["amount"]["text"] == "1,200.50"


def test_a_customers_name_is_no_formula_in_the_file(view: World) -> None:
    lines = reports.csv_file(ask(view, "volume")).decode().split("\r\n")
    assert lines[0] == "account,account_id,week,week_begins,channel,interactions,inbound,outbound,internal"
    assert lines[1].startswith("'=Kestrel,") and lines[1].endswith(",2026-W45,2026-11-02,email,5,4,1,0")


@pytest.mark.parametrize("name", list(reports.REPORTS))
def test_an_empty_base_says_what_to_do(store: Store, name: str) -> None:
    with store.read() as c:
        answer = reports.ask(c, name, now=NOW)
        anew = reports.ask(c, name, now=NOW, seen=of("sam@ourco.example"))
    assert answer.found == anew.found
    found = reports.page(answer)
    assert found["empty"] and found["svg"] == "" and found["rows"] == [] and found["fresh_as_of"] == "–"
    assert reports.csv_file(answer).decode().count("\r\n") == 1


def test_the_listing_is_json_schema() -> None:
    from jsonschema import Draft202012Validator

    for told in reports.listing():
        Draft202012Validator.check_schema(told["parameters"])
        check = Draft202012Validator(told["parameters"])
        assert check.is_valid({}) and not check.is_valid({"colour": "red"})


def test_times_are_utc_in_documents(view: World) -> None:
    assert reports.document(ask(view, "tasks", "Asia/Tokyo"))["rows"][0]["first_due_at"] == "2026-11-18T08:59:00Z"
    assert datetime.fromisoformat(reports.document(ask(view, "tasks"))["asked_at"]) == NOW.astimezone(UTC)
