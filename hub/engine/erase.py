"""Erasing what only one connection told, slice by slice, each in one transaction under the connection's lease.

Killed anywhere and run again it ends the same: what is left is found in the tables, nothing is remembered between slices.
What other connections tell too stays and is mapped again from their copies. Refusals stay (docs/cli.md, ihub disconnect).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import identity, outbox, parties, reconcile
from hub.api import ConfigError, RawRecord
from hub.engine.page import StreamRun, _map, _parties, _reconcile
from hub.store import add, among, chunks, micros, renew, short_id, unpack
from hub.store import tables as t

if TYPE_CHECKING:
    from hub.engine.engine import Engine

SLICE = 200
SWEEP = 2000
STAND_IN = ""  # the external id of the record that tells of the refusals that stay; no tool's record has it

_record, _source, _i = t.record.c, t.source.c, t.interaction.c
_WHOLE = (_source.is_echo.is_(sa.false()),)
_ENTRIES = sa.select(_source.interaction_id).where(among(_source.record_id), *_WHOLE).distinct()
_OBSERVED = sa.select(t.observation.c.party_id, t.observation.c.identifier_id).where(among(t.observation.c.record_id))
_TAKING_PART = (
    sa.select(t.identifier.c.party_id)
    .join(t.participation, t.participation.c.identifier_id == t.identifier.c.id)
    .where(among(t.participation.c.record_id))
    .distinct()
)
_CONSENTING = (
    sa.select(t.identifier.c.party_id, t.identifier.c.value)
    .join(t.consent, t.consent.c.identifier_id == t.identifier.c.id)
    .where(among(t.consent.c.record_id))
    .distinct()
)
_TASKS = (
    sa.select(t.connection.c.name, t.stream.c.name, _record.external_id)
    .select_from(t.item)
    .join(t.record, _record.id == t.item.c.record_id)
    .join(t.stream, t.stream.c.id == _record.stream_id)
    .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    .where(among(t.item.c.record_id), t.item.c.kind == "task")
)
_COPIES = (
    sa.select(
        _source.interaction_id, _source.record_id, _source.rank, _record.stream_id, t.raw.c.record_id.label("raw")
    )
    .join(t.record, _record.id == _source.record_id)
    .outerjoin(t.raw, t.raw.c.record_id == _source.record_id)
    .where(among(_source.interaction_id), *_WHOLE)
)
_SAYING = (
    sa.select(t.observation.c.party_id, _record.id, _record.stream_id, t.raw.c.record_id.label("raw"))
    .select_from(t.observation)
    .join(t.record, _record.id == t.observation.c.record_id)
    .outerjoin(t.raw, t.raw.c.record_id == _record.id)
    .where(among(t.observation.c.party_id), _record.gone_at.is_(None))
    .order_by(_record.id)
    .distinct()
)
_RAW = (
    sa.select(_record.stream_id, _record.id, _record.external_id, t.raw.c.codec, t.raw.c.body)
    .join(t.raw, t.raw.c.record_id == _record.id)
    .where(among(_record.id))
    .order_by(_record.stream_id, _record.id)
)
_HOMES = sa.select(t.party.c.id, t.party.c.organization_id, t.party.c.kind).where(among(t.party.c.id))
_ENTRIES_OF = (
    sa.select(_i.public_id)
    .select_from(t.participation)
    .join(t.interaction, _i.id == t.participation.c.interaction_id)
    .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
    .where(among(t.identifier.c.party_id))
    .distinct()
)


class Eraser:
    """One erasure. fence: of the connection's lease. progress: called with the number of records still to go."""

    def __init__(self, engine: "Engine", row: dict[str, Any], fence: int, progress: Callable[[int], None]) -> None:
        self._engine, self._row, self._id = engine, row, row["id"]
        self._fence, self._progress = fence, progress
        streams = sa.select(t.stream.c.id).where(t.stream.c.connection_id == self._id)
        self._mine = sa.and_(_record.stream_id.in_(streams), _record.external_id != STAND_IN)
        self._ours = sa.select(_record.id).where(_record.stream_id.in_(streams))

    def run(self) -> dict[str, int]:
        """Erase everything; returns how many records, entries, addresses and parties went."""
        self._unit(self._begin)
        self._engine._mappers.clear()  # they hold who "we" are, which this connection may have told
        done = {"records": 0, "interactions": 0, "identifiers": 0, "parties": 0}
        while went := self._unit(self._slice):
            done["records"] += went[0]
            done["interactions"] += went[1]
            self._progress(went[2])
        while self._unit(lambda c: outbox.drop_plans(c, self._id, SWEEP)):
            pass
        self._sweep(done)
        self._unit(self._end)
        self._engine.store.compact()
        return done

    def _unit(self, work: Callable[[Connection], Any]) -> Any:
        from hub.engine.engine import LEASE_TTL

        with self._engine.store.write() as c:
            renew(c, f"connection:{self._row['name']}", self._fence, self._now(), LEASE_TTL)
            return work(c)

    def _now(self) -> datetime:
        return self._engine.clock.now()

    def _begin(self, c: Connection) -> None:
        """From the first moment on nothing goes on from where it was: what is erased has to be read anew."""
        anew = {
            "cursor": None, "sweep": 0, "is_sweeping": False, "window_since": None, "backfilled_at": None,
            "last_good_at": None, "status": "new", "detail": "", "waiting_until": None, "expired_at": None, "total": None,
        }  # fmt: skip
        c.execute(sa.update(t.stream).where(t.stream.c.connection_id == self._id).values(**anew))
        nobody = {"own_identities": "[]", "capabilities": "[]", "label": ""}
        c.execute(sa.update(t.connection).where(t.connection.c.id == self._id).values(**nobody))
        c.execute(sa.delete(t.notice).where(t.notice.c.connection == self._row["name"]))
        outbox.supersede(c)

    # --- one slice --------------------------------------------------------------------------------------------------

    def _slice(self, c: Connection) -> tuple[int, int, int] | None:
        """(records erased, entries gone with them, records still to go); None when there is nothing left."""
        ids = list(c.execute(sa.select(_record.id).where(self._mine).order_by(_record.id).limit(SLICE)).scalars())
        if not ids:
            return None
        values = {"values": ids}
        now = self._now()
        entries = set(c.execute(_ENTRIES, values).scalars())
        shown = c.execute(_OBSERVED, values).all()
        observed = {pid for pid, _ in shown}
        consents = c.execute(_CONSENTING, values).all()
        touched = observed | set(c.execute(_TAKING_PART, values).scalars())
        self._strip(c, ids, entries, observed, [value for _, value in consents])
        parties.outlive(c, ids, sorted(observed | {pid for pid, _ in consents}), self._stand_in(c))
        threads = self._ended_threads(c, ids, entries)
        lost, _ = reconcile.remove(c, ids, now)
        self._agreed(c, ids, observed)
        moved = identity.unlist(c, ids, now)
        identity.blur_decisions(c, {iid for _, iid in shown})
        for table in (t.item_party, t.item, t.agreed, t.raw, t.quarantine):
            c.execute(sa.delete(table).where(among(table.c.record_id)), values)
        c.execute(sa.delete(t.record).where(among(_record.id)), values)
        reconcile.unkey(c, lost)
        reconcile.drop_untold(c, len(lost), lost)
        self._tell_entries(c, entries - set(lost), threads, now)
        self._tell_parties(c, touched, observed, moved, now)
        left = c.execute(sa.select(sa.func.count()).select_from(t.record).where(self._mine)).scalar_one()
        return len(ids), len(lost), int(left)

    def _strip(
        self, c: Connection, ids: Sequence[int], entries: Iterable[int], observed: Iterable[int], told: list[str]
    ) -> None:
        """Empty what was planned or written of all this, wherever it went."""
        keys = [short_id("t", *row) for row in c.execute(_TASKS, {"values": list(ids)})]
        keys += [short_id("c", "email", value) for value in told]
        keys += c.execute(sa.select(_i.public_id).where(among(_i.id)), {"values": sorted(entries)}).scalars()
        public = sa.select(t.party.c.public_id, t.observation.c.record_id).outerjoin(
            t.observation, t.observation.c.party_id == t.party.c.id
        )
        for key, rid in c.execute(public.where(among(t.party.c.id)), {"values": sorted(observed)}).all():
            keys += [key, f"{key}/{rid}", outbox.merge_key(rid)]
        outbox.strip(c, keys)

    def _stand_in(self, c: Connection) -> int:
        """The record that tells of the refusals that stay: no id, no content, long gone."""
        stream = sa.select(sa.func.min(t.stream.c.id)).where(t.stream.c.connection_id == self._id)
        place, now = int(c.execute(stream).scalar_one()), micros(self._now())
        add(c, t.record, [{
            "stream_id": place, "external_id": STAND_IN, "hash": b"", "disposition": "deleted", "rule": "erased",
            "first_seen_at": now, "last_seen_at": now, "gone_at": now,
        }])  # fmt: skip
        found = sa.select(_record.id).where(_record.stream_id == place, _record.external_id == STAND_IN)
        return int(c.execute(found).scalar_one())

    def _agreed(self, c: Connection, ids: Sequence[int], observed: Iterable[int]) -> None:
        """Values written to other tools because this connection had them, and nobody else has: no longer remembered."""
        a, o, s = t.agreed.c, t.observation.c, t.statement.c
        theirs = sa.select(o.record_id).where(among(o.party_id))
        same = sa.and_(o.record_id == a.record_id, s.party_id == o.party_id, s.field == a.field)
        told = sa.exists().where(same, s.record_id.in_(ids))
        still = sa.exists().where(same, s.value == a.value, s.record_id.not_in(ids))
        values = {"values": sorted(observed)}
        written = (a.record_id.in_(theirs), told)
        c.execute(sa.delete(t.agreed).where(*written, a.written_at.is_not(None), sa.not_(still)), values)
        c.execute(sa.update(t.agreed).where(*written).values(before=None), values)

    # --- what others tell too ---------------------------------------------------------------------------------------

    def _ended_threads(self, c: Connection, ids: Sequence[int], entries: Iterable[int]) -> set[int]:
        """Conversations of these entries that no later slice touches."""
        mine = sa.select(_i.conversation_id).where(among(_i.id), _i.conversation_id.is_not(None)).distinct()
        found = set(c.execute(mine, {"values": sorted(entries)}).scalars())
        later = (
            sa.select(_i.conversation_id)
            .join(t.source, _source.interaction_id == _i.id)
            .where(among(_i.conversation_id), _source.record_id.in_(self._ours), _source.record_id.not_in(ids), *_WHOLE)
        )
        return found - set(c.execute(later, {"values": sorted(found)}).scalars())

    def _tell_entries(self, c: Connection, shared: set[int], threads: set[int], now: datetime) -> None:
        """Map the other copies again: keys, references, content and people are theirs alone from now on."""
        members: dict[int, list[int]] = {}
        inside = sa.select(_i.conversation_id, _i.id).where(among(_i.conversation_id))
        for conversation, iid in c.execute(inside, {"values": sorted(threads)}):
            members.setdefault(conversation, []).append(iid)
        wanted = shared | {iid for of in members.values() for iid in of}
        copies = c.execute(_COPIES, {"values": sorted(wanted)}).all()
        unread = {r.interaction_id for r in copies if r.raw is None or self._mapper(r.stream_id) is None}
        mine = self._left(c, [r.record_id for r in copies])
        shared -= {r.interaction_id for r in copies if r.record_id in mine}  # a later slice comes by again
        dissolved = {conv for conv in threads if not unread.intersection(members.get(conv, ()))}
        ranks = {(r.interaction_id, bytes(r.rank)) for r in copies}
        stored = c.execute(sa.select(_i.id, _i.rank).where(among(_i.id)), {"values": sorted(shared)})
        reconcile.blank(c, {iid for iid, rank in stored if (iid, bytes(rank)) not in ranks}, now)
        reconcile.unkey(c, shared - unread)
        telling = shared | set(reconcile.unthread(c, dissolved))
        self._tell(c, [r.record_id for r in copies if r.interaction_id in telling and r.raw], now)
        reconcile.thread_rest(c, telling, now)

    def _left(self, c: Connection, record_ids: Iterable[int]) -> set[int]:
        """Those of the records that this connection still has to lose."""
        query = self._ours.where(among(_record.id))
        return set(c.execute(query, {"values": sorted(set(record_ids))}).scalars())

    def _tell_parties(
        self, c: Connection, touched: set[int], observed: set[int], moved: set[int], now: datetime
    ) -> None:
        """Names, companies and owners as the remaining records give them."""
        self._tell_homes(c, observed, now)
        reconcile.follow(c, moved, now)
        former = identity.unsay(c, sorted(touched), self._engine.rules(self._engine.own()), now)
        renamed = {"values": sorted(former)}
        outbox.strip(c, c.execute(sa.select(t.party.c.public_id).where(among(t.party.c.id)), renamed).scalars())
        reconcile.stale(c, former, now)
        outbox.unname(c, c.execute(_ENTRIES_OF, renamed).scalars(), set(former.values()))

    def _tell_homes(self, c: Connection, observed: set[int], now: datetime) -> None:
        saying = c.execute(_SAYING, {"values": sorted(observed)}).all()
        wait = {r.party_id for r in saying if r.raw is None or self._mapper(r.stream_id) is None}
        mine = self._left(c, [r.id for r in saying])
        wait |= {r.party_id for r in saying if r.id in mine}
        free = observed - wait
        before = {tuple(r) for r in c.execute(_HOMES, {"values": sorted(free)})}
        identity.leave_home(c, sorted(free), self._engine.rules(self._engine.own()), now)
        self._tell(c, [r.id for r in saying if r.party_id in free], now)
        after = {tuple(r) for r in c.execute(_HOMES, {"values": sorted(free)})}
        reconcile.follow(c, {r[0] for r in before ^ after}, now)

    def _tell(self, c: Connection, record_ids: Iterable[int], now: datetime) -> None:
        """Carry records of other connections through identity and reconcile once more, from their raw form."""
        for part in chunks(sorted(set(record_ids)), 100):
            streams: dict[int, list[tuple[int, RawRecord]]] = {}
            for stream_id, rid, ext, codec, data in c.execute(_RAW, {"values": part}):
                streams.setdefault(stream_id, []).append((rid, RawRecord(ext, unpack(codec, data))))
            for stream_id, records in streams.items():
                if (run := self._mapper(stream_id)) is None:
                    continue
                work = [(rid, _map(run, raw, b"", b"", "updated")) for rid, raw in records]
                _parties(run, c, [(rid, w) for rid, w in work if w.parties], {}, now)
                page = [(rid, w.interaction, w.is_metadata_only) for rid, w in work if w.interaction]
                if page:
                    _reconcile(run, c, page, {}, now)

    def _mapper(self, stream_id: int) -> StreamRun | None:
        """None where the connection's section is no longer in the settings."""
        try:
            return self._engine._sibling(stream_id)
        except ConfigError:
            return None

    # --- the rest ---------------------------------------------------------------------------------------------------

    def _sweep(self, done: dict[str, int]) -> None:
        """What nothing points at any more."""
        while self._unit(lambda c: reconcile.drop_untold(c, SWEEP)):
            pass
        while self._unit(lambda c: reconcile.drop_threads(c, SWEEP)):
            pass
        with self._engine.store.read() as c:
            last = c.execute(sa.select(sa.func.max(t.identifier.c.id))).scalar() or 0
            listed = c.execute(sa.select(t.connection.c.own_identities)).scalars().all()
        keep = {address.lower() for text in listed for address in json.loads(text)}
        while True:
            before = done["identifiers"] + done["parties"]
            while went := self._unit(_drop_empty):
                done["parties"] += went
            for start in range(0, last, SWEEP):
                done["identifiers"] += self._unit(partial(self._drop_orphans, after=start, keep=keep))
            if done["identifiers"] + done["parties"] == before:
                return

    def _drop_orphans(self, c: Connection, *, after: int, keep: set[str]) -> int:
        rules, now = self._engine.rules(self._engine.own()), self._now()
        went, losers, moved = identity.drop_orphans(c, after, after + SWEEP, keep, rules, now)
        reconcile.follow(c, moved, now)
        outbox.strip(c, losers.values())
        self._tell_homes(c, set(losers), self._now())
        return went

    def _end(self, c: Connection) -> None:
        """History and standing of the connection; its own row stays, with name and connector."""
        identity.drop_hubs(c)
        streams = sa.select(t.stream.c.id).where(t.stream.c.connection_id == self._id)
        for table in (t.hold, t.census):
            c.execute(sa.delete(table).where(table.c.stream_id.in_(streams)))
        for table in (t.issue, t.run):
            c.execute(sa.delete(table).where(table.c.connection_id == self._id))
        told = sa.select(t.consent.c.record_id)
        c.execute(sa.delete(t.record).where(_record.stream_id.in_(streams), _record.id.not_in(told)))
        kept = sa.select(_record.stream_id)
        c.execute(sa.delete(t.stream).where(t.stream.c.connection_id == self._id, t.stream.c.id.not_in(kept)))
        accounts = [f"{self._row['connector']}:{name}" for name in (self._row["account_id"], self._row["name"]) if name]
        others = sa.select(t.connection.c.connector + ":" + t.connection.c.account_id).where(
            t.connection.c.id != self._id
        )
        spent = (t.budget.c.account.in_(accounts), t.budget.c.account.not_in(others))
        c.execute(sa.delete(t.budget).where(*spent))
        c.execute(sa.update(t.connection).where(t.connection.c.id == self._id).values(account_id="", last_run_at=None))


