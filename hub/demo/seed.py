"""What Brindlepost's CRM holds before the first sync: entered by hand, incomplete and here and there out of date.

Shape: {"owners": [{"id", "email", "firstName", "lastName", "userId", "archived", ...}],
        "objects": [{"type": "contacts", "ref": "c-marta", "properties": {name: text},
                     "associations": [{"to_ref": "co-halden"}]}]}
Types: companies, contacts, deals, tasks, notes, calls, meetings. Property values are text as HubSpot holds them,
instants ISO 8601 UTC with milliseconds. `createdate` and the last-modified property tell when a person touched the
record, as a loader needs it; through HubSpot's API they cannot be written.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from hub.demo.letter import Letter
from hub.demo.mime import LOCAL
from hub.demo.people import INES, NADIA, OWN, TOMAS, Organization, Person
from hub.demo.working_days import Calendar

OWNER_IDS = {INES.address: "71000101", TOMAS.address: "71000102", NADIA.address: "71000103"}
HERO_TASK = "Send Marta the two training dates for Arvenby"
_KNOWN: dict[str, tuple[int, ...]] = {
    "halden": (0, 1, 2), "osterfeld": (0, 2), "pinewharf": (0, 1), "corvane": (0, 1), "tillbrook": (0, 1),
    "vantry": (0, 1), "quillon": (0, 1),
}  # fmt: skip
"""Customers already in the CRM with the positions of their known people; the new and small ones are missing."""

_DIFFERENT: dict[str, dict[str, str]] = {
    "jonas.adler@quillon.example": {"firstname": "Jon", "jobtitle": "Logistics Manager", "phone": "01632 960228"},
    "isla@pinewharf.example": {"lastname": "Fenwick-Hale", "jobtitle": "Planner"},
}
"""Contacts somebody typed in once and never corrected."""

Entry = dict[str, Any]


def hero_task(calendar: Calendar) -> tuple[str, datetime]:
    """Title and due time of the hero's open task: two working days after the end, at 15:00."""
    due = datetime.combine(calendar.plus(calendar.end.date(), 2), time(15), LOCAL)
    return HERO_TASK, due.astimezone(UTC)


