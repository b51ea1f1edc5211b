"""What forbids a join whatever the weight, and what makes one need a person."""

from collections.abc import Set

from hub.identity import normal
from hub.identity.match.fields import COMPARE, STRONG, Reading, company_level
from hub.identity.match.model import Model, Settings
from hub.identity.match.names import GENERATIONS
from hub.identity.match.profile import Profile
from hub.identity.match.values import phone_level

Different = Set[frozenset[str]]  # pairs of record ids that a person called two entities
TWO_IDS = "two ids of one tool"
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
    for name, conflicts in (("name", is_conflict), ("handle", _is_other_handle)):
        mine, theirs = a.values.get(name), b.values.get(name)
        if mine and theirs:
            return all(conflicts(reading) for x in mine for y in theirs for reading in COMPARE[name](x, y))
    return False


def is_conflict(reading: Reading) -> bool:
    """Another last name is no conflict (people marry), unless the names must be swapped for the first ones to agree."""
    levels = {part: level for part, level, _, _ in reading}
    given, family = levels.get("given"), levels.get("family")
    short = given == "alike" and any(part == "given" and max(len(x), len(y)) <= 6 for part, _, x, y in reading)
    if given == "other" or short or any(_are_generations(x, y) for part, _, x, y in reading if part == "middle"):
        return True
    return family == "other" and (given in ("other name", "alike", "slip") or levels.get("order") == "swapped")


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


def _thin(weights: dict[str, float], a: Profile, b: Profile) -> set[str]:
    """What is no ground beside a name: a town without a street, a mailbox that is nearly the same at another host, a telephone
    of people whose first names are only nearly the same (brother and sister, mother and daughter)."""
    found = set()
    if max(weights.get("address", 0.0), weights.get("postcode", 0.0)) <= 1.0:
        found.add("place")
    is_full = any(
        _is_full_agreement(reading)
        for x in a.values.get("name", ())
        for y in b.values.get("name", ())
        for reading in COMPARE["name"](x, y)
    )
    hosts = [{e.rpartition("@")[2] for e in p.values.get("email", ())} for p in (a, b)]
    if not is_full or not hosts[0] & hosts[1]:
        found.add("email")
    if not _equal(a, b, "employer"):
        found.add("employer")
    if not is_full or not _equal(a, b, "phone"):
        found.add("phone")
    return found


def _is_full_agreement(reading: Reading) -> bool:
    levels = {part: level for part, level, _, _ in reading}
    return levels.get("given") in ("same", "nickname", "initial") and levels.get("family") in ("same", "slip")


def _other_employers(a: Profile, b: Profile) -> bool:
    mine, theirs = _company_domains(a), _company_domains(b)
    return bool(mine and theirs) and not mine & theirs


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
    company gives namesakes two mailboxes, and one person one. Few records do not tell which names are common in one town:
    there a place or an employer adds no ground to a name.
    """
    if any(_equal(a, b, f) for f in STRONG - {"phone"}):
        return "other names on one address" if _names_conflict(a, b) else ""
    if weights.get("email", 0.0) < 0 and _company_domains(a) & _company_domains(b):
        return "two mailboxes in one company"
    agree = {_GROUNDS[f] for f, w in weights.items() if w > 1.0 and f in _GROUNDS}
    if "name" in agree:
        agree -= _thin(weights, a, b)
        is_rare = model.total(weights) >= 2 * model.settings.auto
        is_more = is_rare or any(weights.get(f, 0.0) > 1.0 for f in ("city", "occupation"))
        if agree <= {"name", "employer"} and not is_more:
            agree.discard("employer")  # a company has namesakes, of rare names fewer
        if "phone" in agree and _other_employers(a, b):
            return "other employers on one telephone"
        if weights.get("born", 0.0) < -1.0:
            return "another birthday"
    is_line_alone = "phone" in agree and "company" not in weights
    if is_line_alone or ("name" in agree and model.counts.records < model.settings.few):
        agree -= {"place", "employer"}
    return "" if len(agree) > 1 else "one ground alone: " + (next(iter(sorted(agree)), "nothing"))
