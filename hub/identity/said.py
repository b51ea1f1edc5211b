"""What a page says of identifiers, as it is compared: records of tools by their own id, addresses of mail by their names."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Organization, Person
from hub.identity.crowds import restated
from hub.identity.graph import COMPANY
from hub.identity.index import Index, Key, Rules
from hub.identity.linker import MAILBOXES, Said, record_of
from hub.identity.match.record import Given, prepare
from hub.identity.match.strings import fold
from hub.identity.normalisers import Normalisers
from hub.identity.phones import SHARED
from hub.store import among, fetch, micros
from hub.store import tables as t

_NO_NAMES_WORDS = (
    "unknown unbekannt inconnu desconocido n a na none null nil test tester testing anonymous anonym user customer kunde client "
    "contact guest gast visitor subscriber member no name noname first last lead new not provided given available undefined "
    "xxx asdf qwerty foo bar me myself private privat"
)
_NO_NAMES = frozenset(_NO_NAMES_WORDS.split())
_MOST_NAMES = 8  # of one address: who signs with more is no one person
_FIELDS = {
    "first_name": "first_name", "last_name": "last_name", "company": "company", "job_title": "occupation",
    "city": "city", "zip": "postcode", "address": "address", "state": "region", "birthday": "born",
}  # fmt: skip


def name_keys(entity: Person | Organization, by: Normalisers) -> tuple[str, ...]:
    """What the record of a person is called, as compared; a name that is an address says nothing."""
    if isinstance(entity, Organization):
        return (f"{COMPANY}{key}",) if (key := by("company_name", entity.name).value) else ()
    key = by("person_name", entity.name).value if is_a_name(entity.name) else ""
    return (key,) if key else ()


def is_a_name(text: str) -> bool:
    """False for an address, and for what forms and people put where no name is known."""
    return "@" not in text and bool(words := set(fold(text).split())) and not words <= _NO_NAMES


def of_record(
    index: Index, records: Iterable[tuple[int, Person | Organization]], keys: Mapping[int, list[Key]], rules: Rules,
    now: int,
) -> list[Said]:  # fmt: skip
    """One for each record, by the id its tool knows it by; a record without one is told by its addresses alone."""
    found = []
    for rid, entity in records:
        own = next((row for k in keys[rid] if index.sharing(*k) == "id" and (row := index.find(k))), None)
        if own is None or own.id is None:
            continue
        owner = index.find(index.key(entity.owner)) if entity.owner else None
        is_org = isinstance(entity, Organization)
        record = prepare(
            "", _given(entity), kind="organization" if is_org else "person", region=rules.default_region,
            own=rules.own.hosts, normalisers=rules.normalisers,
        )  # fmt: skip
        rows = [row for key in keys[rid] if key[0] == "email" and (row := index.find(key)) is not None]
        shared = [row.match for row in rows if row.sharing == SHARED]
        fields, mailboxes = restated(record.fields, record.mailboxes, () if is_org else shared)
        is_own = isinstance(entity, Person) and (
            entity.is_own or any(s == "email" and index.sharing(s, v) == "own" for s, v in keys[rid])
        )
        found.append(Said(
            own.id, record.kind, fields, mailboxes, is_own,
            owner.id if owner else None, micros(entity.changed_at) if entity.changed_at else now,
        ))  # fmt: skip
    return found


def _given(entity: Person | Organization) -> Given:
    given: dict[str, str | list[str]] = {
        theirs: entity.fields[ours] for ours, theirs in _FIELDS.items() if entity.fields.get(ours)
    }
    for scheme in ("email", "phone"):
        if values := [i.value for i in entity.identifiers if i.scheme == scheme]:
            given[scheme] = values
    given["phone"] = [x for x in given.get("phone", ()) if not _is_filler(x)]
    if isinstance(entity, Organization):
        given["company"] = entity.name
        given.pop("email", None)
    elif is_a_name(entity.name):
        given["full_name"] = entity.name
    return given


def _is_filler(number: str) -> bool:
    """A number typed to get past a form: one digit over and over, or one after the other."""
    digits = "".join(ch for ch in number if ch.isdigit())
    return any(len(set(digits[start:])) <= 1 or digits[start:] in "12345678901234567890" for start in range(4))


_KNOWN = sa.select(t.node.c.identifier_id, t.node.c.fields).where(among(t.node.c.identifier_id))


def of_mail(
    c: Connection, called: Mapping[int, tuple[str, Iterable[str]]], rules: Rules, now: int
) -> list[Said]:  # fmt: skip
    """Addresses by what their mail calls them: identifier -> (address, names). Names add up, to a point, in any order."""
    read = (rules.own.hosts, rules.normalisers)
    told = {
        n: some for n, (at, names) in called.items() if (some := [f for x in names if (f := _fields(at, x, *read))])
    }
    known = dict(fetch(c, _KNOWN, values=sorted(told))) if told else {}
    found = []
    for ident, some in told.items():
        before = record_of(ident, "person", "", known[ident]).fields if ident in known else {}
        both: dict[str, set[str]] = {}
        for fields in (before, *some):
            for part, values in fields.items():
                both.setdefault(part, set()).update(values)
        fields = {part: tuple(sorted(values)[:_MOST_NAMES]) for part, values in sorted(both.items())}
        if fields != before:
            found.append(Said(ident, "person", fields, said_at=now))
    return found


@lru_cache(maxsize=20_000)
def _fields(address: str, name: str, own: frozenset[str], by: Normalisers) -> dict[str, tuple[str, ...]]:
    """What a header says; nothing where the name is only the address again, or says on whose behalf it was sent."""
    if not is_a_name(name):
        return {}
    record = prepare("", {"full_name": name, "email": address}, own=own, normalisers=by)
    return dict(record.fields) if "name" in record.fields else {}


__all__ = ["MAILBOXES", "name_keys", "of_mail", "of_record"]
