"""Spelling: folding to plain letters, how far two words are apart, and how a word sounds.

`distance` is the one place where letters are compared: a compiled library can stand behind it with nothing else changed.
"""

import unicodedata
from functools import lru_cache

_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    | dict(zip("абвгдезийклмнопрстуфцыэ", "abvgdeziiklmnoprstufcye", strict=True))
    | {"ё": "e", "ж": "zh", "х": "kh", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": "", "ю": "yu", "я": "ya"}
    | {"і": "i", "ї": "i", "є": "e", "ґ": "g"}
)
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʼ"))


@lru_cache(maxsize=50_000)
def fold(text: str) -> str:
    """Lower case, without accents, letters and digits with single blanks between words: "O'Brien-Müller" -> "obrien muller"."""
    if text.isascii():
        plain = text.lower()
    else:
        lower = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
        plain = "".join(ch for ch in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(ch))
    plain = plain.translate(_APOSTROPHES)
    return plain if plain.isalnum() else " ".join("".join(ch if ch.isalnum() else " " for ch in plain).split())


@lru_cache(maxsize=100_000)
def _mask(text: str) -> int:
    """Which letters occur (their number modulo 64): words that differ in many letters are far apart."""
    mask = 0
    for ch in text:
        mask |= 1 << (ord(ch) & 63)
    return mask


def distance(a: str, b: str, limit: int) -> int:
    """Letters to insert, drop, replace, or swap with the next one, to turn a into b; limit + 1 for anything above."""
    if a == b:
        return 0
    if abs(len(a) - len(b)) > limit or (_mask(a) ^ _mask(b)).bit_count() > 2 * limit:
        return limit + 1
    start, end_a, end_b = 0, len(a), len(b)
    while start < end_a and start < end_b and a[start] == b[start]:
        start += 1
    while end_a > start and end_b > start and a[end_a - 1] == b[end_b - 1]:
        end_a -= 1
        end_b -= 1
    a, b = a[start:end_a], b[start:end_b]
    if (len(a) <= 1 and len(b) <= 1) or (len(a) == 2 and a == b[::-1]):
        return 1
    return limit + 1 if limit < 2 else _table(a, b, limit)


def _table(a: str, b: str, limit: int) -> int:
    """Optimal string alignment, row by row; given up when a whole row is above the limit."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            best = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            new.append(best)
        if min(new) > limit:
            return limit + 1
        before, row = row, new
    return min(row[-1], limit + 1)


def near(a: str, b: str) -> int:
    """0 the same, 1 one slip, 2 two slips in a word long enough to bear them, 3 another word."""
    if a == b:
        return 0
    longest = max(len(a), len(b))
    if longest < 3:
        return 3
    found = distance(a, b, 2 if longest >= 5 else 1)
    return 3 if found > 2 or (found == 2 and longest < 5) else found


_SOUNDS = str.maketrans({**dict.fromkeys("bfpv", "1"), **dict.fromkeys("cgjkqsxz", "2"), **dict.fromkeys("dt", "3"),
                         "l": "4", **dict.fromkeys("mn", "5"), "r": "6", **dict.fromkeys("aeiouyhw", " ")})  # fmt: skip


@lru_cache(maxsize=50_000)
def sound(word: str) -> str:
    """Words that sound alike in most European languages share this key (a Soundex that forgets vowels and doubles)."""
    out = ""
    for ch in word.translate(_SOUNDS):
        if ch != " " and not out.endswith(ch):
            out += ch
    return word[:1] + out[:4] if word else ""
