"""Watch channels: events.watch, channels.stop, and the messages Google would post."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from hub_calendar.emulator.api import Call
from hub_calendar.emulator.errors import Answer, Refused, invalid, not_found, ok, required
from hub_calendar.emulator.store import Calendar

if TYPE_CHECKING:
    from hub_calendar.emulator import CalendarEmulator

WEEK_MS = 7 * 86_400_000


@dataclass
class Channel:
    """expires_ms: epoch. number: of the last message."""

    id: str
    resource_id: str
    calendar: str
    address: str
    token: str
    expires_ms: int
    number: int = 0

    @property
    def uri(self) -> str:
        return f"https://www.googleapis.com/calendar/v3/calendars/{self.calendar}/events?alt=json"


def watch(call: Call) -> Answer:
    """A new channel; its first message says `sync`."""
    calendar, body, emulator = call.calendar, call.body, call.emulator
    channel_id, address = str(body.get("id", "")), str(body.get("address", ""))
    if not channel_id or len(channel_id) > 64:
        raise required("Missing or invalid channel id")
    if body.get("type") not in {"web_hook", "webhook"}:
        raise invalid("Unknown channel type")
    if not address.startswith("https://"):
        raise Refused(400, "WebHook callback must be HTTPS: " + address, "push.webhookUrlNotHttps")
    if channel_id in emulator.channels:
        raise Refused(400, f"Channel id {channel_id} not unique", "channelIdNotUnique")
    ttl = str(body.get("params", {}).get("ttl", ""))
    asked = int(body["expiration"]) if "expiration" in body else 0
    expires = min(asked, calendar.now_ms + 4 * WEEK_MS) or calendar.now_ms + (int(ttl) * 1000 if ttl else WEEK_MS)
    resource_id = f"res-{calendar.id}"
    channel = Channel(channel_id, resource_id, calendar.id, address, str(body.get("token", "")), expires)
    emulator.channels[channel_id] = channel
    post(emulator, channel, "sync")
    return ok({
        "kind": "api#channel", "id": channel_id, "resourceId": resource_id, "resourceUri": channel.uri,
        "token": channel.token, "expiration": str(expires),
    })  # fmt: skip


def stop(call: Call) -> Answer:
    channel = call.emulator.channels.get(str(call.body.get("id", "")))
    if channel is None or channel.resource_id != call.body.get("resourceId"):
        raise not_found()
    del call.emulator.channels[channel.id]
    return Answer(204)


def ring(emulator: "CalendarEmulator", calendar: Calendar) -> None:
    """Something changed in the calendar: a message on each of its channels that still lives."""
    for channel in emulator.channels.values():
        if channel.calendar == calendar.id and channel.expires_ms > calendar.now_ms:
            post(emulator, channel, "exists")


def post(emulator: "CalendarEmulator", channel: Channel, state: str) -> None:
    """Numbers rise, but not one by one."""
    channel.number += 1 if state == "sync" else emulator.faults.rng.randint(1, 900)
    expires = format_datetime(datetime.fromtimestamp(channel.expires_ms / 1000, UTC), usegmt=True)
    headers = {
        "content-length": "0", "user-agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "x-goog-channel-id": channel.id, "x-goog-channel-token": channel.token, "x-goog-channel-expiration": expires,
        "x-goog-resource-id": channel.resource_id, "x-goog-resource-uri": channel.uri, "x-goog-resource-state": state,
        "x-goog-message-number": str(channel.number),
    }  # fmt: skip
    message: dict[str, Any] = {"url": channel.address, "headers": headers}
    emulator.messages.append(message)
