"""Plays a conversation: a script, a cast and a start give the letters of one thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from random import Random

from hub.demo import mime, voice
from hub.demo.letter import Letter, post
from hub.demo.people import (
    ADVISER,
    DESK,
    DOMAIN,
    INES,
    LIST_ADDRESS,
    LIST_MEMBER,
    LIST_SUFFIX,
    NADIA,
    NEWCOMER,
    PARTNER,
    PLUS_TAG,
    ROLE_SENDER,
    SUPPORT,
    TOMAS,
    Organization,
    Person,
    applicant,
)  # fmt: skip
from hub.demo.script import Script, Turn, fill, span
from hub.demo.working_days import Calendar

_STREETS = {
    "en": ("Mill Lane", "Station Road", "Abbey Street", "Ferry Road", "Cooper's Yard", "Chapel Hill"),
    "de": ("Mühlgasse", "Bahnhofstraße", "Am Markt", "Lindenweg"),
}
_ALIAS_EVERY = 9
"""Once in so many letters an own person writes from an alias instead of the main address."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays in one thread and what the placeholders say."""

    people: Mapping[str, Person]
    values: Mapping[str, str]
    organization: Organization


def cast(organization: Organization, start: datetime, calendar: Calendar, freemail: str, rng: Random) -> Cast:
    """Fill the roles with the customer's people and the placeholders with figures that fit the customer."""
    team = organization.people
    contact, colleague, third = team[0], team[1], team[2] if len(team) > 2 else team[1]
    mailing_list = Person("Fleet users", LIST_ADDRESS)
    people = {
        "am": INES, "support": TOMAS, "founder": NADIA, "desk": DESK, "contact": contact, "colleague": colleague,
        "third": third, "partner": PARTNER, "role": ROLE_SENDER, "plus": replace(contact, address=PLUS_TAG),
        "free": team[-1], "applicant": applicant(freemail), "adviser": ADVISER, "newcomer": NEWCOMER,
        "list": mailing_list, "listcontact": rewritten(contact), "listmember": rewritten(LIST_MEMBER),
        "listsupport": TOMAS,
    }  # fmt: skip
    lang = organization.language
    site, other = organization.sites if rng.random() < 0.7 else organization.sites[::-1]
    local = start.astimezone(mime.LOCAL)
    soon, later = (calendar.plus(local.date(), d) for d in (3, 9))
    price = 38 + len(organization.name) % 7
    values = {
        "org": organization.name, "site": site, "site2": other, "vans": str(organization.vans),
        "contact": contact.first, "colleague": colleague.first, "colleague_s": colleague.salutation,
        "third": third.first, "am": INES.first, "founder": NADIA.first,
        "support": TOMAS.salutation if lang == "de" else TOMAS.first, "n": str(rng.randint(3, 9)),
        "m": str(rng.randint(14, 48)), "pct": str(rng.randint(4, 12)), "case": str(rng.randint(4100, 9800)),
        "time": rng.choice(("05:45", "06:10", "06:40", "07:15")), "price": str(price),
        "hour": rng.choice(("09:30", "10:00", "13:30", "14:00")), "many": str(rng.randint(120, 480)),
        "rush1": voice.day_and_month(calendar.end + timedelta(days=15), lang),
        "rush2": voice.day_and_month(calendar.end + timedelta(days=28), lang),
        "total": str(price * rng.randint(3, 6)), "street": rng.choice(_STREETS[lang]),
        "soon": voice.weekday(datetime.combine(soon, time(9)), lang),
        "later": voice.day_and_month(datetime.combine(later, time(9)), lang),
        "month": voice.month((local.month - 2) % 12 + 1, lang),
    }  # fmt: skip
    return Cast(people, values, organization)


def rewritten(person: Person) -> Person:
    """The person as a mailing list shows the sender, to pass DMARC: the list's address under the person's name."""
    return replace(person, name=f"{person.name}{LIST_SUFFIX}", address=LIST_ADDRESS, aliases=(person.address,))


def play(
    script: Script, start: datetime, who: Cast, calendar: Calendar, rng: Random, before: Letter | None = None
) -> list[Letter]:
    """All letters of the thread up to the calendar's end; a thread that reaches it stays open.

    before: the letter the first turn answers. Times given as `after=` may lie behind the calendar's end.
    """
    key = f"{script.kind}-{script.name}-{who.organization.key}"
    subject = before.subject if before else fill(script.subject, who.values, rng)
    letters: list[Letter] = []
    seen: set[str] = set()
    at, last = start, before
    for position, turn in enumerate(script.turns):
        at = _when(turn, at, position, calendar, rng)
        if at > calendar.end and "after" not in turn.options:
            break
        sender, to, cc = _parties(turn, who, last)
        if last and not subject.startswith(("Re: ", "AW: ")):
            subject = voice.reply_subject(subject, who.organization.language)
        language = who.organization.language
        paragraphs = [fill(p, who.values, rng) for p in turn.paragraphs]
        text = voice.new_text(sender, to, paragraphs, language, turn.role not in seen, rng)
        quoted = (
            voice.Quoted(last.sender, last.sent_at, [p.mailbox for p in last.to], subject, last.body) if last else None
        )
        last = post(
            f"{key}/{position + 1}", at, _from(sender, turn, rng), to, subject, text, rng=rng, cc=cc, parent=last,
            body=voice.compose(sender, text, language, quoted), html=voice.as_html(sender, text, language, quoted),
            files=_files(turn, who, subject), headers=_list_headers(sender), tags=_tags(script, turn, sender),
        )  # fmt: skip
        letters.append(last)
        seen.add(turn.role)
    return letters


