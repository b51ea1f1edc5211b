"""Names of people: taken apart, and compared by what people do to names (shorten, abbreviate, swap, mistype)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from hub.identity.match.strings import fold, near

_TITLES_WORDS = (
    "mr mrs ms miss mx dr prof professor sir dame lord lady rev reverend fr father hon herr frau dipl ing mag don dona sr sra "
    "srta mme mlle monsieur madame baron baroness count countess earl duke duchess viscount captain capt major maj general gen "
    "colonel col lieutenant lt sergeant sgt admiral judge bishop saint"
)
_TITLES = frozenset(_TITLES_WORDS.split())
_BEHIND_WORDS = "jr sr snr jnr ii iii iv phd md mba esq esquire bsc msc ba ma cpa obe mbe cbe bt baronet dds dvm rn pe"
_BEHIND = frozenset(_BEHIND_WORDS.split())
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
    aside = " ".join(part for found in _ASIDE.findall(full) for part in found if part)
    text = _ASIDE.sub(" ", full)
    text, *company = _JOINS.split(text, maxsplit=1)
    family_part, comma, given_part = text.partition(",")
    if comma and fold(given_part) and set(fold(given_part).split()) <= _BEHIND:
        text, comma = family_part, ""
    if comma:
        return parts(given_part, family_part, aside or " ".join(company))
    return _from_words(_words(text), aside or " ".join(company))


def parts(first: str, last: str, company: str = "") -> Name:
    """A name that came in parts. A whole name put into one of the two fields is split; so is "Last, First"."""
    if not last.strip() or not first.strip():
        whole = first or last
        if "," in whole:
            return split(whole)
        words = _words(whole)
        if len(words) != 1:
            return _from_words(words, company)
        return Name(family=words[0], company=company) if last.strip() else Name(given=words[0], company=company)
    given, family = _words(first), _words(last)
    return Name(given[0] if given else "", tuple(given[1:]), " ".join(family).replace(" ", ""), company)


def _words(text: str) -> list[str]:
    words = fold(text).split()
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    while len(words) > 2 and words[-1] in _BEHIND:
        words = words[:-1]
    return words


def _from_words(words: list[str], company: str) -> Name:
    if len(words) < 2:
        return Name(given=words[0] if words else "", company=company)
    at = len(words) - 1
    while at > 1 and words[at - 1] in _PARTICLES:
        at -= 1
    return Name(words[0], tuple(words[1:at]), "".join(words[at:]), company)


@lru_cache(maxsize=1)
def _short_forms() -> dict[str, frozenset[str]]:
    text = (files("hub.identity.match") / "data" / "nicknames.txt").read_text("utf-8")
    return {line.split()[0]: frozenset(line.split()[1:]) for line in text.splitlines()}


def is_nickname(a: str, b: str) -> bool:
    """Whether one is a short form of the other. Not of a third: Chris is Christopher and Christina."""
    short = _short_forms()
    return b in short.get(a, ()) or a in short.get(b, ())


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
    shorter, longer = sorted((a, b), key=len)
    return "beginning" if len(shorter) >= 3 and longer.startswith(shorter) else "other"


def family_level(a: str, others_a: tuple[str, ...], b: str, others_b: tuple[str, ...]) -> str:
    """How two last names agree; a double name may have lost a part."""
    if a == b:
        return "same"
    if len(a) == 1 or len(b) == 1:
        return "initial" if a[0] == b[0] else "other"
    found = near(a, b)
    if found < 3:
        return "slip" if found == 1 else "alike"
    if a in others_b or b in others_a:
        return "other name"
    shorter, longer = sorted((a, b), key=len)
    return "part" if len(shorter) >= 4 and (longer.startswith(shorter) or longer.endswith(shorter)) else "other"
