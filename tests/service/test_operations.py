"""Looking at the hub closely: the verdict, connections, runs, coverage, issues, quarantine, and a word on the brake."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Acorn, Vendor
from estates import kept
from world import World, mail

from hub.access import Forbidden, Invalid, Sees, Viewer, roles
from hub.api import AuthError, Budget, FakeClock, Transient
from hub.service import Desk, NotFound, health, operations
from hub.store import Store, StoreLedger, acquire
from hub.store import tables as t

ANA, BEN = "ana@ourco.example", "ben@ourco.example"
MINUTE = timedelta(minutes=1)


class Metered(Acorn):
    manifest = replace(
        Acorn.manifest,
        budgets=(Budget("minute", 100, MINUTE), Budget("daily", 1000, timedelta(days=1), zone="America/New_York")),
    )


def estate(store: Store) -> World:
    """Three weeks: the team's source hides a record from its feed, gives one that cannot be read, then refuses the sign-in."""
    vendors = {"anas": Vendor(), "team": Vendor(), "sor": Vendor()}
    world = World(store, vendors, sor="sor", anas={"private": True, "owner": ANA})
    world.engine.registry.connectors["acorn"] = Metered
    world.engine.keep_private()
    vendors["anas"].put_raw("mail", "anas-secret", reject="the canary sang")
    for n in range(4):
        vendors["team"].mail(mail(f"m{n}", minute=n))
    world.sync()
    world.clock.advance(7 * 86400)
    vendors["team"].mail(mail("hidden", minute=9))
    vendors["team"].feeds["mail"].hidden.add("hidden")
    vendors["team"].put_raw("mail", "broken", reject="no <b>date</b>")
    world.sync("team")
    world.clock.advance(7 * 86400)
    vendors["team"].trouble = [AuthError("the token was revoked")]
    world.sync()
    return world


@pytest.fixture
def world(kept_store: Store) -> World:
    """The estate, only looked at: built once a database."""
    return kept(kept_store, "operations", estate)


def desk(world: World, *role: str, email: str = BEN) -> Desk:
    viewer = Viewer(1, email, roles.allowed(role), Sees(email), "u1") if role else Viewer.local("tester")
    return Desk(world.engine, viewer)


ASKED: dict[str, tuple[Callable[..., Any], str, tuple[Any, ...], dict[str, Any]]] = {
    "overview": (operations.overview, roles.HEALTH_READ, (), {}),
    "connection": (operations.connection, roles.HEALTH_READ, ("team",), {}),
    "runs": (operations.runs, roles.HEALTH_READ, ("team",), {}),
    "run": (operations.run, roles.HEALTH_READ, (1,), {}),
    "coverage": (operations.coverage, roles.HEALTH_READ, (), {}),
    "open_issues": (operations.open_issues, roles.HEALTH_READ, (), {}),
    "quarantined": (operations.quarantined, roles.QUARANTINE_REPLAY, (), {}),
    "quarantined_record": (operations.quarantined_record, roles.QUARANTINE_REPLAY, ("team", "mail", "broken"), {}),
    "decide_hold": (operations.decide_hold, roles.PLANS_APPROVE, (2**40,), {"remove": True}),
}


@pytest.mark.parametrize("name", ASKED)
def test_each_asks_for_its_permission_and_for_no_other(world: World, name: str) -> None:
    call, permission, given, named = ASKED[name]
    assert {f for f, _, _, _ in ASKED.values()} == {
        f
        for k, f in vars(operations).items()
        if inspect.isfunction(f) and f.__module__ == operations.__name__ and k[0] != "_"
    }

    def ask(permissions: frozenset[str]) -> None:
        done = call(Desk(world.engine, Viewer(1, BEN, permissions, Sees(BEN), "u1")), *given, **named)
        if inspect.iscoroutine(done):
            asyncio.run(done)

    with pytest.raises(Forbidden, match=permission):
        ask(roles.ALL - {permission})
    try:
        ask(frozenset({permission}))
    except NotFound:
        pass  # not there, but it was looked for


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_the_verdict_is_the_worst_and_rows_say_how_fresh_they_are(world: World) -> None:
    told = operations.overview(desk(world, "viewer"))
    assert (told["status"], told["status"]) == (health.health(desk(world))["status"], "needs-reconnect")
    assert told["sentence"].startswith("Sign in to team again")
    assert told["sentence"].endswith("open issues to look at.")
    first, last = told["rows"][0], told["rows"][-1]
    assert (first["connection"], first["direction"], first["status"]) == ("team", "in", "needs-reconnect")
    assert timedelta(days=6) < timedelta(seconds=first["lag_s"]) < timedelta(days=8)
    assert first["run"]["error"] == "the token was revoked"
    assert last["status"] == "healthy"
    assert {(r["connection"], r["direction"]) for r in told["rows"]} == {
        ("anas", "in"), ("team", "in"), ("sor", "in"), ("sor", "out"),
    }  # fmt: skip
    assert [r["status"] for r in told["rows"] if r["direction"] == "out"] == ["new"]
    assert told["issues"][0]["weight"] == "stopped"
    assert "Connect the account again" in told["issues"][0]["do"]


