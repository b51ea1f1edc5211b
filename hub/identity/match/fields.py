"""What is compared: the fields of a record, the levels on which two values can agree, and what agreement is expected.

A field compares two values into steps (part, level, left, right): `part` names what was compared, `level` how well it agrees;
how often the values left and right occur decides how much that says ("" where frequency plays no part).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hub.identity import normal
from hub.identity.match import names, values
from hub.identity.match.strings import distance, near

Step = tuple[str, str, str, str]  # part, level, value on the left, value on the right
Reading = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """levels: how often two records of ONE entity agree so (shares, summing to 1), before anything was learnt.

    shared: of the pairs that have the same value, the share that are two entities all the same (1: it says no more than
    its frequency; .05: whoever has it is nearly always the same).
    """

    levels: dict[str, float]
    shared: float = 1.0


PARTS: dict[str, Part] = {
    "given": Part({"same": 0.70, "nickname": 0.06, "initial": 0.04, "slip": 0.06, "alike": 0.02, "other name": 0.02,
                   "beginning": 0.02, "other": 0.08}),
    "family": Part({"same": 0.80, "initial": 0.01, "slip": 0.06, "alike": 0.03, "part": 0.01, "other name": 0.01, "other": 0.08}),
    "order": Part({"straight": 0.97, "swapped": 0.03}),
    "middle": Part({"same": 0.6, "initial": 0.1, "alike": 0.1, "other": 0.2}),
    "email": Part({"same": 0.62, "slip": 0.06, "local part": 0.04, "other": 0.28}, shared=0.01),
    "handle": Part({"same": 0.3, "full": 0.3, "initial": 0.1, "slip": 0.1, "other": 0.2}),
    "phone": Part({"same": 0.62, "national": 0.06, "slip": 0.04, "other": 0.28}, shared=0.2),
    "number": Part({"same": 0.85, "slip": 0.08, "other": 0.07}, shared=0.02),
    "born": Part({"same": 0.75, "slip": 0.12, "day and month swapped": 0.01, "two parts": 0.04, "year": 0.03, "close": 0.02,
                  "other": 0.03}, shared=0.8),
    "company": Part({"same": 0.6, "most": 0.2, "half": 0.1, "some": 0.05, "other": 0.05}, shared=0.5),
    "employer": Part({"same": 0.6, "slip": 0.1, "beginning": 0.05, "other": 0.25}),
    "city": Part({"same": 0.7, "slip": 0.08, "alike": 0.05, "part": 0.05, "other": 0.12}),
    "postcode": Part({"same": 0.65, "slip": 0.1, "area": 0.12, "other": 0.13}),
    "address": Part({"same": 0.5, "same words": 0.1, "most": 0.15, "half": 0.1, "part": 0.07, "other": 0.08}),
    "region": Part({"same": 0.9, "other": 0.1}),
    "occupation": Part({"same": 0.7, "part": 0.1, "other": 0.2}),
    "gender": Part({"same": 0.95, "other": 0.05}),
}  # fmt: skip


@lru_cache(maxsize=100_000)
def name_parts(key: str) -> tuple[str, tuple[str, ...], str]:
    """First name, middle names and last name of a `names.Name.key`."""
    given, middle, family = key.split("|")
    return given, tuple(middle.split()), family


def compare_names(a: str, b: str) -> Sequence[Reading]:
    """Two readings of a pair of names: as written, and with the first and the last name of one swapped."""
    (given_a, middle_a, family_a), (given_b, middle_b, family_b) = name_parts(a), name_parts(b)
    straight = (*_aligned(given_a, middle_a, family_a, given_b, middle_b, family_b), ("order", "straight", "", ""))
    if straight[0][1] == "same" or (len(straight) > 2 and straight[1][1] == "same"):
        return (straight,)
    swapped = _aligned(given_a, middle_a, family_a, family_b, middle_b, given_b)
    if any(level in ("same", "slip") for _, level, _, _ in swapped):
        return straight, (*swapped, ("order", "swapped", "", ""))
    return (straight,)


def _aligned(
    given_a: str, middle_a: tuple[str, ...], family_a: str, given_b: str, middle_b: tuple[str, ...], family_b: str
) -> Reading:
    steps: list[Step] = []
    if given_a and given_b:
        level = names.given_level(given_a, (*middle_a, family_a), given_b, (*middle_b, family_b))
        steps.append(("given", level, given_a, given_b))
    if family_a and family_b:
        level = names.family_level(family_a, middle_a, family_b, middle_b)
        steps.append(("family", level, family_a, family_b))
    if middle_a and middle_b:
        steps.append(("middle", middle_level(middle_a, middle_b), " ".join(middle_a), " ".join(middle_b)))
    return tuple(steps)


def middle_level(a: tuple[str, ...], b: tuple[str, ...]) -> str:
    if set(a) & set(b) - {w for w in a if len(w) == 1}:
        return "same"
    if any(x[0] == y[0] and 1 in (len(x), len(y)) for x in a for y in b):
        return "initial"
    return "alike" if any(near(x, y) < 3 or names.is_nickname(x, y) for x in a for y in b) else "other"


def email_level(a: str, b: str) -> str:
    """A name in front of the @ is the name's evidence and counted there; digits behind it are the mailbox's own.

    Nobody mistypes one free provider into another, or a letter and the number behind it at once.
    """
    if a == b:
        return "same"
    local_a, _, domain_a = a.rpartition("@")
    local_b, _, domain_b = b.rpartition("@")
    if domain_a == domain_b and local_a.translate(_FILLING) == local_b.translate(_FILLING):
        return "other"  # anna1@ and anna2@, a.berg@ and a_berg@: the second came when the first was taken
    limit, free = 3 if len(a) > 20 else 2, normal.free_domains()
    is_two_providers = domain_a != domain_b and domain_a in free and domain_b in free
    if not is_two_providers and not _other_numbers(local_a, local_b) and distance(a, b, limit) <= limit:
        return "slip"
    return "local part" if local_a == local_b and any(ch.isdigit() for ch in local_a) else "other"


def _other_numbers(a: str, b: str) -> bool:
    mine, theirs = ([ch for ch in local if ch.isdigit()] for local in (a, b))
    return mine != theirs


_FILLING = dict.fromkeys(map(ord, "0123456789._-"))


def compare_handles(a: str, b: str) -> Sequence[Reading]:
    """What stands before the @, and names: "anna berg" may be annaberg@, bergan@, aberg@ or anna.b@."""
    level = handle_level(a, b)
    if not level:
        return ((),)
    return ((("handle", level, b, a) if " " in b else ("handle", level, a, b),),)


def handle_level(a: str, b: str) -> str:
    """ "" of two names: they are compared as such."""
    if " " in b:
        a, b = b, a
    given, space, family = a.partition(" ")
    if not space:
        return "same" if a == b else "slip" if len(b) >= 6 and near(a, b) == 1 else "other"
    if " " in b:
        return ""
    if b in (given + family, family + given):
        return "full"
    if b in (given[0] + family, given + family[0], family + given[0]) and len(b) > 3:
        return "initial"
    return "slip" if len(b) >= 6 and near(given + family, b) == 1 else "other"


def employer_level(a: str, b: str) -> str:
    if a == b:
        return "same"
    if near(a, b) < 3:
        return "slip"
    shorter, longer = sorted((a, b), key=len)
    return "beginning" if len(shorter) >= 5 and longer.startswith(shorter) else "other"


def company_level(a: str, b: str) -> str:
    """Names of organizations, legal forms gone: how much of the shorter is in the longer, and of both in common."""
    if a == b or a.replace(" ", "") == b.replace(" ", ""):
        return "same"
    mine, theirs = a.split(), b.split()
    if {w for w in mine if w.isdigit()} ^ {w for w in theirs if w.isdigit()}:
        return "other"
    both = sum(any(near(w, v) <= 1 for v in theirs) for w in mine)
    share, least = both / max(len(mine), len(theirs)), both / min(len(mine), len(theirs))
    if share >= 0.75 or distance(a, b, 2) <= 2:
        return "most"
    initials = a == "".join(w[0] for w in theirs) or b == "".join(w[0] for w in mine)
    if share >= 0.5 or least == 1 or a.startswith(b) or b.startswith(a) or initials:
        return "half"
    return "some" if both else "other"


def occupation_level(a: str, b: str) -> str:
    return "same" if a == b else "part" if set(a.split()) & set(b.split()) else "other"


def equal_level(a: str, b: str) -> str:
    return "same" if a == b else "other"


def _single(part: str) -> Callable[[str, str], Sequence[Reading]]:
    level = LEVEL[part]
    return lambda a, b: (((part, level(a, b), a, b),),)


# Fields whose values are compared as a whole, in one way.
LEVEL: dict[str, Callable[[str, str], str]] = {
    "email": email_level, "phone": values.phone_level, "number": values.digits_level, "born": values.date_level,
    "gender": equal_level, "region": equal_level, "postcode": values.postcode_level, "employer": employer_level,
    "occupation": occupation_level, "city": values.word_level, "company": company_level, "address": values.address_level,
}  # fmt: skip
COMPARE: dict[str, Callable[[str, str], Sequence[Reading]]] = {
    "email": _single("email"),
    "phone": _single("phone"),
    "number": _single("number"),
    "born": _single("born"),
    "gender": _single("gender"),
    "handle": compare_handles,
    "region": _single("region"),
    "name": compare_names,
    "postcode": _single("postcode"),
    "employer": _single("employer"),
    "occupation": _single("occupation"),
    "city": _single("city"),
    "company": _single("company"),
    "address": _single("address"),
}
FIELDS = tuple(COMPARE)  # cheap and telling ones first
PARTS_OF = {"name": ("given", "family", "middle")}
# What is often equal together says little more than the strongest of it; who work together work in one town.
GROUPS: dict[str, str] = dict.fromkeys(("city", "postcode", "address", "region", "employer"), "place")
# What says nothing where another field of the two was compared already (True), or agreed (False).
IMPLIED = {"employer": {"email": False}, "handle": {"email": False, "name": True}}
# What need not be compared at all where both have one of these.
SPOKEN_FOR = {f: others for f, by in IMPLIED.items() if (others := tuple(o for o, always in by.items() if always))}
STRONG = frozenset({"email", "phone", "number"})
