"""What Brindlepost's other tools hold: meetings in a calendar, support cases in a help desk, newsletters sent out.

Shapes are the tools' own, as their stand-ins load them; instants are ISO 8601, or epoch seconds where a key says `at`.
A support case holds the very mails that stand in the mailboxes, so that a hub has to see that they are the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from hub.demo.letter import Letter
from hub.demo.mime import LOCAL
from hub.demo.people import DOMAIN, INES, NADIA, OWN, SUPPORT, SUPPORT_NAME, TOMAS, Organization, Person
from hub.demo.working_days import Calendar

Entry = dict[str, Any]

SUPPORT_SINCE = 30  # working days: Brindlepost's help desk is that young
AUDIENCE = "Brindlepost Dispatch"
_SUPPORT_ID, _FIRST_USER, _FIRST_ORGANIZATION, _FIRST_TICKET = 41_000_001, 41_000_100, 42_000_001, 301


# --- the help desk: Zendesk -----------------------------------------------------------------------------------------


def zendesk_seed(
    calendar: Calendar, customers: Sequence[Organization], conversations: Mapping[str, Sequence[Letter]]
) -> Entry:
    """{"organizations", "users", "tickets"}: each case that was mailed to support since the help desk began."""
    organizations = {o.key: _FIRST_ORGANIZATION + n for n, o in enumerate(customers)}
    homes = {p.address: organizations[o.key] for o in customers for p in o.people}
    names = {p.address: p.name for o in customers for p in o.people} | {p.address: p.name for p in OWN}
    since = calendar.back(SUPPORT_SINCE, time(0))
    cases = [thread for thread in conversations.values() if _is_case(thread, since, homes)]
    cases.sort(key=lambda thread: thread[0].sent_at)
    writers = {SUPPORT: _SUPPORT_ID}
    for letter in (x for thread in cases for x in thread):
        writers.setdefault(letter.sender.address, _FIRST_USER + len(writers))
        names.setdefault(letter.sender.address, letter.sender.name)
    names[SUPPORT] = SUPPORT_NAME
    return {
        "organizations": [
            {"id": organizations[o.key], "name": o.name, "domain_names": [o.domain], "at": _epoch(since)} for o in customers
        ],
        "users": [
            {"id": number, "name": names[address], "email": address, "organization_id": homes.get(address),
             "role": "agent" if address.endswith(f"@{DOMAIN}") else "end-user", "at": _epoch(since)}
            for address, number in writers.items()
        ],
        "tickets": [_ticket(_FIRST_TICKET + n, thread, writers, homes) for n, thread in enumerate(cases)],
    }  # fmt: skip


def _is_case(thread: Sequence[Letter], since: datetime, homes: Mapping[str, int]) -> bool:
    first = thread[0]
    is_to_support = any(p.address == SUPPORT for p in first.recipients)
    return (
        is_to_support and first.sender.address in homes and first.sent_at >= since and all(x.message_id for x in thread)
    )


def _ticket(number: int, thread: Sequence[Letter], writers: Mapping[str, int], homes: Mapping[str, int]) -> Entry:
    first, last = thread[0], thread[-1]
    is_answered = last.sender.address.endswith(f"@{DOMAIN}")
    note = {
        "body": "Taken by Tomás; answered by mail.", "public": False,
        "author_id": _SUPPORT_ID, "at": _epoch(first.sent_at + timedelta(minutes=11)), "via": {"channel": "web"},
    }  # fmt: skip
    mails = [
        {"body": x.text, "author_id": writers[x.sender.address], "at": _epoch(x.sent_at), "message_id": x.message_id,
         "via": {"channel": "email"}}
        for x in thread
    ]  # fmt: skip
    return {
        "id": number, "subject": first.subject, "requester_id": writers[first.sender.address], "channel": "email",
        "organization_id": homes[first.sender.address], "assignee_id": _SUPPORT_ID, "tags": ["mail"],
        "status": "solved" if is_answered else "open", "priority": "normal", "at": _epoch(first.sent_at),
        "comments": sorted([*mails, note], key=lambda c: c["at"]),
    }  # fmt: skip


# --- the calendar ---------------------------------------------------------------------------------------------------


def calendar_seed(calendar: Calendar, customers: Sequence[Organization]) -> list[tuple[str, Entry]]:
    """(whose calendar, event): reviews with customers, the hero's next training, our own standing meeting, a dentist."""
    by_key = {o.key: o for o in customers}
    halden, corvane, tillbrook = by_key["halden"], by_key["corvane"], by_key["tillbrook"]
    training = datetime.combine(calendar.plus(calendar.end.date(), 4), time(9, 30), LOCAL)
    dentist = datetime.combine(calendar.plus(calendar.end.date(), 1), time(16), LOCAL)
    return [
        (INES.address, _event("Depot Arvenby: first training", training, 120, INES, [*halden.people[:2], TOMAS])),
        (INES.address, _event("Contract questions", calendar.back(9, time(11)), 30, INES, [halden.people[2]])),
        (INES.address, _event("Quarterly review Corvane", calendar.back(16, time(14)), 45, INES, corvane.people[:2])),
        (NADIA.address, _event("Tillbrook: next year", calendar.back(12, time(10)), 30, NADIA, [tillbrook.people[0]])),
        (TOMAS.address, _event("Support round", calendar.back(20, time(9)), 15, TOMAS, [INES, NADIA])
            | {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=6"]}),
        (INES.address, _event("Dentist", dentist, 60, INES, []) | {"visibility": "private"}),
    ]  # fmt: skip


def _event(title: str, at: datetime, minutes: int, host: Person, guests: Sequence[Person]) -> Entry:
    def moment(when: datetime) -> Entry:
        return {"dateTime": when.isoformat(), "timeZone": "Etc/GMT-1"}

    everybody = [host, *guests] if guests else []
    return {
        "summary": title, "start": moment(at), "end": moment(at + timedelta(minutes=minutes)),
        "organizer": {"email": host.address, "displayName": host.name},
        "attendees": [
            {"email": p.address, "displayName": p.name, "responseStatus": "accepted", **({"organizer": True} if p is host else {})}
            for p in everybody
        ],
    }  # fmt: skip


# --- the newsletters: Mailchimp -------------------------------------------------------------------------------------


def mailchimp_seed(calendar: Calendar, customers: Sequence[Organization]) -> Entry:
    """{"audience", "members", "campaigns"}: two issues, some opened and clicked; one reader has left."""
    readers = [p for o in customers for p in o.people]
    issues = ((41, "What the summer did to your rounds"), (14, "Three ways to lose an hour less"))
    campaigns = []
    for back, subject in issues:
        sent = calendar.back(back, time(10))
        events: list[Entry] = []
        for n, person in enumerate(readers):
            read = sent + timedelta(hours=1 + n % 7)
            who = {"email_id": hashlib.md5(person.address.encode(), usedforsecurity=False).hexdigest()}
            if n % 3 == 0:
                events.append({**who, "action": "open", "timestamp": _iso(read)})
            if n % 6 == 0:
                at = _iso(read + timedelta(minutes=2))
                events.append({**who, "action": "click", "timestamp": at, "url": f"https://www.{DOMAIN}/rounds"})
        to = [p.address for p in readers]
        campaigns.append({"subject": subject, "send_time": _iso(sent), "to": to, "events": events})
    members = [
        {"email": p.address, "merge_fields": {"FNAME": p.first, "LNAME": p.last},
         "status": "unsubscribed" if n == len(readers) - 1 else "subscribed"}
        for n, p in enumerate(readers)
    ]  # fmt: skip
    return {"audience": AUDIENCE, "members": members, "campaigns": campaigns}


def _epoch(at: datetime) -> int:
    return int(at.timestamp())


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
