"""Why two are one, evidence by evidence, and why two are not: what stands between them and what it would take.

Reads only. Evidence that is no decision (one record lists both, one mailbox in two spellings) is told from the rows it
stands in; everything goes through the same grouping as the deriving of parties, so that what is told is what was done.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.evidence import JOINING, ONE_ID, SAME_ADDRESS, Evidence, gather
from hub.identity.graph import HUMAN, Limits, Parts, Word, parts
from hub.identity.index import Rules
from hub.identity.linker import hashed, record_of
from hub.identity.match import keys
from hub.identity.match.online import NEW, decide
from hub.identity.match.online import REVIEW as ASK
from hub.identity.match.profile import Profile
from hub.identity.match.record import Record
from hub.identity.showing import MEANS, SAME, Row, named, told, verdicts, waterfall
from hub.identity.weights import SETTINGS, weights
from hub.store import among, fetch, instant
from hub.store import tables as t

_i, _o, _d = t.identifier.c, t.observation.c, t.decision.c
_RECORDS = (
    sa.select(
        t.record.c.id, t.record.c.external_id, t.stream.c.name.label("stream"), t.connection.c.name.label("connection"),
        sa.func.min(_o.first_seen_at).label("since"),
    )
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    .join(t.observation, _o.record_id == t.record.c.id)
    .where(among(t.record.c.id))
    .group_by(t.record.c.id, t.record.c.external_id, t.stream.c.name, t.connection.c.name)
)  # fmt: skip
_IDENTIFIERS = sa.select(_i.id, _i.party_id, _i.sharing).where(among(_i.id))
_OWNED = sa.select(_i.id).where(_i.party_id == sa.bindparam("party"), _i.sharing.in_(sorted(JOINING)))
_DECISIONS = sa.select(t.decision).where(among(_d.id))
_LISTING = (
    sa.select(_o.record_id, _o.identifier_id, _i.sharing)
    .join(t.identifier, _i.id == _o.identifier_id)
    .where(_o.record_id.in_(sa.select(t.observation.c.record_id).where(_o.identifier_id == sa.bindparam("number"))))
)


def why_same(c: Connection, a: int, b: int, rules: Rules) -> list[Row]:
    """The evidence that ties identifier a to identifier b, end to end; all that holds the party together where a is b.

    Empty when they are of two parties. Each: {"left", "right", "kind": human, tool, rule or model, "rule", "because", "since",
    "actor", "decision", "act", "weight", "version", "lines", "notes", "without": {field: verdict}, "without_it": "same"
    where other evidence would hold them, else "apart"}.
    """
    rows = {r.id: r for r in fetch(c, _IDENTIFIERS, values=[a, b])}
    if {a, b} - rows.keys() or rows[a].party_id != rows[b].party_id:
        return []
    leaves = {
        n: leaf for n in (a, b) if rows[n].sharing not in JOINING and (leaf := _listed_with(c, n, rows[n].party_id))
    }
    found = gather(c, {leaves[n].left if n in leaves else n for n in (a, b)}, rules)
    made = _parts(found, rules)
    tree = _tree(made.used)
    start, end = (leaves[n].left if n in leaves else n for n in (a, b))
    mine = next((set(g) for g in made.groups if start in g), set())
    chosen = [w for w in tree if w.left in mine] if a == b else _path(tree, start, end)
    if a != b:
        chosen = [*([leaves[a]] if a in leaves else []), *chosen, *([leaves[b]] if b in leaves else [])]
    used = [w for w in made.used if w.left in mine]
    return [
        {**row, "without_it": SAME if _is_tied([w for w in used if w is not word], word.left, word.right) else "apart"}
        for word, row in zip(chosen, tell(c, chosen), strict=True)
    ]


def _parts(found: Evidence, rules: Rules) -> Parts:
    return parts(found.nodes, found.words, Limits(rules.most_addresses, rules.most_records))


def _listed_with(c: Connection, number: int, party_id: int) -> Word | None:
    """A telephone number joins nobody; it stands beside what else its party's record lists."""
    rows = fetch(c, _LISTING, number=number)
    listed: dict[int, list[Any]] = {}
    for r in rows:
        if r.identifier_id != number and r.sharing in JOINING:
            listed.setdefault(r.record_id, []).append(r)
    owners = {r.id for r in fetch(c, _OWNED, party=party_id)}
    for record_id, beside in sorted(listed.items()):
        if mine := [r for r in beside if r.identifier_id in owners]:
            first = min(mine, key=lambda r: (r.sharing != "id", r.identifier_id))
            return Word(first.identifier_id, number, "rule", "number-of-record", record=record_id)
    return None


