"""Dates, postcodes, places and free text as they are compared; every function takes what was given."""

import re
from functools import lru_cache

from hub.identity.match.companies import company as company
from hub.identity.match.companies import similarity as company_similarity
from hub.identity.match.strings import distance, fold, near

__all__ = ["company_similarity"]

_ADDRESS = {
    "street": "st", "str": "st", "avenue": "ave", "av": "ave", "boulevard": "blvd", "road": "rd", "drive": "dr", "place": "pl",
    "square": "sq", "lane": "ln", "court": "ct", "highway": "hwy", "parkway": "pkwy", "crescent": "cres", "circuit": "cct",
    "close": "cl", "terrace": "tce", "north": "n", "south": "s", "east": "e", "west": "w", "saint": "st", "strasse": "st",
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7", "eighth": "8",
    "ninth": "9", "tenth": "10", "mount": "mt", "fort": "ft",
}  # fmt: skip
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_DIGITS = re.compile(r"\d+")


@lru_cache(maxsize=50_000)
def date(given: str) -> str:
    """Year, month, day as YYYYMMDD whatever the separators; "" for what has no year. Impossible days are kept: they were typed."""
    groups = _DIGITS.findall(given.partition("T")[0])
    if len(groups) == 1 and len(groups[0]) == 8:
        return str(groups[0])
    if len(groups) != 3:
        return ""
    if len(groups[2]) == 4:
        groups.reverse()
    return f"{groups[0]}{groups[1]:0>2}{groups[2]:0>2}" if len(groups[0]) == 4 else ""


def date_level(a: str, b: str) -> str:
    if a == b:
        return "same"
    agree = (a[:4] == b[:4]) + (a[4:6] == b[4:6]) + (a[6:] == b[6:])
    if distance(a, b, 1) == 1:
        return "slip"
    if a[:4] == b[:4] and a[4:6] == b[6:] and a[6:] == b[4:6]:
        return "day and month swapped"
    if agree == 2:
        return "two parts"
    if a[:4] == b[:4]:
        return "year"
    return "close" if abs(int(a[:4]) - int(b[:4])) <= 1 else "other"


def postcode(given: str) -> str:
    return fold(given).replace(" ", "")


def postcode_level(a: str, b: str) -> str:
    """The area is what stands before the last three characters, or the first half of a short code."""
    if a == b:
        return "same"
    if distance(a, b, 1) == 1:
        return "slip"
    return "area" if _area(a) == _area(b) else "other"


def _area(code: str) -> str:
    return code[:-3] if len(code) > 5 else code[: (len(code) + 1) // 2]


def phone(key: str) -> str:
    """A match key of `phones`; one written with 00 in a range that is not in use yet is an international one all the same."""
    return f"+{key[2:]}" if key.startswith("00") and len(key) >= 11 and key.isdigit() else key


def phone_level(a: str, b: str) -> str:
    """Numbers of which one does not say its country agree in their national part."""
    if a != b and a.startswith("+") != b.startswith("+"):
        local, whole = (b, a) if a.startswith("+") else (a, b)
        local = local.lstrip("0")
        if len(local) >= 7 and whole.endswith(local):
            return "national"
    return digits_level(a, b)


def digits_level(a: str, b: str) -> str:
    """Numbers that say who somebody is: one slip may be a slip, or the neighbour."""
    if a == b:
        return "same"
    return "slip" if len(a) >= 6 and distance(a, b, 1) == 1 else "other"


def word_level(a: str, b: str) -> str:
    """A place or another short text."""
    if a == b:
        return "same"
    found = near(a, b)
    if found < 3:
        return "slip" if found == 1 else "alike"
    mine, theirs = set(a.split()), set(b.split())
    return "part" if mine & theirs else "other"


@lru_cache(maxsize=50_000)
def address(given: str) -> str:
    """Street and number, kinds of street in one spelling, ordinals as digits."""
    words = [_ADDRESS.get(w, w) for w in fold(given).split()]
    return " ".join(_ORDINAL.sub(r"\1", w) for w in words)


def address_level(a: str, b: str) -> str:
    """How many words of the longer one are in the other; where some are, a slip in a long word is forgiven."""
    if a == b:
        return "same"
    mine, theirs = set(a.split()), set(b.split())
    shared = len(mine & theirs)
    if not shared:
        return "other"
    rest = theirs - mine
    shared += sum(any(near(w, v) == 1 for v in rest) for w in mine - theirs if len(w) > 3)
    share = shared / max(len(mine), len(theirs))
    if share > 0.99:
        return "same words"
    return "most" if share >= 0.6 else "half" if share >= 0.4 else "part"
