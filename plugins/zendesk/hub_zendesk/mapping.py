"""From Zendesk's objects to canonical entities. Pure: no calls, no clock.

A ticket is a conversation with a status and a severity; its comments are the interactions, tied to it by
`thread_refs`. The ticket's description is its first comment and is not counted again.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.api import (
    Attachment,
    Channel,
    Direction,
    Entity,
    Identifier,
    Interaction,
    Kind,
    Organization,
    Participation,
    Person,
    RawRecord,
    RecordRejected,
    Redirect,
    Role,
    Ticket,
    Tombstone,
    Unmapped,
)
from hub.api.mail import message_id
from hub_zendesk.outbound import spelled
from hub_zendesk.settings import ZendeskSettings
from hub_zendesk.texts import PREFIX, instant, is_redacted, split_marker

HUB_KEY = "hub-key"
SCRUBBED = "SCRUBBED"
OWN_ROLES = frozenset({"agent", "admin"})
CLOSED = frozenset({"solved", "closed"})
STATUSES = frozenset({"new", "open", "pending", "hold", "solved", "closed", "deleted"})
PRIORITIES = frozenset({"low", "normal", "high", "urgent"})
# fmt: off
CHANNELS: dict[str, tuple[Channel, Kind]] = {  # via.channel: our channel and kind; any other is the help desk's own
    "email": ("email", "message"),
    "chat": ("chat", "message"), "native_messaging": ("chat", "message"), "messaging": ("chat", "message"),
    "chat_transcript": ("chat", "message"), "offline_message": ("chat", "message"), "whatsapp": ("chat", "message"),
    "line": ("chat", "message"), "wechat": ("chat", "message"), "telegram": ("chat", "message"),
    "sms": ("sms", "message"), "text_message": ("sms", "message"),
    "voice": ("phone", "call"), "phone": ("phone", "call"),
    "facebook": ("social", "message"), "twitter": ("social", "message"), "instagram_dm": ("social", "message"),
    "web_form": ("form", "form_submission"), "sample_ticket": ("system", "message"),
    "system": ("system", "comment"), "rule": ("system", "comment"),
}
# fmt: on


class _Via(msgspec.Struct):
    channel: str | int | None = None
    source: dict[str, Any] | None = None


class _CommentTicket(msgspec.Struct):
    id: int
    subject: str | None = None
    requester_id: int | None = None
    organization_id: int | None = None
    external_id: str | None = None
    tags: list[str] = []


class _Attachment(msgspec.Struct):
    id: int
    file_name: str | None = None
    content_type: str | None = None
    size: int | None = None


class _Comment(msgspec.Struct):
    id: int
    created_at: str
    type: str = "Comment"
    author_id: int | None = None
    body: str | None = None
    public: bool = True
    attachments: list[_Attachment] = []
    via: _Via | str | None = None
    data: dict[str, Any] | None = None
    message_id: str = ""


class _CommentBody(msgspec.Struct):
    ticket: _CommentTicket
    comment: _Comment


class _Ticket(msgspec.Struct):
    id: int
    created_at: str
    status: str
    updated_at: str | None = None
    subject: str | None = None
    raw_subject: str | None = None
    description: str | None = None
    priority: str | None = None
    external_id: str | None = None
    requester_id: int | None = None
    assignee_id: int | None = None
    organization_id: int | None = None
    tags: list[str] = []


class _TicketBody(msgspec.Struct):
    ticket: _Ticket
    merged: list[int] = []
    into: int | None = None


class _User(msgspec.Struct):
    id: int
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    role: str | None = None
    active: bool = True
    external_id: str | None = None
    organization_id: int | None = None
    updated_at: str | None = None
    details: str | None = None
    time_zone: str | None = None
    iana_time_zone: str | None = None
    locale: str | None = None
    user_fields: dict[str, Any] | None = None


class _Organization(msgspec.Struct):
    id: int
    name: str | None = None
    domain_names: list[str] | None = None
    external_id: str | None = None
    updated_at: str | None = None
    deleted_at: str | None = None
    details: str | None = None
    organization_fields: dict[str, Any] | None = None


class _Rating(msgspec.Struct):
    id: int
    score: str
    created_at: str
    ticket_id: int
    requester_id: int
    assignee_id: int | None = None
    updated_at: str | None = None
    comment: str | None = None
    reason: str | None = None


class _MetricEvent(msgspec.Struct):
    id: int
    ticket_id: int
    type: str
    time: str
    metric: str | None = None


class Mapper:
    """Maps the records of one account; `settings` give the address for links and the names of custom fields."""

    def __init__(self, settings: ZendeskSettings) -> None:
        self._url = f"https://{settings.subdomain}.zendesk.com/agent/"
        self._private = frozenset(settings.private_tags)
        self._user_fields = {theirs: ours for ours, theirs in settings.user_fields.items()}
        self._organization_fields = {theirs: ours for ours, theirs in settings.organization_fields.items()}
        self._makers: dict[str, Callable[[RawRecord], Iterator[Entity]]] = {
            "tickets": self._ticket, "comments": self._comment, "users": self._user,
            "organizations": self._organization, "satisfaction_ratings": self._rating,
            "metric_events": self._metric_event,
        }  # fmt: skip

    def entities(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        """The entities of one record. Raises RecordRejected, which never holds the record's content."""
        try:
            yield from self._makers[stream](raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            where = str(exc).rpartition(" - at ")[2][:80]
            raise RecordRejected(f"not of the documented form: {where}", "zendesk", stream, raw.external_id) from exc
        except (ValueError, OverflowError) as exc:
            raise RecordRejected("holds a time that is none", "zendesk", stream, raw.external_id) from exc

    def _ticket(self, raw: RawRecord) -> Iterator[Entity]:
        body = msgspec.json.decode(raw.body, type=_TicketBody)
        t = body.ticket
        changed_at = instant(t.updated_at)
        if t.status == "deleted" or (t.subject == t.description == SCRUBBED):
            yield Tombstone(external_id=str(t.id), changed_at=changed_at)
            return
        if t.status not in STATUSES or (t.priority and t.priority not in PRIORITIES):
            raise RecordRejected("has a status or a priority we do not know", "zendesk", "tickets", raw.external_id)
        if (t.external_id or "").startswith(PREFIX):
            yield Unmapped(external_id=str(t.id), reason="made by the hub itself")
            return
        if marks := self._private & set(t.tags):
            # The capture policy reads interactions and parties; a ticket's title would pass it unseen.
            yield Unmapped(external_id=str(t.id), reason=f"tagged {min(marks)}")
            return
        yield Ticket(
            external_id=str(t.id), title=t.subject or t.raw_subject or "", state=t.status, is_closed=t.status in CLOSED,
            severity=t.priority or "", opened_at=instant(t.created_at), thread_refs=(thread(t.id),),
            about=_ids(("users", t.requester_id), ("organizations", t.organization_id)),
            owner=_user_id(t.assignee_id), changed_at=changed_at, url=f"{self._url}tickets/{t.id}",
        )  # fmt: skip
        for absorbed in body.merged:
            yield Redirect(external_id=str(absorbed), into=str(t.id))

    def _comment(self, raw: RawRecord) -> Iterator[Entity]:
        body = msgspec.json.decode(raw.body, type=_CommentBody)
        c, t = body.comment, body.ticket
        text, key = split_marker(c.body or "")
        if is_redacted(text):
            yield Unmapped(external_id=raw.external_id, reason="redacted at Zendesk")
            return
        via = c.via if isinstance(c.via, _Via) else _Via(channel=c.via)
        name = str(via.channel or "")
        channel, kind = CHANNELS.get(name, ("helpdesk", "comment"))
        source = via.source or {}
        signals: tuple[str, ...] = ()
        if source.get("rel") == "merge" or channel == "system":
            channel, kind, signals = "system", "comment", ("auto",)
        if c.type == "VoiceComment":
            channel, kind = "phone", "call"
        is_mail = channel == "email" and c.public
        mail = (f"message-id:{known}",) if c.message_id and (known := message_id(c.message_id)) else ()
        if not c.public:
            channel, kind = "helpdesk", "note"
        at = instant(c.created_at)
        started, ended = _call_times(c.data, at) if kind == "call" else (at, None)
        yield Interaction(
            external_id=raw.external_id, kind=kind, channel=channel, occurred_at=started, ended_at=ended,
            participants=_parties(c, t, source if is_mail or kind == "call" else {}), direction=_direction(c, t, kind),
            subject=t.subject or "", text=text, status="" if c.public else "internal",
            dedup_keys=mail + ((f"{HUB_KEY}:{key}",) if key else ()), thread_refs=(thread(t.id), *mail),
            labels=tuple(t.tags), signals=signals, attachments=_attachments(c), changed_at=at,
            url=f"{self._url}tickets/{t.id}",
        )  # fmt: skip

    def _user(self, raw: RawRecord) -> Iterator[Entity]:
        u = msgspec.json.decode(raw.body, type=_User)
        changed_at = instant(u.updated_at)
        if not u.active:
            yield Tombstone(external_id=str(u.id), changed_at=changed_at)
            return
        identifiers = [Identifier("zendesk:users", str(u.id)), *_own_key(u.external_id)]
        identifiers += [Identifier("email", u.email)] if u.email else []
        identifiers += [Identifier("phone", u.phone)] if u.phone else []
        fields = {
            "phone": u.phone, "description": u.details, "language": (u.locale or "").replace("_", "-").lower(),
            "time_zone": u.iana_time_zone or u.time_zone,
        }  # fmt: skip
        yield Person(
            external_id=str(u.id), identifiers=tuple(identifiers), name=u.name or "",
            fields=_fields(fields, u.user_fields, self._user_fields),
            organizations=_ids(("organizations", u.organization_id)), is_own=u.role in OWN_ROLES, changed_at=changed_at,
            url=f"{self._url}users/{u.id}",
        )  # fmt: skip

    def _organization(self, raw: RawRecord) -> Iterator[Entity]:
        o = msgspec.json.decode(raw.body, type=_Organization)
        changed_at = instant(o.updated_at)
        if o.deleted_at:
            yield Tombstone(external_id=str(o.id), changed_at=instant(o.deleted_at))
            return
        identifiers = [Identifier("zendesk:organizations", str(o.id)), *_own_key(o.external_id)]
        identifiers += [Identifier("domain", d) for d in o.domain_names or ()]
        yield Organization(
            external_id=str(o.id), identifiers=tuple(identifiers), name=o.name or "",
            fields=_fields({"description": o.details}, o.organization_fields, self._organization_fields), changed_at=changed_at,
            url=f"{self._url}organizations/{o.id}",
        )  # fmt: skip

    def _rating(self, raw: RawRecord) -> Iterator[Entity]:
        r = msgspec.json.decode(raw.body, type=_Rating)
        if r.score.split("_")[0] not in {"good", "bad"}:
            yield Unmapped(external_id=str(r.id), reason=f"no answer: {r.score[:40]}")
            return
        people = [Participation(identifier=Identifier("zendesk:users", str(r.requester_id)), role="from")]
        if agent := _user_id(r.assignee_id):
            people.append(Participation(identifier=agent, role="agent"))
        text = "\n".join(t for t in (r.comment, r.reason) if t)
        yield Interaction(
            external_id=str(r.id), kind="survey_response", channel="helpdesk", occurred_at=instant(r.created_at),
            participants=tuple(people), direction="inbound", subject=f"Satisfaction: {r.score.split('_')[0]}", text=text,
            status=r.score, purpose="feedback", thread_refs=(thread(r.ticket_id),), changed_at=instant(r.updated_at),
            url=f"{self._url}tickets/{r.ticket_id}",
        )  # fmt: skip

    def _metric_event(self, raw: RawRecord) -> Iterator[Entity]:
        """A broken promise is worth a line; the clock's starts and stops are not."""
        e = msgspec.json.decode(raw.body, type=_MetricEvent)
        if e.type != "breach":
            yield Unmapped(external_id=str(e.id), reason=f"bookkeeping: {e.type[:40]}")
            return
        yield Interaction(
            external_id=str(e.id), kind="status_change", channel="system", occurred_at=instant(e.time),
            direction="internal", subject=f"Service level broken: {(e.metric or '').replace('_', ' ')}",
            thread_refs=(thread(e.ticket_id),), signals=("auto",), url=f"{self._url}tickets/{e.ticket_id}",
        )  # fmt: skip


def thread(ticket_id: int) -> str:
    return f"zendesk-ticket:{ticket_id}"


def _ids(*pairs: tuple[str, int | None]) -> tuple[Identifier, ...]:
    return tuple(Identifier(f"zendesk:{kind}", str(i)) for kind, i in pairs if i)


def _user_id(user: int | None) -> Identifier | None:
    # -1 stands for Zendesk itself
    return Identifier("zendesk:users", str(user)) if user and user > 0 else None


def _own_key(external_id: str | None) -> list[Identifier]:
    key = (external_id or "").removeprefix(PREFIX)
    return [Identifier(HUB_KEY, key)] if external_id and key != external_id else []


def _fields(
    known: Mapping[str, Any], custom: Mapping[str, Any] | None, names: Mapping[str, str]
) -> dict[str, str]:  # fmt: skip
    """Our fields. A custom field the settings do not name comes under its own key, unless that is a name of ours."""
    own = {names[k]: v for k, v in (custom or {}).items() if k in names}
    found = {**{k: v for k, v in (custom or {}).items() if k not in names}, **known, **own}
    return {k: text for k, v in found.items() if v != [] and (text := spelled(v))}


def _parties(c: _Comment, t: _CommentTicket, source: Mapping[str, Any]) -> tuple[Participation, ...]:
    """Who wrote, to whom, and whose ticket it is. Addresses of a mail or a call stand beside Zendesk's ids."""
    is_note = not c.public
    author = _user_id(c.author_id)
    requester = _user_id(t.requester_id)
    found: list[Participation] = []
    if author:
        found.append(Participation(identifier=author, role="author" if is_note else "from"))
    if requester and requester != author:
        found.append(Participation(identifier=requester, role="about" if is_note else "to"))
    found += [Participation(identifier=i, role="about") for i in _ids(("organizations", t.organization_id))]
    ends: tuple[tuple[str, Role], ...] = (("from", "from"), ("to", "to"))
    for end, role in ends:
        party = source.get(end)
        if isinstance(party, dict):
            found += _addresses(party, role)
    for end, role in ends:
        number = (c.data or {}).get(end)
        if isinstance(number, str) and number:
            found.append(Participation(identifier=Identifier("phone", number), role=role))
    return tuple(dict.fromkeys(found))


def _addresses(party: Mapping[str, Any], role: Role) -> Iterator[Participation]:
    address, name, phone = party.get("address"), party.get("name"), party.get("phone")
    if isinstance(address, str) and "@" in address:
        yield Participation(
            identifier=Identifier("email", address), role=role, name=name if isinstance(name, str) else ""
        )
    if isinstance(phone, str) and phone:
        yield Participation(identifier=Identifier("phone", phone), role=role)
    copies = party.get("email_ccs")
    for copy in copies if isinstance(copies, list) else ():
        if isinstance(copy, str) and "@" in copy:
            yield Participation(identifier=Identifier("email", copy), role="cc")


def _direction(c: _Comment, t: _CommentTicket, kind: Kind) -> Direction | None:
    """Certain for notes and for what the requester wrote; an end user in copy cannot be told from an agent here."""
    if kind == "note":
        return "internal"
    return "inbound" if c.author_id and c.author_id == t.requester_id else None


def _call_times(data: Mapping[str, Any] | None, at: datetime | None) -> tuple[datetime | None, datetime | None]:
    started = instant((data or {}).get("started_at")) or at
    seconds = (data or {}).get("call_duration")
    if started is None or not isinstance(seconds, int) or not 0 < seconds < 86_400:
        return started, None
    return started, started + timedelta(seconds=seconds)


def _attachments(c: _Comment) -> tuple[Attachment, ...]:
    found = [
        Attachment(
            external_id=str(a.id), filename=a.file_name or "", media_type=a.content_type or "", size=a.size or 0
        )
        for a in c.attachments
    ]  # fmt: skip
    recording = (c.data or {}).get("recording_url")
    if isinstance(recording, str) and recording:
        found.append(Attachment(external_id=recording, filename="recording"))
    return tuple(found)
