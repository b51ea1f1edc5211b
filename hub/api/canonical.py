"""The canonical interaction schema: what every connector maps to and every push starts from.

Version 1. Published as JSON Schema by `ihub schema`; a change that old readers could not take raises
`SCHEMA_VERSION`. Instants are aware UTC `datetime`; an all-day event has a `date` instead. Types are
msgspec structs: slotted, comparable, 5-7 times cheaper to build than pydantic models, and they give
their own JSON Schema.
"""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1

Channel = Literal[
    "email", "phone", "video", "in_person", "chat", "sms", "social", "in_app", "helpdesk", "form",
    "calendar", "web", "postal", "system",
]  # fmt: skip
Kind = Literal[
    "message", "call", "meeting", "ticket", "comment", "note", "campaign_send", "open", "click", "bounce",
    "unsubscribe", "form_submission", "survey_response", "review", "transaction", "content_view",
    "event_attendance", "status_change",
]  # fmt: skip
Direction = Literal["inbound", "outbound", "internal"]
Role = Literal["from", "to", "cc", "bcc", "organizer", "attendee", "requester", "agent", "author", "about"]
Answer = Literal["", "accepted", "declined", "tentative", "unanswered"]
Purpose = Literal[
    "sales", "onboarding", "support", "account", "self_service", "outbound", "transactional", "service",
    "informative", "feedback", "relationship_building", "cross_sell_upsell",
]  # fmt: skip


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Common base: immutable, keyword-only, defaults left out of JSON."""


class Identifier(msgspec.Struct, frozen=True, order=True):
    """Something that points at a person or an organization.

    scheme: "email", "phone", "domain", "name", or "<tool>:<object>" for a vendor's own id
            ("hubspot:contacts"). value: as the source gave it; the hub normalises its own match key.
    """

    scheme: str
    value: str


class Participation(_Struct, frozen=True):
    """One party's part in an interaction, as the source names it. answer: to an invitation, where one was sent."""

    identifier: Identifier
    role: Role
    name: str = ""
    answer: Answer = ""


class Attachment(_Struct, frozen=True):
    """Metadata of a file; the content stays in the tool. `size` in bytes."""

    external_id: str
    filename: str = ""
    media_type: str = ""
    size: int = 0


class Interaction(_Struct, frozen=True):
    """One message, call, meeting, ticket or note, as one source holds it.

    dedup_keys: names that are the same in every tool holding a copy ("message-id:<...>",
        "ical:<uid>/<start>"). Records sharing one become one interaction with several sources.
    thread_refs: ids that tie interactions into one conversation, the own one included
        ("message-id:...", "gmail-thread:..."); sharing any joins the two.
    text: the new part; body: everything, quotes and signature included ("" when equal to text).
    labels: the tool's own folders or labels, read by the capture policy.
    signals: facts the capture policy and identity read ("bulk", "auto", "private", "list:<address>"); "organizers-copy"
        is the copy of a meeting that all guests' answers arrive at, and goes before the guests' own copies;
        "revision:<n>" counts how often it was moved, and the higher goes first where no copy is the organizer's.
    direction: only where the source is certain; None lets the hub decide from the own people and domains.
    all_day, all_day_last: the first and, of several, the last day of what has dates instead of instants.
    """

    external_id: str
    kind: Kind
    channel: Channel
    occurred_at: datetime | None = None
    participants: tuple[Participation, ...] = ()
    all_day: date | None = None
    all_day_last: date | None = None
    ended_at: datetime | None = None
    zone: str = ""
    direction: Direction | None = None
    subject: str = ""
    text: str = ""
    body: str = ""
    status: str = ""
    purpose: Purpose | None = None
    dedup_keys: tuple[str, ...] = ()
    thread_refs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    owner: Identifier | None = None
    url: str = ""
    changed_at: datetime | None = None


class Person(_Struct, frozen=True):
    """A person as one source records them; `fields` become dated statements with provenance.

    Pushed to a tool that has the person, it names only what is to change there: a field with "" is emptied, what it
    does not name stays.
    """

    external_id: str
    identifiers: tuple[Identifier, ...] = ()
    name: str = ""
    fields: dict[str, str] = {}
    organizations: tuple[Identifier, ...] = ()
    owner: Identifier | None = None
    is_own: bool = False
    changed_at: datetime | None = None
    url: str = ""


