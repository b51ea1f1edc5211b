"""One page through every room, in one transaction: landing, identity, reconcile, books and cursor together."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import identity, landing, parties, reconcile
from hub.api import (
    ConfigError,
    Connector,
    Consent,
    Deal,
    Entity,
    Identifier,
    Interaction,
    Note,
    Organization,
    Page,
    Person,
    RawRecord,
    RecordRejected,
    Redirect,
    Service,
    Task,
    Ticket,
    Tombstone,
    Unmapped,
)  # fmt: skip
from hub.engine import redirects
from hub.landing import Books, CapturePolicy, Disposition, Held, Landing
from hub.store import Store, among, change, digest, fetch, micros, put, renew, tell, unpack
from hub.store import tables as t

log = logging.getLogger("hub.engine")
Item = Deal | Task | Ticket | Service | Note
ITEM_KINDS = {Deal: "deal", Task: "task", Ticket: "ticket", Service: "service", Note: "note"}


@dataclass
class StreamRun:
    """What a run on one stream carries along: who we are, what is allowed, the lease, the books."""

    store: Store
    connector: Connector[Any]
    connection: str
    connection_id: int
    stream: str
    stream_id: int
    run_id: int
    policy: CapturePolicy
    rules: identity.Rules
    lease: str
    fence: int
    ttl: timedelta
    sibling: "Callable[[int], StreamRun]"
    sweep: int | None = 0  # None: records keep the number of the listing that named them last
    is_sweeping: bool = False
    books: Books = field(default_factory=Books)
    pages: int = 0
    warnings: list[str] = field(default_factory=list)

    def fenced(self, c: Connection, now: datetime) -> None:
        """Prove inside this transaction that we still hold the stream. Raises LeaseLost."""
        renew(c, self.lease, self.fence, now, self.ttl)

    @cached_property
    def policy_digest(self) -> bytes:
        return self.policy.digest()


@dataclass(slots=True)
class _Work:
    """One record on its way: what it maps to and what is to be kept of it."""

    raw: RawRecord
    row: Landing
    interaction: Interaction | None = None
    parties: list[Person | Organization] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)
    into: str = ""  # the record this one was merged into at its source
    is_tombstone: bool = False
    is_metadata_only: bool = False
    is_blocked: bool = False
    has_interaction: bool = False

    def block(self, rule: str) -> None:
        """Nothing of the record is kept: it tells of somebody the policy blocks."""
        self.row.disposition, self.row.rule, self.row.body = "excluded", rule, None
        self.interaction, self.parties, self.items, self.consents, self.is_blocked = None, [], [], [], True


def take(run: StreamRun, page: Page, now: datetime, cursor: dict[str, Any] | None) -> Books:
    """Store a page. `cursor`: columns of the stream row to set in the same transaction, or None.

    Raises LeaseLost when another worker took the stream over; nothing is kept then.
    """
    newest = {r.external_id: r for r in page.records}  # the last word where a page names a record twice
    with run.store.read() as c:
        known = landing.held(c, run.stream_id, list(newest))
    books = Books(seen=len(page.records))
    if len(newest) < len(page.records):
        books.enter("unchanged", "repeated", len(page.records) - len(newest))
    policy = run.policy_digest
    work: dict[str, _Work] = {}
    touched: list[int] = []
    for raw in newest.values():
        fingerprint = digest(raw.body)
        held = known.get(raw.external_id)
        if (
            held
            and held.hash == fingerprint
            and held.policy == policy
            and not held.is_gone
            and held.disposition != "failed"
        ):
            touched.append(held.id)
            books.enter("unchanged")
            continue
        work[raw.external_id] = _map(run, raw, fingerprint, policy, "updated" if held else "new")
    if run.policy.blocks_people:
        _drop_blocked(run, list(work.values()))
    with run.store.write() as c:
        run.fenced(c, now)
        landing.touch(c, touched, run.sweep, micros(now))
        _store(run, c, list(work.values()), known, books, now)
        _named(run, c, page, books, now)
        _note(run, c, books, cursor)
    run.books = run.books.plus(books)
    run.pages += 1
    return books


def _map(run: StreamRun, raw: RawRecord, fingerprint: bytes, policy: bytes, standing: Disposition) -> _Work:
    """Map one record and let the capture policy judge it. A failure is the record's, never the page's."""
    row = Landing(raw.external_id, fingerprint, standing, policy=policy, body=raw.body)
    work = _Work(raw, row)
    try:
        for entity in run.connector.to_canonical(run.stream, raw):
            _sort(run, work, _storable(entity))
    except RecordRejected as exc:
        return _failed(run, work, str(exc))
    except Exception as exc:  # a mapper's bug must cost one record, not the stream: it is reported as one
        return _failed(run, work, f"{type(exc).__name__} in the connector's mapping: {exc}")
    return work


def _storable(entity: Entity) -> Entity:
    """The entity with characters that no database takes (NUL, halves of surrogate pairs) replaced."""
    try:
        if b"\\u0000" not in msgspec.json.encode(entity):
            return entity
    except UnicodeEncodeError:
        pass
    return msgspec.convert(_without_odd(msgspec.to_builtins(entity)), type(entity))


def _without_odd(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_odd(k): _without_odd(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_odd(v) for v in value]
    return value


def _failed(run: StreamRun, work: _Work, reason: str) -> _Work:
    row = work.row
    row.disposition, row.rule, row.failure = "failed", "", reason
    row.body = work.raw.body if run.policy.keep_failed else None
    return _Work(work.raw, row)


def _sort(run: StreamRun, work: _Work, entity: Entity) -> None:
    row = work.row
    if work.is_blocked:
        return
    if isinstance(entity, Interaction):
        if work.has_interaction:
            raise RecordRejected("the connector maps it to two interactions; a record tells of one")
        work.has_interaction = True
        at = entity.occurred_at or entity.changed_at
        row.occurred_at = micros(at) if at else None
        verdict = landing.judge(run.policy, entity)
        if verdict.action in {"exclude", "private"}:
            row.disposition = "excluded" if verdict.action == "exclude" else "private"
            row.rule, row.body = verdict.rule, None
            return
        if verdict.action == "metadata":
            entity, row.rule, row.body = landing.without_content(entity), verdict.rule, None
            work.is_metadata_only = True
        work.interaction = entity
    elif isinstance(entity, (Person, Organization)):
        if not _is_blocked(run, work, entity.identifiers):
            work.parties.append(entity)
    elif isinstance(entity, Tombstone):
        work.is_tombstone = True
        row.disposition, row.rule, row.body = "deleted", "at source", None
    elif isinstance(entity, Redirect):
        work.redirects.append(entity)
        if entity.external_id == work.raw.external_id:
            work.into = row.redirect_to = entity.into
            row.disposition, row.rule, row.body = "deleted", redirects.MERGED, None
    elif isinstance(entity, Unmapped):
        row.disposition, row.rule, row.body = "excluded", entity.reason[:64], None
    elif isinstance(entity, Consent):
        if not _is_blocked(run, work, (entity.identifier,)):
            work.consents.append(entity)
    elif not _is_blocked(run, work, entity.about):
        work.items.append(entity)


def _is_blocked(run: StreamRun, work: _Work, identifiers: Iterable[Identifier]) -> bool:
    """Whether the record names somebody of whom nothing is kept; then nothing else of it is, either."""
    verdict = landing.judge_names(run.policy, identifiers)
    if verdict.action == "exclude":
        work.block(verdict.rule)
    return work.is_blocked


def _drop_blocked(run: StreamRun, work: list[_Work]) -> None:
    """The same for people whom a record names by their number in the tool: nothing of their own record was kept."""
    tool, streams = f"{run.connector.manifest.name}:", run.connector.manifest.streams
    parties = [s.name for s in streams if s.carries == "parties"]
    named: dict[tuple[str, str], list[_Work]] = {}
    for w in work:
        people = [p.identifier for p in w.interaction.participants] if w.interaction else []
        for i in (*people, *(i for e in w.items for i in e.about), *(e.identifier for e in w.consents)):
            if i.scheme.startswith(tool):
                kind = i.scheme.removeprefix(tool)
                for name in [kind] if kind in parties else parties:
                    named.setdefault((name, i.value), []).append(w)
    with run.store.read() as c:
        found = landing.blocked(c, run.connection_id, sorted({value for _, value in named}))
    for place, rule in found.items():
        for w in named.get(place, ()):
            w.block(rule)


def _store(
    run: StreamRun, c: Connection, work: list[_Work], known: dict[str, Held], books: Books, now: datetime
) -> None:
    _pointing(c, [(known[w.raw.external_id].id, w) for w in work if w.is_tombstone and w.raw.external_id in known])
    work = _ending(run, c, work)
    ids = landing.land(c, run.stream_id, [w.row for w in work], known, run.sweep, micros(now))
    leaving = [
        ids[w.raw.external_id]
        for w in work
        if w.interaction is None
        and not w.parties
        and not w.items
        and not w.consents
        and w.raw.external_id in known
        and w.row.disposition != "failed"  # what cannot be read today stays as it was read before
    ]
    _leave(run, c, leaving, now)
    for w in work:
        if w.is_tombstone or w.into:
            rule = redirects.MERGED if w.into else "at source"
            landing.mark_gone(c, [ids[w.raw.external_id]], rule, micros(now))
    final: dict[int, tuple[Disposition, str]] = {}
    people = [(ids[w.raw.external_id], w) for w in work if w.parties]
    there = {w.raw.external_id for w in work if not w.is_tombstone and not w.into}
    returned = [ids[ext] for ext, held in known.items() if held.is_gone and ext in there]
    _parties(run, c, [*people, *_survivors(run, c, work)], final, now, returned)
    _interactions(run, c, [(ids[w.raw.external_id], w) for w in work if w.interaction], final, now)
    _items(run, c, [(ids[w.raw.external_id], w) for w in work if w.items], now)
    saying = [w for w in work if w.consents or (w.raw.external_id in known and w.row.disposition != "failed")]
    _consents(run, c, [(ids[w.raw.external_id], w) for w in saying], now)
    changed = []
    for w in work:
        rid = ids[w.raw.external_id]
        standing = (w.row.disposition, w.row.rule)
        disposition, rule = standing if w.into else final.get(rid, standing)
        books.enter(disposition, rule)
        if disposition != w.row.disposition and disposition != "unchanged":
            changed.append({"id": rid, "disposition": disposition, "rule": rule})
    change(c, t.record, changed)


def _parties(
    run: StreamRun,
    c: Connection,
    work: list[tuple[int, _Work]],
    final: dict[int, tuple[Disposition, str]],
    now: datetime,
    returned: Collection[int] = (),
) -> None:
    if not work:
        return
    pointed = redirects.absorbed(c, run.stream_id, [w.raw.external_id for _, w in work])
    for _, w in work:
        into = w.raw.external_id
        w.redirects += [Redirect(external_id=x, into=into) for x in pointed.get(into, ())]
    records = [(rid, _whole(run, _with_absorbed(e, w.redirects))) for rid, w in work for e in w.parties]
    fresh = redirects.unheard(c, run.connection_id, [rid for rid, _ in records])
    stands_for, moved, echoes = identity.observe(c, records, run.rules, now, returned)
    for rid in echoes:
        final[rid] = ("duplicate", "echo")
    followed = {m.loser for m in moved} | {m.winner for m in moved}
    followed |= {stands_for[rid] for rid in fresh - echoes}
    if followed:
        reconcile.follow(c, followed, now)
    absorbed = {r.external_id: r.into for _, w in work for r in w.redirects if r.into == w.raw.external_id}
    if absorbed:  # also those whose row points already: of a merge that was ours, from its receipt on
        gone = landing.held(c, run.stream_id, sorted(absorbed))
        landing.mark_gone(c, [h.id for h in gone.values() if not h.is_gone], redirects.MERGED, micros(now))
    for ids in pointed.values():
        for ext in ids:
            absorbed.pop(ext, None)  # its row points already, at the next or at the last of the way
    if absorbed:
        redirects.point(c, run.stream_id, absorbed)


def _pointing(c: Connection, ended: list[tuple[int, _Work]]) -> None:
    """What is gone and is known to have been merged was merged, though its tool only says that it is gone."""
    known = redirects.pointing(c, [rid for rid, _ in ended]) if ended else {}
    for rid, w in ended:
        if rid in known and not w.into:
            w.into = w.row.redirect_to = known[rid]
            w.row.rule = redirects.MERGED
            w.redirects.append(Redirect(external_id=w.raw.external_id, into=w.into))


def _ending(run: StreamRun, c: Connection, work: list[_Work]) -> list[_Work]:
    """Records whose word on what was merged into what leads nowhere fail, and stay as they were read before."""
    page = {w.raw.external_id: "" for w in work}
    kept: list[_Work] = []
    for w in work:
        ways = [redirects.path(c, run.stream_id, told, page) for told in w.redirects]
        if endless := next(filter(redirects.has_no_end, ways), None):
            way = " -> ".join(endless[:8])
            for other in kept:
                other.redirects = [r for r in other.redirects if r.external_id != w.raw.external_id]
            kept.append(_failed(run, w, f"merged at source in a circle, so that nobody is left: {way}"))
        else:
            page |= {told.external_id: told.into for told in w.redirects}
            kept.append(w)
    return kept


def _survivors(run: StreamRun, c: Connection, work: list[_Work]) -> list[tuple[int, _Work]]:
    """Held records that stand for absorbed ones from now on, read again where they do not arrive with this page."""
    page = {w.raw.external_id: w.into for w in work}
    last = {redirects.path(c, run.stream_id, r, page)[-1] for w in work if w.into for r in w.redirects}
    return _read_again(run, c, last - {w.raw.external_id for w in work if w.parties and not w.into})


def _read_again(run: StreamRun, c: Connection, external_ids: Iterable[str]) -> list[tuple[int, _Work]]:
    held = redirects.raws(c, run.stream_id, external_ids) if external_ids else []
    again = [(rid, _map(run, raw, b"", b"", "updated")) for rid, raw in held]
    return [(rid, w) for rid, w in again if w.parties]


def _whole(run: StreamRun, entity: Person | Organization) -> Person | Organization:
    """With a blank for each field the connection maps and the record has not: it may have been emptied there."""
    kind = "person" if isinstance(entity, Person) else "organization"
    blank = dict.fromkeys(run.connector.writable(kind) - entity.fields.keys(), "")
    return msgspec.structs.replace(entity, fields={**entity.fields, **blank}) if blank else entity


def _with_absorbed(entity: Person | Organization, redirects: list[Redirect]) -> Person | Organization:
    """Ids that the vendor merged into this record name the same party from now on."""
    extra = [Identifier(i.scheme, r.external_id) for r in redirects for i in entity.identifiers if i.value == r.into]
    return msgspec.structs.replace(entity, identifiers=(*entity.identifiers, *extra)) if extra else entity


def _interactions(
    run: StreamRun,
    c: Connection,
    work: list[tuple[int, _Work]],
    final: dict[int, tuple[Disposition, str]],
    now: datetime,
) -> None:
    if not work:
        return
    page = [(rid, w.interaction, w.is_metadata_only) for rid, w in work if w.interaction]
    _remap(run, c, _reconcile(run, c, page, final, now), now)


def _reconcile(
    run: StreamRun, c: Connection, page: Sequence[tuple[int, Interaction, bool]],
    final: dict[int, tuple[Disposition, str]], now: datetime,
) -> list[int]:  # fmt: skip
    """Identity and reconcile for landed interactions; fills in dispositions, returns records to map again."""
    names: dict[Identifier, str] = {}
    lists: set[str] = set()
    for _, e, _ in page:
        for p in e.participants:
            if len(p.name) > len(names.get(p.identifier, "")):
                names[p.identifier] = p.name
            else:
                names.setdefault(p.identifier, "")
        if e.owner:
            names.setdefault(e.owner, "")
        lists.update(s[5:] for s in e.signals if s.startswith("list:"))
    split: list[int] = []
    called = [(p.identifier, p.name) for _, e, _ in page for p in e.participants]
    who = identity.resolve(c, names, run.rules, now, frozenset(lists), split, called)
    prefix = f"{run.connection}/{run.stream}/"
    mapped = [
        reconcile.Mapped(rid, prefix + e.external_id, e, who, is_metadata_only) for rid, e, is_metadata_only in page
    ]
    outcomes, again = reconcile.apply(c, mapped, run.rules.own, now)
    if split:  # an address turned out to be a mailing list's: what stood under its former party moves
        reconcile.follow(c, split, now)
    for outcome in outcomes:
        if outcome.what == "echo":
            final[outcome.record_id] = ("duplicate", "echo")
        elif outcome.what == "duplicate":
            final[outcome.record_id] = ("duplicate", "same interaction")
        elif outcome.what == "unchanged":
            final[outcome.record_id] = ("unchanged", "same content")
    return again


_RAW = (
    sa.select(t.record.c.stream_id, t.record.c.id, t.record.c.external_id, t.raw.c.codec, t.raw.c.body)
    .join(t.raw, t.raw.c.record_id == t.record.c.id)
    .where(among(t.record.c.id))
)
_TOLD = sa.select(t.source.c.interaction_id).where(among(t.source.c.record_id))


def _remap(run: StreamRun, c: Connection, record_ids: Sequence[int], now: datetime) -> None:
    """Map records again whose content is now the one shown, from their raw form, with their own connector."""
    streams: dict[int, list[tuple[int, RawRecord]]] = {}
    for stream_id, rid, ext, codec, data in fetch(c, _RAW, values=record_ids) if record_ids else ():
        streams.setdefault(stream_id, []).append((rid, RawRecord(ext, unpack(codec, data))))
    for stream_id, records in streams.items():
        try:
            other = run if stream_id == run.stream_id else run.sibling(stream_id)
        except ConfigError as exc:  # its section is no longer in the settings: nobody can read its records just now
            log.warning("some entries are shown without content: %s", exc.message)
            reconcile.blank(c, {iid for (iid,) in fetch(c, _TOLD, values=[rid for rid, _ in records])}, now)
            continue
        work = [(rid, _map(other, raw, b"", b"", "updated")) for rid, raw in records]
        page = [(rid, w.interaction, w.is_metadata_only) for rid, w in work if w.interaction]
        _reconcile(other, c, page, {}, now)


_UNNAME = sa.delete(t.item_party).where(among(t.item_party.c.record_id))
_END = sa.update(t.item).where(among(t.item.c.record_id)).values(gone_at=sa.bindparam("now"))
_NAMES = sa.select(t.record.c.external_id, t.record.c.id).where(among(t.record.c.id))


def _items(run: StreamRun, c: Connection, work: list[tuple[int, _Work]], now: datetime) -> None:
    if not work:
        return
    named: dict[Identifier, str] = {}
    for _, w in work:
        for e in w.items:
            for i in filter(None, (*e.about, e.owner)):
                named.setdefault(i, "")
    who = identity.resolve(c, named, run.rules, now)
    rows, people = [], []
    for rid, w in work:
        for e in w.items:
            due = getattr(e, "due_at", None) or getattr(e, "closes_at", None)
            rows.append({
                "record_id": rid, "kind": ITEM_KINDS[type(e)], "title": str(getattr(e, "title", ""))[:998],
                "state": str(getattr(e, "stage", "") or getattr(e, "state", ""))[:64],
                "is_closed": bool(getattr(e, "is_done", False) or getattr(e, "is_closed", False)),
                "due_at": micros(due) if due else None, "url": getattr(e, "url", ""),
                "owner_identifier_id": who[e.owner].identifier_id if e.owner else None,
                "entity": msgspec.json.encode(e), "gone_at": None,
            })  # fmt: skip
            people += [{"record_id": rid, "identifier_id": who[i].identifier_id} for i in dict.fromkeys(e.about)]
    tell(c, _UNNAME, [{"values": [r["record_id"] for r in rows]}])
    put(c, t.item, rows)
    put(c, t.item_party, [dict(x) for x in {tuple(p.items()) for p in people}])


def _consents(run: StreamRun, c: Connection, work: list[tuple[int, _Work]], now: datetime) -> None:
    """What the records say of permissions today; one that says nothing now has withdrawn nothing."""
    named = {e.identifier: "" for _, w in work for e in w.consents}
    who = identity.resolve(c, named, run.rules, now) if named else {}
    parties.tell(c, [(rid, [(who[e.identifier].identifier_id, e) for e in w.consents]) for rid, w in work])


def _leave(run: StreamRun, c: Connection, record_ids: Sequence[int], now: datetime) -> None:
    """Take what these records gave off the timeline."""
    if not record_ids:
        return
    _, again = reconcile.remove(c, record_ids, now)
    parties.tell(c, [(rid, ()) for rid in record_ids])
    tell(c, _END, [{"values": record_ids, "now": micros(now)}])
    _remap(run, c, again, now)


def delete(run: StreamRun, c: Connection, record_ids: Sequence[int], rule: str, now: datetime) -> None:
    """Records whose source is gone for good: off the timeline, raw form dropped, the row kept as memory."""
    is_silent = run.connector.manifest.stream(run.stream).merges == "silent"
    taken = redirects.recognised(c, run.stream_id, record_ids) if is_silent else {}
    taken |= redirects.pointing(c, record_ids)
    _leave(run, c, record_ids, now)
    landing.mark_gone(c, record_ids, rule, micros(now))
    if taken:
        landing.mark_gone(c, list(taken), redirects.MERGED, micros(now))
        redirects.point(c, run.stream_id, {ext: taken[rid] for ext, rid in fetch(c, _NAMES, values=list(taken))})
        _parties(run, c, _read_again(run, c, set(taken.values())), {}, now)


def _named(run: StreamRun, c: Connection, page: Page, books: Books, now: datetime) -> None:
    """Ids without records: seen again, gone at the vendor, or named and not given."""
    if page.also_seen:
        known = landing.held(c, run.stream_id, page.also_seen)
        # One we let go of has nothing kept that could stand again: the census names it, and it is read whole.
        landing.touch(c, [h.id for h in known.values() if not h.is_gone], run.sweep, micros(now))
        books.seen += len(known)
        books.enter("unchanged", "", len(known))
    if page.gone:
        known = landing.held(c, run.stream_id, page.gone)
        going = [h.id for h in known.values() if not h.is_gone]
        delete(run, c, going, "at source", now)
        unique = len(set(page.gone))
        books.seen += unique
        books.enter("deleted", "at source", len(going))
        books.enter("unchanged", "was never held or already gone", unique - len(going))
    for gap in page.gaps:
        books.seen += 1
        known = landing.held(c, run.stream_id, [gap.external_id])
        if gap.reason == "gone":
            delete(run, c, [h.id for h in known.values() if not h.is_gone], "before it could be read", now)
            books.enter("deleted", "before it could be read")
            continue
        row = Landing(gap.external_id, b"", "failed", failure=f"the vendor did not give it: {gap.reason}")
        if gap.external_id in known:  # it exists: named, if not given
            landing.touch(c, [h.id for h in known.values()], run.sweep, micros(now))
        else:
            landing.land(c, run.stream_id, [row], known, run.sweep, micros(now))
        books.enter("failed", gap.reason[:60])


def _note(run: StreamRun, c: Connection, books: Books, cursor: dict[str, Any] | None) -> None:
    """The run's row and the stream's cursor, in the page's transaction."""
    total = run.books.plus(books)
    change(c, t.run, [{
        "id": run.run_id, "seen": total.seen, "books": msgspec.json.encode(total.to_dict()).decode(),
        "pages": run.pages + 1, "requests": run.connector.http.requests, "units": run.connector.http.budget.spent,
    }])  # fmt: skip
    if cursor is not None:
        change(c, t.stream, [{"id": run.stream_id, **cursor}])
