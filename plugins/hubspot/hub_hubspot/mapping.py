"""From HubSpot's objects to canonical entities. Pure: no calls, no clock.

Every property is a text or null. A value outside the vendor's documented list is a RecordRejected naming the
property and the value; a property that is missing is not.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.api import (
    Attachment,
    Channel,
    Consent,
    Deal,
    Direction,
    Entity,
    Identifier,
    Interaction,
    Organization,
    Participation,
    Person,
    RawRecord,
    RecordRejected,
    Redirect,
    Role,
    Task,
    Ticket,
    Tombstone,
    Unmapped,
)
from hub.api.mail import html_to_text, message_id
from hub_hubspot import fields
from hub_hubspot.objects import MERGED, OBJECTS, OPT_OUT, PARENT
from hub_hubspot.settings import HubSpotSettings
from hub_hubspot.texts import instant, plain, split_marker

HUB_KEY = "hub-key"

# fmt: off
EMAIL_DIRECTIONS: dict[str, Direction | None] = {
    "EMAIL": "outbound", "INCOMING_EMAIL": "inbound", "FORWARDED_EMAIL": None,
}
EMAIL_STATUSES = frozenset({"BOUNCED", "FAILED", "SCHEDULED", "SENDING", "SENT"})
CALL_DIRECTIONS: dict[str, Direction | None] = {"INBOUND": "inbound", "OUTBOUND": "outbound"}
CALL_STATUSES = frozenset({
    "BUSY", "CALLING_CRM_USER", "CANCELED", "COMPLETED", "CONNECTING", "FAILED", "IN_PROGRESS", "NO_ANSWER",
    "QUEUED", "RINGING",
})
CALL_OUTCOMES = {  # the standard ones; a portal may define more
    "9d9162e7-6cf3-4944-bf63-4dff82258764": "busy",
    "f240bbac-87c9-4f6e-bf70-924b57d47db7": "connected",
    "a4c4c377-d246-4b32-a13b-75a56a4cd0ff": "left live message",
    "b2cf5968-551e-4856-9783-52b3da59a7d0": "left voicemail",
    "73a0d17f-1163-4015-bdd5-ec830791da20": "no answer",
    "17b47fee-58de-441e-a44c-c6300d46f273": "wrong number",
}
MEETING_OUTCOMES = frozenset({"SCHEDULED", "COMPLETED", "RESCHEDULED", "NO_SHOW", "CANCELED"})
TASK_STATUSES = frozenset({"NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED", "COMPLETED"})
CHANNELS: dict[str, tuple[Channel, str]] = {  # communication type: channel, label
    "SMS": ("sms", ""), "WHATS_APP": ("chat", "whatsapp"), "LINKEDIN_MESSAGE": ("social", "linkedin"),
}
# fmt: on


class _Object(msgspec.Struct):
    id: str | int
    properties: dict[str, str | None] = {}
    updatedAt: str | None = None
    archived: bool = False
    archivedAt: str | None = None
    url: str | None = None


class _Body(msgspec.Struct):
    object: _Object
    associations: dict[str, list[str]] = {}


class _Owner(msgspec.Struct):
    id: str | int
    email: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    updatedAt: str | None = None
    archived: bool = False


class _Address(msgspec.Struct):
    email: str | None = None
    firstName: str | None = None
    lastName: str | None = None


class _Headers(msgspec.Struct):
    from_: _Address | None = msgspec.field(default=None, name="from")
    sender: _Address | None = None
    to: list[_Address] | None = None
    cc: list[_Address] | None = None
    bcc: list[_Address] | None = None


_body = msgspec.json.Decoder(_Body)
_owner = msgspec.json.Decoder(_Owner)
_headers = msgspec.json.Decoder(_Headers)


class Mapper:
    """Maps the records of one connection; `settings` give the portal for links and the name of our property."""

    def __init__(self, settings: HubSpotSettings) -> None:
        self._key_property = settings.key_property
        self._url = f"https://{settings.ui_domain}/contacts/{settings.portal_id}/record/" if settings.portal_id else ""
        self._tables = {name: fields.table(kind, settings) for kind, name in fields.OBJECT.items()}
        self._makers: dict[str, Callable[[Source], Entity]] = {
            "contacts": _contact, "companies": _company, "deals": _deal, "tickets": _ticket, "tasks": _task,
            "emails": _email, "calls": _call, "meetings": _meeting, "notes": _note, "communications": _communication,
        }  # fmt: skip

    def entities(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        """The entities of one record. Raises RecordRejected for a broken one."""
        try:
            if stream == "owners":
                yield _own_person(_owner.decode(raw.body))
                return
            body = _body.decode(raw.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise RecordRejected(f"not an object of the documented shape: {exc}", external_id=raw.external_id) from exc
        record = Source(stream, body, self._key_property, self._url, self._tables.get(stream, {}))
        if body.object.archived:
            yield Tombstone(external_id=record.id, changed_at=record.time_of("archivedAt", body.object.archivedAt))
            return
        maker = self._makers.get(stream)
        if maker is None:
            yield Unmapped(external_id=record.id, reason=f"{stream} carry nothing for the timeline")
            return
        try:
            yield maker(record)
        except OverflowError as exc:
            raise RecordRejected(f"a time beyond the calendar: {exc}", stream=stream, external_id=record.id) from exc
        if opt_out := _opt_out(record):
            yield opt_out
        for absorbed in record.many(MERGED):
            if absorbed != record.id:
                yield Redirect(external_id=absorbed, into=record.id)


class Source:
    """One object with readers that turn its texts into values."""

    def __init__(self, stream: str, body: _Body, key_property: str, url: str, table: Mapping[str, str]) -> None:
        self.stream = stream
        self.id = str(body.object.id)
        self._properties = body.object.properties
        self._links = body.associations
        self._object = body.object
        self._url = url
        self._table = table
        self.key = self.get(key_property)

    def get(self, name: str) -> str:
        return self._properties.get(name) or ""

    def many(self, name: str) -> list[str]:
        """A semicolon-separated property."""
        return [part.strip() for part in self.get(name).split(";") if part.strip()]

    def time(self, name: str) -> datetime | None:
        return self.time_of(name, self._properties.get(name))

    def time_of(self, name: str, value: str | None) -> datetime | None:
        try:
            return instant(value)
        except ValueError as exc:
            raise self.bad(name, value or "") from exc

    def one_of(self, name: str, known: frozenset[str] | Mapping[str, Any]) -> str:
        """The value of an enumeration, "" when missing. Raises RecordRejected for an unknown one."""
        value = self.get(name)
        if value and value not in known:
            raise self.bad(name, value)
        return value

    def number(self, name: str) -> int:
        value = self.get(name)
        try:
            return int(float(value)) if value else 0
        except (ValueError, OverflowError) as exc:
            raise self.bad(name, value) from exc

    def bad(self, name: str, value: str) -> RecordRejected:
        return RecordRejected(
            f"{name} has a value we do not know: {value[:100]!r}", stream=self.stream, external_id=self.id
        )

    @property
    def fields(self) -> dict[str, str]:
        """Our fields, those without a value left out."""
        return {ours: fields.read(ours, value) for ours, theirs in self._table.items() if (value := self.get(theirs))}

    @property
    def changed_at(self) -> datetime | None:
        return self.time_of("updatedAt", self._object.updatedAt)

    @property
    def owner(self) -> Identifier | None:
        owner = self.get("hubspot_owner_id")
        return Identifier("hubspot:owners", owner) if owner else None

    @property
    def url(self) -> str:
        if self._object.url:
            return self._object.url
        return f"{self._url}{OBJECTS[self.stream].type_id}/{self.id}" if self._url else ""

    @property
    def identity(self) -> tuple[Identifier, ...]:
        """What names this very object: HubSpot's id, and our own key when we made it."""
        own = Identifier(f"hubspot:{self.stream}", self.id)
        return (own, Identifier(HUB_KEY, self.key)) if self.key else (own,)

    def linked(self, target: str) -> tuple[Identifier, ...]:
        return tuple(Identifier(f"hubspot:{target}", i) for i in self._links.get(target, ()))

    @property
    def about(self) -> tuple[Identifier, ...]:
        return self.linked("contacts") + self.linked("companies")

    def parties(self, role: Role, own_role: Role | None = None) -> tuple[Participation, ...]:
        """The associated contacts in `role`, companies as "about", and the owner when a role is given."""
        found = [Participation(identifier=i, role=role) for i in self.linked("contacts")]
        found += [Participation(identifier=i, role="about") for i in self.linked("companies")]
        if own_role and self.owner:
            found.append(Participation(identifier=self.owner, role=own_role))
        return tuple(found)

    def body(self, name: str) -> str:
        """A rich text as plain text; our marker at its end becomes the key of the record."""
        text, key = split_marker(plain(self.get(name)))
        self.key = self.key or key
        return text

    @property
    def dedup_keys(self) -> tuple[str, ...]:
        return (f"{HUB_KEY}:{self.key}",) if self.key else ()

    @property
    def thread_refs(self) -> tuple[str, ...]:
        return tuple(f"hubspot-ticket:{i}" for i in self._links.get("tickets", ()))


