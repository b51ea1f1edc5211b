"""Merging two end users there, which Zendesk neither takes back nor can be told twice without looking.

The user who goes is gone at once; tickets and addresses come over some seconds later. Until one of the addresses has, a
user merged a moment ago looks like one that somebody deleted.
Source: Zendesk's pages "Merge end users" (API) and "Merging a user's duplicate account".
"""

from typing import Any

from hub.api import Change, Gone, Merge, Person, Receipt, RecordRejected
from hub_zendesk.client import API, Client, Params
from hub_zendesk.mapping import OWN_ROLES

CALLS = 3  # the two users, one look, the merge itself
LOOKS, WAIT_S = 7, 10.0
NOTES = (
    "Tickets and e-mail addresses of the user that goes come over; all else of it is lost, fields and tags too.",
    "Only end users are merged. Where Zendesk signs people in by JWT or SAML, none that has an external id.",
)
MERGING = Merge(CALLS, notes=NOTES)


async def merge(client: Client, change: Change) -> Receipt:
    """Fold one user into another, unless it has been done. Raises Gone and RecordRejected."""
    if change.kind != "person":
        raise RecordRejected("Zendesk organizations are not merged")
    going = await client.one(f"users/{change.absorbs}", "user")
    if going is None:
        raise Gone(f"user {change.absorbs} is not at Zendesk any more")
    if going.get("active") is False:
        await _was_merged(client, change)
        return Receipt(key=change.key, outcome="merged", remote_id=change.remote_id)
    if going.get("role") in OWN_ROLES:
        raise RecordRejected(f"user {change.absorbs} is one of your own agents, who are not merged")
    body = {"user": {"id": int(change.remote_id)}}
    path = f"{API}users/{change.absorbs}/merge"
    answer = await client.http.json("PUT", path, json=body, cost="user-update", safe=False)
    user: dict[str, Any] = answer.get("user") or {} if isinstance(answer, dict) else {}
    version = str(user.get("updated_at") or "")
    return Receipt(key=change.key, outcome="merged", remote_id=change.remote_id, version=version)


async def _was_merged(client: Client, change: Change) -> None:
    """Wait for an address of the user that is gone to turn up at the other. Raises Gone when none does."""
    clock = client.http.services.clock
    entity = change.entity
    had = {i.value for i in entity.identifiers if i.scheme == "email"} if isinstance(entity, Person) else set()
    for look in range(LOOKS if had else 0):
        if look:
            await clock.sleep(WAIT_S)
        params: Params = {"page[size]": 100}
        rows = (await client.get(f"users/{change.remote_id}/identities", params)).get("identities") or ()
        if any(str(row.get("value") or "").lower() in had for row in rows):
            return
    raise Gone(f"user {change.absorbs} is gone at Zendesk, and nothing says that it went into {change.remote_id}")