def test_what_is_written_is_a_direction_of_its_own(store: Store) -> None:
    vendors = {"team": Vendor(), "sor": Vendor()}
    world = World(store, vendors, sor="sor")
    vendors["team"].mail(mail("m1"))
    world.sync()
    number = world.plan().id

    def out() -> Any:
        return next(r for r in operations.overview(desk(world))["rows"] if r["direction"] == "out")

    assert (out()["status"], out()["plan"], out()["fresh_at"]) == ("draft", number, None)
    vendors["sor"].push_trouble = [AuthError("revoked")]
    assert world.apply(number).exit_code != 0
    assert (out()["status"], operations.overview(desk(world))["rows"][0]["direction"]) == ("needs-reconnect", "out")
    world.clock.advance(61)
    asyncio.run(world.engine.sync("sor"))
    done = operations.runs(desk(world), "sor")["runs"]
    assert [(r["kind"], r["stream"]) for r in done if r["status"] != "healthy"] == [("push", "")]
    world.apply(number)
    assert (out()["status"], out()["lag_s"] is not None) == ("applied", True)
    pushed = operations.run(desk(world), out()["run"]["run"])
    assert [(x["what"], x["plan"]) for x in pushed["noted"]] == [("applied", number)]


def test_an_empty_hub_says_so(store: Store) -> None:
    world = World(store, {})
    assert operations.overview(desk(world))["sentence"] == "Nothing is connected yet."
    assert operations.coverage(desk(world))["streams"] == []
    fresh = World(store, {"team": Vendor()})
    told = operations.overview(desk(fresh))
    assert (told["sentence"], told["rows"][0]["status"]) == ("Not read yet: team.", "new")
    assert operations.connection(desk(fresh), "team")["streams"] == []
    fresh.sync()
    assert operations.overview(desk(fresh))["sentence"] == "The only stream is fine."


# --- connections and runs ---------------------------------------------------------------------------------------------


def test_a_connection_tells_how_far_it_was_read_and_what_it_spent(store: Store) -> None:
    world = World(store, {"team": Vendor()}, clock=FakeClock(World(store, {}).clock.now()))
    world.engine.registry.connectors["acorn"] = Metered
    world.vendors["team"].mail(mail("m1"))
    world.sync()
    ledger, now = StoreLedger(store), world.clock.now()
    ledger.take("acorn:team", "minute", now.replace(second=0, microsecond=0), 19, 95)
    ledger.take("acorn:team", "daily", now - timedelta(days=2), 900, 950)
    ledger.block("acorn:team", "daily", now + timedelta(hours=1))
    told = operations.connection(desk(world, "viewer"), "team")
    [stream] = told["streams"]
    assert (stream["status"], stream["reading"]["has_begun"], stream["reading"]["is_listing"]) == (
        "healthy",
        True,
        False,
    )
    minute, daily = told["quota"]
    assert (minute["used"], minute["limit"], minute["window_s"], minute["is_now"]) == (19, 95, 60.0, True)
    assert (daily["used"], daily["limit"], daily["is_now"]) == (900, 950, False)
    assert daily["blocked_until"] == now + timedelta(hours=1)
    assert told["quarantined"] is None  # a viewer may not know
    assert told["schedule"]
    world.engine.settings.connections["team"].settings.clear()
    assert operations.connection(desk(world, "viewer"), "team")["quota_problem"] == "its settings are not complete"
    assert "account" in operations.connection(desk(world), "team")["quota_problem"]
    for name in ("nowhere", "no\0where"):
        with pytest.raises(NotFound, match="no connection"):
            operations.connection(desk(world), name)


