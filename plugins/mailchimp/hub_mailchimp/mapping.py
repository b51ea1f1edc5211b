"""From Mailchimp's records to the hub's words. Pure: bytes in, entities out.

Consent is said only where Mailchimp knows it. `unsubscribed` and a complaint are opt-outs. `subscribed` is an opt-in when
Mailchimp keeps the confirmation itself (its time and the address it came from); a list somebody imported is no
evidence. Archived, cleaned, pending and transactional say nothing about what the person wants: archiving hides an
earlier opt-out without taking it back, so nothing is said that could stand in its place.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any, Literal

import msgspec

from hub.api import Consent, Entity, Identifier, Interaction, Participation, Person, RawRecord, RecordRejected, Unmapped
from hub_mailchimp.reports import AUTOMATIONS
from hub_mailchimp.settings import MailchimpSettings

Kind = Literal["campaign_send", "open", "click", "bounce", "unsubscribe"]
_ACTIONS: dict[str, Kind] = {"open": "open", "click": "click", "bounce": "bounce"}
# Where pictures are fetched on the reader's behalf (general knowledge of these networks, not Mailchimp's word). Apple's
# own network does it unasked and proves nothing; Google's does it when the mail is opened, hiding who, where and when.
_MACHINES = (ip_network("17.0.0.0/8"),)
_PROXIES = tuple(map(ip_network, ("64.233.160.0/19", "66.102.0.0/20", "66.249.64.0/19", "72.14.192.0/18",
                                  "74.125.0.0/16", "209.85.128.0/17")))  # fmt: skip
_SCANNED_S = 60  # nobody reads so soon after the send, but filters and proxies do


class _Member(msgspec.Struct):
    id: str = ""
    list_id: str = ""
    contact_id: str = ""
    unique_email_id: str | None = ""
    email_address: str | None = ""
    full_name: str | None = ""
    sms_phone_number: str | None = ""
    status: str | None = ""
    unsubscribe_reason: str | None = ""
    merge_fields: dict[str, Any] | Literal[""] | None = None
    tags: list["_Tag"] | None = None
    source: str | None = ""
    ip_opt: str | None = ""
    timestamp_opt: str | None = ""
    last_changed: str = ""
    language: str | None = ""
    vip: bool | None = False


class _Tag(msgspec.Struct):
    name: str = ""


class _Campaign(msgspec.Struct):
    id: str
    subject_line: str | None = ""
    campaign_title: str | None = ""
    list_name: str | None = ""
    send_time: str | None = ""
    type: str | None = ""


class _Event(msgspec.Struct):
    action: str = ""
    timestamp: str = ""
    url: str | None = ""
    type: str | None = ""
    ip: str | None = ""


class _Row(msgspec.Struct):
    email_id: str = ""
    email_address: str | None = ""
    list_id: str | None = ""
    event: _Event | None = None
    timestamp: str | None = ""
    date: str | None = ""
    reason: str | None = ""


class _Report(msgspec.Struct):
    campaign: _Campaign
    row: _Row


class Mapper:
    """Maps all streams of one account."""

    def __init__(self, settings: MailchimpSettings) -> None:
        self.key_field = settings.key_field
        self.names = {tag: ours for ours, tag in settings.merge_fields.items()}

    def entities(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        """Raises RecordRejected for what does not have Mailchimp's shape; its text holds no content."""
        try:
            if stream == "members":
                yield from self._member(raw.external_id, msgspec.json.decode(raw.body, type=_Member))
            elif stream in {"audiences", "campaigns"}:
                yield Unmapped(external_id=raw.external_id, reason=f"{stream} name what is sent, they are not sent")
            else:
                yield from _reported(stream, raw.external_id, msgspec.json.decode(raw.body, type=_Report))
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as exc:
            what = str(exc) if isinstance(exc, msgspec.ValidationError) else "a value cannot be read"
            raise RecordRejected(
                f"not as Mailchimp describes it: {what}", "mailchimp", stream, raw.external_id
            ) from exc

    def _member(self, external_id: str, m: _Member) -> Iterator[Entity]:
        changed, address = _instant(m.last_changed), m.email_address or ""
        merged = m.merge_fields or {}
        ids = [Identifier("mailchimp:members", external_id)]
        if address:
            ids += [Identifier("email", address), Identifier("mailchimp:hash", m.id)]
        found = dict(self._fields(merged))
        if m.sms_phone_number:
            found.setdefault("mobile", m.sms_phone_number)
        numbers = (found.get("phone"), found.get("mobile"), m.sms_phone_number)
        ids += [Identifier("phone", n) for n in dict.fromkeys(numbers) if n]
        # What we wrote names itself: the hub sees an echo where a stranger would see news.
        if key := _plain(merged.get(self.key_field)):
            ids.append(Identifier("hub-key", key))
        given = f"{found.get('first_name', '')} {found.get('last_name', '')}".strip()
        found |= {
            "email_status": m.status or "", "language": (m.language or "").replace("_", "-").lower(), "vip": "yes" if m.vip else "",
            "tags": "; ".join(sorted(t.name for t in m.tags or () if t.name)),
        }  # fmt: skip
        yield Person(
            external_id=external_id, identifiers=tuple(ids), name=m.full_name or given, changed_at=changed,
            fields={name: value for name, value in found.items() if value},
        )  # fmt: skip
        if address and (consent := _consent(external_id, address, m, changed)):
            yield consent

    def _fields(self, merged: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for tag, value in merged.items():
            if tag == self.key_field:
                continue
            name = self.names.get(tag, tag.lower())
            if isinstance(value, dict):  # an address: several lines, some of them empty
                lines = [_plain(value.get(p)) for p in ("addr1", "addr2", "zip", "city", "state", "country")]
                yield name, ", ".join(line for line in lines if line)
            else:
                yield name, _plain(value)


def _consent(external_id: str, address: str, m: _Member, changed: datetime) -> Consent | None:
    who, where = Identifier("email", address), f"Mailchimp audience {m.list_id or external_id.partition('/')[0]}"
    if m.status == "unsubscribed":
        why = f": {m.unsubscribe_reason}" if m.unsubscribe_reason else ""
        said = f"{where}: unsubscribed{why}"
        return Consent(
            external_id=external_id, identifier=who, channel="email", state="opted_out", at=changed, evidence=said
        )
    if m.status == "subscribed" and m.timestamp_opt and m.ip_opt:
        said = f"{where}: confirmed by the person (source: {m.source or 'not given'}); Mailchimp keeps the proof"
        at = _instant(m.timestamp_opt)
        return Consent(external_id=external_id, identifier=who, channel="email", state="opted_in", at=at, evidence=said)
    return None


def _reported(stream: str, external_id: str, r: _Report) -> Iterator[Entity]:
    """One event of one recipient, tied to the other events of the same mail."""
    row, campaign, event = r.row, r.campaign, r.row.event
    if not row.email_id:
        raise ValueError("no recipient")
    who = Identifier("email", row.email_address) if row.email_address else Identifier("mailchimp:hash", row.email_id)
    is_automation = campaign.type in AUTOMATIONS  # sent to each at another time, which Mailchimp does not tell
    sent_at = _instant(campaign.send_time) if campaign.send_time and not is_automation else None
    if is_automation and stream == "sends":
        yield Unmapped(external_id=external_id, reason="mail of an automation, sent at a time not told")
        return
    kind, at, status, content, signals = _what(stream, r, sent_at)
    yield Interaction(
        external_id=external_id, kind=kind, channel="email", occurred_at=at, status=status, text=content,
        direction="outbound" if kind == "campaign_send" else "inbound",
        purpose="outbound" if kind == "campaign_send" else None,
        participants=(Participation(identifier=who, role=_ROLES.get(kind, "from")),),
        subject=campaign.subject_line or campaign.campaign_title or "",
        thread_refs=(f"mailchimp-mail:{campaign.id}/{row.email_id}",),
        labels=(campaign.list_name,) if campaign.list_name else (),
        signals=signals, url=(event.url or "") if event else "",
    )  # fmt: skip
    if kind == "unsubscribe" and row.email_address:
        said = f"Mailchimp campaign {campaign.id}: {status}"
        yield Consent(external_id=external_id, identifier=who, channel="email", state="opted_out", at=at, evidence=said)


_ROLES: dict[Kind, Literal["to", "about"]] = {"campaign_send": "to", "bounce": "about"}


def _what(stream: str, r: _Report, sent_at: datetime | None) -> tuple[Kind, datetime, str, str, tuple[str, ...]]:
    """(kind, when, status, text, signals)."""
    row, event = r.row, r.row.event
    if stream == "sends":
        if sent_at is None:
            raise ValueError("no time of sending")
        return "campaign_send", sent_at, "sent", "", ()
    if stream == "unsubscribes":
        if row.date:
            return "unsubscribe", _instant(row.date), "reported as spam", "", ()
        return "unsubscribe", _instant(row.timestamp or ""), "unsubscribed", row.reason or "", ()
    kind = _ACTIONS.get(event.action) if event else None
    if event is None or kind is None:
        raise ValueError("an action we do not know")
    at = _instant(event.timestamp)
    return kind, at, (event.type or "") if kind == "bounce" else "", event.url or "", _doubts(kind, event, at, sent_at)


def _doubts(kind: Kind, event: _Event, at: datetime, sent_at: datetime | None) -> tuple[str, ...]:
    """Why an event may not be a person's: every open is "uncertain", some plainly a "machine"."""
    if kind == "bounce":
        return ()
    found = ["uncertain"] if kind == "open" else []
    is_at_once = sent_at is not None and 0 <= (at - sent_at).total_seconds() < _SCANNED_S
    try:
        ip = ip_address(event.ip or "")
    except ValueError:
        ip = None
    if is_at_once or (kind == "open" and ip and any(ip in net for net in _MACHINES)):
        found = ["uncertain", "machine"]
    elif kind == "open" and ip and any(ip in net for net in _PROXIES):
        found.append("proxy")
    return tuple(found)


def _plain(value: Any) -> str:
    """A merge field's value as text; numbers and dates come as they are."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _instant(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at
