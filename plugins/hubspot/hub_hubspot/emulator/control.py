"""Commands of `POST /_emulator/<command>`: filling the portal and doing what people do in the vendor's own screens."""

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub_hubspot.emulator import values
from hub_hubspot.emulator.gate import Token
from hub_hubspot.emulator.merges import merge
from hub_hubspot.emulator.portal import Record, Shelf
from hub_hubspot.emulator.tables import BY_NAME, DEFAULT_LINK

if TYPE_CHECKING:
    from hub_hubspot.emulator import HubSpotEmulator

_FIRST = ("Ada", "Ben", "Chidi", "Dora", "Emeka", "Farah", "Goran", "Hanna", "Ivo", "Jun", "Kira", "Lena")
_LAST = ("Adler", "Brandt", "Costa", "Dvorak", "Ekwueme", "Fischer", "Garcia", "Haddad", "Ito", "Jansen")


class Control:
    """One method per command, named as the command is; each takes the arguments and gives plain JSON."""

    def __init__(self, emulator: "HubSpotEmulator") -> None:
        self._emulator = emulator

    def run(self, command: str, args: dict[str, Any]) -> Any:
        """Raises KeyError for an unknown command, naming the known ones."""
        commands: dict[str, Callable[[dict[str, Any]], Any]] = {
            "seed": self.seed, "generate": self.generate, "merge": self.merge, "delete": self.delete,
            "restore": self.restore, "erase": self.erase, "touch": self.touch, "associate": self.associate,
            "lock": self.lock, "flags": self.flags, "token": self.token, "now": self.now, "dump": self.dump,
            "unsubscribe": self.unsubscribe, "duplicates": self.duplicates, "webhooks": self.webhooks,
        }  # fmt: skip
        if command not in commands:
            raise KeyError(f"{command}; known: {', '.join(sorted(commands))}")
        return commands[command](args)

    # Filling

    def seed(self, args: dict[str, Any]) -> dict[str, Any]:
        """Objects and owners that were there before, without webhook events and known to search at once.

        args: {"owners": [{email, ...}], "objects": {type: [{"properties", "id"?, "created_at"?, "updated_at"?,
        "archived"?, "associations"?: [{"to": type, "id", "type_id"?}]}]}}. Links may name objects of the same call.
        Returns {"owners": [ids], "objects": {type: [ids]}}.
        """
        portal = self._emulator.portal
        portal.events.is_on, was_on = False, portal.events.is_on
        try:
            owners = [self._emulator.owners.add(o) for o in args.get("owners") or ()]
            found: dict[str, list[str]] = {}
            links: list[tuple[str, int, dict[str, Any]]] = []
            for name, objects in (args.get("objects") or {}).items():
                shelf = self._shelf(name)
                ids = found.setdefault(shelf.kind.plural, [])
                for given in objects:
                    record = self._put(shelf, given)
                    ids.append(str(record.id))
                    links += [(shelf.kind.plural, record.id, link) for link in given.get("associations") or ()]
            for source, source_id, link in links:
                types = {int(link["type_id"])} if "type_id" in link else set()
                portal.link(source, source_id, BY_NAME[link["to"]].plural, int(link["id"]), types)
        finally:
            portal.events.is_on = was_on
        return {"owners": owners, "objects": found}

    def _put(self, shelf: Shelf, given: dict[str, Any]) -> Record:
        portal = self._emulator.portal
        found = portal.check(shelf, given.get("properties") or {}, is_trusted=True)
        created, updated = _ms(given.get("created_at")), _ms(given.get("updated_at"))
        id_ = int(given["id"]) if given.get("id") else None
        record = portal.create(shelf, found, id_=id_, created_ms=created, source=str(given.get("source", "CRM_UI")))
        if updated is not None and updated != record.updated_ms:
            portal.update(shelf, record, {}, at_ms=updated)
        record.versions.clear()
        if given.get("archived"):
            portal.archive(shelf, record)
        return record

    def generate(self, args: dict[str, Any]) -> dict[str, int]:
        """Many invented objects: {"contacts": 1000, "emails": 500, ...}, one minute apart, the last one now.

        Engagements are linked to contacts in turn, where there are any. Always the same for the same numbers.
        """
        portal = self._emulator.portal
        portal.events.is_on, was_on = False, portal.events.is_on
        made = {}
        for name, count in args.items():
            shelf = self._shelf(name)
            people = portal.shelves["contacts"].live
            start = portal.now_ms() - count * 60_000
            for n in range(count):
                at = start + n * 60_000
                found = portal.check(shelf, _invented(shelf.kind.plural, n, at), is_trusted=True)
                record = portal.create(shelf, found, created_ms=at, source="CRM_UI")
                record.versions.clear()
                if people and shelf.kind.is_engagement:
                    portal.link(shelf.kind.plural, record.id, "contacts", people[n % len(people)], set())
            made[shelf.kind.plural] = count
        portal.events.is_on = was_on
        return made

    # What people do in the vendor's screens; args name objects by {"type", "id"}

    def merge(self, args: dict[str, Any]) -> dict[str, str]:
        """args: type, primary, other, mints_new_id (default: the flag). Returns the survivor's id."""
        shelf = self._shelf(args["type"])
        mints = bool(args.get("mints_new_id", self._emulator.flags.merge_mints_new_id))
        primary, other = self._record(shelf, args["primary"]), self._record(shelf, args["other"])
        return {"id": str(merge(self._emulator.portal, shelf, primary, other, mints_new_id=mints).id)}

    def delete(self, args: dict[str, Any]) -> dict[str, Any]:
        """To the recycle bin (e-mails: for good). args: type, and id or ids."""
        return self._each(args, lambda shelf, r: self._emulator.portal.archive(shelf, r, source="CRM_UI"))

    def erase(self, args: dict[str, Any]) -> dict[str, Any]:
        """GDPR deletion: nothing is left to read."""
        return self._each(args, lambda shelf, r: self._emulator.portal.erase(shelf, r, is_privacy=True))

    def restore(self, args: dict[str, Any]) -> dict[str, Any]:
        return self._each(args, self._emulator.portal.restore)

    def touch(self, args: dict[str, Any]) -> dict[str, Any]:
        """An edit by a person: args.properties, or none, which only moves the last-modified time."""
        portal = self._emulator.portal

        def edit(shelf: Shelf, record: Record) -> None:
            found = portal.check(shelf, args.get("properties") or {}, record)
            portal.update(shelf, record, found, source="CRM_UI")

        return self._each(args, edit)

    def unsubscribe(self, args: dict[str, Any]) -> dict[str, Any]:
        """Somebody leaves all mail. args: email."""
        self._emulator.preferences.leave(str(args["email"]).strip().lower())
        return {}

    def associate(self, args: dict[str, Any]) -> dict[str, Any]:
        """args: type, id, to, to_id, remove (false), type_id (the default one)."""
        portal, source, target = self._emulator.portal, self._shelf(args["type"]), self._shelf(args["to"])
        types = {int(args["type_id"] if "type_id" in args else DEFAULT_LINK[source.kind.plural, target.kind.plural])}
        ends = (source.kind.plural, int(args["id"]), target.kind.plural, int(args["to_id"]))
        if args.get("remove"):
            portal.unlink(*ends)
        else:
            portal.link(*ends, types, "CRM_UI")
        return {"associations": portal.links.count()}

    def lock(self, args: dict[str, Any]) -> dict[str, Any]:
        """Writes to these objects answer 423 for `seconds` (2, as documented)."""
        until = self._emulator.now_ms() + int(float(args.get("seconds", 2)) * 1000)
        locks = self._emulator.portal.locks
        return self._each(args, lambda shelf, r: locks.__setitem__((shelf.kind.plural, r.id), until))

    # The set-up

    def flags(self, args: dict[str, Any]) -> dict[str, Any]:
        """Change any of `Flags`, or of the limits rate_per_10s, daily, search_per_s. Returns all of them."""
        emulator = self._emulator
        for name, value in args.items():
            holder = next((h for h in (emulator.flags, emulator.gate.limits) if hasattr(h, name)), None)
            if holder is None:
                raise KeyError(f"no flag {name}")
            setattr(holder, name, value)
        emulator.portal.lag_ms = int(emulator.flags.search_lag_s * 1000)
        holders = (emulator.flags, emulator.gate.limits)
        return {f.name: getattr(h, f.name) for h in holders for f in fields(h)}

    def token(self, args: dict[str, Any]) -> dict[str, Any]:
        """Add or change a bearer token. args: value, scopes (null: all), revoked, or refresh_token to rotate it."""
        gate = self._emulator.gate
        if "refresh_token" in args:
            gate.refresh_token = str(args["refresh_token"])
        if "oauth_scopes" in args:
            gate.oauth_scopes = None if args["oauth_scopes"] is None else frozenset(args["oauth_scopes"])
        if "value" in args:
            scopes = args.get("scopes")
            token = gate.tokens.setdefault(str(args["value"]), Token(str(args["value"])))
            token.scopes = None if scopes is None else frozenset(scopes)
            token.is_revoked = bool(args.get("revoked"))
        return {"tokens": sorted(gate.tokens), "refreshes": gate.refreshes}

    def now(self, args: dict[str, Any]) -> dict[str, str]:
        """Move the emulator's clock: {"advance_s": n} or {"at": ISO time}; {} only tells."""
        emulator = self._emulator
        if "at" in args:
            emulator.shift = datetime.fromisoformat(args["at"]).astimezone(UTC) - (emulator.now() - emulator.shift)
        emulator.shift += timedelta(seconds=float(args.get("advance_s", 0)))
        return {"now": values.iso(emulator.now_ms())}

    # Looking

    def dump(self, args: dict[str, Any]) -> list[dict[str, Any]]:
        """Live objects of a type: id, properties (args.properties, or all), links by type. args: type, ids, limit."""
        portal, shelf = self._emulator.portal, self._shelf(args["type"])
        wanted = args.get("properties")
        ids = [int(i) for i in args["ids"]] if "ids" in args else shelf.live[: int(args.get("limit", 100_000))]
        found = []
        for id_ in ids:
            if record := shelf.get(id_):
                held = record.properties
                links: dict[str, list[str]] = {}
                for target, target_id, _ in portal.links.everything(shelf.kind.plural, id_):
                    links.setdefault(target, []).append(str(target_id))
                shown = dict(held) if wanted is None else {n: held.get(n) for n in wanted}
                found.append({"id": str(id_), "properties": shown, "associations": links})
        return found

    def duplicates(self, args: dict[str, Any]) -> dict[str, dict[str, int]]:
        """Values of a property that more than one live object of a type holds: {type: {value: count}}."""
        name = str(args.get("property") or self._emulator.flags.key_property)
        found = {}
        for plural, shelf in self._emulator.portal.shelves.items():
            held = Counter(v for i in shelf.live if (v := shelf.records[i].properties.get(name)))
            if doubled := {value: count for value, count in held.items() if count > 1}:
                found[plural] = doubled
        return found

    def webhooks(self, args: dict[str, Any]) -> list[dict[str, Any]]:
        """`pending_webhooks` for another process; bodies in base64. args: url, version, attempt, drain."""
        rows = self._emulator.pending_webhooks(**args)
        return [
            {"method": r.method, "url": r.url, "headers": r.headers, "body": base64.b64encode(r.body).decode()}
            for r in rows
        ]

    # Shared

    def _shelf(self, name: str) -> Shelf:
        return self._emulator.portal.shelves[BY_NAME[name].plural]

    @staticmethod
    def _record(shelf: Shelf, id_: Any) -> Record:
        return shelf.records[int(id_)]

    def _each(self, args: dict[str, Any], action: Callable[[Shelf, Record], None]) -> dict[str, Any]:
        shelf = self._shelf(args["type"])
        ids = args["ids"] if "ids" in args else [args["id"]]
        for id_ in ids:
            action(shelf, self._record(shelf, id_))
        return {"type": shelf.kind.plural, "ids": [str(i) for i in ids]}


