"""How alike two lists of words are, as a cost in bits: what it takes to read one as a way to write the other.

Words find each other by what people do to them (mistype, shorten, spell by ear, run together), the cheapest way first. What is left on
both sides is a contradiction and costs most; what is left on one side was merely left out by the other.
"""

import re
from functools import lru_cache
from importlib.resources import files

from hub.identity.match.strings import distance

NEVER = 99.0
INITIAL = 2.0
ACRONYM = 2.0
BY_EAR = 0.5
SHORT_FORM = 2.0
BEGINNING = 4.0
SLIP = 8.0  # times the share of the word that is mistyped
MOST_SLIPS = 2  # in a word of more than five letters; one in three to five, none in two
RUN_TOGETHER = 0.7
CONTRADICTION = 6.0
NOTHING = 20.0  # no word of one is a word of the other
_MOST_WORDS = 16

# Different spellings of one sound, in the order in which they are replaced.
_SOUNDS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("ph", "f"), ("sch|sh|sz", "s"), ("tsch|tch|ch|cz", "c"), ("kh|gh", "h"), ("dj|dzh", "j"), ("zh", "j"), ("th", "t"),
        ("dh", "d"), ("ck|q", "k"), ("c(?=[^eiyh]|$)", "k"), ("w", "v"), ("ou|oo", "u"), ("ee|ie|ei|iy|y", "i"), ("tz|ts", "s"),
        ("x", "ks"), ("z", "s"), ("(?<=[bdgkprtv])h", ""), (r"(.)\1+", r"\1"),
    )
]  # fmt: skip


@lru_cache(maxsize=1)
def _short_forms() -> dict[str, frozenset[str]]:
    text = (files("hub.identity.match") / "data" / "nicknames.txt").read_text("utf-8")
    return {line.split()[0]: frozenset(line.split()[1:]) for line in text.splitlines()}


def is_nickname(a: str, b: str) -> bool:
    """Whether one is a short form of the other. Not of a third: Chris is Christopher and Christina."""
    short = _short_forms()
    return b in short.get(a, ()) or a in short.get(b, ())


def is_short_initial(letter: str, name: str) -> bool:
    """Whether a short form of the name begins so: B. may be William, who is called Bill."""
    return any(short.startswith(letter) for short in _short_forms().get(name, ()))


@lru_cache(maxsize=50_000)
def by_ear(word: str) -> str:
    """One spelling for words that are written differently in different languages: "mahmoud", "mahmood", "mahmud"."""
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    return word


@lru_cache(maxsize=50_000)
def word_cost(a: str, b: str) -> float:
    """The cost of reading one word as the other, in bits; NEVER for two different words."""
    if len(a) == 1 or len(b) == 1:
        return INITIAL if a[0] == b[0] else NEVER
    shorter, longer = (a, b) if len(a) <= len(b) else (b, a)
    longest = len(longer)
    if longest <= 2 * len(shorter):
        most = MOST_SLIPS if longest > 5 else 1 if longest > 2 else 0
        ear_a, ear_b = by_ear(a), by_ear(b)
        if ear_a == ear_b:
            return BY_EAR
        found = distance(ear_a, ear_b, most)
        if found <= most:
            return SLIP * found / longest
    if is_nickname(a, b):
        return SHORT_FORM
    return BEGINNING if len(shorter) >= 3 and longer.startswith(shorter) else NEVER


def words_cost(a: tuple[str, ...], b: tuple[str, ...], left_out: float) -> tuple[float, int]:
    """The cost of reading words a as words b, and how many found each other. left_out: of a word that one side leaves out."""
    a, b = a[:_MOST_WORDS], b[:_MOST_WORDS]
    mine, theirs = [w for w in a if w not in b], [w for w in b if w not in a]
    cost, found = 0.0, len(a) - len(mine)
    if mine and theirs:
        cost, pairs = _paired(mine, theirs)
        found += pairs
        if len(mine) != len(theirs):
            more, words = _run_together(mine, theirs) if len(mine) < len(theirs) else _run_together(theirs, mine)
            cost, found = cost + more, found + words
    if not found:
        return NOTHING, 0
    both = min(len(mine), len(theirs))
    return cost + CONTRADICTION * both + left_out * (max(len(mine), len(theirs)) - both), found


def _paired(mine: list[str], theirs: list[str]) -> tuple[float, int]:
    """Take the words that find each other out of both lists, the cheapest first."""
    ways = [(c, x, y) for x in mine for y in theirs if (c := word_cost(x, y)) < NEVER]
    if not ways:
        return 0.0, 0
    cost, before = 0.0, len(mine)
    for c, x, y in sorted(ways, key=lambda way: (way[0], *sorted(way[1:]))):
        if x in mine and y in theirs:
            mine.remove(x)
            theirs.remove(y)
            cost += c
    return cost, before - len(mine)


def _run_together(few: list[str], many: list[str]) -> tuple[float, int]:
    """Words of `few` that are several of `many` written as one, or their first letters."""
    cost, found = 0.0, 0
    for word in list(few):
        for n in range(2, min(len(many), len(word), 6) + 1):
            for at in range(len(many) - n + 1):
                if many[at][0] != word[0]:
                    continue
                one, initials = "".join(many[at : at + n]), "".join(w[0] for w in many[at : at + n])
                most = 2 if len(word) > 8 else 1 if len(word) > 4 else 0
                is_one = distance(word, one, most) <= most
                if is_one or word == initials:
                    cost += RUN_TOGETHER if is_one else ACRONYM
                    found += n
                    few.remove(word)
                    del many[at : at + n]
                    break
            else:
                continue
            break
    return cost, found


def likeness(cost: float, even: float) -> float:
    """1 for cost 0, falling; 0.5 at the cost `even`."""
    return float(2.0 ** (-cost / even))