def _when(turn: Turn, at: datetime, position: int, calendar: Calendar, rng: Random) -> datetime:
    if "after" in turn.options:
        return calendar.end + span(turn.options["after"])
    if "at" in turn.options:
        hour, minute = map(int, turn.options["at"].split(":"))
        clock = time(hour, minute, rng.randint(0, 59))
        if "back" in turn.options:
            return calendar.back(int(turn.options["back"]), clock)
        return datetime.combine(calendar.plus(at.date(), turn.working_days), clock, mime.LOCAL)
    return calendar.later(at, turn.delay, turn.working_days, rng) if position else at


def _parties(turn: Turn, who: Cast, last: Letter | None) -> tuple[Person, list[Person], list[Person]]:
    """Sender, To and Cc: named in the turn, else an answer to everybody on the letter before."""
    sender = who.people[turn.role]
    cc: list[Person] = []
    if turn.to:
        to = [who.people[r] for r in turn.to]
    elif last is None:
        raise ValueError(f"the first turn of a conversation must say to whom: {turn.role}")
    else:
        to, cc = _answer(sender, last)
    cc += [who.people[r] for r in turn.roles("cc")]
    if sender is DESK:
        cc = [p for p in cc if p is not TOMAS]
    taken = {_one(sender), *(_one(p) for p in to)}
    kept: list[Person] = []
    for person in cc:
        if _one(person) not in taken:
            taken.add(_one(person))
            kept.append(person)
    return sender, to, kept


def _answer(sender: Person, last: Letter) -> tuple[list[Person], list[Person]]:
    """To and Cc of an answer to all. A second mail in a row, or a colleague who goes on in a customer's thread,
    is addressed to the people the mail before went to."""
    others = [p for p in last.to if p.name != sender.name]
    outsiders = [p for p in others if not _is_own(p)]
    if last.sender.name == sender.name:
        to = others or list(last.to)
    elif _is_own(sender) and _is_own(last.sender) and outsiders:
        to = outsiders
    else:
        to = [last.sender]
    return to, [p for p in (last.sender, *last.to, *last.cc) if p.name != sender.name]


def _is_own(person: Person) -> bool:
    return person.address.endswith(f"@{DOMAIN}")


def _one(person: Person) -> str:
    return SUPPORT if person.address == SUPPORT else person.name


def _from(sender: Person, turn: Turn, rng: Random) -> Person:
    by_chance = sender in (INES, TOMAS, NADIA) and rng.randrange(_ALIAS_EVERY) == 0
    if by_chance or turn.options.get("from") == "alias":
        return replace(sender, address=sender.aliases[0])
    return sender


def _list_headers(sender: Person) -> list[mime.Header]:
    """What the list's software adds, and where it keeps the true sender."""
    if sender.address != LIST_ADDRESS:
        return []
    host = LIST_ADDRESS.partition("@")[2]
    true = mime.address(f"{sender.name.removesuffix(LIST_SUFFIX)} <{sender.aliases[0]}>")
    return [
        ("Reply-To", true), ("X-Original-From", true), ("Precedence", "list"),
        ("List-Id", f"Fleet users <fleet-users.{host}>"), ("List-Post", f"<mailto:{LIST_ADDRESS}>"),
        ("List-Unsubscribe", f"<mailto:fleet-users-leave@{host}>"),
    ]  # fmt: skip


def _tags(script: Script, turn: Turn, sender: Person) -> list[str]:
    named = {
        "internal": "internal", "multiparty": "multi_party", "list": "list", "freemail": "freemail",
        "role": "role_sender", "plustag": "plus_tag", "hero": "hero",
    }  # fmt: skip
    tags = [named[script.kind]] if script.kind in named else []
    if turn.role == "free" and "freemail" not in tags:
        tags.append("freemail")
    if sender.client == "html":
        tags.append("html_only")
    if {"pdf", "csv"} & turn.options.keys():
        tags.append("attachment")
    return tags


def _files(turn: Turn, who: Cast, subject: str) -> Sequence[mime.File]:
    files = []
    values = who.values
    if name := turn.options.get("pdf"):
        lines = [who.organization.name, subject.removeprefix("Re: ").removeprefix("AW: "), "Brindlepost Routes"]
        files.append(mime.File(f"{name}.pdf", "application/pdf", mime.pdf(name.replace("_", " "), lines)))
    if name := turn.options.get("csv"):
        rows = [f"{i},{values['street']} {i * 3 + 1},{who.organization.sites[i % 2]}" for i in range(1, 13)]
        files.append(mime.File(f"{name}.csv", "text/csv", "\r\n".join(["no,address,depot", *rows, ""]).encode()))
    return files
