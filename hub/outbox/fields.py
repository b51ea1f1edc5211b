"""Fields kept equal at a destination: what its records should say instead of what they say.

Only records the destination has, only fields the configuration names for it. What must not be decided by a machine,
both sides having changed, is a `Conflict` and is not written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import parties
from hub.api import Change, Organization, Person
from hub.outbox.wanted import PHASES, Due, Scope, Wanted
from hub.parties import Base, Rule, Said, Verdict
from hub.store import among, digest, fetch
from hub.store import tables as t

SLICE = 500


@dataclass(frozen=True)
class Conflict:
    """A field both sides changed, or never agreed on. held: what stands at the destination; offered: the other value."""

    public_id: str
    name: str
    kind: Literal["person", "organization"]
    field: str
    held: Said | None
    offered: str
    said: tuple[Said, ...] = ()


def differences(c: Connection, scope: Scope, due: Due, now: datetime) -> Iterator[list[Wanted]]:
    """What is to be written; fills `due` with what both sides agree on, and with what waits."""
    for record, verdicts in _judged(c, scope, now):
        written: dict[str, str] = {}
        note: dict[str, str] = {}
        for field, (verdict, mine, base, _) in verdicts.items():
            if verdict.what == "write":
                written[field], note[field] = verdict.value, mine.value if mine else ""
            elif verdict.what == "same" and verdict.base != base and verdict.base is not None:
                due.agreed.append(_row(record["record_id"], field, verdict.base))
            elif verdict.what == "conflict":
                due.not_due["fields both sides changed: see `ihub conflicts`"] += 1
            elif verdict.what == "pending":
                due.not_due["fields written and not read back yet"] += 1
        if written:
            yield [_wanted(record, written, note)]


def conflicts(c: Connection, scope: Scope, now: datetime) -> Iterator[Conflict]:
    """Everything that waits for a person's choice at this destination."""
    for record, verdicts in _judged(c, scope, now):
        for field, (verdict, mine, _, said) in verdicts.items():
            if verdict.what == "conflict":
                yield Conflict(
                    record["public_id"], record["name"], record["kind"], field, mine, verdict.value, tuple(said)
                )


def _row(record_id: int, field: str, base: Base) -> dict[str, Any]:
    return {
        "record_id": record_id, "field": field, "value": base.value, "theirs": base.theirs, "before": base.before,
        "written_at": base.written_at,
    }  # fmt: skip


def written(note: dict[str, Any], values: dict[str, str], at: int) -> list[dict[str, Any]]:
    """Rows of `agreed` for a change that was carried out. note: what `differences` noted with it."""
    return [
        _row(note["record_id"], field, Base(value, None, note["before"][field], at)) for field, value in values.items()
    ]


_Judged = dict[str, tuple[Verdict, Said | None, Base | None, list[Said]]]


def _judged(c: Connection, scope: Scope, now: datetime) -> Iterator[tuple[dict[str, Any], _Judged]]:
    for kind, rules in scope.fields.items():
        for rows in _records(c, scope, kind) if rules else ():
            wanted = sorted({r["party_id"] for r in rows})
            said, agreed = parties.load(c, wanted, now, parties.DERIVED.intersection(rules))
            for row in rows:
                found: _Judged = {}
                for field, rule in rules.items():
                    told = said.get((row["party_id"], field), [])
                    mine = next((s for s in told if s.record_id == row["record_id"]), None)
                    base = agreed.get((row["record_id"], field))
                    found[field] = (_verdict(told, rule, field, mine, base), mine, base, told)
                yield {**row, "kind": kind}, found


def _verdict(told: list[Said], rule: Rule, field: str, mine: Said | None, base: Base | None) -> Verdict:
    return parties.decide(told, parties.rule_of({field: rule}, field), mine, base)


_o, _r = t.observation.c, t.record.c
_RECORDS = (
    sa.select(_o.record_id, _o.party_id, _r.external_id, t.party.c.public_id, t.party.c.name)
    .distinct()
    .join(t.record, _r.id == _o.record_id)
    .join(t.stream, t.stream.c.id == _r.stream_id)
    .join(t.party, t.party.c.id == _o.party_id)
    .where(
        t.stream.c.connection_id == sa.bindparam("of"), among(t.stream.c.name), _r.gone_at.is_(None),
        t.party.c.kind == sa.bindparam("kind"), _o.record_id > sa.bindparam("after"),
    )
    .order_by(_o.record_id)
    .limit(SLICE)
)  # fmt: skip


def _records(c: Connection, scope: Scope, kind: str) -> Iterator[list[dict[str, Any]]]:
    """The destination's living records of people or organizations, in slices."""
    asked = {"of": scope.connection_id, "values": scope.streams, "kind": kind, "after": 0}
    while rows := fetch(c, _RECORDS, **asked):
        asked["after"] = rows[-1].record_id
        yield [row._asdict() for row in rows]


def _wanted(record: dict[str, Any], values: dict[str, str], before: dict[str, str]) -> Wanted:
    make = Person if record["kind"] == "person" else Organization
    entity = make(external_id=record["public_id"], fields=values)
    key = f"{record['public_id']}/{record['record_id']}"
    change = Change(key=key, kind=record["kind"], op="upsert", entity=entity, remote_id=record["external_id"])
    mark = digest(msgspec.msgpack.encode((record["external_id"], sorted(values.items()))))
    note = {"record_id": record["record_id"], "before": before}
    return Wanted(PHASES["fields"], "update", change, mark, stored_as="fields", note=note, title=record["name"])
