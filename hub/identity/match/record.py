"""A record as it is compared: normalised values by field. What was given stays with the caller."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from hub.identity.match import names, values
from hub.identity.match.strings import fold
from hub.identity.normal import is_among, role_localparts, written_out
from hub.identity.normalisers import Normalisers, installed
from hub.own import is_no_reply

_LONGEST, _MOST_VALUES = 200, 20  # characters of a value, values of a field: the rest is junk or an attack
Given = Mapping[str, "str | Iterable[str]"]


@dataclass(frozen=True, slots=True)
class Record:
    """id: unique among all records compared, and the same at each run: ties are decided by it.

    holder: "" or the tool and type whose ids name one entity each: two records of one holder are never one entity.
    mailboxes: role addresses: they say where the record came from, and nothing about who it is.
    """

    id: str
    kind: str = "person"
    holder: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mailboxes: tuple[str, ...] = ()


def prepare(
    ident: str,
    given: Given,
    *,
    kind: str = "person",
    holder: str = "",
    region: str = "",
    own: frozenset[str] = frozenset(),
    normalisers: Normalisers | None = None,
) -> Record:
    """Normalise what a tool gave: first_name, last_name, full_name, email, phone, company, city, postcode, region, address,
    born, occupation, gender, number. Unknown fields are left alone; junk gives no value.

    region: two letters, for national telephone numbers. own: our own domains, which imply no employer.
    normalisers: under the settings in force; without them, those that are installed as they come.
    """
    by = normalisers or installed()
    found: dict[str, list[str]] = {}
    text = {key: kept for key, value in given.items() if (kept := _texts(value))}
    name = _name(text)
    if not by.is_built_in("person_name"):
        name = _by_another(by, text, name)
    if name.key and kind == "person":
        found["name"] = [name.key]
        if len(name.given) > 1 and name.family:
            found["handle"] = [f"{name.given} {name.family}"]
    mailboxes = _emails(text.get("email", ()), found, own, by)
    if mailboxes and "email" not in found and _is_called_after_company(text, by):
        for key in ("name", "handle"):
            found.pop(key, None)
    for value in text.get("phone", ()):
        _put(found, "phone", by("phone", value, region).value)
    for value in (*text.get("company", ()), *([name.company] if name.company else [])):
        key = by("company_name", value).value
        if kind == "organization":
            _put(found, "company", key)
        else:
            _put(found, "employer", key.replace(" ", ""))
    for key in _PLAIN.keys() & text.keys():
        for value in text[key]:
            _put(found, key, _PLAIN[key](value))
    fields = {key: tuple(dict.fromkeys(v)) if len(v) > 1 else (v[0],) for key, v in sorted(found.items()) if v}
    return Record(ident, kind, holder, fields, tuple(mailboxes))


_PLAIN: dict[str, Callable[[str], str]] = {
    "born": values.date, "city": fold, "postcode": values.postcode, "address": values.address, "region": fold,
    "occupation": fold, "gender": fold, "number": lambda v: fold(v).replace(" ", ""),
}  # fmt: skip


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value[:_LONGEST],) if value and not value.isspace() else ()
    return tuple(islice((v[:_LONGEST] for v in value if v and not v.isspace()), _MOST_VALUES))


def _put(found: dict[str, list[str]], key: str, value: str) -> None:
    if value:
        found.setdefault(key, []).append(value)


def _name(text: Mapping[str, tuple[str, ...]]) -> names.Name:
    first, last, full = (text.get(key, ("",))[0] for key in ("first_name", "last_name", "full_name"))
    if full and not (first and last):
        return names.split(full)
    name = names.parts(first, last)
    if full:
        whole = names.split(full)
        if not name.middle and whole.middle and {name.given, name.family} <= {whole.given, whole.family}:
            return whole
        return names.Name(name.given, name.middle, name.family, whole.company)
    return name


def _by_another(by: Normalisers, text: Mapping[str, tuple[str, ...]], name: names.Name) -> names.Name:
    """The name as an installed package reads it; whole, or put together from its parts."""
    parts = (text.get(key, ("",))[0] for key in ("first_name", "last_name"))
    key = by("person_name", text["full_name"][0] if "full_name" in text else " ".join(parts).strip()).value
    given, middle, family = key.split("|") if key else ("", "", "")
    return names.Name(given, tuple(middle.split()), family, name.company)


def _is_called_after_company(text: Mapping[str, tuple[str, ...]], by: Normalisers) -> bool:
    """Whether what stands for a name is the company's, with or without a role: "Nordlicht Labs Support", "Team Nordlicht".

    What is a role at one company is part of the name of another: "Nordlicht Travel".
    """
    companies = {by("company_name", v).value for v in text.get("company", ())} - {""}
    called = (v for full in text.get("full_name", ()) for v in _without_roles(full))
    return any(by("company_name", v).value in companies for v in called)


def _without_roles(full: str) -> Iterator[str]:
    """The name as it is, then with ever more roles taken off its end, then off its beginning."""
    words, roles = fold(full).split(), role_localparts()
    yield " ".join(words)
    for end in (-1, 0):
        while len(words) > 1 and (words[end] in roles or is_no_reply(words[end])):
            del words[end]
            yield " ".join(words)


def _letters(text: str) -> str:
    return text if text.isalpha() else "".join([ch for ch in text if ch.isalpha()])


def _emails(given: Iterable[str], found: dict[str, list[str]], own: frozenset[str], by: Normalisers) -> list[str]:
    """Personal addresses become keys; role addresses are returned; both name the employer, unless the domain is free."""
    mailboxes = []
    for value in given:
        address = by("email", value)
        local, _, host = address.value.rpartition("@")
        if not host:
            continue
        if address.sharing in ("role", "no_reply", "shared"):
            mailboxes.append(address.value)
        else:
            _put(found, "email", address.value)
            if len(handle := _letters(fold(local.partition("+")[0]))) > 3:
                _put(found, "handle", handle)
        domain = by("domain", host)
        if domain.value and not domain.sharing and not is_among(host, own):
            _put(found, "employer", fold(written_out(domain.value.partition(".")[0])).replace(" ", ""))
    return mailboxes
