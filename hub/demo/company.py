"""The made-up company: 90 days of mail of three people and a shared mailbox, and what their CRM already holds.

`Company.build(end=...)` is a pure function of its arguments: the same seed and end give the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from hub.demo import elsewhere, mime, people, seed
from hub.demo.letter import MAILBOXES, DemoMail, Letter, copies
from hub.demo.odd import CANARY, PRIVATE_LABEL, newsletter, odd_letters
from hub.demo.people import Organization, Person
from hub.demo.player import cast, play
from hub.demo.script import Script, chance, load
from hub.demo.working_days import Calendar

_EACH: dict[str, tuple[tuple[tuple[str, int], ...], int]] = {
    "mosswell": ((("sales enquiry", 61), ("sales quote", 50), ("onboarding kickoff", 41), ("onboarding drivers", 28),
                  ("onboarding live", 19), ("account checkin", 9)), 3),
    "weidenau": ((("sales anfrage", 60), ("onboarding start", 44), ("billing rechnung", 8)), 3),
    "pinewharf": ((("account review", 45), ("account feedback", 25), ("account depot", 12)), 6),
    "osterfeld": ((("account gespraech", 38), ("account erweiterung", 21), ("billing rechnung", 9)), 6),
    "tillbrook": ((("account checkin", 54), ("billing wrongcount", 30), ("account reference", 15)), 6),
    "saltmere": ((("account review", 35), ("billing reference", 23)), 5),
    "corvane": ((("account review", 55), ("account renewal", 25)), 5),
    "quillon": ((("account reference", 47), ("account renewal", 33), ("billing reference", 13)), 5),
    "vantry": ((("account review", 52), ("sales gone", 23)), 2),
}  # fmt: skip
"""Per customer: the conversations that belong to its story with their start (working days before the end), and how
many support cases it has besides. Halden's story stands in scripts/hero.txt."""
_LOOKS_BACK = {"export", "holiday", "bericht"}
"""Cases that speak of last quarter or last year, which a new customer cannot."""
_QUIET_SINCE = 40
"""A quiet customer has no support case after this working day before the end."""


@dataclass(frozen=True, slots=True)
class Hero:
    """The customer the demo shows, with the four answers a right timeline gives.

    last_at: time of the last mail; next_step and due_at: the open task in the CRM; owner: who is responsible.
    """

    person: Person
    organization: Organization
    last_subject: str
    last_at: datetime
    owner: Person
    next_step: str
    due_at: datetime


