"""The push: an interaction becomes a draft in the mailbox, for a person to read and send. Nothing is sent.

Gmail has no idempotency key, so each draft carries a Message-ID made from the hub's key and is looked up by
it before it is created. Source: developers.google.com/workspace/gmail/api/guides/drafts.
"""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from hub.api import (
    Change,
    ContractBroken,
    Found,
    Gone,
    Http,
    HubError,
    Interaction,
    JournalEntry,
    Receipt,
    RecordRejected,
    Transient,
)
from hub.api.mail import compose as composed
from hub.api.mail import own_message_id
from hub_gmail.batch import read_many
from hub_gmail.listing import path_of
from hub_gmail.wire import DRAFT, DRAFTS, LISTING, USERS, Draft, read

SENT = "message:"  # remote ids of drafts that a person has sent since
RECENT = 50  # newest drafts read one by one, because the search index may lag behind them


def compose(key: str, interaction: Interaction) -> tuple[bytes, str]:
    """The MIME message and the Gmail thread it answers in ("" for a new one). Raises RecordRejected.

    From is left to Gmail, which writes the account's own address whatever one asks for.
    """
    threads = [ref.partition(":")[2] for ref in interaction.thread_refs if ref.startswith("gmail-thread:")]
    return composed(key, interaction).as_bytes(), threads[-1] if threads else ""


async def find(http: Http, keys: Sequence[str], size: int) -> list[Found]:
    """Drafts, and messages sent from them, that carry our Message-IDs: by search, then among the newest."""
    found: dict[str, Found] = {}
    wanted = {f"rfc822msgid:{own_message_id(key)}": key for key in keys}
    paths = [path_of("drafts", q=q) for q in wanted]
    for key, body in zip(wanted.values(), await _bodies(http, paths, "drafts.list", size), strict=True):
        for draft in DRAFTS.decode(body).drafts[:1]:
            found[key] = _found(key, draft)
    missing = {own_message_id(key): key for key in keys if key not in found}
    if missing:
        for name, draft in await _recent(http, size):
            if name in missing:
                found.setdefault(missing[name], _found(missing[name], draft))
    left = {q: key for q, key in wanted.items() if key not in found}
    paths = [path_of("messages", q=f"{q} -in:drafts", includeSpamTrash="true") for q in left]
    for key, body in zip(left.values(), await _bodies(http, paths, "messages.list", size), strict=True):
        for message in LISTING.decode(body).messages[:1]:
            found[key] = Found(key=key, remote_id=SENT + message.id)
    return list(found.values())


async def _recent(http: Http, size: int) -> list[tuple[str, Draft]]:
    """(Message-ID, draft) of the newest drafts."""
    listed = await read(http, "drafts", DRAFTS, cost="drafts.list", params={"maxResults": RECENT})
    paths = [f"drafts/{draft.id}?format=metadata" for draft in listed.drafts]
    pairs = []
    for answer in await read_many(http, paths, cost="drafts.get", size=size):
        if isinstance(answer, Gone):
            continue
        if isinstance(answer, HubError):
            raise answer
        draft = DRAFT.decode(answer.body)
        headers = draft.message.payload.headers if draft.message and draft.message.payload else []
        for header in headers:
            if header.name.lower() == "message-id":
                pairs.append((header.value.strip().strip("<>"), draft))
    return pairs


async def _bodies(http: Http, paths: Sequence[str], cost: str, size: int) -> list[bytes]:
    bodies = []
    for answer in await read_many(http, paths, cost=cost, size=size):
        if isinstance(answer, HubError):
            raise answer
        bodies.append(answer.body)
    return bodies


def _found(key: str, draft: Draft) -> Found:
    # Each save of a draft gives it a new message id, which makes that id the draft's version.
    return Found(key=key, remote_id=draft.id, version=draft.message.id if draft.message else "")


