"""Full text of the timeline: subjects and what is new in messages, notes, tickets, meetings; newest first, by keyset.

What somebody types: words (all of them), "several words in this order", -word (without it); the last word may be the
beginning of one. The index says where to look, the text whether it fits.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.people import describe, party_id
from hub.reports.seen import Seen, everything
from hub.reports.timeline import entries
from hub.store import chunks, texts, unpack
from hub.store import tables as t
from hub.store.words import LONGEST, fold, pattern, places, words

Row = dict[str, Any]
Mark = tuple[int, int]  # when, interaction
Text = tuple[Mark, str, str]  # subject, body
LETTERS = 500  # of a question
BATCH = 60
MOST_READ = 3000  # texts read in one go; a page that has had to read so many ends there
FEW = 400  # entries of a party that are sooner read than looked up among all
AROUND = 220  # letters of an excerpt

_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))
_PART = re.compile(r'(-?)"([^"]*)("?)|([^\s"]+)')
_SPACE = re.compile(r"\s+")
_KINDS = ("person", "mailbox", "organization", "own")
_SPEAKERS = ("from", "requester", "author", "organizer", "caller")


@dataclass(frozen=True)
class Question:
    """parts, without: patterns for folded text. words, begun, not_words: what an index can be asked, the same or less."""

    parts: Sequence["re.Pattern[str]"]
    without: Sequence["re.Pattern[str]"]
    words: Sequence[str] = field(default=())
    begun: str = ""
    not_words: Sequence[str] = field(default=())

    def fits(self, subject: str, body: str) -> bool:
        text = fold(texts.said(subject, body)).lower()
        return all(one.search(text) for one in self.parts) and not any(one.search(text) for one in self.without)


def question(text: str) -> Question:
    """What is asked for. Any text is a question; one without a word finds nothing."""
    parts: list[tuple[str, ...]] = []
    without: list[tuple[str, ...]] = []
    is_begun = False
    for minus, quoted, end, plain in _PART.findall(text[:LETTERS].translate(_QUOTES)):
        found = tuple(words(quoted or plain))
        if found:
            is_not = bool(minus) or plain.startswith("-")
            (without if is_not else parts).append(found)
            is_begun = not is_not and not end
    last = parts[-1][-1] if parts and is_begun else ""
    begun = last if len(last) > 1 else ""  # of one letter nearly every text has a word
    told = [w for part in parts for w in part]
    told = told[:-1] if begun else told
    long = [w for w in told if len(w) >= LONGEST]
    return Question(
        [pattern(part, bool(begun) and n == len(parts)) for n, part in enumerate(parts, 1)],
        [pattern(part) for part in without],
        list(dict.fromkeys(w for w in told if w not in long)),
        begun or (long[0] if long else ""),
        [part[0] for part in without if len(part) == 1 and len(part[0]) < LONGEST],
    )


def search(
    c: Connection, text: str, *, limit: int = 20, before: str | None = None, party: str | None = None,
    seen: Seen = everything,
) -> Row:  # fmt: skip
    """A page of entries that fit: {"entries": [...], "next": mark or None}. party: on this one's timeline alone.

    Entries are those of a timeline, with `party` ({"public_id", "name", "kind"}: whose it is; None where nobody is known) and
    `excerpt` ([{"text", "hit"}]: words around what was looked for). A page may hold less than `limit` and still have a next
    one: where very many entries had to be read. Raises KeyError when there is no such party, ValueError for a strange mark.
    """
    asked, mark = question(text), _mark(before) if before else None
    pid = party_id(c, party, seen) if party is not None else None
    if party is not None and pid is None:
        raise KeyError(party)
    found: dict[int, tuple[Mark, str]] = {}

    def collect(batches: Iterator[list[Text]]) -> Mark | None:
        """What fits, until there is one too many for the page; where to go on, None at the end."""
        read = 0
        for batch in batches:
            for at, subject, body in batch:
                if asked.fits(subject, body):
                    found[at[1]] = at, body
                if len(found) > limit:
                    return list(found.values())[limit - 1][0]
            read += len(batch)
            if read >= MOST_READ:
                return batch[-1][0]
        return None

    if asked.parts:
        match = None if _has_few(c, pid) else texts.matching(c, asked.words, asked.begun, asked.not_words)
        if match is None or match.is_broad:
            mark = collect(_newest(c, mark, pid, seen))
        if match and not (match.is_broad and (mark is None or len(found) > limit)):
            mark = collect(_looked_up(c, match, mark, pid, seen))
    else:
        mark = None
    whose = _whose(describe(c, [pid], seen)[pid]) if pid is not None else None
    rows = entries(c, list(found)[:limit], seen)
    for iid, row in zip(found, rows, strict=False):
        row["party"] = whose or _customer(row["people"])
        row["excerpt"] = _excerpt(found[iid][1], asked)
    return {"entries": rows, "next": f"{mark[0]}-{mark[1]}" if mark else None}


def _mark(text: str) -> Mark:
    at, _, iid = text.rpartition("-")
    found = int(at), int(iid)
    if max(map(abs, found)) >= 2**63:
        raise ValueError(text)
    return found


def _whose(party: Row) -> Row:
    return {key: party[key] for key in ("public_id", "name", "kind")}


def _customer(people: Sequence[Row]) -> Row | None:
    """Whose timeline somebody would look at: a customer's before ours, who spoke before who listened."""
    order = sorted(people, key=lambda p: (_KINDS.index(p["kind"]), p["role"] not in _SPEAKERS))
    return {"public_id": order[0]["party"], "name": order[0]["name"], "kind": order[0]["kind"]} if order else None


