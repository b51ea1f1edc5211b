"""The model as the store keeps it: what was learnt, in one row; how often each value occurs, counted as records come.

One per database and process. Counts are remembered until the base has grown by a fiftieth: what agreement is worth does
not change faster.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from hub.identity.match.fields import PARTS
from hub.identity.match.model import Counts, Model, Settings, counted, parts
from hub.identity.match.record import Record
from hub.store import among, bump, fetch, pairs_among, tell
from hub.store import tables as t

SETTINGS = Settings()
LEARNT = "identity.model"  # under this key in `meta`: Model.state() as JSON
RECORDS = "records"  # the part that counts nodes
UNIQUE = frozenset({"email", "phone", "number"})  # nearly all different: the keys know the few that are not
_LONGEST = 256

v = t.value_count.c
_LEARNT = sa.select(t.meta.c.value).where(t.meta.c.key == LEARNT)
_TOTALS = sa.select(v.part, v.count).where(v.value == "", among(v.part))
_COUNTS = sa.select(v.part, v.value, v.count).where(pairs_among(v.part, v.value))
_COUNTED = (RECORDS, *PARTS)


_NOBODY = sa.delete(t.value_count).where(v.part == sa.bindparam("p"), v.value == sa.bindparam("x"), v.count <= 0)


class Weights:
    """model: weights by what is known at this moment. version: names the configuration and what was learnt."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.model = Model.shipped(SETTINGS, self.counts)
        self.version = ""
        self._learnt = "?"
        self._known: set[tuple[str, str]] = set()
        self._fresh_until = 0

    def refresh(self, c: Connection) -> None:
        """Take in what other processes, or a transaction that was rolled back, did meanwhile."""
        learnt = next((value for (value,) in fetch(c, _LEARNT)), "")
        totals = dict(fetch(c, _TOTALS, values=_COUNTED))
        records = totals.get(RECORDS, 0)
        if learnt != self._learnt:
            self._learnt, self._fresh_until = learnt, 0
            self.model = _model(learnt, self.counts)
            self.version = version_of(learnt)
        if records < self.counts.records or records >= self._fresh_until:
            self._known.clear()
            self.counts.values.clear()
            self.model.forget()
            self._fresh_until = int(records * 1.02) + 10
        self.counts.records = records
        self.counts.totals = Counter({part: n for part, n in totals.items() if part != RECORDS})
        at_least(self.counts)

    def prefetch(self, c: Connection, records: Iterable[Record]) -> None:
        """Read the counts of all that these records say, once."""
        values = {(f, x) for record in records for f, found in record.fields.items() if f not in UNIQUE for x in found}
        said = {pair for name, value in values for pair in parts(name, value)}
        wanted = said - self._known
        self._known |= wanted
        found = fetch(c, _COUNTS, values=sorted((part, x[:_LONGEST]) for part, x in wanted)) if wanted else ()
        for part, value, n in found:
            self.counts.values.setdefault(part, Counter())[value] = n

    def shared(self, part: str, value: str, holders: int) -> None:
        """How many hold a value of a part whose values are nearly all different, as the keys show it."""
        self.counts.values.setdefault(part, Counter())[value] = holders


def at_least(counts: Counts) -> None:
    """Two of three telephones being one says that they are, not that telephones are few."""
    for part in UNIQUE:
        counts.totals[part] = max(counts.totals[part], SETTINGS.few)


def version_of(learnt: str) -> str:
    """Names the configuration, and what was learnt under it."""
    return f"{SETTINGS.hash}/{hashlib.sha256(learnt.encode()).hexdigest()[:8] if learnt else 'shipped'}"


def count(c: Connection, come: Iterable[Record], gone: Iterable[Record] = ()) -> None:
    """Keep the running counters."""
    deltas: Counter[tuple[str, str]] = Counter()
    for records, sign in ((come, 1), (gone, -1)):
        for record in records:
            deltas[RECORDS, ""] += sign
            for part, value in counted(record):
                deltas[part, ""] += sign
                if part not in UNIQUE:
                    deltas[part, value[:_LONGEST]] += sign
    bump(c, t.value_count, [{"part": p, "value": x, "count": n} for (p, x), n in sorted(deltas.items()) if n])
    tell(c, _NOBODY, [{"p": p, "x": x} for (p, x), n in deltas.items() if n < 0])


def _model(learnt: str, counts: Counts) -> Model:
    if learnt:
        try:
            return Model.of(json.loads(learnt), SETTINGS, counts)
        except ValueError:  # of another version of the program: the next audit learns again
            pass
    return Model.shipped(SETTINGS, counts)


_OF: "WeakKeyDictionary[Engine, Weights]" = WeakKeyDictionary()


def weights(c: Connection) -> Weights:
    """This database's weights, up to date."""
    found = _OF.get(c.engine)
    if found is None:
        found = _OF[c.engine] = Weights()
    found.refresh(c)
    return found