def iso(at: datetime) -> str:
    """ "2026-11-03T08:14:05.000Z"."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def hubspot_seed(
    calendar: Calendar, customers: Sequence[Organization], conversations: Mapping[str, Sequence[Letter]]
) -> dict[str, Any]:
    """The whole seed. conversations: letters by thread, so that logged meetings and calls fit the mail."""
    by_key = {o.key: o for o in customers}
    objects = _companies(calendar, by_key) + _contacts(calendar, by_key)
    objects += _deals(calendar) + _tasks(calendar) + _activities(calendar, conversations)
    return {"owners": _owners(calendar), "objects": objects}


def _owners(calendar: Calendar) -> list[Entry]:
    """The three own people; the founder gave her seat up a while ago and still owns records."""
    owners = []
    for number, person in enumerate(OWN):
        is_archived = person is NADIA
        user = 5400 + number
        changed = calendar.start - timedelta(days=20 if is_archived else 400)
        owners.append({
            "id": OWNER_IDS[person.address], "email": person.address, "type": "PERSON", "firstName": person.first,
            "lastName": person.last, "userId": None if is_archived else user, "userIdIncludingInactive": user,
            "createdAt": iso(calendar.start - timedelta(days=400)), "updatedAt": iso(changed), "archived": is_archived,
        })  # fmt: skip
    return owners


def _entry(kind: str, ref: str, properties: dict[str, str], *to: str) -> Entry:
    return {
        "type": kind, "ref": ref, "properties": {k: v for k, v in properties.items() if v},
        "associations": [{"to_ref": target} for target in to],
    }  # fmt: skip


def _owner_of(key: str) -> str:
    return OWNER_IDS[NADIA.address if key in ("vantry", "tillbrook") else INES.address]


def _companies(calendar: Calendar, by_key: Mapping[str, Organization]) -> list[Entry]:
    entries = []
    for number, key in enumerate(_KNOWN):
        customer = by_key[key]
        created = iso(calendar.start - timedelta(days=300 - 25 * number))
        entries.append(_entry("companies", f"co-{key}", {
            "name": "Halden Bakery Ltd" if key == "halden" else customer.name, "domain": customer.domain,
            "description": f"{customer.industry}, {customer.vans} vans", "city": customer.sites[0],
            "lifecyclestage": "customer", "hubspot_owner_id": _owner_of(key), "createdate": created,
            "hs_lastmodifieddate": iso(calendar.start - timedelta(days=10 + number)),
        }))  # fmt: skip
    return entries


def _ref(person: Person) -> str:
    return f"c-{person.address.partition('@')[0].replace('.', '-')}"


def _contacts(calendar: Calendar, by_key: Mapping[str, Organization]) -> list[Entry]:
    entries = []
    for number, (key, positions) in enumerate(_KNOWN.items()):
        for position in positions:
            person = by_key[key].people[position]
            touched = calendar.start - timedelta(days=5 + 3 * number + position)
            properties = {
                "email": person.address, "firstname": person.first, "lastname": person.last, "jobtitle": person.title,
                "phone": person.phone if position == 0 else "", "lifecyclestage": "customer",
                "hubspot_owner_id": _owner_of(key), "createdate": iso(touched - timedelta(days=200)),
                "lastmodifieddate": iso(touched),
            } | _DIFFERENT.get(person.address, {})  # fmt: skip
            entries.append(_entry("contacts", _ref(person), properties, f"co-{key}"))
    return entries


def _deals(calendar: Calendar) -> list[Entry]:
    """Deals in the default pipeline. The one with Vantry has been silent for more than two weeks."""
    # fmt: off
    rows = (
        # ref, title, stage, amount, owner, created and touched (working days back), close (days from the end), links
        ("d-halden", "Halden Bakeries: renewal and second depot", "contractsent", "42336", INES, 57, 3, 9,
         ("co-halden", "c-marta-lindqvist", "c-henrik-solberg")),
        ("d-corvane", "Corvane: renewal 24 months", "decisionmakerboughtin", "41820", INES, 26, 12, 30,
         ("co-corvane", "c-clara-voss", "c-samuel-okoro")),
        ("d-quillon", "Quillon: renewal 24 months", "contractsent", "15360", INES, 33, 16, 12,
         ("co-quillon", "c-jonas-adler")),
        ("d-vantry", "Vantry: arrival texts for Southside", "presentationscheduled", "6960", NADIA, 52, 24, 5,
         ("co-vantry", "c-lorraine-duval")),
        ("d-osterfeld", "Osterfeld: weitere Fahrzeuge", "closedwon", "5880", INES, 21, 17, -18,
         ("co-osterfeld", "c-j-pohl")),
        ("d-tillbrook", "Tillbrook: temperature logs", "closedlost", "2760", NADIA, 60, 40, -50,
         ("co-tillbrook", "c-owen-pritchard")),
    )
    # fmt: on
    entries = []
    for ref, title, stage, amount, owner, created, touched, closes, links in rows:
        entries.append(_entry("deals", ref, {
            "dealname": title, "pipeline": "default", "dealstage": stage, "amount": amount, "deal_currency_code": "GBP",
            "closedate": iso(_from_end(calendar, closes, time(17))), "hubspot_owner_id": OWNER_IDS[owner.address],
            "createdate": iso(calendar.back(created, time(11, 20))),
            "hs_lastmodifieddate": iso(calendar.back(touched, time(16, 5))),
        }, *links))  # fmt: skip
    return entries


def _from_end(calendar: Calendar, days: int, clock: time) -> datetime:
    """`clock` so many calendar days after (negative: before) the end's date; the Friday before for a weekend."""
    day = calendar.end.date() + timedelta(days=days)
    day -= timedelta(days=max(day.weekday() - 4, 0))
    return datetime.combine(day, clock, LOCAL)


def _tasks(calendar: Calendar) -> list[Entry]:
    """Next steps: open, overdue and done. hs_timestamp is when a task is due."""
    title, due_at = hero_task(calendar)
    # fmt: off
    rows = (
        # ref, title, text, due, done, priority, type, owner, created (working days back), links
        ("t-training", title, "Clear both mornings with Tomás first. Copy Oskar Brandt.", due_at, False, "HIGH",
         "EMAIL", INES, 2, ("c-marta-lindqvist", "co-halden", "d-halden")),
        ("t-countersign", "Countersign the Halden contract", "As soon as the signed copy is back.",
         _from_end(calendar, 6, time(12)), False, "MEDIUM", "TODO", INES, 2,
         ("c-henrik-solberg", "co-halden", "d-halden")),
        ("t-vantry", "Call Lorraine about the arrival texts", "She wanted to wait for the budget round.",
         _from_end(calendar, -6, time(10)), False, "HIGH", "CALL", NADIA, 22,
         ("c-lorraine-duval", "co-vantry", "d-vantry")),
        ("t-sixrounds", "Compare rounds at the second Pinewharf site", "Promised in the quarterly review.",
         _from_end(calendar, -2, time(16)), False, "MEDIUM", "TODO", INES, 40, ("c-callum", "co-pinewharf")),
        ("t-invoice", "Check the order number on the next Quillon invoice", "", _from_end(calendar, 4, time(9)), False,
         "LOW", "TODO", INES, 12, ("c-jonas-adler", "co-quillon")),
        ("t-frozen", "Look at Halden's early round after the change", "Frozen goods come first now.",
         calendar.back(44, time(9)), True, "HIGH", "TODO", TOMAS, 47, ("c-priya-nair", "co-halden")),
        ("t-sensors", "Show the sensor values to Clara", "", calendar.back(34, time(14)), True, "MEDIUM", "CALL",
         TOMAS, 38, ("c-clara-voss", "co-corvane")),
    )
    # fmt: on
    entries = []
    for ref, subject, text, due, is_done, priority, kind, owner, created, links in rows:
        made = calendar.back(created, time(17, 10))
        entries.append(_entry("tasks", ref, {
            "hs_task_subject": subject, "hs_task_body": text, "hs_timestamp": iso(due), "hs_task_priority": priority,
            "hs_task_status": "COMPLETED" if is_done else "NOT_STARTED", "hs_task_type": kind,
            "hubspot_owner_id": OWNER_IDS[owner.address], "hs_createdate": iso(made),
            "hs_lastmodifieddate": iso(due if is_done else made),
        }, *links))  # fmt: skip
    return entries