def test_runs_come_page_by_page_with_their_books(world: World) -> None:
    of = desk(world, "viewer")
    whole = operations.runs(of, "team")
    assert whole["next"] is None
    first = operations.runs(of, "team", limit=2)
    rest = operations.runs(of, "team", before=first["next"])
    assert first["runs"] + rest["runs"] == whole["runs"]
    for r in whole["runs"]:
        assert r["seen"] == sum(r["books"].values()), r
        assert r["is_balanced"] in (True, None)
    assert [r["status"] for r in operations.runs(of, "team", show="trouble")["runs"]].count("healthy") == 0
    assert all(r["seen"] or r["error"] for r in operations.runs(of, "team", show="news")["runs"])
    for wrong in ({"show": "x"}, {"limit": 0}):
        with pytest.raises(Invalid):
            operations.runs(of, "team", **wrong)
    with pytest.raises(NotFound):
        operations.runs(of, "nowhere")


def test_a_run_tells_what_was_noted_while_it_was_under_way(world: World) -> None:
    of = desk(world, "viewer")
    refused, counted, *_ = operations.runs(of, "team")["runs"]
    assert [x["what"] for x in operations.run(of, refused["run"])["noted"]] == ["issue-opened"]
    told = operations.run(of, counted["run"])
    assert {x["what"] for x in told["noted"]} == {"counted", "failed", "issue-opened"}
    figures = next(x for x in told["noted"] if x["what"] == "counted")
    assert (figures["at_source"], figures["held"]) == (6, 5)
    assert [x["at"] for x in told["noted"]] == sorted(x["at"] for x in told["noted"])
    with pytest.raises(NotFound):
        operations.run(of, 2**40)


def test_a_run_nobody_is_at_any_more_was_interrupted(store: Store) -> None:
    world = World(store, {"team": Vendor()})
    number = world.run("team").run_id
    of = desk(world)
    assert operations.run(of, number)["status"] == "running"
    world.clock.advance(3700)
    assert operations.run(of, number)["status"] == "interrupted"
    acquire(store, "connection:team", "somebody else", world.clock.now(), MINUTE)
    assert operations.run(of, number)["status"] == "interrupted"  # another run holds the connection now


# --- coverage ---------------------------------------------------------------------------------------------------------


def test_coverage_is_told_week_by_week(world: World) -> None:
    told = operations.coverage(desk(world, "viewer"))
    assert [w["name"] for w in told["weeks"][:3]] == ["2026-W47", "2026-W46", "2026-W45"]
    assert len(told["weeks"]) == 26
    rows = {s["connection"]: s for s in told["streams"]}
    assert [c["state"] for c in rows["team"]["cells"][:4]] == ["uncounted", "fetched", "whole", "before"]
    assert rows["team"]["cells"][1]["covered"] == pytest.approx(5 / 6)
    assert told["gaps"] == [
        {"week": "2026-W46", "connection": "team", "stream": "mail", "found": 1, "open": 0}
    ]  # fmt: skip
    assert rows["team"]["can_be_counted"]
    assert (told["earlier"], told["later"]) == ("", "")
    older = operations.coverage(desk(world, "viewer"), "2026-W45")
    assert (older["weeks"][0]["name"], older["later"]) == ("2026-W45", "2027-W18")
    assert operations.coverage(desk(world, "viewer"), "2030-W01")["weeks"][0]["name"] == "2026-W47"
    for wrong in ("x", "2026-W60", "0001-W01", "2026-20"):
        with pytest.raises(Invalid, match="until"):
            operations.coverage(desk(world), wrong)