# --- where to look ----------------------------------------------------------------------------------------------------

_i, _b, _k = t.interaction.c, t.body.c, t.link.c
_TEXT = sa.select(_i.occurred_at, _i.id, _i.subject, _b.codec, _b.text)


def _has_few(c: Connection, pid: int | None) -> bool:
    some = sa.select(_k.interaction_id).where(_k.party_id == pid).limit(FEW + 1).subquery()
    return pid is not None and c.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() <= FEW


def _newest(c: Connection, mark: Mark | None, pid: int | None, seen: Seen) -> Iterator[list[Text]]:
    """All entries, or all of a party, as they come."""
    if pid is None:
        at, iid = _i.occurred_at, _i.id
        query = _TEXT.outerjoin(t.body, _b.interaction_id == _i.id).where(seen(t.interaction))
    else:
        at, iid = _k.occurred_at, _k.interaction_id
        query = _TEXT.select_from(t.link).join(t.interaction, _i.id == iid)
        query = query.outerjoin(t.body, _b.interaction_id == iid).where(_k.party_id == pid, seen(t.link))
    query = query.where(_i.gone_at.is_(None)).order_by(at.desc(), iid.desc()).limit(BATCH)
    while rows := c.execute(_below(query, at, iid, mark)).all():
        yield [_text(row) for row in rows]
        mark = rows[-1][0], rows[-1][1]


def _looked_up(
    c: Connection, match: texts.Match, mark: Mark | None, pid: int | None, seen: Seen
) -> Iterator[list[Text]]:
    """Those that the index names; no more than are read for a page."""
    query = sa.select(_i.occurred_at, _i.id).select_from(match.id.table).join(t.interaction, _i.id == match.id)
    query = query.where(match.condition, _i.gone_at.is_(None), seen(t.interaction))
    if pid is not None:
        mine = (_k.party_id == pid, _k.occurred_at == _i.occurred_at, _k.interaction_id == _i.id, seen(t.link))
        query = query.where(sa.exists().where(*mine))
    order = (_i.occurred_at.desc(), _i.id.desc())
    ids = [row[1] for row in c.execute(_below(query, _i.occurred_at, _i.id, mark).order_by(*order).limit(MOST_READ))]
    whole = _TEXT.outerjoin(t.body, _b.interaction_id == _i.id).order_by(*order)
    for part in chunks(ids, BATCH):
        yield [_text(row) for row in c.execute(whole.where(_i.id.in_(part)))]


def _below(query: Any, at: Any, iid: Any, mark: Mark | None) -> Any:
    return query if mark is None else query.where(sa.tuple_(at, iid) < sa.tuple_(*map(sa.literal, mark)))


def _text(row: Any) -> Text:
    at, iid, subject, codec, text = row
    return (at, iid), subject, unpack(codec, text).decode("utf-8", "replace") if codec else ""


# --- what is shown of it ----------------------------------------------------------------------------------------------


def _excerpt(body: str, asked: Question) -> list[Row]:
    """The part of the body that has most of what was looked for; its beginning where that is in the subject alone."""
    body = body[: texts.READ]
    hits = places(body, asked.parts)
    best = max(hits, key=lambda hit: sum(hit[0] <= other < hit[0] + AROUND // 2 for other, _ in hits), default=(0, 0))
    start = _gap(body, best[0] - AROUND // 4) if best[0] > AROUND // 2 else 0
    stop = _gap(body, start + AROUND - 30)
    pieces: list[Row] = []
    at = start
    for begin, end in hits:
        if at <= begin and end <= stop:
            pieces += [{"text": body[at:begin], "hit": False}, {"text": body[begin:end], "hit": True}]
            at = end
    pieces.append({"text": body[at:stop], "hit": False})
    for piece in pieces:
        piece["text"] = _SPACE.sub(" ", piece["text"])
    if start:
        pieces[0]["text"] = "… " + pieces[0]["text"].lstrip()
    if stop < len(body):
        pieces[-1]["text"] = pieces[-1]["text"].rstrip() + " …"
    return [piece for piece in pieces if piece["text"]]


def _gap(text: str, at: int) -> int:
    """Where the next word begins, if one does soon."""
    space = _SPACE.search(text, at, at + 30)
    return space.end() if space else at
