"""What forbids a join whatever the weight, and what makes one need a person."""

from collections import Counter
from collections.abc import Set
from functools import lru_cache

from hub.identity import normal
from hub.identity.match.alike import is_nickname, is_short_initial
from hub.identity.match.fields import COMPARE, STRONG, Reading, company_level
from hub.identity.match.model import Model, Settings
from hub.identity.match.names import GENERATIONS
from hub.identity.match.profile import Profile
from hub.identity.match.profile import weights as weights_of
from hub.identity.match.values import phone_level

_UNKNOWN, _COMMON = 3, 50  # records with a slip of a name at most, and how many times more have the name at least
Different = Set[frozenset[str]]  # pairs of record ids that a person called two entities
TWO_IDS = "two ids of one tool"
_OWN = frozenset({"born", "postcode", "address"})  # narrower than a town or an employer
# Agreement on these, one of each, is what two independent grounds means; place fields are one ground together.
_GROUNDS = {"name": "name", "born": "born", "city": "place", "postcode": "place", "address": "place", "company": "company",
            "employer": "employer", "email": "email", "phone": "phone", "number": "number"}  # fmt: skip


def veto(a: Profile, b: Profile, different: Different = frozenset()) -> str:
    """Why these two are not one entity, in words; "" if nothing forbids it. TWO_IDS: nothing but that does.

    What only that stands against may be a tool's own duplicates: worth showing to a person.
    """
    if different and any(frozenset((x, y)) in different for x in a.records for y in b.records):
        return "a person said they are different"
    return _contradiction(a, b) or (TWO_IDS if a.holders & b.holders else "")


def _contradiction(a: Profile, b: Profile) -> str:
    shares = {f for f in ("email", "number", "born") if _equal(a, b, f)} | ({"phone"} if _is_one_line(a, b) else set())
    if not shares - {"phone"} and _companies_conflict(a, b):
        return "other companies, whatever telephone and address they share"
    if not _names_conflict(a, b):
        return ""
    if shares == {"phone"}:
        return "other first names on one telephone"
    if "email" not in shares and _company_domains(a) & _company_domains(b):
        return "other first names in one company's mailboxes"
    return "other first names on one shared mailbox" if not shares and a.mailboxes & b.mailboxes else ""


def _equal(a: Profile, b: Profile, name: str) -> bool:
    return not a.values.get(name, {}).keys().isdisjoint(b.values.get(name, {}))


def _is_one_line(a: Profile, b: Profile) -> bool:
    """One telephone, of which one side may not say the country."""
    mine, theirs = a.values.get("phone", ()), b.values.get("phone", ())
    return any(phone_level(x, y) in ("same", "national") for x in mine for y in theirs)


def _names_conflict(a: Profile, b: Profile) -> bool:
    """Every name of the one conflicts with every name of the other; a mailbox's name stands in where there is none."""
    mine, theirs = _in_full(a), _in_full(b)
    if mine and theirs:
        return all(_are_other_names(x, y) for x in mine for y in theirs)
    found = a.values.get("handle"), b.values.get("handle")
    if found[0] and found[1]:
        return all(_is_other_handle(reading) for x in found[0] for y in found[1] for reading in COMPARE["handle"](x, y))
    return False


@lru_cache(maxsize=100_000)
def _are_other_names(x: str, y: str) -> bool:
    return all(is_conflict(reading) for reading in COMPARE["name"](x, y))


def _in_full(p: Profile) -> list[str]:
    """The names, without those that give no more than an initial of what another one gives in full."""
    found = list(p.values.get("name", ()))
    full = [n for n in found if n.find("|") > 1]
    if len(full) in (0, len(found)):
        return found
    letters = {word[0] for n in full for word in n.replace("|", " ").split()}
    return full + [n for n in found if n.find("|") <= 1 and n[0] not in letters]


