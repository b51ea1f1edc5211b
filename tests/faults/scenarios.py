"""What can go wrong while pulling, as a table: how it is brought about, what the hub must say, how it is mended.

`play` runs one row: a world in order, the fault, a sync; then the fault is cleared and the hub must reach the very
state of a world in which nothing had happened. Used by the tests and by `benchmarks.evidence.faults`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub import reports
from hub.engine import SyncResult
from hub.store import tables as t
from tests.e2e import checks
from tests.e2e.clocks import START, TickingClock
from tests.e2e.world import World, letters

MAILBOX = "sam@ourco.example"
FIRST, MORE = 100, 20
MAIL, CRM = "mail_sam", "hubspot"
Step = Callable[[World], Any]


def nothing(world: World) -> None:
    """No step of its own."""


def clear(world: World) -> None:
    world.gmail.faults.clear()
    world.hubspot.faults.clear()


def gmail(kind: str, **rule: Any) -> Step:
    return lambda world: world.gmail.faults.add(kind, **rule)


def hubspot(kind: str, **rule: Any) -> Step:
    return lambda world: world.hubspot.faults.add(kind, **rule)


def poison(world: World) -> None:
    """One message of the mailbox comes without its payload."""
    world.gmail.faults.add("poison", ids=[list(world.gmail.mailboxes[MAILBOX].messages)[17]])


def poison_contact(world: World) -> None:
    """One contact comes with properties of another shape."""
    world.hubspot.faults.add(
        "poison", how="shape", type="contacts", ids=world.hubspot.portal.shelves["contacts"].live[7:8]
    )


def wait(**span: float) -> Step:
    return lambda world: world.clock.advance(**span)  # type: ignore[attr-defined]


def both(*steps: Step) -> Step:
    def all_of(world: World) -> None:
        for step in steps:
            step(world)

    return all_of


async def keep_all(world: World) -> None:
    """A person looks at what is held and says: nothing of this is to be deleted."""
    with world.engine.store.read() as c:
        holds = c.execute(sa.select(t.hold.c.id).where(t.hold.c.resolved_at.is_(None))).scalars().all()
    for hold in holds:
        await world.engine.release_hold(hold, is_approved=False)


@dataclass(frozen=True)
class Scenario:
    """One row. status, code: of the sync under the fault. issue: the cause that must stand open, "" for none.

    is_first: the fault is there at the very first sync; otherwise it meets a settled hub and new records.
    says: text that must stand in what is told to a person. streams: words for single streams where others stay healthy.
    quarantined: records that must be held with their raw form. syncs: the last of so many is the one that counts.
    mend, mended: what a person does besides the fault ending. is_rare: left to the evidence script.
    """

    name: str
    connection: str
    fault: Step
    status: str
    code: int
    issue: str = ""
    is_first: bool = False
    says: str = ""
    streams: dict[str, str] = field(default_factory=dict)
    quarantined: int = 0
    syncs: int = 1
    is_rare: bool = False
    mend: Step = nothing
    mended: Callable[[World], Awaitable[None]] | None = None


# fmt: off
SCENARIOS: tuple[Scenario, ...] = (
    # --- mail tool
    Scenario("history id expired", MAIL, gmail("expire_cursor", times=1), "healthy", 0),
    Scenario("history id expires twice a day", MAIL, gmail("expire_cursor"), "degraded", 3, "cursor keeps expiring",
             syncs=2, says="expired twice within a day"),
    Scenario("items hidden from the change feed", MAIL,
             both(gmail("hide", args={"from": "history", "fraction": 0.15}), wait(hours=25)), "healthy", 5,
             "census gap", says="had not come through the change feed"),
    Scenario("30 % vanished, cursor expired", MAIL,
             both(gmail("vanish", fraction=0.3), gmail("expire_cursor", times=1)), "degraded", 5,
             "many records vanished", says="nothing removed", mended=keep_all),
    Scenario("30 % vanished, feed silent", MAIL, both(gmail("vanish", fraction=0.3), wait(hours=25)),
             "degraded", 5, "census gap", mended=keep_all),
    Scenario("access revoked", MAIL, lambda w: w.gmail.control("revoke", {"address": MAILBOX}), "needs-reconnect", 4,
             "sign-in", mend=lambda w: w.gmail.grant(MAILBOX, refresh_token=f"1//refresh-{MAILBOX}")),
    Scenario("access revoked before the first sync", MAIL, gmail("revoke_token"), "needs-reconnect", 4, "sign-in",
             is_first=True, is_rare=True),
    Scenario("access token expired", MAIL, gmail("expire_token", times=1), "healthy", 0, is_rare=True),
    Scenario("daily quota reached", MAIL, gmail("quota", scope="daily"), "waiting-until", 3,
             says="limit is reached until", mend=wait(hours=25)),
    Scenario("daily quota reached amid the backfill", MAIL, gmail("quota", scope="daily", skip=60), "waiting-until", 3,
             is_first=True, says="limit is reached until", mend=wait(hours=25), is_rare=True),
    Scenario("too many calls a minute, once", MAIL, gmail("quota", scope="user", times=3), "healthy", 0, is_rare=True),
    Scenario("body cut short once", MAIL, gmail("truncate", times=1), "healthy", 0),
    Scenario("body cut short always", MAIL, gmail("truncate"), "degraded", 3, "unreachable"),
    Scenario("every third answer cut short", MAIL, gmail("truncate", every=3), "healthy", 0, is_first=True),
    Scenario("connection reset once", MAIL, gmail("reset", times=2), "healthy", 0, is_rare=True),
    Scenario("connection reset always", MAIL, gmail("reset"), "degraded", 3, "unreachable", is_rare=True),
    Scenario("503 for a while", MAIL, gmail("status", times=3, status=503), "healthy", 0, is_rare=True),
    Scenario("503 always", MAIL, gmail("status", status=503), "degraded", 3, "unreachable"),
    Scenario("page loop in the list", MAIL, gmail("page_loop", path="/messages"), "broken", 1, "unknown answer",
             is_first=True),
    Scenario("page loop in the history", MAIL, gmail("page_loop", path="/history"), "broken", 1, "unknown answer"),
    Scenario("HTML with status 200", MAIL, gmail("html", path="/gmail"), "broken", 1, "unknown answer"),
    Scenario("HTML from the sign-in", MAIL, both(gmail("expire_token", times=1), gmail("html", path="/token")),
             "degraded", 3, "unreachable", is_rare=True),
    Scenario("HTML in the middle of the backfill", MAIL, gmail("html", path="/gmail", skip=6), "broken", 1,
             "unknown answer", is_first=True),
    Scenario("one poisoned record of a hundred", MAIL, poison, "healthy", 3, quarantined=1,
             is_first=True, says="1 failed"),
    Scenario("scope taken away", MAIL, gmail("deny_scope"), "degraded", 3, "permission"),
    # --- CRM
    Scenario("scope of one stream missing", CRM, hubspot("deny_scope", scope="sales-email-read"), "degraded", 3,
             "permission", streams={"emails": "degraded", "contacts": "healthy", "companies": "healthy"}),
    Scenario("token revoked", CRM, hubspot("revoke_token"), "needs-reconnect", 4, "sign-in"),
    Scenario("daily limit reached", CRM, hubspot("quota", policy="DAILY"), "waiting-until", 3,
             says="limit is reached until", mend=wait(hours=25)),
    Scenario("too many calls, a few times", CRM, hubspot("quota", times=4), "healthy", 0, is_rare=True),
    Scenario("body cut short always", CRM, hubspot("truncate"), "degraded", 3, "unreachable", is_rare=True),
    Scenario("HTML with status 200", CRM, hubspot("html"), "broken", 1, "unknown answer", is_rare=True),
    Scenario("page loop in the list", CRM, hubspot("page_loop", path="/contacts"), "broken", 3, "unknown answer",
             is_first=True, streams={"contacts": "broken", "owners": "healthy"}),
    Scenario("one poisoned record", CRM, poison_contact, "healthy", 3, quarantined=1,
             is_first=True, says="1 failed"),
    Scenario("hidden from search", CRM, both(hubspot("hide", path="/contacts/search", fraction=0.5), wait(hours=25)),
             "healthy", 5, "census gap", says="had not come through the change feed"),
)
# fmt: on


@dataclass
class Outcome:
    """What came of a row. faulted: the sync under the fault; is_short: it ended without everything there is.

    after: the first sync once the fault was over; is_at_once: it reached the right state. last, is_whole: in the end, a
    day or two later where something was left open.
    """

    scenario: Scenario
    faulted: SyncResult
    issues: list[str]
    is_short: bool
    quarantined: int
    after: SyncResult
    is_at_once: bool
    last: SyncResult
    is_whole: bool
    wrong: list[str]
    left: list[str]

    @property
    def problems(self) -> list[str]:
        """[] when the hub said what it had to and lost nothing."""
        s, r = self.scenario, self.faulted
        told = "\n".join([*r.lines, r.detail])
        found = []
        if (r.status, r.exit_code) != (s.status, s.code):
            found.append(f"ended as {r.status}/{r.exit_code}, not {s.status}/{s.code}: {told}")
        if self.is_short and r.exit_code == 0:
            found.append("a silent green: something is missing and the exit code is 0")
        if s.issue and s.issue not in self.issues:
            found.append(f"no open issue {s.issue!r}, only {self.issues}")
        if s.says not in told:
            found.append(f"does not say {s.says!r}: {told}")
        for stream in r.streams:
            if stream.stream in s.streams and s.streams[stream.stream] != stream.status:
                found.append(f"stream {stream.stream} is {stream.status}, not {s.streams[stream.stream]}")
        if self.quarantined != s.quarantined:
            found.append(f"{self.quarantined} records in quarantine, not {s.quarantined}")
        if self.after.exit_code not in {0, 5}:
            found.append(f"the first sync after mending: {self.after.status}: {self.after.lines}")
        if not self.is_at_once and self.after.exit_code == 0:
            found.append("a silent green after mending: the state is not right and the exit code is 0")
        if self.last.exit_code:
            found.append(f"in the end: {self.last.status}: {self.last.lines}")
        if self.left:
            found.append(f"in the end there are still open issues: {self.left}")
        if not self.is_whole:
            found.append("in the end the state is not that of a world without the fault")
        return found + self.wrong


def built(folder: Path, connection: str) -> World:
    """A mailbox of 100 letters, or a CRM of 210 contacts, 12 companies and 14 e-mails."""
    if connection == MAIL:
        world = World(folder, [MAILBOX], ["ourco.example"], has_crm=False)
        world.deliver(letters(FIRST))
        return world
    streams = ("owners", "contacts", "companies", "emails")
    world = World(folder, [], ["ourco.example"], crm_streams=streams)
    _at(world, START)
    world.hubspot.control("generate", {"companies": 12, "contacts": 210, "emails": 14})
    return world


def further(world: World) -> None:
    """What is new at the second sync."""
    _at(world, START + timedelta(hours=2))
    if world.mailboxes:
        world.deliver(letters(MORE, first=FIRST))
        return
    world.hubspot.control("generate", {"emails": 6})
    people = [{"properties": {"email": f"new{n}@firm{n}.example", "firstname": f"New{n}"}} for n in range(6)]
    world.hubspot.seed({"contacts": people})
    ids = world.hubspot.portal.shelves["contacts"].live
    world.hubspot.control("touch", {"type": "contacts", "ids": ids[3:9], "properties": {"jobtitle": "Owner"}})


def _at(world: World, at: datetime) -> None:
    """The same instants in every world, however long the way there was."""
    if isinstance(world.clock, TickingClock):
        world.clock.set(at)


async def undisturbed(folder: Path, connection: str) -> str:
    """The state every row of the connection must end in."""
    world = built(folder, connection)
    async with world.up():
        await world.sync(connection)
        further(world)
        await world.sync(connection)
        found = world.digest()
    return found


async def play(folder: Path, s: Scenario, target: str) -> Outcome:
    world = built(folder, s.connection)
    async with world.up():
        if not s.is_first:
            await world.sync(s.connection)
        further(world)
        s.fault(world)
        for _ in range(s.syncs):
            faulted = await world.sync(s.connection)
        issues, quarantined = _issues(world), _quarantined(world)
        is_short = not _held_all(world, s.connection)
        clear(world)
        s.mend(world)
        if s.mended:
            await s.mended(world)
        await replayed(world)
        after = await world.sync(s.connection)
        is_at_once = world.digest() == target
        last = after
        for _ in range(2):  # a census that names what it repaired must be followed by a clean one
            if not is_at_once or last.exit_code or _issues(world):
                world.clock.advance(hours=25)  # type: ignore[attr-defined]
                last = await world.sync(s.connection)
        with world.engine.store.read() as c:
            wrong = checks.invariants(c)
        is_whole, left = world.digest() == target, _issues(world)
    return Outcome(s, faulted, issues, is_short, quarantined, after, is_at_once, last, is_whole, wrong, left)


async def replayed(world: World) -> None:
    """What is in quarantine is fetched again once the fault is gone, as `ihub replay` does."""
    for row in _quarantine(world):
        await refetch(world, row["connection"], row["stream"], row["external_id"])


async def refetch(world: World, connection: str, stream: str, external_id: str) -> None:
    """A change at the source makes the next sync read the record again."""
    if connection == CRM:
        world.hubspot.control("touch", {"type": stream, "ids": [external_id]})
    else:
        world.gmail.control("label", {"address": MAILBOX, "ids": [external_id], "add": ["STARRED"]})
        world.gmail.control("label", {"address": MAILBOX, "ids": [external_id], "remove": ["STARRED"]})


def _quarantine(world: World) -> Sequence[dict[str, Any]]:
    with world.engine.store.read() as c:
        return reports.quarantine(c)


def _quarantined(world: World) -> int:
    rows = _quarantine(world)
    return sum(r["raw_bytes"] > 0 for r in rows)


def _issues(world: World) -> list[str]:
    with world.engine.store.read() as c:
        return list(c.execute(sa.select(t.issue.c.cause).where(t.issue.c.closed_at.is_(None))).scalars())


def _held_all(world: World, connection: str) -> bool:
    """Whether every record the source has is held by now."""
    with world.engine.store.read() as c:
        rows = c.execute(
            sa.select(t.stream.c.name, t.record.c.external_id)
            .join(t.record, t.record.c.stream_id == t.stream.c.id)
            .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
            .where(t.connection.c.name == connection, t.record.c.gone_at.is_(None), t.record.c.disposition != "failed")
        )
        held = set(map(tuple, rows))
    if connection == MAIL:
        return {("messages", i) for i in world.gmail.mailboxes[MAILBOX].messages} <= held
    shelves = world.hubspot.portal.shelves.items()
    return {(name, str(i)) for name, shelf in shelves for i in shelf.live} <= held