def _tree(words: Iterable[Word]) -> list[Word]:
    """Of the words that hold together, the strongest that suffice: those that joined two groups when their turn came."""
    root: dict[int, int] = {}
    kept = []
    for word in words:
        a, b = _root(root, word.left), _root(root, word.right)
        if a != b:
            root[a] = b
            kept.append(word)
    return kept


def _root(root: dict[int, int], n: int) -> int:
    while (up := root.get(n, n)) != n:
        n = up
    return n


def _is_tied(words: Iterable[Word], a: int, b: int) -> bool:
    return bool(_path(words, a, b))


def _path(words: Iterable[Word], a: int, b: int) -> list[Word]:
    """From a to b with as few words as can be."""
    near: dict[int, list[tuple[int, Word]]] = {}
    for w in words:
        near.setdefault(w.left, []).append((w.right, w))
        near.setdefault(w.right, []).append((w.left, w))
    came: dict[int, tuple[int, Word] | None] = {a: None}
    line = [a]
    for n in line:
        for other, word in near.get(n, ()):
            if other not in came:
                came[other] = (n, word)
                line.append(other)
    path: list[Word] = []
    at = came.get(b)
    while at is not None:
        path.append(at[1])
        at = came[at[0]]
    return path[::-1]


def tell(c: Connection, words: Sequence[Word]) -> list[Row]:
    """Words as people read them; see `why_same`."""
    listing, decided = ({n for w in words if (n := getattr(w, kind))} for kind in ("record", "decision"))
    records = {r.id: r for r in fetch(c, _RECORDS, values=sorted(listing))} if listing else {}
    rows = fetch(c, _DECISIONS, values=sorted(decided)) if decided else []
    decisions = {d["decision"]: d for d in told(c, rows)}
    names = named(c, {n for w in words for n in (w.left, w.right)})
    return [_told(w, names, records, decisions) for w in words]


def _told(w: Word, names: dict[int, Row], records: dict[int, Any], decisions: dict[int, Row]) -> Row:
    row: Row = {
        "left": names[w.left], "right": names[w.right], "kind": w.kind, "rule": w.rule, "because": "", "since": None,
        "actor": "hub", "decision": None, "act": None, "weight": None, "version": "", "lines": [], "notes": [], "without": {},
    }  # fmt: skip
    if w.record:
        r = records[w.record]
        where = f"{r.connection}/{r.stream}/{r.external_id}"
        because = (
            f"{where} carries both ids: they were merged in that tool" if w.rule == ONE_ID else f"{where} lists both"
        )
        return row | {"because": because, "since": instant(r.since)}
    if w.rule == SAME_ADDRESS and not w.decision:
        return row | {"because": "one mailbox, written in two ways"}
    d = decisions[w.decision]
    kept = ("act", "decision", "weight", "version", "actor", "lines", "notes", "without")
    return row | {k: d[k] for k in kept} | {"since": d["at"], "because": _because(d)}


def _because(d: Row) -> str:
    if d["kind"] == HUMAN:
        return f"{d['actor']} said so" + (f": {'; '.join(d['notes'])}" if d["notes"] else "")
    return "; ".join(d["notes"]) or ("they agree in more than strangers do" if d["lines"] else d["rule"])


# --- why not ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Side:
    """One of the two: who it is, what of it may join, and what is compared of it. Also the one entity the other could find."""

    row: Row
    party_id: int
    kind: str
    nodes: set[int] = field(default_factory=set)
    records: list[Record] = field(default_factory=list)
    whole: Profile = field(default_factory=Profile)

    def entities(self, key: str, most: int) -> list[str]:
        return [str(self.party_id)]

    def profile(self, entity: str) -> Profile:
        return self.whole


