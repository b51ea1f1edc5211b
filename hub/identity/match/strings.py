"""Spelling: folding to plain letters, how far two words are apart, and how a word sounds."""

import unicodedata
from functools import lru_cache

from rapidfuzz.distance import OSA

_apart = OSA.distance
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


def distance(a: str, b: str, limit: int) -> int:
    """Letters to insert, drop, replace, or swap with the next one, to turn a into b; limit + 1 for anything above.

    Optimal string alignment: no letter is touched twice.
    """
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    return _apart(a, b, score_cutoff=limit)


def near(a: str, b: str) -> int:
    """0 the same, 1 one slip, 2 two slips in a word long enough to bear them, 3 another word."""
    if a == b:
        return 0
    more = len(a) - len(b)
    longest = len(a) if more > 0 else len(b)
    limit = 2 if longest >= 5 else 1
    if longest < 3 or more > limit or -more > limit:
        return 3
    found = _apart(a, b, score_cutoff=limit)
    return 3 if found > limit else found


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