def is_conflict(reading: Reading) -> bool:
    """Another last name is no conflict (people marry), unless the names must be swapped for the first ones to agree."""
    found = {part: (level, x, y) for part, level, x, y in reading}
    given, x, y = found.get("given", ("", "", ""))
    family, last_x, last_y = found.get("family", ("", "", ""))
    if family == "other" and found.get("order", ("", "", ""))[0] == "swapped":
        return not is_nickname(last_x, last_y)  # the last name of the one beside the first one of the other
    if given == "alike" and max(len(x), len(y)) <= 6:
        return True
    if given == "other" and not _may_be_called(x, y):
        return True
    if "middle" in found and _are_generations(*found["middle"][1:]):
        return True
    return family == "other" and given in ("other name", "alike", "slip", "other")


def _may_be_called(x: str, y: str) -> bool:
    """Whether one may be short for the other, though no list has it: Topher is Christopher's end, B. is William, called Bill."""
    shorter, longer = sorted((x, y), key=len)
    return is_short_initial(shorter, longer) if len(shorter) == 1 else len(shorter) > 3 and longer.endswith(shorter)


def _are_generations(x: str, y: str) -> bool:
    """Father and son, told apart by what stands behind the name."""
    mine, theirs = (GENERATIONS.intersection(names.split()) for names in (x, y))
    return bool(mine and theirs) and mine != theirs


def _is_other_handle(reading: Reading) -> bool:
    return any(level == "other" for _, level, _, _ in reading)


def _companies_conflict(a: Profile, b: Profile) -> bool:
    """No name of the one organization has a word in common with one of the other: neighbours, tenants, a branch."""
    mine, theirs = a.values.get("company"), b.values.get("company")
    if not mine or not theirs:
        return False
    return all(company_level(x, y) == "other" for x in mine for y in theirs)


def _thin(model: Model, weights: dict[str, float], a: Profile, b: Profile) -> set[str]:
    """What is no ground beside a name that agrees no better than it does: a mailbox that is nearly the same at another host, a
    telephone, an employer or a town of people whose first names are only nearly the same (brother and sister)."""
    found = set()
    is_full = _is_full_agreement(model, a, b)
    hosts = [{e.rpartition("@")[2] for e in p.values.get("email", ())} for p in (a, b)]
    if not _equal(a, b, "name") or not hosts[0] & hosts[1]:
        found.add("email")
    if not is_full or not _equal(a, b, "employer"):
        found.add("employer")
    if not is_full and max(weights.get("address", 0.0), weights.get("postcode", 0.0)) <= 1.0:
        found.add("place")
    if not is_full or not _is_one_line(a, b):
        found.add("phone")
    return found


def _is_full_agreement(model: Model, a: Profile, b: Profile) -> bool:
    """First and last name agree, or the mailbox of the one is called after both names of the other, who gives none."""
    if "name" in a.values and "name" in b.values:
        return any(
            _is_full(model, reading) for x in _in_full(a) for y in _in_full(b) for reading in COMPARE["name"](x, y)
        )
    handles = a.values.get("handle", ()), b.values.get("handle", ())
    readings = (r for x in handles[0] for y in handles[1] for r in COMPARE["handle"](x, y) if r)
    return any(level in ("same", "full") for ((_, level, _, _),) in readings)


def _is_full(model: Model, reading: Reading) -> bool:
    levels = {part: level for part, level, _, _ in reading}
    if levels.get("family") not in ("same", "slip"):
        return False
    given = levels.get("given")
    return given in ("same", "nickname", "initial") or (
        given == "slip" and any(_is_mistyped(model, x, y) for part, _, x, y in reading if part == "given")
    )


def _is_mistyped(model: Model, x: str, y: str) -> bool:
    """Whether one is all but unknown where the other is common: Danial beside Daniel, and not Daniela."""
    counts = model.counts.values.get("given", Counter[str]())
    few, many = sorted((counts[x], counts[y]))
    return few <= _UNKNOWN and many >= _COMMON * max(few, 1)


def _contradicted(weights: dict[str, float], a: Profile, b: Profile) -> str:
    """What tells two apart who share a name and no more than where they live or work; "" if nothing does."""
    for name in ("occupation", "city"):
        if weights.get(name, 0.0) < -1.0:
            return f"another {name}"
    if weights.get("email", 0.0) < 0 and all(_private(p) for p in (a, b)):
        return "two private mailboxes"
    return ""


