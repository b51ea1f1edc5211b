"""`python -m benchmarks.identity.stored --records N`: identity over a real store, an SQLite file as it is in use.

N records as pages, then 2,000 more one at a time, each in a transaction of its own that is on disk when it ends; then joining
and taking back, and explaining.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from benchmarks.identity import invented
from hub import identity
from hub.api import Identifier, Organization, Person
from hub.identity import linker
from hub.identity.derive import Derived
from hub.identity.match.model import Settings
from hub.identity.weights import SETTINGS
from hub.identity.why import why_not, why_same
from hub.store import Store, add
from hub.store import tables as t

NOW = datetime(2026, 11, 2, tzinfo=UTC)
Row = dict[str, str]
SCHEMES = ("zendesk:users", "hubspot:contacts", "mailchimp:members", "set:people")
# A tool's own duplicates are what the sets are about: two ids of one tool may be one person here.
RULES = identity.Rules(default_region="US", address_ids=frozenset(SCHEMES))
PAGE, ONE_BY_ONE, ACTS = 200, 2000, 40
_DERIVED = (t.identifier, t.party, t.observation, t.statement, t.choice)
# No part of what anybody is told: when a row was last written, and which party was once made for an identifier alone.
_UNSEEN = {"changed_at", "home_id"}


def rows(n: int) -> list[Row]:
    """The generator's records (HUB_IDENTITY_GENERATOR) where there is one, else our own invented people."""
    script = os.environ.get("HUB_IDENTITY_GENERATOR", "")
    if not script:
        return invented.rows(n)
    done = subprocess.run(
        [sys.executable, script, "--records", str(n)], check=True, capture_output=True, encoding="utf-8"
    )
    return list(csv.DictReader(io.StringIO(done.stdout)))


class Base:
    """A store being filled. Mail tells of an address and a name, the other tools of a record with an id."""

    def __init__(self, store: Store) -> None:
        self.store, self.n = store, 0
        self.identifier_of: dict[str, Identifier] = {}
        with store.write() as c:
            c.execute(sa.insert(t.connection).values(id=1, name="a", connector="a"))
            c.execute(sa.insert(t.stream).values(id=1, connection_id=1, name="people"))

    def take(self, page: Sequence[Row]) -> None:
        """One transaction."""
        mail, people = dict[Identifier, list[str]](), []
        for row in page:
            ident = self._identifier(row)
            self.identifier_of[row["rid"]] = ident
            if ident.scheme == "email":
                mail.setdefault(ident, []).append(row.get("display_name", ""))
            else:
                people.append(self._person(row, ident))
        with self.store.write() as c:
            if people:
                identity.observe(c, [(self._record(c, p), p) for p in people], RULES, NOW)
            if mail:
                named = {ident: max(names, key=lambda x: (len(x), x)) for ident, names in mail.items()}
                called = [(ident, name) for ident, names in mail.items() for name in names]
                who = identity.resolve(c, named, RULES, NOW, called=called)
                for turn in range(max(map(len, mail.values()))):
                    self._message(c, who, {ident: of[turn] for ident, of in mail.items() if turn < len(of)})

    def _message(self, c: Connection, who: Mapping[Identifier, identity.Who], named: Mapping[Identifier, str]) -> None:
        """A message that they are named in: what an address is called is read from there again."""
        self.n += 1
        add(c, t.record, [self._landed(str(self.n))])
        blank = {
            "kind": "email",
            "channel": "email",
            "direction": "inbound",
            "occurred_at": 0,
            "rank": b"",
            "hash": b"",
        }
        add(c, t.interaction, [{"id": self.n, "public_id": f"i{self.n}", "changed_at": 0, **blank}])
        told = [{"interaction_id": self.n, "identifier_id": who[i].identifier_id, "role": "from", "record_id": self.n, "name": name}
                for i, name in named.items()]  # fmt: skip
        add(c, t.participation, told)

    def _landed(self, external_id: str) -> dict[str, Any]:
        return {"id": self.n, "stream_id": 1, "external_id": external_id, "hash": b"", "disposition": "new",
                "first_seen_at": 0, "last_seen_at": 0}  # fmt: skip

    def _record(self, c: Connection, person: Person | Organization) -> int:
        self.n += 1
        add(c, t.record, [self._landed(person.external_id)])
        return self.n

    @staticmethod
    def _identifier(row: Row) -> Identifier:
        if row["source"] in invented.MAIL:
            return Identifier("email", row["email"].lower())
        scheme = next(s for s in SCHEMES if s.startswith(row["source"]))
        return Identifier(scheme, row["rid"])

    @staticmethod
    def _person(row: Row, ident: Identifier) -> Person:
        told = {"first_name": "first_name", "last_name": "last_name", "company": "company", "city": "city", "title": "job_title",
                "born": "birthday"}  # fmt: skip
        fields = {ours: row[theirs] for theirs, ours in told.items() if row.get(theirs)}
        ids = [ident, *(Identifier(s, row[s]) for s in ("email", "phone") if row.get(s))]
        name = row.get("display_name") or f"{row['first_name']} {row['last_name']}".strip()
        return Person(row["rid"], tuple(ids), name, fields)

    def fill(self, told: Sequence[Row]) -> None:
        for at in range(0, len(told), PAGE):
            self.take(told[at : at + PAGE])

    def fill_records(self, told: Sequence[Person | Organization]) -> None:
        """Records of tools, each by the first of its identifiers."""
        for at in range(0, len(told), PAGE):
            page = told[at : at + PAGE]
            self.identifier_of |= {r.external_id: r.identifiers[0] for r in page}
            with self.store.write() as c:
                identity.observe(c, [(self._record(c, r), r) for r in page], RULES, NOW)

    def groups(self) -> dict[str, int]:
        """Record -> its party."""
        with self.store.read() as c:
            i = t.identifier.c
            known = {(s, v): p for s, v, p in c.execute(sa.select(i.scheme, i.value, i.party_id))}
        return {rid: known[ident.scheme, ident.value] for rid, ident in self.identifier_of.items()}


