"""Questions put to a finished run, by means that share no code with the way it came about where that is possible."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import reports
from hub.own import Own
from hub.store import tables as t
from hub.store import week_of

if TYPE_CHECKING:  # each process that is killed loads this file and needs none of that
    from tests.e2e.truth import Mail, Policy


class Figure(NamedTuple):
    """One line of evidence. note: the rule, where ours has to be said."""

    name: str
    ours: Any
    target: Any
    note: str = ""

    @property
    def is_right(self) -> bool:
        return bool(self.ours == self.target)


def show(figures: Iterable[Figure], *, title: str = "") -> bool:
    """Print each figure beside its target; whether all are right."""
    rows = list(figures)
    if title:
        print(f"\n{title}")
    for f in rows:
        mark = "ok   " if f.is_right else "WRONG"
        print(f"  {mark} {f.name:<48} {_short(f.ours):<14} target {_short(f.target)}{'  ' + f.note if f.note else ''}")
    wrong = sum(not f.is_right for f in rows)
    print(f"{len(rows)} figures, {len(rows) - wrong} right, {wrong} wrong", flush=True)
    return not wrong


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 70 else text[:67] + "..."


# --- the hub's own state ---------------------------------------------------------------------------------------


def digest(c: Connection) -> str:
    """`reports.state_hash`, and what it does not cover: the items beside the interactions, parties, live records."""
    h = hashlib.sha256(reports.state_hash(c).encode())
    items = sa.select(
        t.connection.c.name, t.stream.c.name, t.record.c.external_id, t.item.c.kind, t.item.c.title, t.item.c.state,
        t.item.c.is_closed, t.item.c.due_at,
    ).where(t.item.c.gone_at.is_(None))  # fmt: skip
    _add(h, c, _of_record(items, t.item))
    _add(h, c, sa.select(t.party.c.public_id, t.party.c.kind, t.party.c.name).where(_is_pointed_at()))
    records = sa.select(t.connection.c.name, t.stream.c.name, t.record.c.external_id).where(
        t.record.c.gone_at.is_(None), ~t.record.c.id.in_(_echoes())
    )
    _add(h, c, _joined(records.select_from(t.record)))
    _add(h, c, sa.select(t.volume.c.week, t.volume.c.channel, t.volume.c.direction, sa.func.sum(t.volume.c.count))
         .group_by(t.volume.c.week, t.volume.c.channel, t.volume.c.direction)
         .having(sa.func.sum(t.volume.c.count) != 0))  # fmt: skip
    return h.hexdigest()


def _is_pointed_at() -> Any:
    return t.party.c.id.in_(sa.select(t.identifier.c.party_id))


def _echoes() -> Any:
    """Records that only show what we wrote ourselves: their ids are the vendor's choice."""
    return sa.select(t.record.c.id).where(t.record.c.rule == "echo")


def _of_record(query: Any, table: sa.Table) -> Any:
    return _joined(query.select_from(table).join(t.record, t.record.c.id == table.c.record_id))


def _joined(query: Any) -> Any:
    return query.join(t.stream, t.stream.c.id == t.record.c.stream_id).join(
        t.connection, t.connection.c.id == t.stream.c.connection_id
    )


def _add(h: Any, c: Connection, query: Any) -> None:
    for row in sorted(repr(tuple(r)) for r in c.execute(query)):
        h.update(row.encode("utf-8", "surrogatepass"))


def invariants(c: Connection) -> list[str]:
    """What must hold after any run, however it ended; [] when all does."""
    wrong = []
    orphans = c.execute(
        sa.select(sa.func.count()).select_from(t.interaction).where(
            t.interaction.c.gone_at.is_(None),
            ~t.interaction.c.id.in_(sa.select(t.source.c.interaction_id).where(t.source.c.is_echo.is_(sa.false()))),
        )
    ).scalar_one()  # fmt: skip
    if orphans:
        wrong.append(f"{orphans} living interactions have no source")
    if stray := _links(c) ^ _links_wanted(c):
        wrong.append(f"{len(stray)} timeline links differ from who takes part")
    links = c.execute(sa.select(t.link.c.party_id, t.link.c.occurred_at, t.link.c.channel, t.link.c.direction))
    linked = Counter((party, week_of(at), channel, direction) for party, at, channel, direction in links)
    rolled = {(r.party_id, r.week, r.channel, r.direction): r[-1] for r in c.execute(sa.select(t.volume)) if r[-1]}
    if linked != rolled:
        wrong.append(f"the weekly rollup differs from the links in {len(linked.items() ^ rolled.items())} rows")
    ended = sa.select(t.run.c.id, t.run.c.books).where(t.run.c.ended_at.is_not(None), t.run.c.kind == "pull")
    for row in c.execute(ended):
        books = json.loads(row.books)
        if books and not books["is_balanced"]:
            wrong.append(f"the books of run {row.id} do not balance")
    return wrong


def _links(c: Connection) -> set[tuple[Any, ...]]:
    columns = (t.link.c.party_id, t.link.c.interaction_id, t.link.c.occurred_at, t.link.c.channel, t.link.c.direction)
    return {tuple(r) for r in c.execute(sa.select(*columns))}


