"""Audiences, their members, tags, notes and merge fields, as Mailchimp holds them."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from hub.testing.faults import FaultBoard
from hub_mailchimp.emulator.answers import Refused, Row, invalid, linked, not_found, page
from hub_mailchimp.emulator.bells import Bells

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
_COMPLIANCE = {"unsubscribed", "cleaned"}
_WRITABLE = ("email_type", "language", "vip", "ip_opt", "ip_signup", "timestamp_opt", "timestamp_signup", "location")
_NOTE_LIMIT = 1000


class Audiences:
    """The part of the account that is about people. Keys of members: "audience/contact"."""

    def __init__(self, now: Callable[[], datetime], faults: FaultBoard, bells: Bells) -> None:
        self.now = now
        self.faults = faults
        self.bells = bells
        self.lists: dict[str, Row] = {}
        self.fields: dict[str, list[Row]] = {}
        self.members: dict[str, Row] = {}
        self.notes: dict[str, list[Row]] = {}
        self.forgotten: set[tuple[str, str]] = set()
        self.is_inclusive = False  # whether `since_...` takes the instant itself; the documentation does not say
        self.lists_archived = False  # whether a list without a status names archived members; nor this
        self._made = 0

    # What people do

    def add(self, name: str, id: str = "", fields: Iterable[str] = ("FNAME", "LNAME", "PHONE"), **more: Any) -> str:
        """A new audience with text fields; its id."""
        self._made += 1
        list_id = id or f"{self._made:010x}"
        self.lists[list_id] = {
            "id": list_id, "web_id": self._made, "name": name, "permission_reminder": "You signed up at our stand.",
            "date_created": self.iso(), "list_rating": 0, "visibility": "prv", "double_optin": True,
            "campaign_defaults": {"from_name": name, "from_email": "news@pinewharf.example", "subject": "",
                                  "language": "en"}, **more,
        }  # fmt: skip
        self.fields[list_id] = []
        for tag in fields:
            self._make_field(list_id, {"name": tag.title(), "tag": tag, "type": "text"})
        return list_id

    def join(self, list_id: str, email: str, **more: Any) -> str:
        """A member, as if come by the form; its key. `more` overrides any field."""
        self._made += 1
        at, contact = self.iso(), str(more.pop("contact_id", f"{self._made:032x}"))
        merge = {f["tag"]: "" for f in self.fields[list_id]} | more.pop("merge_fields", {})
        tags = [self._tag(t) for t in more.pop("tags", ())]
        key = f"{list_id}/{contact}"
        self.members[key] = {
            "id": hash_of(email), "email_address": email, "unique_email_id": hash_of(email)[:10],
            "contact_id": contact, "full_name": "", "web_id": self._made, "email_type": "html", "status": "subscribed",
            "consents_to_one_to_one_messaging": True, "merge_fields": merge, "interests": {},
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0}, "ip_signup": "", "timestamp_signup": at,
            "ip_opt": "198.51.100.7", "timestamp_opt": at, "member_rating": 2, "last_changed": at, "language": "",
            "vip": False, "email_client": "", "location": {"latitude": 0, "longitude": 0, "gmtoff": 0, "dstoff": 0,
            "country_code": "", "timezone": "", "region": ""}, "source": "Hosted Signup Form", "tags_count": len(tags),
            "tags": tags, "list_id": list_id, "sms_phone_number": "", "sms_subscription_status": "", **more,
        }  # fmt: skip
        self._name(self.members[key])
        self.bells.ring("subscribe", self.members[key])
        return key

    def change(self, key: str, **fields: Any) -> None:
        """Somebody edits a member in Mailchimp's screens. A new address gives it a new hash, as it does there."""
        member = self.members[key]
        if "email_address" in fields:
            self.bells.ring("upemail", member, new_email=fields["email_address"], old_email=member["email_address"])
            member["id"] = hash_of(fields["email_address"])
        tags, merged = fields.pop("tags", None), fields.pop("merge_fields", {})
        before = member["status"]
        member.update(fields)
        member["merge_fields"] = {**member["merge_fields"], **merged}
        if tags is not None:
            self._set_tags(member, [self._tag(t) for t in tags])
        self._touch(member)
        is_leaving = member["status"] != before and member["status"] in {"unsubscribed", "cleaned"}
        kind = ("unsubscribe" if member["status"] == "unsubscribed" else "cleaned") if is_leaving else "profile"
        self.bells.ring(kind, member)

    def erase(self, key: str) -> None:
        """Permanent deletion: nothing is left, and the address may not come back by the API."""
        member = self.members.pop(key)
        self.notes.pop(key, None)
        self.forgotten.add((member["list_id"], member["id"]))
        self.bells.ring("unsubscribe", member, action="delete")

    # What is known

    def iso(self, at: datetime | None = None) -> str:
        return (at or self.now()).astimezone(UTC).replace(microsecond=0).isoformat()

    def subscribers(self) -> int:
        return sum(1 for m in self.members.values() if m["status"] == "subscribed")

    def state(self) -> Row:
        return {"lists": self.lists, "fields": self.fields, "members": self.members, "notes": self.notes}

    def _in(self, list_id: str) -> list[Row]:
        return [m for m in self.members.values() if m["list_id"] == list_id]

    def _name(self, member: Row) -> None:
        merge = member["merge_fields"]
        member["full_name"] = f"{merge.get('FNAME', '')} {merge.get('LNAME', '')}".strip()

    def _touch(self, member: Row) -> None:
        self._name(member)
        member["last_changed"] = self.iso()

    def _tag(self, name: str) -> Row:
        return {"id": int(hashlib.sha256(name.encode()).hexdigest()[:7], 16), "name": name}

    def _set_tags(self, member: Row, tags: list[Row]) -> None:
        member["tags"], member["tags_count"] = tags, len(tags)

    # End points

    def endpoints(self) -> list[tuple[str, str, Callable[[Request, Any], Any]]]:
        one = "lists/{list}/members/{who}"
        return [
            ("lists", "GET", self._lists),
            ("lists/{list}", "GET", lambda r, b: linked(self._shown_list(r.path_params["list"]))),
            ("lists/{list}/merge-fields", "GET", self._merge_fields),
            ("lists/{list}/merge-fields", "POST", self._new_field),
            ("lists/{list}/members", "GET", self._members),
            ("lists/{list}/members", "POST", self._create),
            (one, "GET", lambda r, b: linked(self._poisoned(self._shown(self._member(r))))),
            (one, "PUT", self._upsert),
            (one, "PATCH", self._update),
            (one, "DELETE", self._archive),
            (f"{one}/actions/delete-permanent", "POST", self._erase),
            (f"{one}/tags", "GET", self._tags),
            (f"{one}/tags", "POST", self._new_tags),
            (f"{one}/notes", "GET", self._notes),
            (f"{one}/notes", "POST", self._new_note),
            (f"{one}/notes/{{note}}", "PATCH", self._change_note),
            (f"{one}/notes/{{note}}", "DELETE", self._drop_note),
        ]

    def _list(self, list_id: str) -> Row:
        if list_id not in self.lists:
            raise not_found()
        return self.lists[list_id]

    def _shown_list(self, list_id: str) -> Row:
        members = self._in(list_id)
        count = {s: sum(1 for m in members if m["status"] == s) for s in STATUSES}
        stats = {
            "member_count": count["subscribed"], "unsubscribe_count": count["unsubscribed"],
            "cleaned_count": count["cleaned"], "total_contacts": len(members), "campaign_count": 0,
            "merge_field_count": len(self.fields[list_id]),
        }  # fmt: skip
        return {**self._list(list_id), "stats": stats}

    def _lists(self, request: Request, body: Any) -> Row:
        rows = sorted((self._shown_list(i) for i in self.lists), key=lambda r: (r["date_created"], r["id"]))
        if request.query_params.get("sort_dir") == "DESC":
            rows.reverse()
        if request.query_params.get("include_total_contacts") != "true":
            rows = [{**r, "stats": {k: v for k, v in r["stats"].items() if k != "total_contacts"}} for r in rows]
        return page(request, "lists", rows)

    def _merge_fields(self, request: Request, body: Any) -> Row:
        list_id = self._list(request.path_params["list"])["id"]
        return page(request, "merge_fields", self.fields[list_id], list_id=list_id)

    def _new_field(self, request: Request, body: Any) -> Row:
        return linked(self._make_field(self._list(request.path_params["list"])["id"], body))

    def _make_field(self, list_id: str, given: Row) -> Row:
        tag = str(given.get("tag") or f"MMERGE{len(self.fields[list_id]) + 1}")
        if not given.get("name") or not given.get("type"):
            raise invalid("name", "This value should not be blank.")
        if len(tag) > 10 or any(f["tag"] == tag for f in self.fields[list_id]):
            raise invalid("tag", f'A Merge Field with the tag "{tag}" already exists for this list.')
        made = {
            "merge_id": len(self.fields[list_id]) + 1, "required": False, "default_value": "", "public": False,
            "display_order": len(self.fields[list_id]) + 2, "options": {}, "help_text": "", **given, "tag": tag,
            "list_id": list_id,
        }  # fmt: skip
        self.fields[list_id].append(made)
        for member in self._in(list_id):
            member["merge_fields"].setdefault(tag, "")
        return made

    def _members(self, request: Request, body: Any) -> Row:
        """See `is_inclusive` and `lists_archived` for what is not documented; `before` is exclusive."""
        query, list_id = request.query_params, self._list(request.path_params["list"])["id"]
        rows = [m for m in self._in(list_id) if self._key(m) not in self._faulty("vanish")]
        status = query.get("status")
        if status is not None and status not in STATUSES:
            raise invalid("status", "This value is not a valid choice.")
        rows = [
            m for m in rows if (m["status"] == status if status else self.lists_archived or m["status"] != "archived")
        ]
        for name, field in (("last_changed", "last_changed"), ("timestamp_opt", "timestamp_opt")):
            if since := query.get(f"since_{name}"):
                rows = [
                    m
                    for m in rows
                    if m[field] and (_at(m[field]) > _at(since) or (self.is_inclusive and _at(m[field]) == _at(since)))
                ]
            if before := query.get(f"before_{name}"):
                rows = [m for m in rows if m[field] and _at(m[field]) < _at(before)]
        if query.get("since_last_changed"):
            rows = [m for m in rows if self._key(m) not in self._faulty("hide")]
        field = query.get("sort_field", "")
        if field:
            rows.sort(key=lambda m: (m[field], m["web_id"]), reverse=query.get("sort_dir") == "DESC")
        return page(request, "members", [self._poisoned(self._shown(m)) for m in rows], list_id=list_id)

    def _key(self, member: Row) -> str:
        return f"{member['list_id']}/{member['contact_id']}"

    def _faulty(self, kind: str) -> Any:
        return (self.faults.args(kind) or {}).get("ids", ())

    def _shown(self, member: Row) -> Row:
        """At most fifty tags are shown with a member, and its last note."""
        notes = self.notes.get(self._key(member), ())
        last = {"last_note": _last(notes[-1])} if notes else {}
        return {**member, "tags": member["tags"][:50], **last}

    def _poisoned(self, member: Row) -> Row:
        return {**member, "email_address": {"odd": True}} if self._key(member) in self._faulty("poison") else member

    def _member(self, request: Request, is_by_hash: bool = False) -> Row:
        """By the hash of the address; the member itself and one note also by contact id or address."""
        list_id, who = self._list(request.path_params["list"])["id"], request.path_params["who"]
        for member in self._in(list_id):
            names = {member["id"]} | (set() if is_by_hash else {member["contact_id"], member["email_address"]})
            if who in names and self._key(member) not in self._faulty("vanish"):
                return member
        raise not_found()

    def _create(self, request: Request, body: Any) -> Row:
        list_id, email = self._list(request.path_params["list"])["id"], str(body.get("email_address") or "")
        if "@" not in email:
            raise invalid("email_address", "This value should be a valid email.")
        if any(m["id"] == hash_of(email) for m in self._in(list_id)):
            raise Refused(400, "Member Exists", f"{email} is already a list member. Use PUT to insert or update.")
        if (list_id, hash_of(email)) in self.forgotten:
            words = f"{email} was permanently deleted and cannot be re-imported."
            raise Refused(400, "Forgotten Email Not Subscribed", words)
        if body.get("status") not in STATUSES[:5]:
            raise invalid("status", "This value should not be blank.")
        given = {k: v for k, v in body.items() if k in (*_WRITABLE, "merge_fields", "tags", "status")}
        key = self.join(list_id, email, **{"source": "API - Generic", "ip_opt": "", **given})
        return linked(self._shown(self.members[key]))

    def _upsert(self, request: Request, body: Any) -> Row:
        try:
            self._member(request)
        except Refused:
            return self._create(request, {**body, "status": body.get("status_if_new")})
        return self._update(request, body)

    def _update(self, request: Request, body: Any) -> Row:
        member, status = self._member(request), body.get("status")
        if status is not None and status not in STATUSES:
            raise invalid("status", "This value is not a valid choice.")
        if status == "subscribed" and member["status"] in _COMPLIANCE:
            words = (
                f"{member['email_address']} is in a compliance state due to unsubscribe, bounce, or compliance review."
            )
            raise Refused(400, "Member In Compliance State", words)
        merged = body.get("merge_fields")
        if merged is not None and not isinstance(merged, dict):
            raise invalid("merge_fields", "This value should be of type object.")
        known = {f["tag"] for f in self.fields[member["list_id"]]}
        fields = {k: v for k, v in body.items() if k in (*_WRITABLE, "status", "email_address")}
        self.change(self._key(member), **fields, merge_fields={k: v for k, v in (merged or {}).items() if k in known})
        return linked(self._shown(member))

    def _archive(self, request: Request, body: Any) -> None:
        self.change(self._key(self._member(request)), status="archived")

    def _erase(self, request: Request, body: Any) -> None:
        self.erase(self._key(self._member(request, is_by_hash=True)))

    def _tags(self, request: Request, body: Any) -> Row:
        rows = [{**t, "date_added": self.iso()} for t in self._member(request, is_by_hash=True)["tags"]]
        found = page(request, "tags", rows)
        return {**found, "tags": [{k: v for k, v in t.items() if k != "_links"} for t in found["tags"]]}

    def _new_tags(self, request: Request, body: Any) -> None:
        member, given = self._member(request, is_by_hash=True), body.get("tags")
        if not isinstance(given, list) or any(t.get("status") not in {"active", "inactive"} for t in given):
            raise invalid("tags", "This value should be an array of tags.")
        active = {t["name"] for t in member["tags"]}
        for tag in given:
            (active.add if tag["status"] == "active" else active.discard)(tag["name"])
        self._set_tags(member, [self._tag(name) for name in sorted(active)])
        self._touch(member)

    def _notes(self, request: Request, body: Any) -> Row:
        member = self._member(request, is_by_hash=True)
        rows = self.notes.get(self._key(member), [])
        return page(request, "notes", rows, email_id=member["id"], list_id=member["list_id"])

    def _new_note(self, request: Request, body: Any) -> Row:
        """Not idempotent: the same words twice are two notes."""
        member, at = self._member(request, is_by_hash=True), self.iso()
        self._made += 1
        note = {
            "id": self._made, "created_at": at, "created_by": "Pine Wharf", "updated_at": at, "note": _note(body),
            "list_id": member["list_id"], "email_id": member["id"], "contact_id": member["contact_id"],
        }  # fmt: skip
        self.notes.setdefault(self._key(member), []).append(note)
        return linked(note)

    def _one_note(self, request: Request) -> tuple[list[Row], Row]:
        notes = self.notes.get(self._key(self._member(request)), [])
        for note in notes:
            if str(note["id"]) == request.path_params["note"]:
                return notes, note
        raise not_found()

    def _change_note(self, request: Request, body: Any) -> Row:
        _, note = self._one_note(request)
        note.update(note=_note(body), updated_at=self.iso())
        return linked(note)

    def _drop_note(self, request: Request, body: Any) -> None:
        notes, note = self._one_note(request)
        notes.remove(note)


def hash_of(email: str) -> str:
    return hashlib.md5(email.lower().encode()).hexdigest()  # noqa: S324


def _note(body: Any) -> str:
    text = body.get("note")
    if not isinstance(text, str) or not text or len(text) > _NOTE_LIMIT:
        raise invalid("note", "This value should have 1000 characters or less.")
    return text


def _last(note: Row) -> Row:
    return {"note_id": note["id"], "created_at": note["created_at"], "created_by": note["created_by"],
            "note": note["note"]}  # fmt: skip


def _at(value: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except ValueError as exc:
        raise invalid("since_last_changed", "This value is not a valid datetime.") from exc
    return at if at.tzinfo else at.replace(tzinfo=UTC)
