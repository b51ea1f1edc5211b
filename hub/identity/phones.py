"""Telephone numbers: one number in all its spellings, and whose it is.

A number is never a reason to call two records one person. It only brings a call or a text message to the one party
whose records list it; listed by two, it is nobody's and has a mailbox of its own.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import add, among, fetch, short_id, tell
from hub.store import tables as t

# Sharing: one number the world over, one that several parties list, one that says not in which country it is.
KNOWN, SHARED, AMBIGUOUS = "unknown", "shared", "ambiguous"
CLASSES = frozenset({KNOWN, SHARED, AMBIGUOUS})


@lru_cache(maxsize=1)
def _library() -> Any:
    """The numbering plans of all countries. Costly to import, so on first use."""
    return import_module("phonenumbers")


def written(value: str) -> str:
    """The number as one row: as it was given, for sending, with single blanks."""
    return " ".join(value.split())


@lru_cache(maxsize=100_000)
def match(value: str, region: str = "") -> tuple[str, bool]:
    """(match key, whether it is the same number the world over).

    The key is E.164, with ";ext=12" for an extension. What is no full number anywhere, or a national one that is none in
    `region` (two letters, "" for none), keeps its letters and digits: such a key never equals another country's.
    """
    given = unicodedata.normalize("NFKC", value).strip()
    for spelling, must_be_valid in _readings(given):
        if found := _e164(spelling, region, must_be_valid):
            return found, True
    return "".join(ch for ch in given.casefold() if ch.isalnum()), False


def _readings(given: str) -> Iterable[tuple[str, bool]]:
    """How a spelling may be read, the likeliest first, and whether its range must be in use there.

    It must where it does not say its country; 00 and 011 dial out of other countries than the region's, too. (Numbers in
    Leeds and Buenos Aires begin with 011 as well, and are shorter.)
    """
    yield given, "+" not in given
    digits = "".join(ch for ch in given if ch.isdigit())
    for prefix, least in (("00", 0), ("011", 13)):
        if digits.startswith(prefix) and len(digits) >= least:
            yield "+" + given[given.index("0") :].replace(prefix, "", 1), True


def _e164(given: str, region: str, must_be_valid: bool) -> str:
    lib = _library()
    try:
        number = lib.parse(given, region or None, keep_raw_input=True)  # which also keeps where its country came from
    except lib.NumberParseException:
        return ""
    if must_be_valid and not (lib.is_valid_number(number) and _is_whole(lib, number, given)):
        return ""
    if lib.is_possible_number_with_reason(number) != lib.ValidationResult.IS_POSSIBLE:
        return ""
    e164 = str(lib.format_number(number, lib.PhoneNumberFormat.E164))
    return f"{e164};ext={number.extension}" if number.extension else e164


def _is_whole(lib: Any, number: Any, given: str) -> bool:
    """False for what may lack its area code: it has no trunk prefix ("0") where the country writes one.

    Dortmund's 0231 25100 is not 23125100, which may be a line in any German town. Mobile numbers lack nothing.
    """
    if number.country_code_source != lib.CountryCodeSource.FROM_DEFAULT_COUNTRY:
        return True
    shown, typed = (
        "".join(ch for ch in text if ch.isdigit())
        for text in (lib.format_number(number, lib.PhoneNumberFormat.NATIONAL), given)
    )
    trunk = shown.partition(lib.national_significant_number(number))[0]
    return typed.startswith(trunk) or lib.number_type(number) == lib.PhoneNumberType.MOBILE


_LISTED = (
    sa.select(t.identifier.c.match_value, t.party.c.id, t.party.c.kind)
    .select_from(t.observation)
    .join(t.identifier, t.identifier.c.id == t.observation.c.identifier_id)
    .join(t.record, t.record.c.id == t.observation.c.record_id)
    .join(t.party, t.party.c.id == t.observation.c.party_id)
    .where(t.identifier.c.scheme == "phone", among(t.identifier.c.match_value), t.record.c.gone_at.is_(None))
    .distinct()
)
_HELD = sa.select(t.identifier.c.match_value, t.identifier.c.id, t.identifier.c.sharing, t.identifier.c.party_id).where(
    t.identifier.c.scheme == "phone", among(t.identifier.c.match_value)
)
_THEIRS = (
    sa.select(t.identifier.c.match_value, t.identifier.c.id, t.observation.c.record_id)
    .join(t.observation, t.observation.c.identifier_id == t.identifier.c.id)
    .where(t.identifier.c.scheme.concat("") == "phone")  # found by who lists it: SQLite would read all numbers
)
_OF_RECORDS = _THEIRS.where(among(t.observation.c.record_id))
_OF_PARTIES = _THEIRS.where(among(t.observation.c.party_id))
UNLIST = sa.delete(t.observation).where(
    t.observation.c.record_id == sa.bindparam("record"), t.observation.c.identifier_id == sa.bindparam("identifier")
)
_GIVE = (
    sa.update(t.identifier)
    .where(among(t.identifier.c.id, "idents"))
    .values(sharing=sa.bindparam("class"), party_id=sa.bindparam("home"))
)
_NAMED = sa.select(t.party.c.id).where(t.party.c.public_id == sa.bindparam("name"))


def forget(c: Connection, current: dict[int, set[int]]) -> set[str]:
    """Records (id -> the identifiers they list now) no longer list other numbers; returns the match keys of those."""
    lost = [
        (key, ident, rid)
        for key, ident, rid in fetch(c, _OF_RECORDS, values=sorted(current))
        if ident not in current[rid]
    ]
    tell(c, UNLIST, [{"record": rid, "identifier": ident} for _, ident, rid in lost])
    return {key for key, _, _ in lost}


def of_parties(c: Connection, party_ids: Iterable[int]) -> set[str]:
    """The match keys of the numbers that these parties' records list."""
    return {key for key, _, _ in fetch(c, _OF_PARTIES, values=sorted(set(party_ids)))}