_NODES = (
    sa.select(_i.id, _i.scheme, _i.sharing, _i.party_id, t.party.c.kind, t.node.c.kind.label("type"), t.node.c.fields)
    .join(t.party, t.party.c.id == _i.party_id)
    .outerjoin(t.node, t.node.c.identifier_id == _i.id)
)
_NODE = _NODES.where(_i.id == sa.bindparam("number"))
_ALL_NODES = _NODES.where(_i.party_id == sa.bindparam("party"), _i.sharing.in_(sorted(JOINING))).order_by(_i.id)
_HUBS = sa.select(t.hub_key.c.key).where(among(t.hub_key.c.key))
_HOLDERS = sa.select(t.match_key.c.key, sa.func.count()).where(among(t.match_key.c.key)).group_by(t.match_key.c.key)


def _side(c: Connection, identifier_id: int, rules: Rules) -> _Side:
    row = fetch(c, _NODE, number=identifier_id)[0]
    side = _Side(named(c, [identifier_id])[identifier_id], row.party_id, row.kind)
    for r in fetch(c, _ALL_NODES, party=row.party_id):
        side.nodes.add(r.id)
        if r.fields:
            holder = r.scheme if r.sharing == "id" and rules.names_one(r.scheme) else ""
            side.records.append(record_of(r.id, r.type, holder, r.fields))
    if side.records:
        side.whole = Profile.whole(side.records)
    return side


def why_not(c: Connection, a: int, b: int, rules: Rules) -> Row:
    """What stands between identifier a and identifier b, the strongest first. Raises KeyError for an unknown one.

    {"verdict": "same", "different" (a person said so), "refused", "review" or "apart", "because": [{"kind", "text", "actor",
    "at", "act"}], "weight", "needed": bits to be joined without asking, "asked_from": bits from which a person is asked,
    "lines": the waterfall, "without", "only_left", "only_right": fields the other side lacks, "shared": keys of both,
    "hubs": those of them that too many share, "review": the open question's number, "left", "right"}
    """
    known = {r.id for r in fetch(c, _IDENTIFIERS, values=[a, b])}
    if missing := {a, b} - known:
        raise KeyError(min(missing))
    left, right = _side(c, a, rules), _side(c, b, rules)
    out: Row = {
        "verdict": "apart", "because": [], "weight": None, "needed": SETTINGS.auto, "asked_from": SETTINGS.review, "lines": [],
        "without": {}, "only_left": [], "only_right": [], "shared": [], "hubs": [], "review": None, "left": left.row,
        "right": right.row,
    }  # fmt: skip
    if left.party_id == right.party_id:
        return out | {"verdict": SAME}
    if never := _never(left, right):
        return out | {"verdict": "refused", "because": never}
    said, out["review"] = _decided(c, left, right)
    refused = [] if said else _refused(c, left, right, rules)
    weighed = _weighed(c, left, right, out) if left.records and right.records else []
    if not (left.records and right.records):
        weighed = [_why("unknown", "nothing is known of one of them that could be compared")]
    out["because"] = said + refused + weighed
    kinds = {r["kind"] for r in out["because"]}
    out["verdict"] = next((v for k, v in _VERDICTS if k in kinds), "review" if out["review"] else "apart")
    return out


_VERDICTS = (("person", "different"), ("refused", "refused"))


def _why(kind: str, text: str, **more: Any) -> Row:
    return {"kind": kind, "text": text, "actor": "", "at": None, "act": None, **more}


def _never(left: _Side, right: _Side) -> list[Row]:
    """What belongs to nobody, and what are two kinds of thing."""
    found = [
        _why("shared", f"{s.row['text']} is {MEANS.get(s.row['sharing'], s.row['sharing'])}: it never joins anybody")
        for s in (left, right)
        if s.row["sharing"] not in JOINING and not s.nodes
    ]
    kinds = {left.kind, right.kind}
    if not found and "organization" in kinds and len(kinds) > 1:
        found.append(_why("kind", "one is an organization, the other is not"))
    return found


