"""Names of organizations: legal forms told from the name, numbers and abbreviations in one spelling, and how alike two names are."""

from functools import lru_cache
from importlib.resources import files

from hub.identity.match.alike import likeness, words_cost
from hub.identity.match.scripts import latin
from hub.identity.match.strings import fold

# What is a legal form in front of a name, and wherever it stands; all others are one behind the name only ("SAS Institute").
_FRONT_WORDS = "ooo oao zao pao ao ojsc pjsc cjsc jsc llc tov uab sia pt ano ab"
_FRONT = frozenset(_FRONT_WORDS.split())
_ANYWHERE_WORDS = "inc incorporated llc ltd limited plc corp corporation gmbh aktiengesellschaft ooo oao sarl srl bv nv sro pty pte llp"
_ANYWHERE = frozenset(_ANYWHERE_WORDS.split())
_SMALL_WORDS = "the and of for de da la le les el los der die das du des et y und e"
_SMALL = frozenset(_SMALL_WORDS.split())
# Scripts that write no blanks.
_GLUED = ("有限责任公司", "股份有限公司", "有限公司", "株式会社", "合同会社", "주식회사")
_IN_FULL = {
    "intl": "international", "mfg": "manufacturing", "bros": "brothers", "natl": "national", "dept": "department", "univ": "university",
    "govt": "government", "mgmt": "management", "grp": "group", "hldgs": "holdings", "svcs": "services", "org": "organization",
    "assoc": "associates", "assn": "association", "organisation": "organization",
}  # fmt: skip
_ONE_WORDS = "one two three four five six seven eight nine ten eleven twelve"
_ONES = {word: str(n) for n, word in enumerate(_ONE_WORDS.split(), 1)}
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: str(n * 10) for n, word in enumerate(_TEN_WORDS.split(), 2)}
_ROMAN_WORDS = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv"
_ROMAN = {word: str(n) for n, word in enumerate(_ROMAN_WORDS.split(), 1)}
_LETTER_NUMBERS = frozenset("ivx")

_EVEN = 2.7  # the cost, in bits, at which two ways to write a name are as often two organizations' as one's
_LEFT_OUT = 1.5
_OTHER_KIND, _OTHER_FORM, _NO_FORM = 4.0, 0.7, 0.1  # a GmbH and an AG; an AG and an SA; one that does not say
_OTHER_NUMBER, _NO_NUMBER = 2.5, 4.0
_LONGEST = 200  # characters of a name that are read


@lru_cache(maxsize=1)
def _forms() -> dict[tuple[str, ...], tuple[str, str]]:
    """Words of a legal form -> (kind of company, form). One line of the file: kind, then all spellings of one form."""
    text = (files("hub.identity.match") / "data" / "legal_forms.txt").read_text("utf-8")
    found = {}
    for line in text.splitlines():
        kind, _, spellings = line.partition(" ")
        form, *others = spellings.split(", ")
        found.update({tuple(spelt.split()): (kind.strip("-"), form) for spelt in (form, *others)})
    return found


@lru_cache(maxsize=50_000)
def company(given: str) -> str:
    """What is left of a company's name without legal forms and small words, numbers as digits: "The I.B.M. Two Corp." -> "ibm 2"."""
    while (core := " ".join(_read(given)[0])) != given:  # what was between two letters may have gone: I the B is IB
        given = core
    return core