@contextmanager
def base() -> Iterator[Base]:
    with tempfile.TemporaryDirectory(prefix="hub-identity-") as place:
        store = Store.open(f"sqlite:///{Path(place) / 'hub.db'}")
        try:
            yield Base(store)
        finally:
            store.close()


def _spread(spent: Sequence[float]) -> dict[str, float]:
    """Seconds in, milliseconds out."""
    ordered = sorted(spent) or [0.0]
    at = {f"p{name}": ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000
          for name, share in (("50", 0.5), ("99", 0.99), ("999", 0.999))}  # fmt: skip
    return {**at, "max": ordered[-1] * 1000}


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def unweighed(b: Base) -> Iterator[None]:
    """Records are kept, found and counted, and joined by rules alone: a base of a million stands in minutes instead of an hour."""
    weigh = linker.weigh

    def keep(c: Connection, news: linker.News, *_: object) -> Derived:
        linker.relist(c, news.names)
        return Derived()

    linker.weigh = keep  # type: ignore[assignment]
    try:
        yield
    finally:
        linker.weigh = weigh
    k = t.match_key.c
    crowded = sa.select(k.key, sa.literal(""), sa.literal(0)).group_by(k.key).having(sa.func.count() > SETTINGS.fan_out)
    with b.store.write() as c:
        c.execute(sa.insert(t.hub_key).from_select(["key", "name", "skipped"], crowded))
        c.execute(sa.delete(t.match_key).where(k.key.in_(sa.select(t.hub_key.c.key))))


