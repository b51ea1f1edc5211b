"""Writing to Zendesk: internal notes, people, organizations and tasks, each exactly once.

- A note goes onto the ticket it is linked to, else onto its customer's profile ticket, and ends in our marker. Comments
  cannot be changed at Zendesk: another text means redacting the old note and adding a new one.
- A ticket is created with an Idempotency-Key and found by its external id, which does not go through the lagging search.
- A ticket is updated with safe_update: when somebody was faster, it is read again.
- Nothing is ever public: each comment says `public: false`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.api import (
    Change,
    Conflict,
    Found,
    Gone,
    HubError,
    Interaction,
    JournalEntry,
    Organization,
    Person,
    Receipt,
    RecordRejected,
    ScopeError,
    Task,
    Transient,
)  # fmt: skip
from hub_zendesk import outbound
from hub_zendesk.client import API, Client, chunks
from hub_zendesk.mapping import OWN_ROLES
from hub_zendesk.merging import merge
from hub_zendesk.outbound import PARTIES, Place, external_id
from hub_zendesk.records import comment_id, split_id
from hub_zendesk.settings import ZendeskSettings
from hub_zendesk.texts import PREFIX, PROFILE, instant, is_redacted, marked, split_marker

TRIES = 3
UPDATE = "ticket-update"


class Writer:
    """Writes to one account."""

    def __init__(self, client: Client, settings: ZendeskSettings) -> None:
        self.client = client
        self.http = client.http
        self.settings = settings

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        """One receipt per change, in order. Raises what makes every outcome unknown: quota, sign-in, outage."""
        receipts = []
        for change in changes:
            try:
                receipts.append(await self._one(change))
            except (RecordRejected, Conflict, Gone) as exc:
                receipts.append(
                    Receipt(key=change.key, outcome="failed", remote_id=change.remote_id, error=exc.message)
                )
            except ScopeError as exc:
                if len(changes) == 1:
                    raise
                receipts.append(
                    Receipt(key=change.key, outcome="failed", remote_id=change.remote_id, error=exc.message)
                )
        return receipts

    async def _one(self, change: Change) -> Receipt:
        if change.op == "delete":
            return await self._delete(change)
        if change.op == "merge":
            return await merge(self.client, change)
        match change.kind, change.entity:
            case "interaction", Interaction() as interaction:
                return await self._note(change, interaction)
            case "person", Person() as person:
                return await self._person(change, person)
            case "organization", Organization() as organization:
                return await self._organization(change, organization)
            case "task", Task() as task:
                return await self._task(change, task)
        raise RecordRejected(f"a {type(change.entity).__name__} is not a {change.kind}")

    # Notes

    async def _note(self, change: Change, interaction: Interaction) -> Receipt:
        text = outbound.note(interaction, change.key)
        place = self._known_place(change) or outbound.place_of(change, interaction)
        tickets = await self._tickets(place)
        old = None
        for ticket in reversed(tickets):
            if held := await self._own_note(ticket["id"], change.key):
                if held[1].split() == text.split():
                    # Ours, unknown to the hub and as wanted: an earlier attempt whose answer was lost made it.
                    is_lost = not change.remote_id
                    return _receipt(change, "created" if is_lost else "unchanged", ticket["id"], held[0], ticket)
                old = held[1]
                await self._redact(ticket["id"], *held)
                break
        ticket_id, number, version = await self._write_note(place, tickets, change.key, text)
        return Receipt(
            key=change.key, outcome="created" if old is None else "updated", remote_id=comment_id(ticket_id, number),
            version=version, before=None if old is None else {"text": old}, links=change.links,
        )  # fmt: skip

    def _known_place(self, change: Change) -> Place | None:
        ticket, _ = split_id(change.remote_id)
        return Place(ticket_id=ticket) if ticket else None

    async def _tickets(self, place: Place) -> list[dict[str, Any]]:
        """The tickets a note may be on, oldest first. Raises Gone when the ticket it belongs to is gone."""
        if place.ticket_id:
            found = await self.client.one(f"tickets/{place.ticket_id}", "ticket")
            if found is None or found.get("status") == "deleted":
                raise Gone(f"ticket {place.ticket_id} is gone: it was deleted at Zendesk")
            return [found]
        found_all = await self.client.by_external_id(place.external_id)
        return sorted((t for t in found_all if t.get("status") != "deleted"), key=lambda t: int(t["id"]))

    async def _own_note(self, ticket_id: int | str, key: str) -> tuple[int, str] | None:
        """(comment id, text) of our note in a ticket."""
        for comment in await self.client.comments(ticket_id):
            if split_marker(comment.text)[1] == key:
                return comment.id, comment.text
        return None

    async def _write_note(
        self, place: Place, tickets: Sequence[dict[str, Any]], key: str, text: str
    ) -> tuple[int, int, str]:
        """(ticket id, comment id, version). A closed ticket takes no more notes: another one follows it."""
        takes = [t for t in tickets if t.get("status") != "closed"]
        if takes:
            return await self._add_note(int(takes[-1]["id"]), key, text)
        if place.ticket_id:
            raise RecordRejected(f"ticket {place.ticket_id} is closed and takes no more notes")
        last = int(tickets[-1]["id"]) if tickets else None
        return await self._create(outbound.profile_ticket(place, text, self.settings.tag, last), key)

    async def _create(self, ticket: dict[str, Any], key: str) -> tuple[int, int, str]:
        """POST once, whatever answers get lost: Zendesk knows the key for two hours, and we look before."""
        body = msgspec.json.encode({"ticket": ticket})
        headers = {"content-type": "application/json", "idempotency-key": outbound.idempotency_key(key, body)}
        response = await self.http.request("POST", API + "tickets", content=body, headers=headers, safe=True)
        answer = response.json()
        made = answer["ticket"]
        number = _comment_of(answer) or (await self.client.comments(made["id"]))[0].id
        return int(made["id"]), number, str(made.get("updated_at", ""))

    async def _add_note(self, ticket_id: int, key: str, text: str) -> tuple[int, int, str]:
        """A PUT has no idempotency key: after an unknown outcome, and when somebody was faster, look before again."""
        for attempt in range(1, TRIES + 1):
            ticket = await self.client.one(f"tickets/{ticket_id}", "ticket")
            if ticket is None:
                raise Gone(f"ticket {ticket_id} is gone: it was deleted at Zendesk")
            if attempt > 1 and (held := await self._own_note(ticket_id, key)):
                return ticket_id, held[0], str(ticket.get("updated_at", ""))
            tags = ticket.get("tags") or []
            values: dict[str, Any] = {"comment": {"body": text, "public": False}, **_guard(ticket)}
            if self.settings.tag not in tags:
                values["tags"] = [*tags, self.settings.tag]  # replaces the whole set, which the stamp makes safe
            try:
                answer = await self._put(f"tickets/{ticket_id}", {"ticket": values}, UPDATE)
            except Conflict:
                if attempt == TRIES:
                    raise
            except Transient as exc:
                if attempt == TRIES or not exc.is_unknown:
                    raise
            else:
                number = _comment_of(answer)
                if number is None and (held := await self._own_note(ticket_id, key)):
                    number = held[0]
                return ticket_id, number or 0, str(answer["ticket"].get("updated_at", ""))
        raise Transient(f"ticket {ticket_id} could not be updated in {TRIES} tries", is_unknown=True)

    async def _redact(self, ticket_id: int | str, number: int, text: str) -> None:
        """Zendesk deletes no comment: every character of it becomes a block, for good."""
        path = f"{API}tickets/{ticket_id}/comments/{number}/redact"
        await self.http.request("PUT", path, json={"text": text}, cost=UPDATE)

    async def _take_back(self, remote_id: str, key: str) -> bool:
        """Redact our note; delete the profile ticket when it held nothing else. False when it is not there."""
        ticket_id, _ = split_id(remote_id)
        try:
            comments = await self.client.comments(ticket_id)
        except Gone:
            return False
        mine = [c for c in comments if split_marker(c.text)[1] == key]
        for comment in mine:
            await self._redact(ticket_id, comment.id, comment.text)
        rest = [c for c in comments if c not in mine and not is_redacted(c.text)]
        if not rest and comments:
            ticket = await self.client.one(f"tickets/{ticket_id}", "ticket")
            if ticket and (ticket.get("external_id") or "").startswith(PROFILE):
                await self._remove(f"tickets/{ticket_id}")
        return bool(mine)

    # People and organizations

    async def _fields(self, change: Change, party: Person | Organization) -> Receipt:
        """The fields that are named, of the record with this id; its name, its address and our key are left alone."""
        path, key = PARTIES[change.kind]
        current = await self._live(change)
        wanted = outbound.named(change, party.fields, self.settings)
        custom = f"{key}_fields"
        if strange := sorted(set(wanted.get(custom, {})) - set(current.get(custom) or {})):
            raise RecordRejected(f"Zendesk has no {key} field {', '.join(strange)}")  # it would drop it without a word
        changed = outbound.differing(wanted, current)
        if not changed:
            return _party_receipt(change, "unchanged", current)
        old = outbound.before(changed, current)
        answer = await self._put(f"{path}/{current['id']}", {key: changed}, "user-update", safe=True)
        return _party_receipt(change, "updated", answer[key], old)

    async def _live(self, change: Change) -> dict[str, Any]:
        """The record with the id the hub knows. Raises Gone, and RecordRejected for agents and after other changes."""
        path, key = PARTIES[change.kind]
        row = await self.client.one(f"{path}/{change.remote_id}", key)
        if row is None or row.get("active") is False or row.get("deleted_at"):
            raise Gone(f"gone: {key} {change.remote_id} was deleted or merged at Zendesk")
        _may_write(change, row)
        return row

    async def _person(self, change: Change, person: Person) -> Receipt:
        if outbound.is_fields(change):
            return await self._fields(change, person)
        current = await self._party("person", change)
        email = outbound.email_of(person)
        if current is None and email:
            answer = await self.client.get("users/search", {"query": f'email:"{email}"'})
            current = next((u for u in answer.get("users", []) if (u.get("email") or "").lower() == email), None)
        if current is not None:
            _may_write(change, current)
        wanted = outbound.user(person, change, self.settings)
        if current is None and not (email or wanted.get("name")):
            raise RecordRejected("a person without a name and an address cannot be made")
        fresh = {**({"email": email} if email else {}), "skip_verify_email": True}
        return await self._write_party(change, current, {"name": email, **wanted}, fresh)

    async def _organization(self, change: Change, organization: Organization) -> Receipt:
        if outbound.is_fields(change):
            return await self._fields(change, organization)
        current = await self._party("organization", change)
        if current is not None:
            _may_write(change, current)
        wanted = outbound.organization(organization, change, self.settings)
        if current is None:
            if "name" not in wanted:
                raise RecordRejected("an organization without a name cannot be made")
            answer = await self.client.get("organizations/search", {"name": wanted["name"]})
            rows = answer.get("organizations", [])
            current = next((o for o in rows if o["name"].casefold() == wanted["name"].casefold()), None)
        return await self._write_party(change, current, wanted, {})

    async def _party(self, kind: str, change: Change) -> dict[str, Any] | None:
        """By our key, else by the id the hub knows. Raises Gone when that id is not there any more."""
        rows = await self._by_keys(kind, [change.key])
        if rows:
            return rows[0]
        return await self._live(change) if change.remote_id else None

    async def _by_keys(self, kind: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        path, _ = PARTIES[kind]
        found: list[dict[str, Any]] = []
        for part in chunks(keys):
            answer = await self.client.get(f"{path}/show_many", {"external_ids": ",".join(map(external_id, part))})
            found += [row for row in answer.get(path, []) if row.get("active") is not False]
        return found

    async def _write_party(
        self, change: Change, current: dict[str, Any] | None, wanted: dict[str, Any], fresh: dict[str, Any]
    ) -> Receipt:
        path, key = PARTIES[change.kind]
        ours = external_id(change.key)
        if current is None:
            body = {key: {**wanted, **fresh, "external_id": ours}}
            # Matches by external id (and a user by address): carrying it out twice is the same as once.
            response = await self.http.request(
                "POST", f"{API}{path}/create_or_update", json=body, safe=True, cost="user-update"
            )
            row = response.json()[key]
            outcome = "created" if response.status == 201 or row.get("external_id") == ours else "updated"
            return _party_receipt(change, outcome, row)
        holder = current.get("external_id") or ""
        if holder.startswith(PREFIX) and holder.lower() != ours.lower():
            raise Conflict(f"{key} {current['id']} stands for another record already ({holder})")
        asked = {**wanted, "external_id": ours} if not holder else wanted
        asked = {name: value for name, value in asked.items() if name != "name" or value != fresh.get("email")}
        changed = outbound.differing(asked, current)
        if not changed:
            return _party_receipt(change, "unchanged", current)
        old = outbound.before(changed, current)
        answer = await self._put(f"{path}/{current['id']}", {key: changed}, "user-update", safe=True)
        return _party_receipt(change, "updated", answer[key], old)

    # Tasks

    async def _task(self, change: Change, task: Task) -> Receipt:
        wanted = outbound.task(task)
        rows = await self.client.by_external_id(external_id(change.key))
        current = next((t for t in rows if t.get("status") != "deleted"), None)
        if current is None:
            body = marked(task.text or task.title or "Task", change.key)
            ticket = {
                **wanted, "comment": {"body": body, "public": False}, "external_id": external_id(change.key),
                "tags": [self.settings.tag],
            }  # fmt: skip
            made, _, version = await self._create(ticket, change.key)
            return Receipt(key=change.key, outcome="created", remote_id=str(made), version=version)
        if current.get("status") == "closed":
            return _party_receipt(change, "unchanged", current)  # Zendesk closes what was solved; it is done
        changed = _task_changes(wanted, current)
        if not changed:
            return _party_receipt(change, "unchanged", current)
        old = outbound.before(changed, current)
        body_ = {"ticket": {**changed, **_guard(current)}}
        answer = await self._put(f"tickets/{current['id']}", body_, UPDATE, safe=True)
        return _party_receipt(change, "updated", answer["ticket"], old)

    # Deleting, finding, undoing

    async def _delete(self, change: Change) -> Receipt:
        known = change.remote_id
        if not known:
            known = next((f.remote_id for f in await self.find(change.kind, [change.key])), "")
        if not known:
            return Receipt(key=change.key, outcome="unchanged")
        if change.kind == "interaction":
            done = await self._take_back(known, change.key)
        else:
            path = PARTIES[change.kind][0] if change.kind in PARTIES else "tickets"
            done = await self._remove(f"{path}/{known}")
        return Receipt(key=change.key, outcome="deleted" if done else "unchanged", remote_id=known)

    async def _remove(self, path: str) -> bool:
        try:
            await self.http.request("DELETE", API + path)
        except Gone:
            return False
        return True

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        """Objects that carry our keys, without the search index.

        Notes have no key of their own at Zendesk: the tickets changed in the last `find_hours` that bear our tag are
        gone through. An older note is found when it is pushed again, through its customer's ticket.
        """
        wanted = dict.fromkeys(keys)
        if kind in PARTIES:
            return [
                Found(
                    key=row["external_id"][len(PREFIX) :], remote_id=str(row["id"]), version=row.get("updated_at") or ""
                )
                for row in await self._by_keys(kind, list(wanted))
            ]
        if kind == "task":
            return [
                Found(key=key, remote_id=str(row["id"]), version=row.get("updated_at") or "")
                for key in wanted
                for row in (await self.client.by_external_id(external_id(key)))[:1]
            ]
        since = self.http.services.clock.now() - timedelta(hours=self.settings.find_hours)
        return await self._find_notes(set(wanted), since)

    async def _find_notes(self, wanted: set[str], since: datetime) -> list[Found]:
        found: dict[str, Found] = {}
        async for rows in self.client.listed("tickets", "tickets", {"sort": "-updated_at"}):
            for row in rows:
                ticket = msgspec.json.decode(row, type=dict[str, Any])
                changed_at = instant(ticket.get("updated_at"))
                if wanted <= set(found) or (changed_at and changed_at < since):
                    return list(found.values())
                if self.settings.tag not in (ticket.get("tags") or []) or ticket.get("status") == "deleted":
                    continue
                for comment in await self.client.comments(ticket["id"]):
                    key = split_marker(comment.text)[1]
                    if key in wanted:
                        remote_id = comment_id(int(ticket["id"]), comment.id)
                        found[key] = Found(key=key, remote_id=remote_id, version=ticket.get("updated_at") or "")
        return list(found.values())

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        """The newest first, so that an object written twice ends as it was before the first."""
        receipts = []
        for entry in reversed(entries):
            try:
                receipts.append(await self._undo(entry))
            except (RecordRejected, Conflict, Gone) as exc:
                receipts.append(_undone(entry, "failed", exc))
        return receipts[::-1]

    async def _undo(self, entry: JournalEntry) -> Receipt:
        change, receipt = entry.change, entry.receipt
        if receipt.outcome == "deleted":
            return _undone(entry, "failed", RecordRejected("what was redacted or deleted at Zendesk stays so"))
        if receipt.outcome == "created":
            if change.kind == "interaction":
                done = await self._take_back(receipt.remote_id, change.key)
            else:
                path = PARTIES[change.kind][0] if change.kind in PARTIES else "tickets"
                done = await self._remove(f"{path}/{receipt.remote_id}")
            return _undone(entry, "deleted" if done else "unchanged")
        if receipt.outcome != "updated" or not receipt.before:
            return _undone(entry, "unchanged")
        if change.kind == "interaction":
            return await self._restore_note(entry)
        path, key = PARTIES.get(change.kind, ("tickets", "ticket"))
        current = await self.client.one(f"{path}/{receipt.remote_id}", key)
        if current is None or not outbound.differing(receipt.before, current):
            return _undone(entry, "unchanged")
        guard = _guard(current) if key == "ticket" else {}
        await self._put(f"{path}/{receipt.remote_id}", {key: {**receipt.before, **guard}}, "user-update", safe=True)
        return _undone(entry, "updated")

    async def _restore_note(self, entry: JournalEntry) -> Receipt:
        """The old words again, as a new note: Zendesk brings no redacted text back."""
        ticket_id, _ = split_id(entry.receipt.remote_id)
        old = str((entry.receipt.before or {}).get("text", ""))
        held = await self._own_note(ticket_id, entry.change.key)
        if held is None or held[1].split() == old.split():
            return _undone(entry, "unchanged")
        await self._redact(ticket_id, *held)
        await self._add_note(int(ticket_id), entry.change.key, old)
        return _undone(entry, "updated")

    async def _put(self, path: str, body: dict[str, Any], cost: str, *, safe: bool = False) -> dict[str, Any]:
        answer = await self.http.json("PUT", API + path, json=body, cost=cost, safe=safe)
        return answer if isinstance(answer, dict) else {}


def _may_write(change: Change, row: dict[str, Any]) -> None:
    """Raises RecordRejected for one of our own agents, and for a record somebody changed after our before-image."""
    if row.get("role") in OWN_ROLES:
        raise RecordRejected(f"user {row['id']} is one of your own agents, who are not written to")
    if change.expected_version and row.get("updated_at") != change.expected_version:
        raise RecordRejected(f"conflict: changed at Zendesk at {row.get('updated_at')}, after our before-image")


def _guard(ticket: dict[str, Any]) -> dict[str, Any]:
    """Zendesk then refuses the update with 409 when the ticket was changed since we read it."""
    return {"safe_update": True, "updated_stamp": ticket.get("updated_at")}


def _comment_of(answer: dict[str, Any]) -> int | None:
    """The id of the comment a write made, as its audit tells."""
    events = (answer.get("audit") or {}).get("events") or ()
    return next((int(e["id"]) for e in events if e.get("type") == "Comment"), None)


def _task_changes(wanted: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """What is to change in a task; a status an agent chose for an open task (pending, hold) is left alone."""
    changed = outbound.differing(wanted, current)
    if "due_at" in changed and _same_instant(changed["due_at"], current.get("due_at")):
        del changed["due_at"]
    if changed.get("status") == "open" and current.get("status") in {"new", "pending", "hold"}:
        del changed["status"]
    return changed


def _same_instant(one: object, other: object) -> bool:
    try:
        return instant(one) == instant(other)
    except ValueError:
        return False


def _receipt(change: Change, outcome: Any, ticket_id: int, number: int, ticket: dict[str, Any]) -> Receipt:
    return Receipt(
        key=change.key, outcome=outcome, remote_id=comment_id(ticket_id, number),
        version=str(ticket.get("updated_at", "")), links=change.links,
    )  # fmt: skip


def _party_receipt(change: Change, outcome: Any, row: dict[str, Any], old: dict[str, Any] | None = None) -> Receipt:
    return Receipt(
        key=change.key, outcome=outcome, remote_id=str(row["id"]), version=str(row.get("updated_at") or ""), before=old,
        links=change.links,
    )  # fmt: skip


def _undone(entry: JournalEntry, outcome: Any, exc: HubError | None = None) -> Receipt:
    return Receipt(
        key=entry.change.key, outcome=outcome, remote_id=entry.receipt.remote_id, error=exc.message if exc else ""
    )
