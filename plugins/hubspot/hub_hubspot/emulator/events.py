"""Webhook events a portal would send, and how HubSpot signs a delivery.

Only contacts, companies, deals and tickets have events: engagements must be polled.
"""

import base64
import hashlib
import hmac
import re
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from hub_hubspot.emulator.answers import encode
from hub_hubspot.emulator.tables import DEFAULT_LINK, ObjectType

SUBSCRIBABLE = frozenset({"contacts", "companies", "deals", "tickets"})
SILENT = frozenset({"lastmodifieddate", "hs_lastmodifieddate", "num_unique_conversion_events"})
MAX_PER_DELIVERY = 100
_DECODED = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook request as HubSpot would send it; `body` are the bytes that were signed."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def sign_v1(secret: str, body: bytes) -> str:
    return hashlib.sha256(secret.encode() + body).hexdigest()


def sign_v2(secret: str, method: str, uri: str, body: bytes) -> str:
    return hashlib.sha256(secret.encode() + method.encode() + uri.encode() + body).hexdigest()


def sign_v3(secret: str, method: str, uri: str, body: bytes, timestamp: str) -> str:
    """timestamp: epoch ms as sent in the header. Some percent escapes of the URI are decoded first."""
    uri = _DECODED.sub(lambda m: unquote(m[0]), uri)
    signed = method.encode() + uri.encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


class Events:
    """The queue of events not yet delivered. The oldest are dropped, and counted, beyond `limit`."""

    def __init__(self, portal_id: int, app_id: int, limit: int = 50_000) -> None:
        self.portal_id = portal_id
        self.app_id = app_id
        self.is_on = True
        self.dropped = 0
        self.queue: deque[dict[str, Any]] = deque()
        self._limit = limit
        self._next = 1

    def _put(self, kind: ObjectType, event: str, id_: int, source: str, now: int, **more: Any) -> None:
        if not self.is_on or kind.plural not in SUBSCRIBABLE:
            return
        if len(self.queue) >= self._limit:
            self.queue.popleft()
            self.dropped += 1
        self.queue.append({
            "eventId": self._next, "subscriptionId": sum(map(ord, f"{kind.singular}.{event}")),
            "portalId": self.portal_id, "appId": self.app_id, "occurredAt": now,
            "subscriptionType": f"{kind.singular}.{event}", "attemptNumber": 0, "objectId": id_,
            "changeSource": source, **more,
        })  # fmt: skip
        self._next += 1

    def creation(self, kind: ObjectType, id_: int, found: dict[str, str], source: str, now: int) -> None:
        self._put(kind, "creation", id_, source, now, changeFlag="NEW")
        self.changes(kind, id_, found, source, now)

    def changes(self, kind: ObjectType, id_: int, changed: dict[str, str], source: str, now: int) -> None:
        for name, value in changed.items():
            if name not in SILENT:
                self._put(kind, "propertyChange", id_, source, now, propertyName=name, propertyValue=value)

    def deletion(self, kind: ObjectType, id_: int, source: str, now: int) -> None:
        self._put(kind, "deletion", id_, source, now, changeFlag="DELETED")

    def restore(self, kind: ObjectType, id_: int, now: int) -> None:
        self._put(kind, "restore", id_, "CRM_UI", now, changeFlag="RESTORED")

    def privacy_deletion(self, kind: ObjectType, id_: int, now: int) -> None:
        self._put(kind, "privacyDeletion", id_, "CRM_UI", now, changeFlag="DELETED")

    def merge(self, kind: ObjectType, primary: int, merged: list[int], survivor: int, moved: int, now: int) -> None:
        self._put(
            kind, "merge", primary, "CRM_UI", now, primaryObjectId=primary, mergedObjectIds=merged,
            newObjectId=survivor, numberOfPropertiesMoved=moved,
        )  # fmt: skip

    def association(
        self, one: ObjectType, one_id: int, other: ObjectType, other_id: int, is_removed: bool, source: str, now: int
    ) -> None:
        """Fires once per side."""
        for a, a_id, b, b_id in ((one, one_id, other, other_id), (other, other_id, one, one_id)):
            self._put(
                a, "associationChange", a_id, source, now, associationType=f"{a.label}_TO_{b.label}",
                fromObjectId=a_id, toObjectId=b_id, associationRemoved=is_removed, isPrimaryAssociation=False,
                associationCategory="HUBSPOT_DEFINED", associationTypeId=DEFAULT_LINK[a.plural, b.plural],
            )  # fmt: skip

    def deliveries(
        self, url: str, secret: str, now_ms: int, *, version: Literal["v1", "v2", "v3"] = "v3", attempt: int = 0,
        drain: bool = True,
    ) -> list[Delivery]:  # fmt: skip
        """The waiting events as signed requests of up to 100 events. drain: they are not given again."""
        waiting = [{**event, "attemptNumber": attempt} for event in self.queue]
        if drain:
            self.queue.clear()
        found = []
        for start in range(0, len(waiting), MAX_PER_DELIVERY):
            body = encode(waiting[start : start + MAX_PER_DELIVERY])
            headers = {"content-type": "application/json", "user-agent": "HubSpot Connect 2.0"}
            if version == "v3":
                headers["x-hubspot-request-timestamp"] = str(now_ms)
                headers["x-hubspot-signature-v3"] = sign_v3(secret, "POST", url, body, str(now_ms))
            # v3 deliveries still carry the v1 signature, for receivers that were never moved.
            old = sign_v2(secret, "POST", url, body) if version == "v2" else sign_v1(secret, body)
            headers |= {"x-hubspot-signature": old, "x-hubspot-signature-version": "v2" if version == "v2" else "v1"}
            found.append(Delivery("POST", url, headers, body))
        return found
