"""Handlers of subscription preferences: by address, one at a time; the batch calls are Marketing Hub Enterprise's.

Source: HubSpot's specification of communication preferences v4. Guesses, since it does not say: an address that was
never asked is NOT_SPECIFIED, and an address need not be a contact's. Leaving all mail shows on the contact whose address
it is as `hs_email_optout`, which counts as a change of the contact.
"""

from typing import Any

from hub_hubspot.emulator import values
from hub_hubspot.emulator.answers import Answer, Call, Refusal, invalid, not_found
from hub_hubspot.emulator.portal import Portal

CHANNELS = ("EMAIL", "WHATSAPP", "SMS")
STATES = ("SUBSCRIBED", "UNSUBSCRIBED", "NOT_SPECIFIED")
MARKETING = 1001  # the one subscription type every portal of ours has


class Preferences:
    """Who may be mailed. statuses: (address, channel) -> {subscription id, or 0 for all: (status, since when)}."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.statuses: dict[tuple[str, str], dict[int, tuple[str, str]]] = {}

    def answer(self, call: Call) -> Answer:
        if call.parts[:1] != ("statuses",) or len(call.parts) not in {2, 3}:
            raise not_found()
        address, rest = call.parts[1].strip().lower(), call.parts[2:]
        if address == "batch":
            raise Refusal(403, "MISSING_SCOPES", "This call needs Marketing Hub Enterprise")
        if rest == ("unsubscribe-all",) and call.method in {"GET", "POST"}:
            channel = _channel(call.one("channel"))
            return self._wide(address, channel) if call.method == "GET" else self._leave(call, address, channel)
        if not rest and call.method == "GET":
            return self._done(self._rows(address, _channel(call.one("channel"))))
        if not rest and call.method == "POST":
            return self._set(address, call.json())
        raise not_found()

    def leave(self, address: str, channel: str = "EMAIL") -> None:
        """The person unsubscribes from everything."""
        now = values.iso(self._portal.now_ms())
        held = self.statuses.setdefault((address, channel), {})
        held.update({0: ("UNSUBSCRIBED", now), MARKETING: ("UNSUBSCRIBED", now)})
        shelf = self._portal.shelves["contacts"]
        record = self._portal.find(shelf, address, "email")
        if record and channel == "EMAIL" and record.properties.get("email") == address:
            self._portal.update(shelf, record, {"hs_email_optout": "true"})

    def _leave(self, call: Call, address: str, channel: str) -> Answer:
        self.leave(address, channel)
        return self._done(self._rows(address, channel) if call.flag("verbose") else [])

    def _wide(self, address: str, channel: str) -> Answer:
        status, at = self.statuses.get((address, channel), {}).get(0, ("NOT_SPECIFIED", self._never()))
        row = {"subscriberIdString": address, "channel": channel, "status": status, "timestamp": at}
        return self._done([{**row, "wideStatusType": "PORTAL_WIDE"}])

    def _rows(self, address: str, channel: str) -> list[dict[str, Any]]:
        status, at = self.statuses.get((address, channel), {}).get(MARKETING, ("NOT_SPECIFIED", self._never()))
        return [{
            "subscriberIdString": address, "channel": channel, "status": status, "timestamp": at, "source": "API",
            "subscriptionId": MARKETING, "subscriptionName": "Marketing Information",
        }]  # fmt: skip

    def _set(self, address: str, body: dict[str, Any]) -> Answer:
        missing = [name for name in ("channel", "statusState", "subscriptionId") if not body.get(name)]
        if missing:
            listed = ", ".join(missing)
            raise invalid(f"Invalid input JSON on line 1, column 2. Some required fields were not set: [{listed}]")
        channel = _channel(str(body["channel"]))
        if body["statusState"] not in STATES or body["subscriptionId"] != MARKETING:
            raise invalid(f"{body['statusState']} of subscription {body['subscriptionId']} is not valid")
        held = self.statuses.setdefault((address, channel), {})
        held[MARKETING] = (str(body["statusState"]), values.iso(self._portal.now_ms()))
        return self._done(self._rows(address, channel))

    def _never(self) -> str:
        return values.iso(0)

    def _done(self, results: list[dict[str, Any]]) -> Answer:
        now = values.iso(self._portal.now_ms())
        return Answer(200, {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now})


def _channel(name: str) -> str:
    if name not in CHANNELS:
        raise invalid(f"channel must be one of {', '.join(CHANNELS)}, it was {name!r}")
    return name