def apart(model: Model, a: Profile, b: Profile, middle: Profile) -> bool:
    """Whether two cannot both be `middle`, which is like each in name and circumstances: A. Berg is Anna or Alex, not both."""
    found = weights_of(model, a, b)
    if _two_mailboxes(found, a, b) or _contradicted(found, a, b):
        return True
    return all(name.find("|") == 1 for name in _in_full(middle)) and _names_conflict(a, b)


def is_by_circumstance(weights: dict[str, float]) -> bool:
    """Whether two people are alike in name, and in no address, number or line, no birthday and no street."""
    return "name" in weights and not _agree(weights, STRONG | _OWN)


def _agree(weights: dict[str, float], fields: Set[str]) -> bool:
    return any(weights.get(f, 0.0) > 1.0 for f in fields)


def _two_mailboxes(weights: dict[str, float], a: Profile, b: Profile) -> bool:
    return weights.get("email", 0.0) < 0 and bool(_company_domains(a) & _company_domains(b))


def _private(a: Profile) -> set[str]:
    return {e for e in a.values.get("email", ()) if e.rpartition("@")[2] in normal.free_domains()}


def _other_employers(a: Profile, b: Profile) -> bool:
    mine, theirs = _company_domains(a), _company_domains(b)
    return bool(mine and theirs) and not mine & theirs and not _equal(a, b, "employer")


def _company_domains(a: Profile) -> set[str]:
    return {d for e in a.values.get("email", ()) if (d := e.rpartition("@")[2]) not in normal.free_domains()}


def over_limit(a: Profile, b: Profile, settings: Settings) -> str:
    """Which limit one entity of both would break; "" if none."""
    for name, most in (("email", settings.most_emails), ("phone", settings.most_phones)):
        if len(a.values.get(name, {}).keys() | b.values.get(name, {}).keys()) > most:
            return f"more than {most} of {name}"
    return (
        f"more than {settings.most_records} records" if len(a.records) + len(b.records) > settings.most_records else ""
    )


def grounds(model: Model, weights: dict[str, float], a: Profile, b: Profile) -> str:
    """Why the agreement is too thin to act on alone; "" if a strong key or two independent grounds carry it.

    Strong keys are an address or a number. Who share a telephone share the place where it stands: those are one ground. A
    company gives namesakes two mailboxes, and one person one. A town or an employer is a ground beside one full name where
    nothing else that both have speaks against it. Few records do not tell which names are common: there it is none.
    """
    if any(_equal(a, b, f) for f in STRONG - {"phone"}):
        return "other names on one address" if _names_conflict(a, b) else ""
    if "name" in weights and _names_conflict(a, b):
        return "other first names"
    if _two_mailboxes(weights, a, b):
        return "two mailboxes in one company"
    agree = {_GROUNDS[f] for f, w in weights.items() if w > 1.0 and f in _GROUNDS}
    if "name" not in weights and weights.get("handle", 0.0) > 1.0 and _is_full_agreement(model, a, b):
        agree.add("name")
    if "name" in agree:
        agree -= _thin(model, weights, a, b)
        if "phone" in agree and _other_employers(a, b):
            return "other employers on one telephone"
        if weights.get("born", 0.0) < -1.0:
            return "another birthday"
        is_rare = model.total(weights) >= 2 * model.settings.auto
        is_more = is_rare or any(weights.get(f, 0.0) > 1.0 for f in ("city", "occupation", "email", "phone"))
        if agree <= {"name", "employer"} and not is_more:
            agree.discard("employer")  # a company has namesakes, of rare names fewer
        is_loose = agree <= {"name", "place", "employer"} and not _agree(weights, _OWN)
        if is_loose and (reason := _contradicted(weights, a, b)):
            return reason
    elif "place" in agree:
        agree.discard("employer")  # who work together work in one town
    is_line_alone = "phone" in agree and "company" not in weights
    if is_line_alone or ("name" in agree and model.counts.records < model.settings.few):
        agree -= {"place", "employer"}
    return "" if len(agree) > 1 else "one ground alone: " + (next(iter(sorted(agree)), "nothing"))
