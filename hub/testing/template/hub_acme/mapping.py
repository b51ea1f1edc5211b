"""From Acme's record to the hub's words. No calls and no clock: the hub runs this again on stored bytes."""

from datetime import datetime
from typing import Annotated

import msgspec

from hub.api import Identifier, Interaction, Participation, RecordRejected, Role, Window

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Address(msgspec.Struct):
    email: str
    name: str = ""


class Message(msgspec.Struct):
    """As much of Acme's record as we map; what else it holds is kept in the raw form."""

    id: str
    sent_at: Instant
    updated_at: Instant
    sender: Address = msgspec.field(name="from")
    to: list[Address] = []
    subject: str = ""
    text: str = ""
    thread: str = ""
    labels: list[str] = []
    url: str = ""


def read(external_id: str, body: bytes) -> Message:
    """Raises RecordRejected for a record of unknown shape; the reason names the field, never its content."""
    try:
        return msgspec.json.decode(body, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RecordRejected(f"not a message: {exc}", "acme", "messages", external_id) from exc


def to_interaction(message: Message) -> Interaction:
    people = [_part(message.sender, "from"), *(_part(each, "to") for each in message.to)]
    return Interaction(
        external_id=message.id,
        kind="message",
        channel="in_app",
        occurred_at=message.sent_at,
        participants=tuple(people),
        subject=message.subject,
        text=message.text,
        thread_refs=(f"acme-thread:{message.thread}",) if message.thread else (),
        # By the names people gave them: they are all a privacy policy has to go by.
        labels=tuple(message.labels),
        changed_at=message.updated_at,
        url=message.url,
    )


def _part(address: Address, role: Role) -> Participation:
    return Participation(identifier=Identifier("email", address.email), role=role, name=address.name)


def is_in(external_id: str, body: bytes, window: Window) -> bool:
    """Whether a record belongs to the window. One that cannot be read does: mapping it says what is wrong."""
    try:
        at = read(external_id, body).sent_at
    except RecordRejected:
        return True
    return not ((window.since and at < window.since) or (window.until and at >= window.until))