def _drop_empty(c: Connection) -> int:
    gone = identity.drop_empty(c, SWEEP)
    outbox.strip(c, gone)
    return len(gone)


def counts(c: Connection, connection_id: int) -> dict[str, int]:
    """What an erasure would take: shown before it is asked for."""
    streams = sa.select(t.stream.c.id).where(t.stream.c.connection_id == connection_id)
    mine = sa.select(_record.id).where(_record.stream_id.in_(streams), _record.external_id != STAND_IN)
    told = sa.select(_source.interaction_id).where(_source.record_id.in_(mine), *_WHOLE)
    elsewhere = sa.select(_source.interaction_id).where(_source.record_id.not_in(mine), *_WHOLE)

    def count(table: sa.Table, *where: Any) -> int:
        return int(c.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one())

    return {
        "records": count(t.record, _record.id.in_(mine)), "raw": count(t.raw, t.raw.c.record_id.in_(mine)),
        "quarantined": count(t.quarantine, t.quarantine.c.record_id.in_(mine)),
        "interactions": count(t.interaction, _i.id.in_(told), _i.id.not_in(elsewhere)),
        "shared": count(t.interaction, _i.id.in_(told), _i.id.in_(elsewhere)),
        "items": count(t.item, t.item.c.record_id.in_(mine)),
        "fields": count(t.statement, t.statement.c.record_id.in_(mine)),
        "permissions": count(t.consent, t.consent.c.record_id.in_(mine)),
        "written": count(t.remote, t.remote.c.connection_id == connection_id, t.remote.c.remote_id != ""),
    }  # fmt: skip
