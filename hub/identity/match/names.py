"""Names of people: taken apart, and compared by what people do to names (shorten, abbreviate, swap, mistype)."""

import re
from dataclasses import dataclass
from functools import lru_cache

from hub.identity.match.alike import CONTRADICTION, by_ear, likeness, words_cost
from hub.identity.match.alike import is_nickname as is_nickname
from hub.identity.match.scripts import family_first, latin
from hub.identity.match.strings import fold, near

_TITLES_WORDS = (
    "mr mrs ms miss mx dr prof professor sir dame lord lady rev reverend fr father hon herr frau dipl ing mag don dona sr sra "
    "srta mme mlle monsieur madame baron baroness count countess earl duke duchess viscount captain capt major maj general gen "
    "colonel col lieutenant lt sergeant sgt admiral judge bishop saint "
    "president prasident minister senator sheikh shaikh shaykh haji hajji mullah"
)
_TITLES = frozenset(_TITLES_WORDS.split())
_BEHIND_WORDS = "jr sr snr jnr junior senior ii iii iv phd md mba esq esquire bsc msc ba ma cpa obe mbe cbe bt baronet dds dvm rn pe"
_BEHIND = frozenset(_BEHIND_WORDS.split())
_GENERATIONS = {
    "jr": "jr",
    "jnr": "jr",
    "junior": "jr",
    "sr": "sr",
    "snr": "sr",
    "senior": "sr",
    "ii": "ii",
    "iii": "iii",
    "iv": "iv",
}
GENERATIONS = frozenset(_GENERATIONS.values())  # kept among the middle names
_PARTICLES_WORDS = "de da do dos das del della di du la le van von der den ten ter zu zum al el bin ibn st mac mc"
_PARTICLES = frozenset(_PARTICLES_WORDS.split())
_ASIDE = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]|\"([^\"]*)\"")
_JOINS = re.compile(r"\s+(?:via|from|at|@|\||-)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Name:
    """All folded. given: first name; middle: further ones; family: last name, particles joined; company: what stood aside."""

    given: str = ""
    middle: tuple[str, ...] = ()
    family: str = ""
    company: str = ""

    @property
    def key(self) -> str:
        """One string for one name: what is compared, counted and stored."""
        return f"{self.given}|{' '.join(self.middle)}|{self.family}" if self.given or self.family else ""


@lru_cache(maxsize=50_000)
def split(full: str) -> Name:
    """A whole name: "First Last", "Last, First", "Name (Company)", "Name via Company", with titles and letters behind."""
    if (alone := family_first(full)) != ("", ""):
        return Name(alone[1], (), alone[0])
    aside = " ".join(part for found in _ASIDE.findall(full) for part in found if part)
    text = _ASIDE.sub(" ", full)
    text, *company = _JOINS.split(text, maxsplit=1)
    family_part, comma, given_part = text.partition(",")
    if comma and fold(given_part) and set(fold(given_part).split()) <= _BEHIND:
        text, comma = family_part, ""
    if comma:
        return parts(given_part, family_part, aside or " ".join(company))
    return _from_words(_words(text), aside or " ".join(company), _generation(full))


def _generation(full: str) -> tuple[str, ...]:
    """Which of the family's bearers of one name it is, as told behind it: "jr" of "Ana Ruiz, Junior"."""
    words = fold(full).split()
    return tuple(_GENERATIONS[w] for w in words[2:] if w in _GENERATIONS)[:1]


def parts(first: str, last: str, company: str = "") -> Name:
    """A name that came in parts. A whole name put into one of the two fields is split; so is "Last, First"."""
    if not last.strip() or not first.strip():
        whole = first or last
        if "," in whole or family_first(whole) != ("", ""):
            return split(whole)
        words = _words(whole)
        if len(words) != 1:
            return _from_words(words, company)
        return Name(family=words[0], company=company) if last.strip() else Name(given=words[0], company=company)
    given, family = _words(first), _words(last)
    return Name(given[0] if given else "", tuple(given[1:]), " ".join(family).replace(" ", ""), company)


def _words(text: str) -> list[str]:
    words = fold(latin(text)).split()
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    while len(words) > 2 and words[-1] in _BEHIND:
        words = words[:-1]
    return words


def _from_words(words: list[str], company: str, generation: tuple[str, ...] = ()) -> Name:
    if len(words) < 2:
        return Name(given=words[0] if words else "", company=company)
    at = len(words) - 1
    while at > 1 and words[at - 1] in _PARTICLES:
        at -= 1
    return Name(words[0], (*words[1:at], *generation), "".join(words[at:]), company)


def given_level(a: str, others_a: tuple[str, ...], b: str, others_b: tuple[str, ...]) -> str:
    """How two first names agree; the other given names may stand in for them."""
    if a == b:
        return "same"
    if len(a) == 1 or len(b) == 1:
        return "initial" if a[0] == b[0] else "other"
    found = near(a, b)
    if found == 1:
        return "slip"
    if is_nickname(a, b):
        return "nickname"
    if found == 2:
        return "alike"
    if a in others_b or b in others_a:
        return "other name"
    shorter, longer = (a, b) if len(a) <= len(b) else (b, a)
    return "beginning" if len(shorter) >= 3 and longer.startswith(shorter) else "other"


def family_level(a: str, others_a: tuple[str, ...], b: str, others_b: tuple[str, ...]) -> str:
    """How two last names agree; a double name may have lost a part."""
    if a == b:
        return "same"
    if len(a) == 1 or len(b) == 1:
        return "initial" if a[0] == b[0] else "other"
    found = near(a, b)
    if found == 1 or (found > 1 and by_ear(a) == by_ear(b)):
        return "slip"
    if found == 2:
        return "alike"
    if a in others_b or b in others_a:
        return "other name"
    shorter, longer = (a, b) if len(a) <= len(b) else (b, a)
    return "part" if len(shorter) >= 4 and (longer.startswith(shorter) or longer.endswith(shorter)) else "other"


_EVEN = 4.4  # the cost, in bits, at which two ways to write a name are as often two people's as one's
_LEFT_OUT = 1.0
_ONE_WORD = 3.0  # only one word agrees, and one name has more
_LONGEST = 200  # characters of a name that are read
_SILENT_WORDS = (
    "al el ul ud ad as an ur ar bin ben ibn bint de da do dos das del della di du la le van von der den zu y e und na"
)
_SILENT = frozenset(_SILENT_WORDS.split())
_SON_OF = frozenset({"bin", "ben", "ibn", "bint"})
_SERVANT = re.compile(r"abd(?:[aeu]l)?")
_SERVANT_OF = re.compile(r"abd[aeu]l(.{3,})")
_AS_LETTERS = str.maketrans("0134579", "oieastg")


def similarity(a: str, b: str) -> float:
    """How alike two names of people are written, from 0 to 1: whole names, in any order, any of the scripts that `scripts` reads.

    Above 0.5 they are rather two spellings of one name than two names. Whose name it is is another question: namesakes have 1.
    """
    (mine, sons_a, signs_a), (theirs, sons_b, signs_b) = _read(a[:_LONGEST]), _read(b[:_LONGEST])
    if not mine or not theirs:
        return 0.0
    if signs_a and signs_b:  # each sign is a word: 王伟 and 王维 are two names, though one in Latin letters
        return 1.0 if signs_a == signs_b else likeness(CONTRADICTION, _EVEN)
    if mine == theirs and sons_a == sons_b:
        return 1.0
    cost, found = words_cost(mine, theirs, _LEFT_OUT)
    if found == 1 and len(mine) != len(theirs):
        cost += _ONE_WORD
    if cost and "".join(mine) == "".join(theirs):
        cost = 0.0
    if sons_a and sons_b and sons_a != sons_b and not sons_a.isdisjoint(theirs) and not sons_b.isdisjoint(mine):
        cost += CONTRADICTION  # a son of b, and b son of a
    return likeness(cost, _EVEN)


@lru_cache(maxsize=50_000)
def _read(full: str) -> tuple[tuple[str, ...], frozenset[str], str]:
    """The words of a name that count, those that follow "son of", and its signs where it is written in Chinese or Korean ones alone."""
    family, given = family_first(full)
    if family:
        return (given, family), frozenset(), "".join(full.split())
    found: list[str] = []
    sons: set[str] = set()
    servant = is_son = False
    words = _words(full)
    for word in words:
        if not word.isalpha() and not word.isdigit():
            word = word.translate(_AS_LETTERS)
        if _SERVANT.fullmatch(word) and word is not words[-1]:
            servant = True
        elif word in _SILENT:
            is_son = is_son or word in _SON_OF
        else:
            found.append(f"abd{word}" if servant else _SERVANT_OF.sub(r"abd\1", word))
            if is_son:
                sons.add(found[-1])
            servant = is_son = False
    return tuple(dict.fromkeys(found)) or tuple(words), frozenset(sons), ""