def similarity(a: str, b: str) -> float:
    """How alike two names of organizations are written, from 0 to 1. Above 0.5 they are rather two spellings of one name than two names.

    Another number (Fund III, Fund IV) is a small difference in writing and a large one in fact: whoever joins by it asks `company` too.
    """
    (mine, forms_a, all_a), (theirs, forms_b, all_b) = _read(a[:_LONGEST]), _read(b[:_LONGEST])
    if not mine or not theirs:
        return 0.0
    cost = _forms_cost(forms_a, forms_b)
    if all_a == all_b or (mine != theirs and "".join(mine) == "".join(theirs)):
        return likeness(cost, _EVEN)
    if mine != theirs:
        numbers_a, numbers_b = ([w for w in words if w.isdigit()] for words in (mine, theirs))
        words_a, words_b = (tuple(w for w in words if not w.isdigit()) for words in (mine, theirs))
        if numbers_a != numbers_b:
            other_a, other_b = (len(set(x).difference(y)) for x, y in ((numbers_a, numbers_b), (numbers_b, numbers_a)))
            cost += _OTHER_NUMBER * min(other_a, other_b) + _NO_NUMBER * abs(other_a - other_b)
        if words_a or words_b:
            cost += words_cost(words_a, words_b, _LEFT_OUT)[0]
    return likeness(cost, _EVEN)


def _forms_cost(a: frozenset[tuple[str, str]], b: frozenset[tuple[str, str]]) -> float:
    if a == b:
        return 0.0
    kinds_a, kinds_b = {kind for kind, _ in a if kind}, {kind for kind, _ in b if kind}
    if not kinds_a or not kinds_b:
        return _NO_FORM
    return _OTHER_KIND if kinds_a.isdisjoint(kinds_b) else _OTHER_FORM if a.isdisjoint(b) else _NO_FORM


@lru_cache(maxsize=50_000)
def _read(given: str) -> tuple[tuple[str, ...], frozenset[tuple[str, str]], str]:
    """The words of the name, its legal forms, and all letters in one."""
    text = fold(latin(given))
    for glued in _GLUED:
        text = text.removesuffix(glued).removeprefix(glued) or text
    words = _letters_joined(text.split())
    whole = "".join(words)
    words, forms = _without_forms(words)
    return tuple(_plain(words)), frozenset(forms), whole


def _letters_joined(words: list[str]) -> list[str]:
    """I B M -> ibm; a letter in front of a form at the end keeps apart: "Fund V L.P." -> "fund v lp", "Triple P N.V." -> "triple p nv"."""
    out: list[str] = []
    run = ""
    for word in (*words, ""):
        if len(word) == 1 and word.isalpha():
            run += word
            continue
        if run:
            at_end = bool(out) and not word and len(run) == 3 and run != "usa"
            is_two = at_end and (run[1:],) in _forms() and (run,) not in _forms()
            out += [run[0], run[1:]] if is_two else [run]
        run = ""
        out.append(word)
    return out[:-1]


def _without_forms(words: list[str]) -> tuple[list[str], set[tuple[str, str]]]:
    """Take legal forms off both ends until none is left; one word always stays."""
    known, found, longest = _forms(), set[tuple[str, str]](), 8
    cut = True
    while cut and len(words) > 1:
        cut = False
        for n in range(min(longest, len(words) - 1), 0, -1):
            if form := known.get(tuple(words[-n:])):
                words = words[:-n]
            elif (n > 1 or words[0] in _FRONT) and (form := known.get(tuple(words[:n]))):
                words = words[n:]
            else:
                continue
            found.add(form)
            cut = True
            break
        else:
            if found and words[-1] in _SMALL:
                words, cut = words[:-1], True
    inside = [w for w in words if w in _ANYWHERE]
    if inside and len(inside) < len(words):
        found.update(known[(w,)] for w in inside)
        words = [w for w in words if w not in _ANYWHERE]
    return words, found


def _plain(words: list[str]) -> list[str]:
    """Small words left out, abbreviations in full, numbers as digits; Roman ones behind the name only, single letters at its end."""
    kept = [w for w in words if w not in _SMALL] or words
    out: list[str] = []
    for at, word in enumerate(kept):
        is_last = at == len(kept) - 1
        word = _IN_FULL.get(word, word)
        if at and word in _ROMAN and (len(word) > 1 or (is_last and word in _LETTER_NUMBERS)):
            word = _ROMAN[word]
        word = _ONES.get(word) or _TENS.get(word) or word
        if out and word.isdigit() and len(word) == 1 and out[-1] in _TENS.values():
            out[-1] = out[-1][0] + word
        else:
            out.append(word)
    return out
