"""Opt-outs: an address that HubSpot must not mail any more. Only ever in that direction.

HubSpot keeps permissions by address, not by contact, and one address at a time on every subscription (the batch calls
belong to Marketing Hub Enterprise). Unsubscribing from all mail twice is the same as once; nothing here can subscribe.
"""

from collections.abc import Sequence

import msgspec

from hub.api import Change, Conflict, Consent, ContractBroken, Gone, Receipt, RecordRejected
from hub_hubspot.client import Client
from hub_hubspot.objects import OPT_OUT

NEVER_BACK = "an opt-out is never taken back by the hub: only the person can subscribe again"
SCOPE = "communication_preferences.read_write"
# An address nobody can have, for `check`.
NOBODY = "probe@interaction-hub.invalid"


class _Wide(msgspec.Struct):
    status: str = ""
    wideStatusType: str = ""


class _Answer(msgspec.Struct):
    results: list[_Wide] = []


class OptOuts:
    """Unsubscribes addresses of one portal."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        """One receipt each. Who is no contact gets no mail: "unchanged". Raises ScopeError, quota, outage."""
        wanted = {c.key: _address(c) for c in changes}
        contacts = await self._contacts([a for a in wanted.values() if a])
        return [await self._one(c, wanted[c.key], contacts) for c in changes]

    async def _contacts(self, addresses: Sequence[str]) -> dict[str, str]:
        """Address -> id of the contact that has it, as its first or as another one."""
        found: dict[str, str] = {}
        names = ["email", "hs_additional_emails", OPT_OUT]
        for record in await self.client.read("contacts", addresses, names, "email") if addresses else ():
            main, more = record.properties.get("email") or "", record.properties.get("hs_additional_emails") or ""
            found |= {a.strip().lower(): record.id for a in (main, *more.split(";")) if a.strip()}
        return found

    async def _one(self, change: Change, address: str, contacts: dict[str, str]) -> Receipt:
        entity = change.entity
        if change.op != "upsert" or not isinstance(entity, Consent) or entity.state != "opted_out":
            return Receipt(key=change.key, outcome="failed", error="the hub writes opt-outs only, never a subscription")
        contact = contacts.get(address, "")
        if not contact:  # nobody there to be mailed, or not about e-mail
            return Receipt(key=change.key, outcome="unchanged")
        try:
            if await self._is_out(address):
                return Receipt(key=change.key, outcome="unchanged", remote_id=contact)
            await self.client.unsubscribe(address)
        except (RecordRejected, Conflict, Gone) as exc:
            return Receipt(key=change.key, outcome="failed", remote_id=contact, error=exc.message)
        return Receipt(key=change.key, outcome="updated", remote_id=contact, before={"unsubscribed": [address]})

    async def _is_out(self, address: str) -> bool:
        answer = await self.client.unsubscribed(address)
        try:
            rows = msgspec.convert(answer, type=_Answer).results
        except msgspec.ValidationError as exc:
            raise ContractBroken(f"the status of a subscription has an unknown shape: {exc}") from exc
        return any(r.wideStatusType == "PORTAL_WIDE" and r.status == "UNSUBSCRIBED" for r in rows)


def _address(change: Change) -> str:
    """The address an opt-out is for; "" for another channel, and for what is no opt-out."""
    entity = change.entity
    if not isinstance(entity, Consent) or entity.state != "opted_out" or change.op != "upsert":
        return ""
    is_mail = entity.channel == "email" and entity.identifier.scheme == "email"
    return entity.identifier.value.strip().lower() if is_mail else ""