class Organization(_Struct, frozen=True):
    """A company, institution or household as one source records it; pushed, as a `Person` is.

    parent: the organization that it is a part of, a subsidiary or a branch. The two stay two.
    """

    external_id: str
    identifiers: tuple[Identifier, ...] = ()
    name: str = ""
    fields: dict[str, str] = {}
    owner: Identifier | None = None
    parent: Identifier | None = None
    changed_at: datetime | None = None
    url: str = ""


class Deal(_Struct, frozen=True):
    """An opportunity. `amount` is a decimal number as text; `currency` ISO 4217."""

    external_id: str
    title: str = ""
    stage: str = ""
    is_closed: bool = False
    amount: str = ""
    currency: str = ""
    closes_at: datetime | None = None
    about: tuple[Identifier, ...] = ()
    owner: Identifier | None = None
    changed_at: datetime | None = None
    url: str = ""


class Service(_Struct, frozen=True):
    """Something the customer has bought and uses: a subscription, a contract, a project."""

    external_id: str
    title: str = ""
    state: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    about: tuple[Identifier, ...] = ()
    owner: Identifier | None = None
    changed_at: datetime | None = None
    url: str = ""


class Ticket(_Struct, frozen=True):
    """A conversation with a status and a severity; its messages are interactions in `thread_refs`."""

    external_id: str
    title: str = ""
    state: str = ""
    is_closed: bool = False
    severity: str = ""
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    thread_refs: tuple[str, ...] = ()
    about: tuple[Identifier, ...] = ()
    owner: Identifier | None = None
    changed_at: datetime | None = None
    url: str = ""


class Task(_Struct, frozen=True):
    """A next step: who does what by when, and the interaction it came from."""

    external_id: str
    title: str = ""
    text: str = ""
    is_done: bool = False
    due_at: datetime | None = None
    origin: str = ""
    about: tuple[Identifier, ...] = ()
    owner: Identifier | None = None
    changed_at: datetime | None = None
    url: str = ""


class Note(_Struct, frozen=True):
    """What a meeting or call left behind, in five parts."""

    external_id: str
    discussed: str = ""
    decided: str = ""
    next_step: str = ""
    due_at: datetime | None = None
    owner: Identifier | None = None
    about: tuple[Identifier, ...] = ()
    changed_at: datetime | None = None


class Consent(_Struct, frozen=True):
    """A person's permission on one channel. `opted_out` is absorbing, and the only state that is ever pushed.

    at: when the person said so. evidence: how they did; an opt-in without it cannot lift an earlier opt-out.
    """

    external_id: str
    identifier: Identifier
    channel: Channel
    state: Literal["opted_in", "opted_out", "unknown"]
    at: datetime
    evidence: str = ""


class Conversation(_Struct, frozen=True):
    """A thread across channels, as the hub derives it."""

    public_id: str
    subject: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None
    interactions: int = 0
    state: Literal["open", "waiting", "closed"] = "open"
    owner: Identifier | None = None


class Statement(_Struct, frozen=True):
    """One field value with its source and time: the provenance of everything shown of a party."""

    field: str
    value: str
    source: str
    observed_at: datetime


class Tombstone(_Struct, frozen=True):
    """The vendor says this record is gone."""

    external_id: str
    changed_at: datetime | None = None


class Redirect(_Struct, frozen=True):
    """The vendor merged `external_id` into `into`; both histories belong to the survivor.

    Give it with the survivor's own record, or with the absorbed one's, which is gone by that; both of the same stream.
    """

    external_id: str
    into: str


class Unmapped(_Struct, frozen=True):
    """A record seen and understood, but carrying nothing for the timeline, with the reason why."""

    external_id: str
    reason: str


Entity = (
    Interaction | Person | Organization | Deal | Service | Ticket | Task | Note | Consent
    | Tombstone | Redirect | Unmapped
)  # fmt: skip

PUBLISHED: tuple[type[msgspec.Struct], ...] = (
    Interaction, Participation, Conversation, Person, Organization, Identifier, Statement, Deal, Service,
    Ticket, Task, Note, Consent, Attachment,
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """The whole canonical schema as one JSON Schema 2020-12 document, one definition per entity."""
    _, components = msgspec.json.schema_components(PUBLISHED, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:interaction-hub:canonical:{SCHEMA_VERSION}",
        "title": "interaction-hub canonical schema",
        "version": SCHEMA_VERSION,
        "$defs": components,
    }
