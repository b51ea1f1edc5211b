"""Records as landed: what we hold of each, its raw form, its last disposition, its quarantine."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.landing.books import Disposition
from hub.store import add_ids, among, change, fetch, insert, pack, put, scalar, tell, unpack
from hub.store.tables import quarantine, raw, record, stream


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a record from earlier runs."""

    id: int
    hash: bytes
    disposition: str
    policy: bytes | None
    is_gone: bool


@dataclass(slots=True)
class Landing:
    """One record to be written: its new standing, and its raw form if the policy lets it be kept."""

    external_id: str
    hash: bytes
    disposition: Disposition
    rule: str = ""
    policy: bytes | None = None
    occurred_at: int | None = None
    body: bytes | None = None
    failure: str = ""
    redirect_to: str | None = None


_of_stream = record.c.stream_id == sa.bindparam("stream_id")
_live = sa.and_(_of_stream, record.c.gone_at.is_(None))
_HELD = sa.select(
    record.c.external_id, record.c.id, record.c.hash, record.c.disposition, record.c.policy, record.c.gone_at
).where(_of_stream, among(record.c.external_id))


def held(c: Connection, stream_id: int, external_ids: Sequence[str]) -> dict[str, Held]:
    """Standing of those ids that were ever seen."""
    if not external_ids:
        return {}
    return {
        ext: Held(rid, bytes(digest), disposition, bytes(policy) if policy else None, gone_at is not None)
        for ext, rid, digest, disposition, policy, gone_at in fetch(c, _HELD, stream_id=stream_id, values=external_ids)
    }


_BLOCKED = (
    sa.select(stream.c.name, record.c.external_id, record.c.rule)
    .join(stream, stream.c.id == record.c.stream_id)
    .where(
        stream.c.connection_id == sa.bindparam("connection_id"), record.c.disposition == "excluded",
        record.c.rule.in_(("block_address", "block_domain")), among(record.c.external_id),
    )
)  # fmt: skip


