"""Google Calendar's doorbell: watch channels, made and renewed with the pulls, and the messages on them.

A message has no body and no signature. What proves it is the channel's token, which only Google and we know: it is an
HMAC of the channel's id under `webhook_secret`, so that a token belongs to one channel. It only says "look again":
messages are doubled, dropped and late. Source: developers.google.com/workspace/calendar/api/guides/push.
"""

import hashlib
import hmac
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from hub.api import (
    Conflict,
    ContractBroken,
    Gone,
    Http,
    HubError,
    Notice,
    RecordRejected,
    ScopeError,
    Services,
    Transient,
    WebhookRejected,
    WebhookRequest,
)
from hub_calendar.settings import CalendarSettings
from hub_calendar.wire import CHANNEL, ROOT, events_path

log = logging.getLogger("hub.calendar")

PREFIX = "x-goog-"
RENEW_S = 86_400  # channels live about a week; a new one is made a day before


def channel_token(settings: CalendarSettings, channel_id: str) -> str:
    secret = settings.webhook_secret.get_secret_value()
    return hmac.new(secret.encode(), channel_id.encode(), hashlib.sha256).hexdigest()


def verify(request: WebhookRequest, settings: CalendarSettings) -> None:
    """Raises WebhookRejected unless the token is the one this channel was made with."""
    if not settings.webhook_secret.get_secret_value():
        raise WebhookRejected("webhook_secret is not set: no call can be proven")
    channel_id, token = (
        request.headers.get(PREFIX + "channel-id", ""),
        request.headers.get(PREFIX + "channel-token", ""),
    )
    if not channel_id or not token:
        raise WebhookRejected("the call names no channel or carries no token")
    if not hmac.compare_digest(token.encode(), channel_token(settings, channel_id).encode()):
        raise WebhookRejected("the channel's token does not match")


def parse(request: WebhookRequest) -> Iterator[Notice]:
    """One notice to look again; none for `sync`, which only says that the channel stands."""
    state = request.headers.get(PREFIX + "resource-state", "")
    if state == "sync":
        return
    channel_id, number = (
        request.headers.get(PREFIX + "channel-id", ""),
        request.headers.get(PREFIX + "message-number", ""),
    )
    yield Notice("events", dedup_id=f"{channel_id}/{number}" if number else "")


class Channels:
    """The channels of one connection, remembered in the hub's token store."""

    def __init__(self, http: Http, settings: CalendarSettings, services: Services) -> None:
        self._http = http
        self._settings = settings
        self._services = services
        self.name = f"calendar-channels:{settings.account}"

    async def renew(self) -> None:
        """A channel for each calendar that has none, or one that ends soon. Without one the polls still find all."""
        if not self._settings.webhook_url or not self._due():
            return
        async with self._services.tokens.lease(self.name):
            for calendar in self._due():
                try:
                    await self._replace(calendar)
                except (Gone, Conflict, RecordRejected, ContractBroken, ScopeError, Transient) as exc:
                    log.warning("no watch channel for a calendar, polling goes on: %s", exc)

    def _due(self) -> list[str]:
        soon = (self._services.clock.now().timestamp() + RENEW_S) * 1000
        known = self._known()
        return [c for c in self._settings.calendar_ids if known.get(c, {}).get("expiration", 0) < soon]

    def _known(self) -> dict[str, dict[str, Any]]:
        kept: dict[str, dict[str, Any]] = (self._services.tokens.get(self.name) or {}).get("channels", {})
        return kept

    async def _replace(self, calendar: str) -> None:
        channel_id = uuid.uuid4().hex
        body = {
            "id": channel_id, "type": "web_hook", "address": self._settings.webhook_url,
            "token": channel_token(self._settings, channel_id),
        }  # fmt: skip
        answer = await self._http.request("POST", events_path(calendar) + "/watch", json=body, cost="events.watch")
        try:
            made = CHANNEL.decode(answer.body)
        except msgspec.DecodeError as exc:
            raise ContractBroken("events.watch did not answer with a channel") from exc
        known = self._known()
        old = known.get(calendar)
        kept = {"id": made.id, "resourceId": made.resourceId, "expiration": made.expiration}
        self._services.tokens.put(self.name, {"channels": {**known, calendar: kept}})
        if old:
            await self._stop(old)

    async def stop(self) -> None:
        """Stop all channels, as when a connection is taken down. One that cannot be stopped ends within a week."""
        for channel in self._known().values():
            try:
                await self._stop(channel)
            except HubError as exc:
                log.warning("a watch channel was not stopped and ends by itself: %s", exc)
        self._services.tokens.put(self.name, {})

    async def _stop(self, channel: dict[str, Any]) -> None:
        body = {"id": channel["id"], "resourceId": channel["resourceId"]}
        try:
            await self._http.request("POST", ROOT + "channels/stop", json=body, cost="channels.stop", safe=True)
        except Gone:
            return  # it ended by itself