def _links_wanted(c: Connection) -> set[tuple[Any, ...]]:
    """Each participant's party, and each outsider's organization, computed afresh."""
    i = t.interaction.c
    rows = c.execute(
        sa.select(t.party.c.id, t.party.c.organization_id, t.party.c.kind, i.id, i.occurred_at, i.channel, i.direction)
        .join(t.identifier, t.identifier.c.party_id == t.party.c.id)
        .join(t.participation, t.participation.c.identifier_id == t.identifier.c.id)
        .join(t.interaction, i.id == t.participation.c.interaction_id)
        .where(i.gone_at.is_(None))
    )
    wanted = set()
    for party, organization, kind, *rest in rows:
        wanted.add((party, *rest))
        if organization and kind not in {"own", "organization"}:
            wanted.add((organization, *rest))
    return wanted


def timeline(c: Connection) -> dict[str, tuple[Any, ...]]:
    """The timeline, whatever tool it came through: public id -> what it shows; conversations by a member of theirs."""
    i = t.interaction.c
    rows = c.execute(
        sa.select(
            i.id, i.public_id, i.conversation_id, i.kind, i.channel, i.direction, i.occurred_at, i.subject, i.files
        ).where(i.gone_at.is_(None)).order_by(i.public_id)
    ).all()  # fmt: skip
    first: dict[int, str] = {}
    for r in rows:
        first.setdefault(r.conversation_id, r.public_id)
    people: dict[int, set[tuple[str, str]]] = {}
    joined = sa.select(t.participation.c.interaction_id, t.participation.c.role, t.identifier.c.value).join(
        t.identifier, t.identifier.c.id == t.participation.c.identifier_id
    )
    for iid, role, value in c.execute(joined):
        people.setdefault(iid, set()).add((role, value))
    return {
        r.public_id: (
            first[r.conversation_id], r.kind, r.channel, r.direction, r.occurred_at, r.subject, r.files,
            tuple(sorted(people.get(r.id, ()))),
        )
        for r in rows
    }  # fmt: skip


def texts(c: Connection) -> dict[str, tuple[str, str]]:
    """public id -> (new part, whole body)."""
    from hub.reports.timeline import text_of

    rows = c.execute(sa.select(t.interaction.c.id, t.interaction.c.public_id).where(t.interaction.c.gone_at.is_(None)))
    return {public: text_of(c, iid) for iid, public in rows.all()}


def sources_of(c: Connection) -> Counter[tuple[str, ...]]:
    """How many interactions have which set of connections as their sources."""
    joined = _joined(
        sa.select(t.source.c.interaction_id, t.connection.c.name).select_from(t.source)
        .join(t.record, t.record.c.id == t.source.c.record_id)
    ).where(t.source.c.is_echo.is_(sa.false()))  # fmt: skip
    found: dict[int, set[str]] = {}
    for iid, name in c.execute(joined):
        found.setdefault(iid, set()).add(name)
    return Counter(tuple(sorted(names)) for names in found.values())


# --- against a mail set's facts ----------------------------------------------------------------------------------


def facts(c: Connection, own: Own, target: Mapping[str, Any], connection: str) -> list[Figure]:
    """Every figure of a mail set's facts that speaks of the timeline, as the hub's reports give it."""
    s = reports.summary(c, own)
    row = next(r for r in s["records"] if r["connection"] == connection)
    shown = row["dispositions"]
    copies = shown.get("duplicate", 0)
    found = [
        Figure("messages", row["seen"], target["messages"]),
        Figure("sum of dispositions", sum(shown.values()), target["messages"], str(dict(shown))),
        Figure("distinct_message_ids", s["message_ids"], target["distinct_message_ids"]),
        Figure("interactions", s["interactions"], target["distinct_message_ids"] + target["missing_message_id"]),
        Figure("duplicate_messages", copies, target["duplicate_messages"]),
        Figure("distinct_senders_unmunged", s["senders"], target["distinct_senders_unmunged"]),
        Figure("distinct_people_addresses_any_role", s["correspondents"], target["distinct_people_addresses_any_role"]),
        Figure("threads_references", s["conversations"], target["threads_references"]),
        Figure("threads_with_one_message", s["conversations_of_one"], target["threads_with_one_message"]),
        Figure("largest_thread_messages", s["largest_conversation"], target["largest_thread_messages"]),
        Figure("date_first", _stamp(s["first_at"]), target["date_first"]),
        Figure("date_last", _stamp(s["last_at"]), target["date_last"]),
        Figure("with_attachments", s["with_files"], target["with_attachments"]),
    ]
    if d := target.get("direction"):
        r = s["response"]
        inbound = s["by_direction"].get("inbound", 0)
        outbound = s["by_direction"].get("outbound", 0) + s["by_direction"].get("internal", 0)
        found += [
            Figure("outbound_messages", outbound, d["outbound_messages"]),
            Figure("inbound_messages", inbound + copies, d["inbound_messages"], f"{inbound} + {copies} second copies"),
            Figure("vendor_addresses", _own_senders(c, own), d["vendor_addresses"]),
            Figure("threads_started_inbound", r["started"]["inbound"], d["threads_started_inbound"]),
            Figure("threads_started_outbound", r["started"]["outbound"] + r["started"]["internal"],
                   d["threads_started_outbound"]),
            Figure("inbound_threads_with_vendor_reply", r["answered"], d["inbound_threads_with_vendor_reply"]),
            Figure("inbound_threads_without_vendor_reply", r["unanswered"], d["inbound_threads_without_vendor_reply"]),
            Figure("median_first_vendor_reply_hours", r["median_hours"], d["median_first_vendor_reply_hours"]),
        ]  # fmt: skip
    for n, person in enumerate(target.get("chosen_people", ()), 1):
        found.append(people(c, f"chosen person {n}", person))
    best = target.get("top10_correspondents", ())
    for n, person in enumerate(best, 1):
        found.append(people(c, f"top correspondent {n}", person))
    if best:
        busiest = [reports.person_facts(c, address) for address in reports.top(c, len(best))]
        totals = sorted((p["sent"] + p["received"] for p in busiest), reverse=True)
        found.append(Figure("totals of the busiest", totals, [p["total"] for p in best]))
    return found


