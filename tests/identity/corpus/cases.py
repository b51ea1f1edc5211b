"""The corpora as cases: templates written by hand in TOML, each expanded into a few instances of other names and hosts.

A template is one story: `say` are its steps (what a tool or a mailbox tells, in the order it happened), `people` are its
people (one line a person: everything named in a line is that person, nothing in another line is), `ties` say to whom
an entry of the timeline must be tied. The small language of these lines:

    hubspot 1: Anna Berg; anna@x.example; +44 20 7946 0000; city=Lund; at=company 1; merged=2     a tool's record
    zendesk 1: Bo Lind; tel n/a; id linkedin=bolind                              a number as typed, any other identifier
    gone hubspot 1                                                                                it is deleted there
    m1 mail Anna Berg <anna@x.example> -> us | bo@y.example [list:bo@y.example]                    an entry named m1

    people:  hubspot 1, anna@x.example, ~zendesk 1        ~: may be in the line, must not be in another
    ties:    m1 = anna@x.example at company 1 | queued    "nobody": no person; "at": the organizations; ~: may be
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from hub.api import Identifier

US, OURS = "ourco.example", "sam@ourco.example"
TOOLS = {
    "hubspot": "hubspot:contacts", "zendesk": "zendesk:users", "mailchimp": "mailchimp:members",
    "intercom": "intercom:contacts", "chatwoot": "chatwoot:contacts", "owner": "hubspot:owners",
    "company": "hubspot:companies", "zdorg": "zendesk:organizations",
}  # fmt: skip
VERBS = {
    "mail": ("message", "email"), "meet": ("meeting", "calendar"), "call": ("call", "phone"), "text": ("message", "sms"),
    "ticket": ("ticket", "helpdesk"), "chat": ("message", "chat"),
}  # fmt: skip
_ENTRY = re.compile(rf"(\w+) ({'|'.join(VERBS)}) (.*)", re.DOTALL)
_RECORD = re.compile(rf"({'|'.join(TOOLS)}) (\S+): ?(.*)", re.DOTALL)

_FIRST_WORDS = (
    "Anna Otto Maria Ravi Wei Olga Lars Nuria Pedro Elsa Hugo Tessa Boris Irma Paolo Greta Viktor Yusuf Sofia Dmitri Clara Felix "
    "Zoe Magnus Rosa Tariq Ingrid Bruno Vera Quentin Heidi Kofi Luisa Emil Dora Ciaran Fatima Jonas Priya Stefan"
)
_LAST_WORDS = (
    "Berg Maier Novak Costa Patel Lindqvist Okafor Tanaka Moreau Kovacs Silva Brandt Farrow Quist Holm Zeller Ibarra Walsh Dupont "
    "Petrov Schreiber Haddad Nyberg Falk Romano Yilmaz Cohen Engel Vargas Thorne Jansen Ozturk Rask Udall Fischer Gallo Keane "
    "Laine Mbeki Stone"
)
_ONE_WORDS = (
    "Kestrel Alder Juniper Osprey Granite Harbour Lantern Meridian Nimbus Orchard Pioneer Quarry Rowan Saffron Tundra Umber Vesper "
    "Willow Zephyr Anchor Beacon Cobalt Dune Ember Fjord Glacier Heron Indigo Jasper Larch"
)
_TWO_WORDS = "Marine Foods Textiles Optics Freight Timber Books Energy Clinics Tools Paper Studios"
_FIRST, _LAST, _ONE, _TWO = (w.split() for w in (_FIRST_WORDS, _LAST_WORDS, _ONE_WORDS, _TWO_WORDS))


class Name(str):
    """A made-up person: the name itself, and what is made of it."""

    first: str
    last: str
    mail: str  # a local part at an employer's domain
    box: str  # a local part that is this case's own, for hosts that all cases share

    @classmethod
    def make(cls, number: int, k: int) -> "Name":
        first, last = _FIRST[(number * 7 + k * 13) % len(_FIRST)], _LAST[(number * 3 + k * 11) % len(_LAST)]
        made = cls(f"{first} {last}")
        made.first, made.last, made.mail = first, last, f"{first}.{last}".lower()
        made.box = f"{made.mail}.{number}"
        return made


@dataclass(frozen=True)
class Record:
    """What a tool says of a person or an organization."""

    tool: str
    id: str
    name: str
    identifiers: tuple[Identifier, ...]
    fields: tuple[tuple[str, str], ...] = ()
    organizations: tuple[Identifier, ...] = ()
    merged: tuple[str, ...] = ()
    is_gone: bool = False


@dataclass(frozen=True)
class Entry:
    """A message, meeting, call or ticket; the first of `people` speaks."""

    label: str
    verb: str
    people: tuple[tuple[Identifier, str], ...]
    signals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tie:
    """To whom an entry is tied. The `may_` ones are right, and not asked for."""

    label: str
    people: frozenset[Identifier]
    organizations: frozenset[Identifier]
    may_people: frozenset[Identifier]
    may_organizations: frozenset[Identifier]
    is_queued: bool


@dataclass(frozen=True)
class Case:
    """One instance of a template. people: (must be, may be) of each person; is_ordered: makes sense in this order only."""

    id: str
    number: int
    why: str
    steps: tuple[Record | Entry, ...]
    people: tuple[tuple[tuple[Identifier, ...], tuple[Identifier, ...]], ...]
    ties: tuple[Tie, ...]
    is_ordered: bool

    @property
    def template(self) -> str:
        return self.id.partition("/")[0]

    def pairs(self) -> tuple[list[tuple[Identifier, Identifier]], list[tuple[Identifier, Identifier]]]:
        """(pairs that must be one, pairs that must not)."""
        same = [(must[0], other) for must, _ in self.people for other in must[1:]]
        lines = [must + may for must, may in self.people]
        return same, [(x, y) for left, right in combinations(lines, 2) for x in left for y in right]


@cache
def load(name: str) -> tuple[Case, ...]:
    """All cases of `traps` or `links`."""
    found, number = [], 0
    for template in tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text("utf-8"))["case"]:
        unknown = template.keys() - {"id", "why", "say", "people", "ties", "vary", "times", "in_order"}
        if unknown or not template["why"]:
            raise ValueError(f"{template['id']}: {sorted(unknown) or 'no why'}")
        for k, values in enumerate(template.get("vary", [{}] * template.get("times", 1)), 1):
            number += 1
            found.append(_case(template, k, number, values))
    return tuple(found)


def _case(template: dict[str, Any], k: int, number: int, values: dict[str, str]) -> Case:
    world = _world(number)
    world |= {key: value.format(**world) for key, value in values.items()}

    def filled(key: str) -> Iterator[str]:
        for line in template.get(key, ()):
            yield line.format(**world)

    ident = f"{template['id']}/{k}"
    try:
        steps = tuple(_step(line, number) for line in filled("say"))
        people = tuple(_sides(line, number) for line in filled("people"))
        ties = tuple(_tie(line, number) for line in filled("ties"))
    except (ValueError, KeyError, AttributeError) as exc:
        raise ValueError(f"{ident}: {exc}") from exc
    return Case(ident, number, template["why"], steps, people, ties, template.get("in_order", False))


def _world(number: int) -> dict[str, Any]:
    """What a template may name: people a-d, companies co-co3 with hosts h-h3, numbers tel-tel3 (line: the last digits) and mob, n.

    The numbers are of the ranges that are kept for fiction, the hosts of the domain kept for examples.
    """
    world: dict[str, Any] = {letter: Name.make(number, k) for k, letter in enumerate("abcd")}
    for k, tail in enumerate(("", "2", "3")):
        words = _ONE[(number + k * 7) % len(_ONE)], _TWO[(number // len(_ONE) + k * 5) % len(_TWO)]
        world["co" + tail] = " ".join(words)
        world["h" + tail] = f"{''.join(words).lower()}{number}.example"
        world["line" + tail] = f"{(number * 3 + k) % 1000:03}"
        world["tel" + tail] = f"+44 20 7946 0{world['line' + tail]}"
    world["mob"] = f"+44 7700 900{number % 1000:03}"
    world["n"] = str(number)
    return world


def node(text: str, number: int) -> Identifier:
    """What a line names: a tool's record, an address, a number, a domain, or another scheme's value ("scheme=value")."""
    text = text.strip()
    tool, _, rest = text.partition(" ")
    if tool in TOOLS and rest:
        return Identifier(TOOLS[tool], f"{number}-{rest}")
    if tool == "domain":
        return Identifier("domain", rest)
    if "=" in text:
        scheme, _, value = text.partition("=")
        return Identifier(scheme, value)
    if text.startswith("tel "):
        return Identifier("phone", rest)
    if "@" in text or text.endswith(":;"):
        return Identifier("email", text)
    if text.startswith("+"):
        return Identifier("phone", text)
    raise ValueError(f"what is {text!r}?")


def _step(line: str, number: int) -> Record | Entry:
    if line.startswith("gone "):
        given = node(line.removeprefix("gone "), number)
        return Record(line.split()[1], given.value, "", (), is_gone=True)
    if found := _RECORD.fullmatch(line):
        return _record(*found.groups(), number)
    if found := _ENTRY.fullmatch(line):
        return _entry(*found.groups(), number)
    raise ValueError(f"no step: {line!r}")


def _record(tool: str, rest: str, text: str, number: int) -> Record:
    name, *parts = (part.strip() for part in text.split(";"))
    is_org, own = tool in {"company", "zdorg"}, node(f"{tool} {rest}", number)
    found, fields, organizations, merged = [own], [], [], []
    for part in filter(None, parts):
        key, equals, value = part.partition("=")
        if key == "at" and equals:
            organizations.append(node(value, number))
        elif key == "merged" and equals:
            merged.append(f"{number}-{value}")
        elif equals and not part.startswith("id "):
            fields.append((key, value))
        elif is_org and "@" not in part and not part.startswith(("+", "tel ")):
            found.append(Identifier("domain", part))
        else:
            found.append(node(part.removeprefix("id "), number))
    return Record(tool, own.value, name, tuple(found), tuple(fields), tuple(organizations), tuple(merged))


def _entry(label: str, verb: str, text: str, number: int) -> Entry:
    signals: tuple[str, ...] = ()
    if found := re.search(r" \[([^\]]+)\]$", text):
        text, signals = text[: found.start()], tuple(found[1].split())
    people = []
    for part in re.split(r" -> | \| ", text):
        named = re.fullmatch(r"(.*?) ?<([^<>]+)>", part.strip(), re.DOTALL)
        name, who = (named[1].strip(), named[2]) if named else ("", part.strip())
        people.append((Identifier("email", OURS) if who == "us" else node(who, number), name))
    return Entry(label, verb, tuple(people), signals)


def _sides(text: str, number: int) -> tuple[tuple[Identifier, ...], tuple[Identifier, ...]]:
    parts = [p.strip() for p in text.split(",") if p.strip()]
    must = tuple(node(p, number) for p in parts if not p.startswith("~"))
    return must, tuple(node(p[1:], number) for p in parts if p.startswith("~"))


def _tie(line: str, number: int) -> Tie:
    label, _, text = line.partition(" = ")
    text, _, queued = text.partition(" | ")
    who, _, where = f" {text} ".partition(" at ")
    if queued not in {"", "queued"} or not text:
        raise ValueError(f"no tie: {line!r}")
    people, may_people = _sides("" if who.strip() == "nobody" else who.replace(" nobody,", " "), number)
    orgs, may_orgs = _sides(where, number)
    return Tie(label, frozenset(people), frozenset(orgs), frozenset(may_people), frozenset(may_orgs), bool(queued))