@dataclass(frozen=True)
class Company:
    """The built company. letters: every distinct message of the window in time order (see `Letter.tags`).

    customers: the ten organizations with their people; freemail: the domain standing in for a free-mail host;
    conversations: the letters by thread.
    """

    calendar: Calendar
    seed: int
    freemail: str
    customers: tuple[Organization, ...]
    letters: tuple[Letter, ...]
    conversations: Mapping[str, Sequence[Letter]]

    name = people.NAME
    domain = people.DOMAIN
    own = people.OWN
    mailboxes = MAILBOXES
    """The three own people's addresses, then the shared one, whose mail the head of support gets as well."""
    shared_mailbox = people.SUPPORT
    mailing_list = people.LIST_ADDRESS
    private_label = PRIVATE_LABEL
    canary = CANARY

    @classmethod
    def build(cls, seed: int = 7, *, end: datetime, days: int = 90, freemail: str = people.FREEMAIL) -> "Company":
        """Generate the company.

        end: aware datetime after which nothing is written; second_day() follows it, so an end some hours in the past
        keeps the future free of mail. days: 30 to 730 calendar days, over which the same stories are stretched.
        freemail: domain of private addresses. Raises ValueError for a naive end or days out of range.
        """
        if end.tzinfo is None:
            raise ValueError("end must be an aware datetime")
        if not 30 <= days <= 730:
            raise ValueError(f"days must lie between 30 and 730, not {days}")
        calendar = Calendar(end, days)
        customers = people.organizations(freemail)
        threads: dict[str, list[Letter]] = {}
        for script, customer, start, rng in _programme(calendar, customers, seed):
            letters = play(script, start, cast(customer, start, calendar, freemail, rng), calendar, rng)
            if letters:
                threads[letters[0].thread] = letters
        singles = odd_letters(calendar, customers, threads, seed)
        everything = [x for thread in threads.values() for x in thread] + singles
        everything.sort(key=lambda x: (x.sent_at, x.key))
        conversations: dict[str, list[Letter]] = {}
        for letter in everything:
            conversations.setdefault(letter.thread, []).append(letter)
        return cls(calendar, seed, freemail, customers, tuple(everything), conversations)

    @property
    def aliases(self) -> dict[str, tuple[str, ...]]:
        """Own main address -> further addresses of the same person."""
        return {p.address: p.aliases for p in self.own}

    @property
    def start(self) -> datetime:
        return self.calendar.start.astimezone(UTC)

    @property
    def end(self) -> datetime:
        return self.calendar.end.astimezone(UTC)

    @property
    def contacts(self) -> tuple[Person, ...]:
        """Every person of every customer."""
        return tuple(p for o in self.customers for p in o.people)

    def organization(self, key: str) -> Organization:
        """The customer with this short name ("halden"); KeyError when there is none."""
        return {o.key: o for o in self.customers}[key]

    def tagged(self, tag: str) -> tuple[Letter, ...]:
        """The letters that are here for one reason: "newsletter", "bounce", "missing_id" and so on."""
        return tuple(x for x in self.letters if tag in x.tags)

    def messages(self) -> tuple[DemoMail, ...]:
        """Every copy in every mailbox, in order of arrival."""
        return self._delivered(self.letters, self.calendar.end - timedelta(days=1))

    def second_day(self) -> tuple[DemoMail, ...]:
        """What arrives within six hours after `end`: an answer in the hero's open thread with a new person in it, a new
        support case, the next newsletter."""
        return self._delivered(self._second_letters, self.calendar.end)

    @cached_property
    def _second_letters(self) -> tuple[Letter, ...]:
        letters = [newsletter(13, self.calendar.end + timedelta(minutes=20), self.seed)]
        for script in load("second_day"):
            rng = chance(self.seed, "second", script.name)
            who = cast(self.organization(script.organization), self.calendar.end, self.calendar, self.freemail, rng)
            before = self.conversations["hero-training-halden"][-1] if script.organization == "halden" else None
            letters += play(script, self.calendar.end, who, self.calendar, rng, before)
        return tuple(sorted(letters, key=lambda x: (x.sent_at, x.key)))

    @staticmethod
    def _delivered(letters: Sequence[Letter], unread_after: datetime) -> tuple[DemoMail, ...]:
        mails = [mail for letter in letters for mail in copies(letter, unread_after)]
        mails.sort(key=lambda m: (m.received_at, m.mailbox, m.letter.key))
        return tuple(mails)

    @property
    def hero(self) -> Hero:
        organization = self.organization("halden")
        last = self.conversations["hero-training-halden"][-1]
        title, due_at = seed.hero_task(self.calendar)
        return Hero(
            person=organization.people[0], organization=organization, last_subject=last.subject,
            last_at=last.sent_at.astimezone(UTC), owner=people.INES, next_step=title, due_at=due_at,
        )  # fmt: skip

    def hubspot_seed(self) -> dict[str, Any]:
        """What the CRM holds before the first sync; the shape is described in `hub.demo.seed`."""
        return seed.hubspot_seed(self.calendar, self.customers, self.conversations)

    def zendesk_seed(self) -> dict[str, Any]:
        """Support cases as the help desk holds them; the shape is described in `hub.demo.elsewhere`."""
        return elsewhere.zendesk_seed(self.calendar, self.customers, self.conversations)

    def calendar_seed(self) -> list[tuple[str, dict[str, Any]]]:
        """(own address, event): what stands in the three calendars."""
        return elsewhere.calendar_seed(self.calendar, self.customers)

    def mailchimp_seed(self) -> dict[str, Any]:
        """The newsletter's audience, its issues and what readers did with them."""
        return elsewhere.mailchimp_seed(self.calendar, self.customers)

    def write_mbox(self, path: Path, mailbox: str | None = None, second_day: bool = False) -> int:
        """Write an mbox file (mboxrd quoting) in the form of a Takeout archive, labels in `X-Gmail-Labels`.

        mailbox: that mailbox's copies; None: each distinct message of the whole company once. second_day: add those
        messages too. Returns the number of messages written. Raises ValueError for an unknown mailbox.
        """
        if mailbox is not None and mailbox not in self.mailboxes:
            raise ValueError(f"no mailbox {mailbox!r}; there are {', '.join(self.mailboxes)}")
        mails = self.messages() + (self.second_day() if second_day else ())
        chosen = list(_distinct(mails)) if mailbox is None else [m for m in mails if m.mailbox == mailbox]
        with path.open("wb") as file:
            for mail in chosen:
                file.write(_mbox_entry(mail))
        return len(chosen)