def _own_person(owner: _Owner) -> Person:
    id_ = str(owner.id)
    identifiers = [Identifier("hubspot:owners", id_)]
    if owner.email:
        identifiers.append(Identifier("email", owner.email))
    names = {"first_name": owner.firstName or "", "last_name": owner.lastName or ""}
    told = {k: v for k, v in names.items() if v}
    try:
        changed_at = instant(owner.updatedAt)
    except ValueError as exc:
        raise RecordRejected(f"updatedAt is not a time: {owner.updatedAt!r}", external_id=id_) from exc
    return Person(
        external_id=id_, identifiers=tuple(identifiers), name=" ".join(told.values()),
        fields={**told, "account": "deactivated"} if owner.archived else told, is_own=True, changed_at=changed_at,
    )  # fmt: skip


def _contact(r: Source) -> Person:
    identifiers = list(r.identity)
    addresses = [r.get("email"), *r.many("hs_additional_emails")]
    identifiers += [Identifier("email", a) for a in addresses if a]
    identifiers += [Identifier("phone", p) for p in (r.get("phone"), r.get("mobilephone")) if p]
    companies = list(r.linked("companies"))
    primary = Identifier("hubspot:companies", r.get("associatedcompanyid"))
    if primary in companies:
        companies.remove(primary)
        companies.insert(0, primary)
    return Person(
        external_id=r.id, identifiers=tuple(dict.fromkeys(identifiers)),
        name=f"{r.get('firstname')} {r.get('lastname')}".strip(), fields=r.fields,
        organizations=tuple(companies), owner=r.owner, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _company(r: Source) -> Organization:
    domains = [d for d in (r.get("domain"), *r.many("hs_additional_domains")) if d]
    identifiers = [*r.identity, *(Identifier("domain", d) for d in domains)]
    parent = r.get(PARENT)
    return Organization(
        external_id=r.id, identifiers=tuple(dict.fromkeys(identifiers)), name=r.get("name"), fields=r.fields,
        owner=r.owner, parent=Identifier("hubspot:companies", parent) if parent else None, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _opt_out(r: Source) -> Consent | None:
    """HubSpot says that somebody left all mail, not when: it counts from the last change of the record, not earlier.

    An edit of anything else makes it newer. That is the safe side: with an earlier date, an opt-in told elsewhere before
    the refusal would lift it. The property's history has the date, at the price of pages of half the size.

    What it does not say is no consent: a contact that is not opted out was perhaps never asked.
    """
    address = r.get("email")
    if r.stream != "contacts" or r.get(OPT_OUT) != "true" or not address:
        return None
    if (at := r.changed_at) is None:
        raise r.bad("updatedAt", "")
    said = f"HubSpot: unsubscribed from all e-mail ({OPT_OUT}); the date is that of the contact's last change"
    who = Identifier("email", address)
    return Consent(external_id=r.id, identifier=who, channel="email", state="opted_out", at=at, evidence=said)


def _deal(r: Source) -> Deal:
    return Deal(
        external_id=r.id, title=r.get("dealname"), stage=r.get("dealstage"), is_closed=r.get("hs_is_closed") == "true",
        amount=r.get("amount"), currency=r.get("deal_currency_code"), closes_at=r.time("closedate"), about=r.about,
        owner=r.owner, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _ticket(r: Source) -> Ticket:
    closed_at = r.time("closed_date")
    return Ticket(
        external_id=r.id, title=r.get("subject"), state=r.get("hs_pipeline_stage"), is_closed=closed_at is not None,
        severity=r.get("hs_ticket_priority").lower(), opened_at=r.time("createdate"), closed_at=closed_at,
        thread_refs=(f"hubspot-ticket:{r.id}",), about=r.about, owner=r.owner, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _task(r: Source) -> Task:
    status = r.one_of("hs_task_status", TASK_STATUSES)
    return Task(
        external_id=r.id, title=r.get("hs_task_subject"), text=r.body("hs_task_body"), is_done=status == "COMPLETED",
        due_at=r.time("hs_timestamp"), about=r.about, owner=r.owner, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _email(r: Source) -> Interaction:
    direction = EMAIL_DIRECTIONS.get(r.one_of("hs_email_direction", EMAIL_DIRECTIONS))
    status = r.one_of("hs_email_status", EMAIL_STATUSES)
    text = r.get("hs_email_text")
    if not text and (page := r.get("hs_email_html")):
        text = html_to_text(page)
    text, key = split_marker(text)
    r.key = r.key or key
    mail_id = message_id(r.get("hs_email_message_id"))
    own = (f"message-id:{mail_id}",) if mail_id else ()
    thread = r.get("hs_email_thread_id")
    signals = ("forwarded",) if r.get("hs_email_direction") == "FORWARDED_EMAIL" else ()
    return Interaction(
        external_id=r.id, kind="message", channel="email", occurred_at=_occurred(r), direction=direction,
        participants=_correspondents(r) + r.parties("about"), subject=r.get("hs_email_subject"), text=text,
        status=status.lower(), dedup_keys=own + r.dedup_keys, signals=signals,
        thread_refs=own + ((f"hubspot-thread:{thread}",) if thread else ()) + r.thread_refs, owner=r.owner,
        changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _correspondents(r: Source) -> tuple[Participation, ...]:
    """Sender and recipients from the header property, else from the plain address properties."""
    text = r.get("hs_email_headers")
    found: list[Participation] = []
    if text:
        try:
            headers = _headers.decode(text)
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise r.bad("hs_email_headers", text) from exc
        sender = headers.from_ or headers.sender
        groups: tuple[tuple[Role, list[_Address]], ...] = (
            ("from", [sender] if sender else []), ("to", headers.to or []), ("cc", headers.cc or []),
            ("bcc", headers.bcc or []),
        )  # fmt: skip
        for role, people in groups:
            for one in people:
                if one.email:
                    name = f"{one.firstName or ''} {one.lastName or ''}".strip()
                    found.append(Participation(identifier=Identifier("email", one.email), role=role, name=name))
    if not found:
        plainly: tuple[tuple[Role, str], ...] = (
            ("from", "hs_email_from_email"), ("to", "hs_email_to_email"), ("cc", "hs_email_cc_email"),
        )  # fmt: skip
        for role, name in plainly:
            found += [Participation(identifier=Identifier("email", a), role=role) for a in r.many(name)]
    return tuple(found)


def _call(r: Source) -> Interaction:
    at = _occurred(r)
    duration = timedelta(milliseconds=min(max(r.number("hs_call_duration"), 0), 86_400_000_000))
    numbers: tuple[tuple[Role, str], ...] = (("from", r.get("hs_call_from_number")), ("to", r.get("hs_call_to_number")))
    participants = tuple(Participation(identifier=Identifier("phone", n), role=role) for role, n in numbers if n)
    recording = r.get("hs_call_recording_url")
    outcome = r.get("hs_call_disposition")
    text = r.body("hs_call_body")
    return Interaction(
        external_id=r.id, kind="call", channel="phone", occurred_at=at, ended_at=at + duration if duration else None,
        direction=CALL_DIRECTIONS.get(r.one_of("hs_call_direction", CALL_DIRECTIONS)),
        participants=participants + r.parties("about", "agent"), subject=r.get("hs_call_title"), text=text,
        status=r.one_of("hs_call_status", CALL_STATUSES).lower(),
        labels=(CALL_OUTCOMES.get(outcome.lower(), outcome),) if outcome else (), dedup_keys=r.dedup_keys,
        thread_refs=r.thread_refs, owner=r.owner, changed_at=r.changed_at, url=r.url,
        attachments=(Attachment(external_id=recording, filename="recording"),) if recording else (),
    )  # fmt: skip


def _meeting(r: Source) -> Interaction:
    start, end = r.time("hs_meeting_start_time"), r.time("hs_meeting_end_time")
    place = r.get("hs_meeting_location")
    is_online = bool(r.get("hs_meeting_external_url")) or place.startswith(("http://", "https://"))
    channel: Channel = "video" if is_online else "in_person" if place else "calendar"
    text = r.body("hs_meeting_body") or r.body("hs_internal_meeting_notes")
    return Interaction(
        external_id=r.id, kind="meeting", channel=channel, occurred_at=start or _occurred(r), ended_at=end,
        participants=r.parties("attendee", "organizer"), subject=r.get("hs_meeting_title"), text=text,
        status=r.one_of("hs_meeting_outcome", MEETING_OUTCOMES).lower(), dedup_keys=r.dedup_keys,
        thread_refs=r.thread_refs, owner=r.owner, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _note(r: Source) -> Interaction:
    text = r.body("hs_note_body")
    return Interaction(
        external_id=r.id, kind="note", channel="system", occurred_at=_occurred(r), direction="internal",
        participants=r.parties("about", "author"), text=text, dedup_keys=r.dedup_keys, thread_refs=r.thread_refs,
        owner=r.owner, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _communication(r: Source) -> Interaction:
    channel, label = CHANNELS.get(r.one_of("hs_communication_channel_type", CHANNELS), ("chat", ""))
    text = r.body("hs_communication_body")
    return Interaction(
        external_id=r.id, kind="message", channel=channel, occurred_at=_occurred(r),
        participants=r.parties("about", "agent"), text=text, labels=(label,) if label else (),
        dedup_keys=r.dedup_keys, thread_refs=r.thread_refs, owner=r.owner, changed_at=r.changed_at, url=r.url,
    )  # fmt: skip


def _occurred(r: Source) -> datetime:
    """Its place on HubSpot's timeline. Raises RecordRejected without one: nothing can be ordered then."""
    at = r.time("hs_timestamp")
    if at is None:
        raise RecordRejected("hs_timestamp is missing", stream=r.stream, external_id=r.id)
    return at