def _ms(given: Any) -> int | None:
    if given is None:
        return None
    ms = values.epoch_ms(str(given))
    if ms is None:
        raise ValueError(f"{given!r} is not a time")
    return ms


def _invented(plural: str, n: int, at: int) -> dict[str, str]:
    first, last = _FIRST[n % len(_FIRST)], _LAST[n // len(_FIRST) % len(_LAST)]
    email = f"{first}.{last}.{n}@firm{n % 997}.example".lower()
    headers = f'{{"from":{{"email":"{email}"}},"to":[{{"email":"team@example.com"}}]}}'
    shapes: dict[str, dict[str, str]] = {
        "contacts": {"email": email, "firstname": first, "lastname": last, "jobtitle": "Engineer"},
        "companies": {"name": f"Firm {n}", "domain": f"firm{n}.example"},
        "deals": {"dealname": f"Deal {n}", "pipeline": "default", "dealstage": "qualifiedtobuy", "amount": str(n)},
        "tickets": {"subject": f"Ticket {n}", "hs_pipeline": "0", "hs_pipeline_stage": "1"},
        "emails": {"hs_email_direction": "INCOMING_EMAIL", "hs_email_subject": f"Question {n}",
                   "hs_email_text": f"Hello, this is message {n}.", "hs_email_headers": headers},
        "calls": {"hs_call_title": f"Call {n}", "hs_call_duration": "60000"},
        "meetings": {"hs_meeting_title": f"Meeting {n}", "hs_meeting_start_time": str(at)},
        "notes": {"hs_note_body": f"Note {n}"},
        "tasks": {"hs_task_subject": f"Task {n}", "hs_task_status": "NOT_STARTED"},
        "communications": {"hs_communication_channel_type": "SMS", "hs_communication_body": f"Text {n}"},
    }  # fmt: skip
    is_engagement = plural not in {"contacts", "companies", "deals", "tickets"}
    return shapes[plural] | ({"hs_timestamp": str(at)} if is_engagement else {})