def _programme(
    calendar: Calendar, customers: Sequence[Organization], seed: int
) -> Iterator[tuple[Script, Organization, datetime, Random]]:
    """Every conversation with its customer, its start and its own source of chance."""
    by_key = {o.key: o for o in customers}
    by_name = {f"{s.kind} {s.name}": s for f in ("account_en", "support_en", "german") for s in load(f)}
    for script in (*load("hero"), *load("special")):
        customer = by_key[script.organization or "halden"]
        yield _entry(script, customer, script.starts_back, calendar, seed)
    decks = {"en": list(load("support_en")), "de": [s for s in load("german") if s.kind == "support"]}
    shuffle = chance(seed, "decks")
    hands: dict[str, list[Script]] = {language: [] for language in decks}
    for key, (story, cases) in _EACH.items():
        customer = by_key[key]
        for name, back in story:
            yield _entry(by_name[name], customer, back, calendar, seed)
        earliest, latest = (60, _QUIET_SINCE) if customer.stage == "quiet" else (60, 3)
        if customer.stage == "new":
            earliest = 22
        hand = hands[customer.language]
        unfit = _LOOKS_BACK if customer.stage == "new" else set()
        while len([s for s in hand if s.name not in unfit]) < cases:
            more = [s for s in decks[customer.language] if s not in hand]
            shuffle.shuffle(more)
            hand += more
        chosen = [s for s in hand if s.name not in unfit][:cases]
        hands[customer.language] = [s for s in hand if s not in chosen]
        for position, script in enumerate(chosen):
            back = latest + round((earliest - latest) * (position + shuffle.random() * 0.8) / cases)
            yield _entry(script, customer, back, calendar, seed)


def _entry(
    script: Script, customer: Organization, back: int, calendar: Calendar, seed: int
) -> tuple[Script, Organization, datetime, Random]:
    rng = chance(seed, script.kind, script.name, customer.key)
    clock = calendar.random_clock(rng)
    if script.kind == "hero":
        clock = time(8 + script.starts_back % 2, 5 + script.starts_back % 50)
    return script, customer, calendar.back(back, clock), rng


def _distinct(mails: Sequence[DemoMail]) -> Iterator[DemoMail]:
    seen: set[str] = set()
    for mail in mails:
        if mail.letter.key not in seen:
            seen.add(mail.letter.key)
            yield mail


def _mbox_entry(mail: DemoMail) -> bytes:
    names = {"SENT": "Sent", "INBOX": "Inbox", "UNREAD": "Unread", "CATEGORY_PROMOTIONS": "Category promotions",
             "CATEGORY_UPDATES": "Category updates"}  # fmt: skip
    labels = ",".join(names.get(label, label) for label in mail.labels)
    raw = b"X-Gmail-Labels: " + labels.encode() + b"\r\n" + mail.raw
    lines = raw.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    quoted = (b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines)
    sender = mail.letter.sender.address
    separator = f"From {sender} {mime.asctime(mail.received_at.astimezone(UTC))}\n".encode()
    return separator + b"\n".join(quoted) + b"\n\n"