async def push(http: Http, changes: Sequence[Change], size: int) -> list[Receipt]:
    """One draft per change, made once. One that is there already is left as it is: a person may work on it."""
    known = {f.key: f for f in await find(http, [c.key for c in changes if not c.remote_id], size)}
    receipts = []
    for change in changes:
        try:
            if change.op == "delete":
                there = known.get(change.key)
                target = change.remote_id or (there.remote_id if there else "")
                receipt = await _delete(http, change.key, target, change.expected_version)
            elif change.remote_id:
                receipt = await _still_there(http, change)
            elif there := known.get(change.key):
                receipt = Receipt(key=change.key, outcome="unchanged", remote_id=there.remote_id, version=there.version)
            else:
                receipt = await _create(http, change, size)
        except (RecordRejected, Gone, ContractBroken) as exc:
            receipt = Receipt(key=change.key, outcome="failed", remote_id=change.remote_id, error=str(exc))
        receipts.append(receipt)
    return receipts


async def _create(http: Http, change: Change, size: int) -> Receipt:
    if not isinstance(change.entity, Interaction):
        raise RecordRejected("only an interaction can become a draft")
    raw, thread = compose(change.key, change.entity)
    message: dict[str, Any] = {"raw": base64.urlsafe_b64encode(raw).decode()}
    if thread:
        message["threadId"] = thread
    try:
        answer = await http.request("POST", USERS + "drafts", json={"message": message}, cost="drafts.create")
        made = _found(change.key, DRAFT.decode(answer.body))
    except msgspec.DecodeError as exc:
        raise Transient("drafts.create did not answer with a draft", is_unknown=True) from exc
    except Transient as exc:
        # The answer was lost, not necessarily the draft: look before anybody asks again.
        there = await find(http, [change.key], size) if exc.is_unknown else []
        if not there:
            raise
        made = there[0]
    return Receipt(key=change.key, outcome="created", remote_id=made.remote_id, version=made.version)


async def _still_there(http: Http, change: Change) -> Receipt:
    if change.remote_id.startswith(SENT):
        return Receipt(key=change.key, outcome="unchanged", remote_id=change.remote_id)
    draft = await _get(http, change.remote_id)
    if draft is None:
        raise Gone("the draft was sent or discarded by a person; it is not made a second time")
    there = _found(change.key, draft)
    return Receipt(key=change.key, outcome="unchanged", remote_id=there.remote_id, version=there.version)


async def _get(http: Http, remote_id: str) -> Draft | None:
    try:
        path, params = f"drafts/{remote_id}", {"format": "minimal"}
        return await read(http, path, DRAFT, cost="drafts.get", params=params)
    except Gone:
        return None


async def _delete(http: Http, key: str, remote_id: str, version: str) -> Receipt:
    """Remove our draft, unless a person has sent it or worked on it."""
    if remote_id.startswith(SENT):
        return Receipt(key=key, outcome="failed", remote_id=remote_id, error="sent by a person: cannot be taken back")
    draft = await _get(http, remote_id) if remote_id else None
    if draft is None:
        return Receipt(key=key, outcome="unchanged", remote_id=remote_id)
    if version and draft.message and draft.message.id != version:
        error = "edited by a person since: delete it by hand if it is not wanted"
        return Receipt(key=key, outcome="failed", remote_id=remote_id, version=draft.message.id, error=error)
    try:
        await http.request("DELETE", f"{USERS}drafts/{remote_id}", cost="drafts.delete")
    except Gone:
        return Receipt(key=key, outcome="unchanged", remote_id=remote_id)
    return Receipt(key=key, outcome="deleted", remote_id=remote_id)


async def undo(http: Http, entries: Sequence[JournalEntry]) -> list[Receipt]:
    """Delete the drafts these entries created; what they found or left alone is left alone again."""
    receipts = []
    for entry in entries:
        made = entry.receipt
        if made.outcome == "created":
            receipts.append(await _delete(http, entry.change.key, made.remote_id, made.version))
        else:
            receipts.append(Receipt(key=entry.change.key, outcome="unchanged", remote_id=made.remote_id))
    return receipts
