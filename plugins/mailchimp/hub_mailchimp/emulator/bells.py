"""Webhooks: what Mailchimp would send now, form-encoded and, where the webhook was made so, signed."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode


class Bells:
    """Collects events; `drain` gives the calls for them. secret "" leaves them unsigned, as older webhooks are."""

    def __init__(self, now: Callable[[], datetime], url: str, secret: str) -> None:
        self.now = now
        self.url = url
        self.secret = secret
        self.events: list[dict[str, str]] = []

    def ring(self, kind: str, member: Mapping[str, Any], **more: str) -> None:
        data: dict[str, Any] = {"list_id": member["list_id"], "email": member["email_address"]}
        if kind in {"subscribe", "unsubscribe", "profile"}:
            data |= {"id": member["unique_email_id"], "email_type": member["email_type"], "ip_opt": member["ip_opt"]}
            data |= {f"merges][{tag}": value for tag, value in member["merge_fields"].items() if isinstance(value, str)}
        if kind == "unsubscribe":
            data |= {"action": "unsub", "reason": "manual"}
        elif kind == "cleaned":
            data["reason"] = "hard"
        elif kind == "upemail":
            data = {"list_id": member["list_id"], "new_id": member["unique_email_id"]}
        form = {"type": kind, "fired_at": f"{self.now():%Y-%m-%d %H:%M:%S}"}
        self.events.append(form | {f"data[{name}]": str(value) for name, value in {**data, **more}.items()})

    def drain(self) -> list[tuple[str, dict[str, str], bytes]]:
        """(address, headers, body) of each call since the last asking."""
        events, self.events = self.events, []
        return [(self.url, self.signed(body), body) for body in (urlencode(e).encode() for e in events)]

    def signed(self, body: bytes, secret: str = "") -> dict[str, str]:
        headers = {"content-type": "application/x-www-form-urlencoded", "user-agent": "MailChimp"}
        if key := secret or self.secret:
            at = str(int(self.now().timestamp()))
            digest = hmac.new(key.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["x-mailchimp-signature"] = f"t={at},v1={digest}"
        return headers