def people(c: Connection, label: str, target: Mapping[str, Any]) -> Figure:
    """sent + received in threads, first to last."""
    ours = reports.person_facts(c, target["address"])
    shape = "{}+{} in {}, {} to {}"
    mine = (ours["sent"], ours["received"], ours["conversations"], _stamp(ours["first_at"]), _stamp(ours["last_at"]))
    theirs = (target[k] for k in ("sent", "received", "threads", "first_date", "last_date"))
    return Figure(label, shape.format(*mine), shape.format(*theirs))


def _stamp(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _own_senders(c: Connection, own: Own) -> int:
    query = (
        sa.select(t.identifier.c.value)
        .join(t.participation, t.participation.c.identifier_id == t.identifier.c.id)
        .where(t.participation.c.role == "from", t.identifier.c.scheme == "email")
        .distinct()
    )
    return sum(own.side(value) == "own" for value in c.execute(query).scalars())


# --- against the system of record --------------------------------------------------------------------------------


def destination(
    c: Connection, mails: Sequence["Mail"], policy: "Policy", dump: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[list[Figure], list[str]]:
    """What the CRM holds against what the raw mails say it should.

    dump: the emulator's objects by type. Returns the figures, and the first few mismatches in words without names.
    """
    due = policy.due(mails)
    keys = {key.removeprefix("message-id:"): public for key, public in c.execute(_public_ids())}
    objects = dump["emails"]
    by_key = {str(o["properties"].get("ihub_key")): o for o in objects}
    held = {str(o["id"]): o for o in dump["contacts"]}
    firms = {str(o["id"]): o for o in dump["companies"]}
    wrong: list[str] = []
    right = people_right = 0
    for message_id, wanted in due.items():
        found = by_key.get(keys.get(message_id, ""))
        if found is None:
            wrong.append(f"message {_hashed(message_id)} is not there")
            continue
        right += 1
        linked = found["associations"]
        contacts = {policy.key(held[i]["properties"]["email"]) for i in linked.get("contacts", ())}
        companies = {firms[i]["properties"]["domain"] for i in linked.get("companies", ())}
        headers = json.loads(found["properties"].get("hs_email_headers") or "{}")
        shown = {(role, p["email"]) for role in ("to", "cc", "bcc") for p in headers.get(role, ())}
        shown |= {("from", headers["from"]["email"])} if "from" in headers else set()
        if contacts != wanted.contacts or companies != wanted.companies:
            wrong.append(
                f"message {_hashed(message_id)}: {len(contacts)} contacts of {len(wanted.contacts)}, "
                f"{len(companies)} companies of {len(wanted.companies)}, or others"
            )
        elif shown != wanted.people:
            differ = len(shown ^ wanted.people)
            wrong.append(f"message {_hashed(message_id)}: other people in the headers ({differ} differ)")
        else:
            people_right += 1
    addresses = Counter(policy.key(o["properties"].get("email", "")) for o in held.values())
    figures = [
        Figure("engagements at the system of record", len(objects), len(due)),
        Figure("distinct keys among them", len(by_key), len(due)),
        Figure("due engagements found there", right, len(due)),
        Figure("of these with exactly the right associations", people_right, len(due)),
        Figure("contacts", len(held), len({k for w in due.values() for k in w.contacts})),
        Figure("people with more than one contact", sum(n > 1 for n in addresses.values()), 0),
        Figure("companies", len(firms), len({k for w in due.values() for k in w.companies})),
    ]
    return figures, wrong[:10]


def _public_ids() -> Any:
    return (
        sa.select(t.dedup_key.c.key, t.interaction.c.public_id)
        .join(t.interaction, t.interaction.c.id == t.dedup_key.c.interaction_id)
        .where(t.dedup_key.c.key.like("message-id:%"))
    )


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