_BETWEEN = sa.select(t.decision).where(
    sa.or_(among(_d.left_identifier_id), among(_d.right_identifier_id)), _d.revoked_at.is_(None),
    _d.verdict.in_(("different", "unsure")),
).order_by(_d.id.desc())  # fmt: skip


def _decided(c: Connection, left: _Side, right: _Side) -> tuple[list[Row], int | None]:
    """(what people said against it, the number of the open question about the two)."""
    rows = [
        r for r in fetch(c, _BETWEEN, values=sorted(left.nodes))
        if {r.left_identifier_id, r.right_identifier_id} & right.nodes
    ]  # fmt: skip
    asked = next((r.id for r in rows if r.verdict == "unsure"), None)
    said = []
    for d in told(c, [r for r in rows if r.verdict == "different"]):
        because = f": {'; '.join(d['notes'])}" if d["notes"] else ""
        text = f"{d['actor']} said that {d['left']['text']} and {d['right']['text']} are two{because}"
        said.append(_why("person", text, actor=d["actor"], at=d["at"], act=d["act"]))
    return said, asked


def _refused(c: Connection, left: _Side, right: _Side, rules: Rules) -> list[Row]:
    """Evidence that would join them, had it not been refused."""
    found = gather(c, left.nodes | right.nodes, rules)
    both = [
        (w, why) for w, why in _parts(found, rules).refused
        if {w.left, w.right} & left.nodes and {w.left, w.right} & right.nodes
    ]  # fmt: skip
    rows = tell(c, [w for w, _ in both])
    return [_why("refused", f"{r['because']}, but: {why}") for r, (_, why) in zip(rows, both, strict=True)]


def _weighed(c: Connection, left: _Side, right: _Side, out: Row) -> list[Row]:
    """Weighs the one against the other as the sync does, fills in the figures, and says what they come to."""
    mine, theirs = ({key for r in s.records for key in keys.of(r)} for s in (left, right))
    shared = {hashed(key): key for key in mine & theirs}
    hubs = {r.key for r in fetch(c, _HUBS, values=sorted(shared))}
    known = weights(c)
    known.prefetch(c, [*left.records, *right.records])
    alone = {hashed(key): (part, value) for r in left.records for part, value, key in keys.alone(r)}
    for key, holders in fetch(c, _HOLDERS, values=sorted(alone.keys() & shared.keys())):
        known.shared(*alone[key], holders)
    found = decide(left.records[0], known.model, right, mine=left.whole, own=str(left.party_id))
    fields = [set(s.whole.values) for s in (left, right)]
    out |= {
        "weight": round(found.weight, 2) if found.lines else None, "without": verdicts(found.without),
        "lines": waterfall([
            {"field": x.field, "left": x.left, "right": x.right, "level": x.level, "weight": round(x.weight, 2)}
            for x in found.lines
        ]),
        "only_left": sorted(fields[0] - fields[1]), "only_right": sorted(fields[1] - fields[0]),
        "shared": sorted(k for h, k in shared.items() if h not in hubs), "hubs": sorted(shared[h] for h in hubs),
    }  # fmt: skip
    because = [_why("refused", reason) for reason in found.vetoed.values()]
    if found.lines and found.verdict == NEW:
        because.append(_why("weak", f"{found.weight:.1f} bits: {_short(found.weight, SETTINGS.review)} of being asked"))
    elif found.verdict == ASK and found.weight < SETTINGS.auto:
        because.append(_why("weak", f"{found.weight:.1f} bits: {_short(found.weight, SETTINGS.auto)} of being joined"))
    elif found.verdict == ASK and not because:
        because.append(_why("thin", found.why))
    if shared and len(hubs) == len(shared):
        because.append(_why("hub", "what they share too many others share, too: it leads from one to nobody"))
    elif not shared:
        because.append(
            _why("nothing", "they share no address, number, name or two weaker things: neither leads to the other")
        )
    return because


def _short(weight: float, of: float) -> str:
    return f"{of - weight:.1f} short"