def test_what_could_not_be_fetched_stays_missing(store: Store) -> None:
    world = World(store, {"team": Vendor(can_fetch=False)})
    world.vendors["team"].feeds["mail"].hidden.add("m1")
    world.vendors["team"].mail(mail("m1"))
    world.vendors["team"].mail(mail("m2"))
    world.sync()
    world.clock.advance(30 * 7 * 86400)
    told = operations.coverage(desk(world))
    assert told["gaps"] == []
    earlier = operations.coverage(desk(world), told["earlier"])
    assert earlier["gaps"][0] | {"found": 1, "open": 1} == earlier["gaps"][0]
    [row] = earlier["streams"]
    assert {c["state"] for c in row["cells"]} == {"missing", "uncounted", "before"} - (
        {"uncounted"} if row["cells"][0]["state"] == "missing" else set()
    )


# --- quarantine -------------------------------------------------------------------------------------------------------


def test_quarantine_shows_raw_forms_to_who_may_read_and_nothing_private(world: World) -> None:
    operator, admin = desk(world, "operator"), desk(world, "admin")
    told = operations.quarantined(operator)
    assert [(r["connection"], r["external_id"], r["reason"]) for r in told["records"]] == [
        ("team", "broken", "no <b>date</b>")
    ]
    assert told["by_connection"] == {"team": 1}
    assert operations.quarantined(desk(world, "admin", email=ANA))["by_connection"] == {"anas": 1, "team": 1}
    assert "raw" not in operations.quarantined_record(operator, "team", "mail", "broken")
    shown = operations.quarantined_record(admin, "team", "mail", "broken")
    assert (shown["raw"], shown["is_cut"]) == ('{"reject": "no <b>date</b>"}', False)
    for name, external_id in (("anas", "anas-secret"), ("team", "m1"), ("team", "nothing"), ("team", "a\0b")):
        with pytest.raises(NotFound):
            operations.quarantined_record(admin, name, "mail", external_id)
    owner = desk(world, "admin", email=ANA)
    first = operations.quarantined(owner, limit=1)
    second = operations.quarantined(owner, limit=1, before=first["next"])
    assert [r["connection"] for r in (*first["records"], *second["records"])] == ["team", "anas"]
    assert second["next"] == ""
    assert operations.quarantined(owner, connection="anas", stream="parties")["records"] == []
    assert operations.quarantined(owner, connection="a\0b")["records"] == []
    for mark in ("x", "1", "1-x", f"{2**63}-1"):
        with pytest.raises(Invalid, match="before"):
            operations.quarantined(owner, before=mark)


# --- the brake --------------------------------------------------------------------------------------------------------


@pytest.fixture
def held(store: Store) -> World:
    """Twelve of twenty records are no longer listed."""
    world = World(store, {"team": Vendor()})
    for n in range(20):
        world.vendors["team"].mail(mail(f"m{n:02}", minute=n))
    world.sync()
    for n in range(12):
        world.vendors["team"].feeds["mail"].hidden.add(f"m{n:02}")
        if n:
            del world.vendors["team"].feeds["mail"].records[f"m{n:02}"]
    world.vendors["team"].mail(mail("news"))
    world.vendors["team"].expire()
    world.clock.advance(3600)
    world.sync(census=False)
    return world


@pytest.mark.parametrize("remove", [True, False])
def test_a_person_decides_what_the_brake_held(held: World, remove: bool) -> None:
    of = desk(held, "operator")
    [hold] = operations.overview(of)["holds"]
    assert (hold["records"], hold["connection"]) == (12, "team")
    done = asyncio.run(operations.decide_hold(of, hold["hold"], remove=remove))
    assert done == {"hold": hold["hold"], "removed": 11 if remove else 0}  # the twelfth still answers
    assert operations.overview(of)["holds"] == []
    with pytest.raises(NotFound):
        asyncio.run(operations.decide_hold(of, hold["hold"], remove=remove))
    gone = held.one(sa.select(sa.func.count()).where(t.record.c.gone_at.is_not(None)))
    assert gone == done["removed"]


def test_a_source_that_cannot_be_asked_leaves_the_hold(held: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object) -> Any:
        raise Transient("out of order")

    monkeypatch.setattr(Acorn, "fetch", unreachable)
    of = desk(held, "operator")
    number = operations.overview(of)["holds"][0]["hold"]
    with pytest.raises(Transient):
        asyncio.run(operations.decide_hold(of, number, remove=True))
    assert operations.overview(of)["holds"][0]["hold"] == number