def filled(n: int, is_weighed: bool) -> dict[str, Any]:
    told = rows(n + ONE_BY_ONE)
    with base() as b:
        with nullcontext() if is_weighed else unweighed(b):
            wall, cpu = timed(lambda: b.fill(told[:n]))
        out: dict[str, Any] = {
            "records": n, "is_weighed": is_weighed, "settings": Settings().hash,
            "fill": {"rec_s": n / wall, "rec_cpu_s": n / cpu},
        }  # fmt: skip
        single = [timed(lambda row=row: b.take([row])) for row in told[n:]]  # type: ignore[misc]
        out["online_ms"] = _spread([w for w, _ in single])
        out["online_cpu_ms"] = _spread([x for _, x in single])
        out["online_rec_s"] = len(single) / sum(w for w, _ in single)
        out["commit_ms"] = _spread([timed(lambda: _touch(b))[0] for _ in range(300)])
        out["decided"] = _decisions(b.store)
        out["undo"], out["explain"] = undone(b), explained(b)
        with b.store.read() as c:
            out["entities"] = c.execute(sa.select(sa.func.count()).select_from(t.party)).scalar()
    out["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return out


def _touch(b: Base) -> None:
    """A transaction that writes one row: what the disk alone asks for."""
    with b.store.write() as c:
        c.execute(sa.update(t.connection).values(name=f"a{time.perf_counter_ns()}"))


def _decisions(store: Store) -> dict[str, int]:
    d = t.decision.c
    with store.read() as c:
        found = c.execute(sa.select(d.kind, d.verdict, sa.func.count()).group_by(d.kind, d.verdict)).all()
        bare = c.execute(sa.select(sa.func.count()).where(d.reasons == "[]", d.kind == "model")).scalar() or 0
    return {f"{kind} {verdict}": n for kind, verdict, n in found} | {"model without reasons": bare}


def undone(b: Base) -> dict[str, Any]:
    """Merge two parties that have nothing to do with each other, take it back: how long, and is all as it was."""
    with b.store.read() as c:
        people = c.execute(
            sa.select(t.party.c.id).where(t.party.c.kind == "person", t.party.c.id.in_(
                sa.select(t.identifier.c.party_id).where(t.identifier.c.sharing.in_(("personal", "id")))
            )).order_by(t.party.c.id)
        ).scalars().all()  # fmt: skip
    draw, merging, undoing = Random(5), list[tuple[float, float]](), list[tuple[float, float]]()
    before = _state(b.store)
    for _ in range(ACTS):
        left, right = sorted(draw.sample(people, 2))
        acts: list[int] = []
        merging.append(timed(lambda a=left, z=right, acts=acts: acts.append(_merge(b, a, z))))  # type: ignore[misc]
        undoing.append(timed(lambda acts=acts: _undo(b, acts[0])))  # type: ignore[misc]
    return {
        "merge_ms": _spread([w for w, _ in merging]), "undo_ms": _spread([w for w, _ in undoing]),
        "merge_cpu_ms": _spread([x for _, x in merging]), "undo_cpu_ms": _spread([x for _, x in undoing]),
        "acts": ACTS, "is_same": _state(b.store) == before,
    }  # fmt: skip


def _merge(b: Base, left: int, right: int) -> int:
    with b.store.write() as c:
        return identity.merge(c, left, right, RULES, NOW, "bench").act


def _undo(b: Base, act: int) -> None:
    with b.store.write() as c:
        identity.undo(c, act, RULES, NOW, "bench")


def _state(store: Store) -> str:
    """All that is derived, as one hash over every row, in order; parties that nothing belongs to are nobody."""
    found = hashlib.sha256()
    with store.read() as c:
        for table in _DERIVED:
            query = sa.select(*(col for col in table.c if col.name not in _UNSEEN)).order_by(*table.primary_key.columns)
            if table is t.party:
                query = query.where(t.party.c.id.in_(sa.select(t.identifier.c.party_id)))
            for row in c.execute(query):
                found.update(repr(tuple(row)).encode())
    return found.hexdigest()


def explained(b: Base) -> dict[str, Any]:
    """Why two are one, for links of the model; why two are not, for what it asks about."""
    d = t.decision.c
    with b.store.read() as c:
        asked = sa.select(d.left_identifier_id, d.right_identifier_id).where(d.kind == "model", d.revoked_at.is_(None))
        joined = c.execute(asked.where(d.verdict == "same").limit(500)).all()
        unsure = c.execute(asked.where(d.verdict == "unsure").limit(500)).all()
        told = [why_same(c, a, z, RULES) for a, z in joined[:50]]
        # Every piece of evidence on the way: the model's with its fields and weights, a rule's with what it read.
        with_lines = sum(
            all(row["lines" if row["kind"] == "model" else "because"] for row in rows) for rows in told if rows
        )
        counter = sum(all(row["without_it"] for row in rows) for rows in told if rows)
        same = [timed(lambda a=a, z=z: why_same(c, a, z, RULES)) for a, z in joined]  # type: ignore[misc]
        apart = [timed(lambda a=a, z=z: why_not(c, a, z, RULES)) for a, z in unsure]  # type: ignore[misc]
    return {
        "links": len(joined), "looked_at": len(told), "with_waterfall": with_lines, "with_counterfactual": counter,
        "same_ms": _spread([w for w, _ in same]), "same_cpu_ms": _spread([x for _, x in same]),
        "not_ms": _spread([w for w, _ in apart]), "not_cpu_ms": _spread([x for _, x in apart]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument(
        "--unweighed", action="store_true", help="fill the base by rules alone; what comes then is weighed"
    )
    given = parser.parse_args()
    print(json.dumps(filled(given.records, not given.unweighed)))


if __name__ == "__main__":
    main()