def blocked(c: Connection, connection_id: int, external_ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """(stream, external id) -> rule, of those ids whose records were left out because of whom they are about."""
    rows = fetch(c, _BLOCKED, connection_id=connection_id, values=external_ids) if external_ids else ()
    return {(name, external_id): rule for name, external_id, rule in rows}


_DROP_RAW = sa.delete(raw).where(among(raw.c.record_id))
_MEND = sa.delete(quarantine).where(among(quarantine.c.record_id))


def land(
    c: Connection, stream_id: int, rows: Sequence[Landing], known: dict[str, Held], sweep: int | None, now: int
) -> dict[str, int]:
    """Write the page's records; external id -> record id. sweep: the listing that named them, None for none."""
    ids = {ext: h.id for ext, h in known.items()}
    fresh = [r for r in rows if r.external_id not in known]
    values = [
        {
            "stream_id": stream_id, "external_id": r.external_id, "hash": r.hash, "disposition": r.disposition,
            "rule": r.rule, "policy": r.policy, "occurred_at": r.occurred_at, "first_seen_at": now,
            "last_seen_at": now, "sweep": sweep or 0, "redirect_to": r.redirect_to,
        }
        for r in fresh
    ]  # fmt: skip
    for r, new_id in zip(fresh, add_ids(c, record, values), strict=True):
        ids[r.external_id] = new_id
    change(c, record, [
        {
            "id": known[r.external_id].id, "hash": r.hash, "disposition": r.disposition, "rule": r.rule,
            "policy": r.policy, "occurred_at": r.occurred_at, "last_seen_at": now, "gone_at": None,
            "redirect_to": r.redirect_to, **({} if sweep is None else {"sweep": sweep}),
        }
        for r in rows
        if r.external_id in known
    ])  # fmt: skip
    kept, dropped, failed, mended = [], [], [], []
    for r in rows:
        rid = ids[r.external_id]
        if r.body is not None:
            codec, data = pack(r.body)
            kept.append({"record_id": rid, "codec": codec, "body": data})
        elif r.external_id in known:
            dropped.append(rid)
        if r.failure:
            failed.append({"record_id": rid, "reason": r.failure[:2000], "failed_at": now})
        elif r.external_id in known:
            mended.append(rid)
    put(c, raw, kept)
    _tell(c, _DROP_RAW, dropped)
    if failed:
        statement = insert(c, quarantine)
        again_failed = {
            "reason": statement.excluded.reason, "failed_at": statement.excluded.failed_at,
            "attempts": quarantine.c.attempts + 1,
        }  # fmt: skip
        c.execute(statement.on_conflict_do_update(index_elements=["record_id"], set_=again_failed), failed)
    _tell(c, _MEND, mended)
    return ids


def _tell(c: Connection, statement: Any, record_ids: Collection[int], **given: Any) -> None:
    if record_ids:
        tell(c, statement, [{"values": list(record_ids), **given}])


_TOUCH = sa.update(record).where(among(record.c.id)).values(last_seen_at=sa.bindparam("now"), gone_at=None)
_LIST = _TOUCH.values(sweep=sa.bindparam("listing"))


def touch(c: Connection, record_ids: Collection[int], sweep: int | None, now: int) -> None:
    """Seen again, nothing new."""
    _tell(c, _TOUCH if sweep is None else _LIST, record_ids, now=now, listing=sweep)


_GONE = (
    sa.update(record)
    .where(among(record.c.id))
    .values(gone_at=sa.bindparam("now"), disposition="deleted", rule=sa.bindparam("why"))
)


def mark_gone(c: Connection, record_ids: Collection[int], rule: str, now: int) -> None:
    """The source no longer has them: raw form and quarantine go, the row stays as the memory of it."""
    _tell(c, _GONE, record_ids, now=now, why=rule)
    _tell(c, _DROP_RAW, record_ids)
    _tell(c, _MEND, record_ids)


_UNSEEN = (
    sa.select(record.c.id, record.c.external_id)
    .where(_live, record.c.sweep < sa.bindparam("sweep"))
    .order_by(record.c.id)
)
_UNSEEN_SINCE = _UNSEEN.where(sa.or_(record.c.occurred_at >= sa.bindparam("since"), record.c.occurred_at.is_(None)))


def unseen(c: Connection, stream_id: int, sweep: int, since: int | None) -> list[tuple[int, str]]:
    """Records a complete enumeration numbered `sweep` did not name: (record id, external id)."""
    return fetch(c, _UNSEEN if since is None else _UNSEEN_SINCE, stream_id=stream_id, sweep=sweep, since=since)


_COUNT = sa.select(sa.func.count()).where(_live)


def live_count(c: Connection, stream_id: int) -> int:
    return int(scalar(c, _COUNT, stream_id=stream_id))


_BODIES = (
    sa.select(record.c.external_id, raw.c.codec, raw.c.body)
    .join(raw, raw.c.record_id == record.c.id)
    .where(_of_stream, among(record.c.external_id))
)


def bodies(c: Connection, stream_id: int, external_ids: Sequence[str]) -> dict[str, bytes]:
    """Raw forms of those ids that are kept."""
    rows = fetch(c, _BODIES, stream_id=stream_id, values=external_ids)
    return {ext: unpack(codec, data) for ext, codec, data in rows}


def part_after(
    c: Connection,
    stream_id: int,
    after: int,
    *,
    size: int = 200,
    disposition: str = "",
    not_policy: bytes | None = None,
) -> list[tuple[int, str, bytes | None]]:
    """The next live records of a stream by id: (record id, external id, raw form or None); [] at the end."""
    query = (
        sa.select(record.c.id, record.c.external_id, raw.c.codec, raw.c.body)
        .outerjoin(raw, raw.c.record_id == record.c.id)
        .where(record.c.stream_id == stream_id, record.c.id > after, record.c.gone_at.is_(None))
        .order_by(record.c.id)
        .limit(size)
    )
    if disposition:
        query = query.where(record.c.disposition == disposition)
    if not_policy is not None:
        query = query.where(sa.or_(record.c.policy != not_policy, record.c.policy.is_(None)))
    return [(rid, ext, unpack(codec, data) if codec else None) for rid, ext, codec, data in c.execute(query)]
