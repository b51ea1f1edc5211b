"""A record as it is compared: normalised values by field. What was given stays with the caller."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from hub.identity import normal, phones
from hub.identity.match import names, values
from hub.identity.match.strings import fold
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
) -> Record:
    """Normalise what a tool gave: first_name, last_name, full_name, email, phone, company, city, postcode, region, address,
    born, occupation, gender, number. Unknown fields are left alone; junk gives no value.

    region: two letters, for national telephone numbers. own: our own domains, which imply no employer.
    """
    found: dict[str, list[str]] = {}
    text = {key: kept for key, value in given.items() if (kept := tuple(_texts(value)))}
    name = _name(text)
    if name.key and kind == "person":
        found["name"] = [name.key]
        if len(name.given) > 1 and name.family:
            found["handle"] = [f"{name.given} {name.family}"]
    mailboxes = _emails(text.get("email", ()), found, own)
    for value in text.get("phone", ()):
        key, _ = phones.match(value, region)
        if sum(ch.isdigit() for ch in key) >= 6:
            _put(found, "phone", values.phone(key))
    for value in (*text.get("company", ()), *([name.company] if name.company else [])):
        key = values.company(value)
        if kind == "organization":
            _put(found, "company", key)
        else:
            _put(found, "employer", key.replace(" ", ""))
    for key, normalise in _PLAIN.items():
        for value in text.get(key, ()):
            _put(found, key, normalise(value))
    fields = {key: tuple(dict.fromkeys(v)) for key, v in sorted(found.items()) if v}
    return Record(ident, kind, holder, fields, tuple(mailboxes))


_PLAIN: dict[str, Callable[[str], str]] = {
    "born": values.date, "city": fold, "postcode": values.postcode, "address": values.address, "region": fold,
    "occupation": fold, "gender": fold, "number": lambda v: fold(v).replace(" ", ""),
}  # fmt: skip


def _texts(value: str | Iterable[str]) -> Iterable[str]:
    kept = (v[:_LONGEST] for v in ([value] if isinstance(value, str) else value) if v and v.strip())
    return islice(kept, _MOST_VALUES)


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


def _emails(given: Iterable[str], found: dict[str, list[str]], own: frozenset[str]) -> list[str]:
    """Personal addresses become keys; role addresses are returned; both name the employer, unless the domain is free."""
    mailboxes = []
    for value in given:
        address = normal.email(value)
        local, at, host = address.rpartition("@")
        if not (at and local and host):
            continue
        word = fold(local.partition("+")[0]).replace(" ", "")
        if local.partition("+")[0] in normal.role_localparts() or is_no_reply(address):
            mailboxes.append(address)
        else:
            _put(found, "email", normal.email_match(address))
            if len(handle := "".join(ch for ch in word if ch.isalpha())) > 3:
                _put(found, "handle", handle)
        domain = normal.registrable_domain(host)
        if domain and domain not in normal.free_domains() and domain not in own:
            _put(found, "employer", fold(domain.partition(".")[0]).replace(" ", ""))
    return mailboxes
