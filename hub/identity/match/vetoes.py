"""What forbids a join whatever the weight, and what makes one need a person."""

from collections.abc import Set

from hub.identity import normal
from hub.identity.match.fields import COMPARE, STRONG, Reading, company_level
from hub.identity.match.model import Settings
from hub.identity.match.profile import Profile

Different = Set[frozenset[str]]  # pairs of record ids that a person called two entities
# Agreement on these, one of each, is what two independent grounds means; place fields are one ground together.
_GROUNDS = {"name": "name", "born": "born", "city": "place", "postcode": "place", "address": "place", "company": "company",
            "email": "email", "phone": "phone", "number": "number"}  # fmt: skip


def veto(a: Profile, b: Profile, different: Different = frozenset()) -> str:
    """Why these two are not one entity, in words; "" if nothing forbids it."""
    if a.holders & b.holders:
        return "two ids of one tool"
    if different and any(frozenset((x, y)) in different for x in a.records for y in b.records):
        return "a person said they are different"
    shares = {f for f in ("email", "number", "born", "phone") if _equal(a, b, f)}
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


def _names_conflict(a: Profile, b: Profile) -> bool:
    """Every name of the one conflicts with every name of the other; a mailbox's name stands in where there is none."""
    for name, conflicts in (("name", _is_conflict), ("handle", _is_other_handle)):
        mine, theirs = a.values.get(name), b.values.get(name)
        if mine and theirs:
            return all(conflicts(reading) for x in mine for y in theirs for reading in COMPARE[name](x, y))
    return False


def _is_conflict(reading: Reading) -> bool:
    """Another last name is no conflict (people marry), unless the names must be swapped for the first ones to agree."""
    levels = {part: level for part, level, _, _ in reading}
    given, family = levels.get("given"), levels.get("family")
    return given == "other" or (family == "other" and (given == "other name" or levels.get("order") == "swapped"))


def _is_other_handle(reading: Reading) -> bool:
    return any(level == "other" for _, level, _, _ in reading)


def _companies_conflict(a: Profile, b: Profile) -> bool:
    """No name of the one organization has a word in common with one of the other: neighbours, tenants, a branch."""
    mine, theirs = a.values.get("company"), b.values.get("company")
    if not mine or not theirs:
        return False
    return all(company_level(x, y) == "other" for x in mine for y in theirs)


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


def grounds(weights: dict[str, float], a: Profile, b: Profile, is_sure: bool = False) -> str:
    """Why the agreement is too thin to act on alone; "" if a strong key or two independent grounds carry it.

    is_sure: the weight is twice what is asked: then the employer is a ground, too (a rare name at one company).
    """
    agree = {_GROUNDS[f] for f, w in weights.items() if w > 1.0 and f in _GROUNDS}
    if is_sure and weights.get("employer", 0.0) > 1.0:
        agree.add("employer")
    strong = {f for f in STRONG if _equal(a, b, f)}
    if strong - {"phone"} or ("phone" in strong and len(agree) > 1):
        return ""
    return "" if len(agree) > 1 else "one ground alone: " + (next(iter(sorted(agree)), "nothing"))
