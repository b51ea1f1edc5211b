"""A small hub over Acorn accounts, and its state in words that do not depend on ids, order or time of arrival."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from acorn import VENDORS, Acorn, Killed, Vendor
from sqlalchemy.engine import Connection

from hub import outbox
from hub import settings as config
from hub.api import FakeClock, Identifier, Interaction, Page, Participation, RawRecord, Role
from hub.engine import Engine, SyncResult, push
from hub.engine.page import StreamRun, take
from hub.landing import Books
from hub.plugins import Registry
from hub.store import Store, acquire, tables_reports, unpack, week_of
from hub.store import tables as t

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
US = "ourco.example"


class TickingClock(FakeClock):
    """Moves a millisecond each time it is read, so that no two instants are the same."""

    def now(self) -> datetime:
        self.advance(0.001)
        return super().now()


class World:
    """A hub with one connection per vendor account; the account named `sor` is the system of record.

    Build anew over the same store to restart the hub; `vendors` lives on.
    """

    def __init__(
        self,
        store: Store,
        vendors: dict[str, Vendor],
        *,
        sor: str = "",
        clock: FakeClock | None = None,
        **sections: Any,
    ) -> None:
        VENDORS.clear()
        VENDORS.update(vendors)
        self.vendors = vendors
        self.store = store
        self.clock = clock or TickingClock(START)
        self.sor = sor
        sections.setdefault("own", {"domains": [US]})
        record = {"connection": sor, "brake_percent": 100.0, **sections.pop("system_of_record", {})}
        connections = {
            name: {"connector": "acorn", "settings": {"account": name}, **sections.pop(name, {})} for name in vendors
        }
        self.settings = config.Settings.model_validate(
            {"connections": connections, "system_of_record": record, **sections}
        )
        registry = Registry(connectors={"acorn": Acorn})
        self.engine = Engine(self.settings, store, registry, clock=self.clock)

    def restart(self, **sections: Any) -> "World":
        """A new process over the same database and vendors; leases of the old one have run out."""
        self.clock.advance(61)
        return World(self.store, self.vendors, sor=self.sor, clock=self.clock, **sections)

    # --- syncing --------------------------------------------------------------------------------------------------

    def sync(self, *names: str, **kwargs: Any) -> SyncResult:
        """Sync these connections (default: all) with those of their streams that hold anything; the last result."""
        result = None
        for name in names or self.engine.names():
            used = [stream for stream, feed in self.vendors[name].feeds.items() if feed.log]
            result = asyncio.run(self.engine.sync(name, **{"streams": used or ["mail"], **kwargs}))
            assert all(s.books.is_balanced for s in result.streams), [s.books for s in result.streams]
        assert result is not None
        return result

    def run(self, name: str, stream: str = "mail") -> StreamRun:
        """A run on one stream under a lease of its own, to feed pages to."""
        row = self.engine._row(name)
        fence = acquire(self.store, f"connection:{name}", "test", self.clock.now(), timedelta(hours=1))
        assert fence is not None
        return self.engine._run(name, row["id"], self.engine.connector(name), stream, fence, "pull")

    def take(self, run: StreamRun, *records: RawRecord, **page: Any) -> Books:
        """Carry one page through all rooms."""
        books = take(run, Page(records=records, cursor="", **page), self.clock.now(), None)
        assert books.is_balanced, books
        return books

    # --- pushing --------------------------------------------------------------------------------------------------

    def plan(self, name: str = "") -> outbox.Plan:
        return push.plan(self.engine, name)

    def apply(self, plan_id: int) -> push.PushResult:
        push.approve(self.engine, plan_id, "test")
        return asyncio.run(push.apply(self.engine, plan_id))

    def undo(self, plan_id: int) -> push.PushResult:
        return asyncio.run(push.undo(self.engine, plan_id))

    def settle(self) -> list[push.PushResult]:
        """Plan and apply until nothing is due any more."""
        done: list[push.PushResult] = []
        for _ in range(6):
            plan = self.plan()
            if not plan.id:
                return done
            done.append(self.apply(plan.id))
        raise AssertionError(f"still not settled: {plan}")

    # --- looking --------------------------------------------------------------------------------------------------

    def one(self, query: Any) -> Any:
        with self.store.read() as c:
            return c.execute(query).scalar()

    def all(self, query: Any) -> list[Any]:
        with self.store.read() as c:
            return [tuple(row) for row in c.execute(query)]

    def timeline(self) -> dict[str, dict[str, Any]]:
        with self.store.read() as c:
            return timeline(c)

    def check(self) -> None:
        with self.store.read() as c:
            check(c)


def mail(
    key: str, sender: str = "ana@kestrel.example", to: Sequence[str] = (f"sam@{US}",), *, cc: Sequence[str] = (),
    refs: Sequence[str] = (), minute: int = 0, **more: Any,
) -> Interaction:  # fmt: skip
    """A message named `key`: its external id, Message-ID and own thread reference."""
    people = [("from", sender), *(("to", a) for a in to), *(("cc", a) for a in cc)]
    values: dict[str, Any] = {
        "external_id": key, "kind": "message", "channel": "email", "occurred_at": START + timedelta(minutes=minute),
        "participants": tuple(who(a, role) for role, a in people), "subject": f"About {key}", "text": f"Text of {key}",
        "dedup_keys": (f"message-id:<{key}>",), "thread_refs": (f"message-id:<{key}>", *(f"message-id:<{r}>" for r in refs)),
    }  # fmt: skip
    return Interaction(**(values | more))


def who(address: str, role: Role | str, name: str = "") -> Participation:
    return Participation(identifier=Identifier("email", address), role=role, name=name)  # type: ignore[arg-type]


# --- state ------------------------------------------------------------------------------------------------------------


def timeline(c: Connection) -> dict[str, dict[str, Any]]:
    """Public id -> everything a person could see of each living interaction, and the group it is in.

    Parties are written as the addresses that lead to them among those that take part in something.
    """
    names = party_names(c)
    found: dict[str, dict[str, Any]] = {}
    threads: dict[int, set[str]] = {}
    rows = c.execute(sa.select(t.interaction).where(t.interaction.c.gone_at.is_(None))).mappings().all()
    for r in rows:
        threads.setdefault(r["conversation_id"], set()).add(r["public_id"])
    for r in rows:
        body = c.execute(sa.select(t.body).where(t.body.c.interaction_id == r["id"])).mappings().first()
        text = unpack(body["codec"], body["text"]).decode() if body else ""
        people = sa.select(t.participation.c.role, t.identifier.c.scheme, t.identifier.c.value)
        people = people.join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
        links = sa.select(t.link.c.party_id, t.link.c.occurred_at, t.link.c.channel, t.link.c.direction)
        sources = (
            sa.select(t.connection.c.name, t.stream.c.name, t.record.c.external_id, t.source.c.is_echo)
            .join(t.record, t.record.c.id == t.source.c.record_id)
            .join(t.stream, t.stream.c.id == t.record.c.stream_id)
            .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        )
        found[r["public_id"]] = {
            **{k: r[k] for k in ("kind", "channel", "direction", "occurred_at", "subject", "snippet", "files", "zone")},
            "text": text,
            "people": {tuple(p) for p in c.execute(people.where(t.participation.c.interaction_id == r["id"]))},
            "links": {(names[p], *rest) for p, *rest in c.execute(links.where(t.link.c.interaction_id == r["id"]))},
            "sources": {tuple(s) for s in c.execute(sources.where(t.source.c.interaction_id == r["id"]))},
            "keys": set(
                c.execute(sa.select(t.dedup_key.c.key).where(t.dedup_key.c.interaction_id == r["id"])).scalars()
            ),
            "thread": frozenset(threads[r["conversation_id"]]),
        }
    return found


def party_names(c: Connection) -> dict[int, tuple[str, str, frozenset[str]]]:
    """Party id -> (kind, public id, the identifiers in use that lead to it, or its domains for an organization)."""
    used = sa.select(t.participation.c.identifier_id)
    query = (
        sa.select(t.party.c.id, t.party.c.kind, t.party.c.public_id, t.identifier.c.scheme, t.identifier.c.value)
        .join(t.identifier, t.identifier.c.party_id == t.party.c.id)
        .where(sa.or_(t.identifier.c.id.in_(used), t.identifier.c.scheme == "domain"))
    )
    found: dict[int, tuple[str, str, set[str]]] = {}
    for pid, kind, public, scheme, value in c.execute(query):
        found.setdefault(pid, (kind, public, set()))[2].add(f"{scheme}:{value}")
    return {pid: (kind, public, frozenset(values)) for pid, (kind, public, values) in found.items()}


def check(c: Connection) -> None:
    """What must hold of any state: the rollup equals a recount, nothing gone is linked, nothing points nowhere."""
    recount: dict[tuple[Any, ...], int] = {}
    for party, at, channel, direction in c.execute(
        sa.select(t.link.c.party_id, t.link.c.occurred_at, t.link.c.channel, t.link.c.direction)
    ):
        key = (party, week_of(at), channel, direction)
        recount[key] = recount.get(key, 0) + 1
    v = t.volume.c
    rollup = {
        (p, w, ch, d): n
        for p, w, ch, d, n in c.execute(sa.select(v.party_id, v.week, v.channel, v.direction, v.count))
        if n
    }
    assert rollup == recount
    replies = sa.select(*tables_reports.reply.c).order_by(tables_reports.reply.c.conversation_id)
    assert [tuple(r) for r in c.execute(replies)] == first_answers(c)
    i = t.interaction.c
    wrong = sa.select(t.link.c.interaction_id).outerjoin(t.interaction, i.id == t.link.c.interaction_id)
    stale = sa.or_(
        i.id.is_(None), i.gone_at.is_not(None), i.occurred_at != t.link.c.occurred_at, i.direction != t.link.c.direction
    )
    assert not c.execute(wrong.where(stale)).all(), "a link that does not fit its interaction"
    sourceless = sa.select(i.public_id).where(i.gone_at.is_(None), i.id.not_in(sa.select(t.source.c.interaction_id)))
    assert not c.execute(sourceless).all(), "an interaction on the timeline that no source tells of"
    orphans = sa.select(t.participation.c.record_id).outerjoin(
        t.source,
        sa.and_(
            t.source.c.record_id == t.participation.c.record_id,
            t.source.c.interaction_id == t.participation.c.interaction_id,
        ),
    )
    assert not c.execute(orphans.where(t.source.c.record_id.is_(None))).all(), "people of a source that is not there"
    for run in c.execute(sa.select(t.run.c.seen, t.run.c.books).where(t.run.c.kind == "pull", t.run.c.books != "{}")):
        assert '"is_balanced":true' in run.books.replace(" ", ""), run


def first_answers(c: Connection) -> list[tuple[Any, ...]]:
    """What `reply` must hold, from the timeline itself: (conversation, channel, first word of a customer, our answer)."""
    i = t.interaction.c
    rows = c.execute(
        sa.select(i.conversation_id, i.occurred_at, i.direction, i.kind, i.channel)
        .where(i.gone_at.is_(None), i.conversation_id.is_not(None))
        .order_by(i.conversation_id, i.occurred_at, i.id)
    )
    found: dict[int, tuple[Any, ...]] = {}
    for conv, at, direction, kind, channel in rows:
        if conv not in found:
            if direction == "inbound" and kind in {"message", "ticket", "comment", "form_submission"}:
                found[conv] = (conv, channel, at, None)
        elif found[conv][3] is None and direction == "outbound" and kind in {"message", "comment", "call"}:
            if at > found[conv][2]:
                found[conv] = (*found[conv][:3], at)
    return sorted(found.values())


def crash_in_commit(store: Store, nth: int) -> AbstractContextManager[None]:
    """Context manager: the nth unit of work of `store` from now dies at its end, and is rolled back."""

    @contextmanager
    def armed() -> Iterator[None]:
        left, write = [nth], store.write

        @contextmanager
        def dying() -> Iterator[Connection]:
            with write() as c:
                yield c
                left[0] -= 1
                if left[0] == 0:
                    raise Killed("commit")

        with patch.object(store, "write", dying):
            yield

    return armed()