def _activities(calendar: Calendar, conversations: Mapping[str, Sequence[Letter]]) -> list[Entry]:
    """Meetings, calls and notes somebody logged by hand. The hero's meeting and call stand between her mails."""
    visit = datetime.combine(conversations["hero-review-halden"][2].sent_at.date(), time(9, 30), LOCAL)
    talk = datetime.combine(conversations["hero-depot-halden"][3].sent_at.date(), time(10), LOCAL)
    halden = ("c-marta-lindqvist", "co-halden")
    entries = [
        _meeting("m-halden", "Half-yearly review at Milton Yard", "Kilometres per stop down 9 percent. Friday rounds "
                 "stay. Tomás prepares the Arvenby addresses, Priya checks them.", visit, 75, INES, "Milton Yard",
                 *halden, "c-priya-nair"),
        _meeting("m-osterfeld", "Halbjahresgespräch Osterfeld", "Wiesental fährt vier Wochen mit einer Tour weniger.",
                 calendar.back(34, time(14)), 45, INES, "Video", "c-j-pohl", "co-osterfeld"),
        _call("ca-halden", "Second depot in Arvenby", "Eight vans, one contract over two years.",
              talk, 22, "OUTBOUND", INES, *halden, "d-halden"),
        _call("ca-vantry", "No answer at Vantry", "Left a message for Lorraine.", calendar.back(40, time(15, 30)), 1,
              "OUTBOUND", NADIA, "c-lorraine-duval", "co-vantry"),
        _note("n-halden", "Marta prefers the phone before nine and after three. Contracts go through Henrik.",
              calendar.back(56, time(16, 40)), INES, *halden),
        _note("n-corvane", "IT security (Beatrix Lund) must see every new interface before it is switched on.",
              calendar.back(37, time(11, 5)), TOMAS, "c-clara-voss", "co-corvane"),
        _note("n-tillbrook", "Temperature logs are too expensive for them this year. Ask again next year.",
              calendar.back(40, time(9, 50)), NADIA, "c-owen-pritchard", "co-tillbrook", "d-tillbrook"),
    ]  # fmt: skip
    return entries


def _engagement(
    kind: str, ref: str, at: datetime, owner: Person, properties: dict[str, str], links: tuple[str, ...]
) -> Entry:
    logged = iso(at + timedelta(hours=3))
    common = {
        "hs_timestamp": iso(at), "hubspot_owner_id": OWNER_IDS[owner.address], "hs_createdate": logged,
        "hs_lastmodifieddate": logged,
    }  # fmt: skip
    return _entry(kind, ref, common | properties, *links)


def _meeting(
    ref: str, title: str, text: str, at: datetime, minutes: int, owner: Person, place: str, *links: str
) -> Entry:
    return _engagement("meetings", ref, at, owner, {
        "hs_meeting_title": title, "hs_meeting_body": text, "hs_meeting_location": place,
        "hs_meeting_outcome": "COMPLETED", "hs_meeting_start_time": iso(at),
        "hs_meeting_end_time": iso(at + timedelta(minutes=minutes)),
    }, links)  # fmt: skip


def _call(
    ref: str, title: str, text: str, at: datetime, minutes: int, direction: str, owner: Person, *links: str
) -> Entry:
    """hs_call_duration is in milliseconds."""
    return _engagement("calls", ref, at, owner, {
        "hs_call_title": title, "hs_call_body": text, "hs_call_direction": direction, "hs_call_status": "COMPLETED",
        "hs_call_duration": str(minutes * 60_000), "hs_call_from_number": owner.phone.replace(" ", ""),
    }, links)  # fmt: skip


def _note(ref: str, text: str, at: datetime, owner: Person, *links: str) -> Entry:
    return _engagement("notes", ref, at, owner, {"hs_note_body": text}, links)