def settle(c: Connection, keys: Iterable[str], now: int) -> set[int]:
    """Give each number, in all its spellings, to the one party whose records list it, or to nobody.

    People come before organizations: a person's line may be on the company's record, too. A number that no record
    lists stays where it is. Returns the parties that won or lost one. It does not depend on what came first.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return set()
    listed: dict[str, dict[int, str]] = {}
    for key, party_id, kind in fetch(c, _LISTED, values=wanted):
        listed.setdefault(key, {})[party_id] = kind
    held: dict[str, list[tuple[int, str, int]]] = {}
    for key, *row in fetch(c, _HELD, values=wanted):
        held.setdefault(key, []).append((row[0], row[1], row[2]))
    moved: set[int] = set()
    for key, parties in sorted(listed.items()):
        people = [p for p, kind in parties.items() if kind != "organization"] or list(parties)
        is_shared = len(people) > 1 or sum(ch.isdigit() for ch in key) < 3  # "n/a" is nobody's
        home = mailbox(c, "phone", key, now) if is_shared else people[0]
        sharing = SHARED if is_shared else KNOWN if key.startswith("+") else AMBIGUOUS
        stray = [ident for ident, was, party_id in held[key] if (was, party_id) != (sharing, home)]
        former = {party_id for _, _, party_id in held[key]} - {home}
        if stray:
            tell(c, _GIVE, [{"idents": stray, "class": sharing, "home": home}])
        if former:
            moved |= former | {home}
    return moved


def mailbox(c: Connection, scheme: str, key: str, now: int) -> int:
    """The party of a number or an address that several list; it is nobody's contact."""
    public_id = short_id("p", "mailbox", scheme, key)
    add(c, t.party, [{"public_id": public_id, "kind": "mailbox", "created_at": now, "changed_at": now}])
    return int(fetch(c, _NAMED, name=public_id)[0][0])
