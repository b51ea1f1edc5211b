"""Next steps that other tools hold, filed at the system of record under the people it has."""

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Change, Task
from hub.outbox import places
from hub.outbox.places import Party
from hub.outbox.wanted import GONE_PHASE, PHASES, Due, Scope, Wanted, part_from, state_hash
from hub.store import among, chunks, fetch, short_id
from hub.store import tables as t


def tasks(c: Connection, scope: Scope, due: Due) -> Iterator[list[Wanted]]:
    """Tasks never written, or another than written; and the end of those whose source is gone, or was erased."""
    written = _written(c, scope.connection_id)
    erased = dict(written)
    for part in chunks(fetch(c, _ELSEWHERE, of=scope.connection_id)):
        people = _people(c, [row.record_id for row in part])
        places.load(c, scope.connection_id, {p.id: p for ps in people.values() for p in ps}.values())
        found, about = [], dict[str, list[Party]]()
        for row in part:
            key = short_id("t", row.connection, row.stream, row.external_id)
            remote_id, mark_written = written.get(key, ("", None))
            erased.pop(key, None)
            if row.gone_at is not None:
                if remote_id:
                    found.append(_end(key, remote_id))
                continue
            belongs = [p for p in people.get(row.record_id, []) if p.places]
            links = [link for p in belongs for link in p.links()]
            task = msgspec.json.decode(row.entity, type=Task)
            if not remote_id and (task.is_done or not links):
                due.not_due["tasks done already" if task.is_done else "tasks of nobody known there"] += 1
                continue
            plain = Task(
                external_id=key, title=task.title, text=task.text, is_done=task.is_done, due_at=task.due_at,
                changed_at=task.changed_at,
            )  # fmt: skip
            change = Change(key=key, kind="task", op="upsert", entity=plain, links=tuple(links), remote_id=remote_id)
            undated = msgspec.structs.replace(change, entity=msgspec.structs.replace(plain, changed_at=None))
            mark = state_hash(undated, belongs)
            if mark == mark_written:
                due.unchanged += 1
            else:
                found.append(Wanted(PHASES["task"], "update" if remote_id else "create", change, mark))
                if remote_id:
                    about[key] = belongs
        part_from(c, scope, found, about)
        yield found
    yield [_end(key, remote_id) for key, (remote_id, _) in sorted(erased.items())]


def _end(key: str, remote_id: str) -> Wanted:
    gone = Change(key=key, kind="task", op="delete", remote_id=remote_id)
    return Wanted(GONE_PHASE, "delete", gone, state_hash(gone))


_ELSEWHERE = (
    sa.select(
        t.item.c.record_id, t.item.c.entity, t.item.c.gone_at, t.record.c.external_id,
        t.stream.c.name.label("stream"), t.connection.c.name.label("connection"),
    )
    .join(t.record, t.record.c.id == t.item.c.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    .where(t.item.c.kind == "task", t.connection.c.id != sa.bindparam("of"))
    .order_by(t.item.c.record_id)
)  # fmt: skip
_WRITTEN = sa.select(t.remote.c.key, t.remote.c.remote_id, t.remote.c.hash).where(
    t.remote.c.connection_id == sa.bindparam("of"), t.remote.c.kind == "task", t.remote.c.remote_id != "",
    t.remote.c.key.startswith("t"),  # what an assistant proposed has no source to follow
)  # fmt: skip


def _written(c: Connection, connection_id: int) -> dict[str, tuple[str, bytes | None]]:
    rows = fetch(c, _WRITTEN, of=connection_id)
    return {key: (rid, bytes(mark) if mark is not None else None) for key, rid, mark in rows}


_ABOUT = (
    sa.select(t.item_party.c.record_id, t.party.c.id, t.party.c.public_id, t.party.c.kind)
    .join(t.identifier, t.identifier.c.id == t.item_party.c.identifier_id)
    .join(t.party, t.party.c.id == t.identifier.c.party_id)
    .where(among(t.item_party.c.record_id), t.party.c.kind == "person")
    .order_by(t.party.c.public_id)
)


def _people(c: Connection, record_ids: list[int]) -> dict[int, list[Party]]:
    found: dict[int, dict[int, Party]] = {}
    known: dict[int, Party] = {}
    for record_id, party_id, key, kind in fetch(c, _ABOUT, values=record_ids):
        found.setdefault(record_id, {})[party_id] = known.setdefault(party_id, Party(party_id, key, kind))
    return {rid: list(people.values()) for rid, people in found.items()}
