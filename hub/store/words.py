"""Texts as search knows them: without case and accents, in words. The same words in every database and every version.

A word is a run of letters and digits; each letter of a script that writes no spaces (Chinese, Japanese, Thai ...) is one.
Marks on letters go, what Unicode says is the same is the same ("ﬁ" "fi", "①" "1"), and "ø" is found as "o".
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST = 60  # letters; what is longer is known by its beginning

_OTHER = re.compile(r"[^\x00-\x7f]")
_LETTER = "0-9a-z\x80-\U0010ffff"  # of a folded text
_WORD = re.compile(f"[{_LETTER}]+")
_LATIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d", "ħ": "h"})
_MANY = 16  # different strange letters: from here on one pass is quicker than one for each
_ALONE = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip


class _Letters(dict[int, str]):
    """Code point -> what stands for it; filled as they are met."""

    def __missing__(self, code: int) -> str:
        found = self[code] = _folded(chr(code))
        return found


def _folded(char: str) -> str:
    if char.isascii():
        return char
    if "\uac00" <= char <= "\ud7a3":
        return char  # Hangul would fall apart into its letters
    whole = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold()).translate(_LATIN)
    return "".join(map(_part, whole))


def _part(char: str) -> str:
    kind = unicodedata.category(char)
    if kind[0] == "M" or (kind == "Cf" and char != "\u200b"):
        return ""  # marks, soft hyphens, joiners: within a word
    if char.isascii():
        return char
    if not char.isalnum():
        return " "
    return f" {char} " if any(first <= ord(char) <= last for first, last in _ALONE) else char


_LETTERS = _Letters()


def fold(text: str) -> str:
    """The text with nothing but ASCII and letters of other scripts in it. ASCII keeps its case."""
    if text.isascii():
        return text
    strange = set(_OTHER.findall(text))
    if len(strange) > _MANY:
        return text.translate(_LETTERS)
    for char in strange:
        text = text.replace(char, _LETTERS[ord(char)])
    return text


def words(text: str) -> list[str]:
    """Its words in order, in small letters."""
    return [w[:LONGEST] for w in _WORD.findall(fold(text).lower())]


def pattern(found: Sequence[str], is_begun: bool = False) -> "re.Pattern[str]":
    """Finds these words, one after the other, in a folded text of small letters. is_begun: of the last one the beginning."""
    told = [re.escape(w) + (f"[{_LETTER}]*" if len(w) >= LONGEST else "") for w in found]
    rest = f"[{_LETTER}]*" if is_begun else ""
    return re.compile(f"(?<![{_LETTER}]){f'[^{_LETTER}]+'.join(told)}{rest}(?![{_LETTER}])")


def places(text: str, patterns: Iterable["re.Pattern[str]"]) -> list[tuple[int, int]]:
    """Where they are in the text as it is: (begin, end), in order, none within another."""
    folded, origin = _with_origin(text)
    found: list[tuple[int, int]] = []
    for begin, end in sorted(hit.span() for one in patterns for hit in one.finditer(folded)):
        if not found or begin >= found[-1][1]:
            found.append((begin, end))
        else:
            found[-1] = found[-1][0], max(end, found[-1][1])
    return found if origin is None else [(origin[begin], origin[end - 1] + 1) for begin, end in found]


def _with_origin(text: str) -> tuple[str, list[int] | None]:
    """(folded, in small letters; for each of its letters the place in `text`, or None where that is the same)."""
    if text.isascii():
        return text.lower(), None
    letters: list[str] = []
    origin: list[int] = []
    for n, char in enumerate(text):
        stands = _LETTERS[ord(char)]
        letters.append(stands)
        origin += [n] * len(stands)
    return "".join(letters).lower(), origin
