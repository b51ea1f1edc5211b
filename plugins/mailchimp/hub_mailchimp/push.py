"""Writing to members: merge fields, tags, notes, and an opt-out; nothing else, and never a subscription.

Nobody is added to an audience: every way to add a member demands a status, and none is safe to give. `subscribed` and
`pending` (which mails the person) claim or ask for a consent we do not have, `unsubscribed` claims an opt-out, and
Mailchimp does not say what `transactional` and `cleaned` commit to. So a member that does not exist is a refusal, and
the only status this file can send is `unsubscribed`.
"""

import re
from collections.abc import Sequence
from typing import Any

from hub.api import Change, Consent, Gone, Interaction, JournalEntry, Person, Receipt, RecordRejected, Transient
from hub_mailchimp.client import Client, Row, text
from hub_mailchimp.lookup import LookUp, Place, marker, note_path

NOTE_LIMIT = 1_000
NEVER_BACK = "an opt-out is never taken back by the hub: only the person can subscribe again"
UNSUBSCRIBE: Row = {"status": "unsubscribed"}
_GETS_MAIL = {"subscribed", "pending"}


class Writer:
    """Pushes to one account, one change after the other."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lookup = LookUp(client)
        self.key_field = client.settings.key_field
        self.tags_of = client.settings.merge_fields

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return [await self._one(c) for c in changes]

    async def _one(self, change: Change) -> Receipt:
        """A refusal of this change is its receipt; what makes every outcome unknown is raised."""
        try:
            match change.entity:
                case None if change.op == "delete" and change.kind == "interaction":
                    return await self._remove_notes(change)
                case Interaction() if change.op == "upsert":
                    return await self._note(change, change.entity)
                case Person() if change.op == "upsert":
                    return await self._person(change, change.entity)
                case Consent() if change.op == "upsert":
                    return await self._opt_out(change, change.entity)
            raise RecordRejected("members are neither added nor removed by the hub; only notes are taken away")
        except (RecordRejected, Gone) as exc:
            return Receipt(key=change.key, outcome="failed", remote_id=change.remote_id, error=exc.message)

    # Opt-outs

    async def _opt_out(self, change: Change, consent: Consent) -> Receipt:
        """Unsubscribes the address in every audience where it still gets mail; who is no member gets none."""
        if consent.state != "opted_out":
            raise RecordRejected("the hub writes opt-outs only, never a subscription")
        if consent.channel != "email" or consent.identifier.scheme != "email":
            return Receipt(key=change.key, outcome="unchanged")  # Mailchimp has no place for it
        places = await self.lookup.members([consent.identifier.value])
        gone, errors = list[str](), list[str]()
        for place in places:
            if place.row.get("status") not in _GETS_MAIL:
                continue
            try:
                await self._patch(place, UNSUBSCRIBE)
                gone.append(place.external_id)
            except (RecordRejected, Gone) as exc:  # one audience does not keep the others from it
                errors.append(f"{place.external_id}: {exc.message}")
        outcome: Any = "failed" if errors else "updated" if gone else "unchanged"
        return Receipt(
            key=change.key, outcome=outcome, remote_id=" ".join(p.external_id for p in places),
            before={"unsubscribed": gone} if gone else None, error="; ".join(errors),
        )  # fmt: skip

    # People: merge fields, tags

    async def _person(self, change: Change, person: Person) -> Receipt:
        addresses = [i.value for i in person.identifiers if i.scheme == "email"]
        place = await self.lookup.by_id(change.remote_id) if change.remote_id else None
        if place is None and change.remote_id and not addresses:
            raise Gone("gone: the member was deleted at Mailchimp for good")
        place = place or self._best(change.key, await self.lookup.members(addresses))
        if place is None:
            raise RecordRejected("not a member of any audience, and the hub adds nobody")
        before: Row = {}
        try:
            await self._write_person(change, person, place, before)
        except (RecordRejected, Gone) as exc:
            if not before:
                raise
            return Receipt(
                key=change.key, outcome="failed", remote_id=place.external_id, before=before, error=exc.message
            )
        return Receipt(
            key=change.key, outcome="updated" if before else "unchanged", remote_id=place.external_id,
            before=before or None, version="" if before else text(place.row, "last_changed"),
        )  # fmt: skip

    async def _write_person(self, change: Change, person: Person, place: Place, before: Row) -> None:
        """The two kinds of writes; `before` tells what each is about to change."""
        if change.expected_version and text(place.row, "last_changed") != change.expected_version:
            raise RecordRejected("conflict: the member was changed after our before-image")
        if wanted := self._differing(change, person, place):
            before["merge_fields"] = {tag: place.merge_fields.get(tag, "") for tag in wanted}
            before["wrote"] = wanted
            await self._patch(place, {"merge_fields": wanted})
        if tags := await self._missing_tags(person, place):
            before["tags"] = tags
            await self._set_tags(place, tags, "active")

    def _best(self, key: str, places: Sequence[Place]) -> Place | None:
        """The member that has our key, else the first that is not archived."""
        ours = [p for p in places if p.merge_fields.get(self.key_field) == key]
        shown = [p for p in places if p.row.get("status") != "archived"]
        return next(iter([*ours, *shown, *places]), None)

    def _differing(self, change: Change, person: Person, place: Place) -> dict[str, str]:
        """The merge fields to write. A member the hub knows by its id is told exactly what is named, blanks included; one
        found otherwise is given our key, and values the person has in fields the audience has."""
        if change.remote_id and not (person.identifiers or person.name):
            wanted = self._named(person, place)  # it has been found, and needs no key of ours
        elif change.remote_id:
            wanted = self._known(person, place) | self._named(person, place) | self._key(change.key, place)
        else:
            wanted = self._known(person, place) | self._key(change.key, place)
        return {tag: value for tag, value in wanted.items() if not _is_same(place.merge_fields.get(tag), value)}

    def _key(self, key: str, place: Place) -> dict[str, str]:
        held = place.merge_fields
        if self.key_field not in held:
            raise RecordRejected(f"the audience has no field {self.key_field}: run check, or make it by hand")
        if (other := held[self.key_field]) and other != key:
            raise RecordRejected("the member stands for another record of the hub already")
        return {self.key_field: key}

    def _named(self, person: Person, place: Place) -> dict[str, str]:
        """The fields that are named. Raises RecordRejected, with its name, for one that has no place here."""
        wanted = {}
        for ours, value in person.fields.items():
            if ours == "tags":  # added apart
                continue
            tag = self.tags_of.get(ours)
            if tag is None:
                raise RecordRejected(f"Mailchimp has no place to write the field {ours}: name it in merge_fields")
            held = place.merge_fields.get(tag)
            if isinstance(held, dict):
                raise RecordRejected(f"{ours}: {tag} is an address of several lines, which is read and not written")
            if value and tag not in place.merge_fields:
                raise RecordRejected(f"{ours}: the audience has no field {tag}")
            wanted[tag] = value
        return wanted

    def _known(self, person: Person, place: Place) -> dict[str, str]:
        """Name and fields the person has, in fields the audience has, never a blank."""
        held = place.merge_fields
        named = {ours: person.fields.get(ours, "") for ours in self.tags_of}
        full = f"{held.get(self.tags_of.get('first_name', ''), '')} {held.get(self.tags_of.get('last_name', ''), '')}"
        if person.name and not (named.get("first_name") or named.get("last_name")) and full.strip() != person.name:
            first, _, last = person.name.strip().rpartition(" ")
            named |= {"first_name": first or last, "last_name": last if first else ""}
        wanted = {self.tags_of[ours]: value for ours, value in named.items() if value and ours in self.tags_of}
        return {tag: value for tag, value in wanted.items() if tag in held}

    async def _missing_tags(self, person: Person, place: Place) -> list[str]:
        """Tags the person should have and has not. Tags are only added: who else gave one, had a reason."""
        wanted = [t.strip() for t in person.fields.get("tags", "").split(";") if t.strip()]
        if not wanted:
            return []
        held = await self._tags(place)
        return [t for t in dict.fromkeys(wanted) if t not in held]

    async def _tags(self, place: Place) -> set[str]:
        """All tags of a member, which shows fifty at most."""
        shown = place.row.get("tags") or []
        held = {text(row, "name") for row in shown}
        if place.row.get("tags_count") != len(shown):
            async for rows in self.client.all_rows(f"{place.hash_path}/tags", "tags", exclude_fields="_links"):
                held.update(text(row, "name") for row in rows)
        return held

    async def _set_tags(self, place: Place, tags: Sequence[str], status: str) -> None:
        """`is_syncing` keeps automations from mailing people because we wrote a tag."""
        body = {"tags": [{"name": t, "status": status} for t in tags], "is_syncing": True}
        await self.client.request("POST", f"{place.hash_path}/tags", json=body, safe=True)

    async def _patch(self, place: Place, body: Row) -> None:
        """The one way to change a member. Raises ValueError before anything could claim a consent."""
        if "status" in body and body["status"] != "unsubscribed":
            raise ValueError("the hub never writes a consent")
        await self.client.request("PATCH", place.path, params={"skip_merge_validation": "true"}, json=body)

    # Interactions: notes

    async def _note(self, change: Change, entity: Interaction) -> Receipt:
        """One note on each member it concerns, found again by the marker in its last line."""
        places = await self._concerned(change, entity)
        if not places:
            raise RecordRejected("none of the people is a member of an audience")
        wanted, ids, before = note_text(entity, change.key), list[str](), dict[str, Any]()
        outcomes = set()
        for place in places:
            outcome, remote_id, old = await self._write_note(place, change.key, wanted)
            outcomes.add(outcome)
            ids.append(remote_id)
            if outcome == "created":
                before[remote_id] = None
            elif outcome == "updated":
                before[remote_id] = old
        made: Any = "created" if outcomes == {"created"} else "updated" if outcomes != {"unchanged"} else "unchanged"
        return Receipt(
            key=change.key, outcome=made, remote_id=" ".join(ids), before={"notes": before} if before else None
        )

    async def _concerned(self, change: Change, entity: Interaction) -> list[Place]:
        linked = [await self.lookup.by_id(link.remote_id) for link in change.links if link.kind == "person"]
        found = [p for p in linked if p]
        if not found:
            addresses = [p.identifier.value for p in entity.participants if p.identifier.scheme == "email"]
            found = await self.lookup.members(addresses)
        return list({p.external_id: p for p in found}.values())

    async def _write_note(self, place: Place, key: str, wanted: str) -> tuple[str, str, str]:
        """(outcome, remote id, text before). After an unknown outcome the notes are read again before another try."""
        tries = 3
        for attempt in range(1, tries + 1):
            held = next((n for n in await self.lookup.notes(place) if n.key == key), None)
            if held and held.text == wanted:
                return ("unchanged" if attempt == 1 else "created"), held.remote_id, ""
            if held:
                await self.client.request("PATCH", note_path(held.remote_id), json={"note": wanted})
                return "updated", held.remote_id, held.text
            try:
                answer = await self.client.request("POST", f"{place.hash_path}/notes", json={"note": wanted})
                return "created", f"{place.external_id}/{answer.json()['id']}", ""
            except Transient as exc:
                if not exc.is_unknown or attempt == tries:
                    raise
        raise AssertionError("unreachable")

    async def _remove_notes(self, change: Change) -> Receipt:
        gone = [i for i in change.remote_id.split() if await self._remove_note(i)]
        return Receipt(key=change.key, outcome="deleted" if gone else "unchanged", remote_id=change.remote_id)

    async def _remove_note(self, remote_id: str) -> bool:
        try:
            await self.client.request("DELETE", note_path(remote_id))
        except Gone:
            return False
        return True

    # Taking back

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        """The newest first, so that an object written twice ends as it was before the first."""
        receipts = {n: await self._undo(e) for n, e in reversed(list(enumerate(entries)))}
        return [receipts[n] for n in range(len(entries))]

    async def _undo(self, entry: JournalEntry) -> Receipt:
        made, before = entry.receipt, entry.receipt.before or {}
        if "unsubscribed" in before:
            return Receipt(key=made.key, outcome="unchanged", remote_id=made.remote_id, error=NEVER_BACK)
        try:
            if "notes" in before:
                changed = [await self._undo_note(i, old) for i, old in before["notes"].items()]
                is_made = made.outcome == "created" and any(changed)
                outcome: Any = "deleted" if is_made else "updated" if any(changed) else "unchanged"
            else:
                outcome = "updated" if await self._undo_person(made.remote_id, before) else "unchanged"
        except (RecordRejected, Gone) as exc:
            return Receipt(key=made.key, outcome="failed", remote_id=made.remote_id, error=exc.message)
        return Receipt(key=made.key, outcome=outcome, remote_id=made.remote_id)

    async def _undo_note(self, remote_id: str, old: str | None) -> bool:
        if old is None:
            return await self._remove_note(remote_id)
        await self.client.request("PATCH", note_path(remote_id), json={"note": old})
        return True

    async def _undo_person(self, remote_id: str, before: Row) -> bool:
        place = await self.lookup.by_id(remote_id)
        if place is None:  # deleted at Mailchimp since: nothing of ours is left
            return False
        wrote, now = before.get("wrote") or {}, place.merge_fields
        # What somebody has changed since is theirs.
        old = {
            tag: v for tag, v in (before.get("merge_fields") or {}).items() if _is_same(now.get(tag), wrote.get(tag))
        }
        old = {tag: value for tag, value in old.items() if not _is_same(now.get(tag), value)}
        if old:
            await self._patch(place, {"merge_fields": old})
        held = await self._tags(place) if before.get("tags") else set()
        if tags := [t for t in before.get("tags") or () if t in held]:
            await self._set_tags(place, tags, "inactive")
        return bool(old or tags)


def _is_same(held: Any, value: Any) -> bool:
    """Numbers come back as numbers, and telephone numbers in the field's own format."""
    one, other = ("" if x is None else str(x).strip() for x in (held, value))
    if one == other:
        return True
    digits = [re.sub(r"[\s()./-]", "", x) for x in (one, other)]
    return digits[0] == digits[1] and digits[0].removeprefix("+").isdecimal()


def note_text(i: Interaction, key: str) -> str:
    """A line that says what it stands for, as much of the words as fits, and the marker."""
    at = i.occurred_at.strftime("%Y-%m-%d %H:%M UTC") if i.occurred_at else str(i.all_day or "")
    head = " ".join(x for x in (at, i.channel, i.kind.replace("_", " "), i.direction or "") if x)
    body = "\n".join(x for x in (f"{head}: {i.subject}" if i.subject else head, i.text.strip()) if x)
    tail = f"\n{marker(key)}"
    room = NOTE_LIMIT - len(tail)
    return (body if len(body) <= room else body[: room - 4] + " ...") + tail
