"""An emulator of the Google Calendar API v3, over real HTTP.

It behaves as Google's pages, its discovery document and recorded answers say: sync tokens that end in 410, empty pages
with a page token, no sync token for ordered or filtered lists, cancelled occurrences with four fields, ids that
cannot be used twice. Filled from plain dicts in Google's own form or from iCalendar files. Shares no code with the
connector.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator
from hub_calendar.emulator import api, channels, expand, ics
from hub_calendar.emulator.endpoints import ENDPOINTS
from hub_calendar.emulator.oauth import OAuth, TokenRefused
from hub_calendar.emulator.quota import Quota
from hub_calendar.emulator.store import BROKEN, OWN_TO_A_COPY, Calendar, Data, Event

__all__ = ["DEFAULT_SCOPES", "ENDPOINTS", "CalendarEmulator", "Loaded"]

DEFAULT_SCOPES = ("calendar.events",)


@dataclass
class Loaded:
    """What became of a file's UIDs: event ids, and the UIDs that could not be taken in with the reason."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CalendarEmulator(Emulator):
    """Holds accounts, each with a primary calendar under its address and the refresh token `1//refresh-<address>`.

    now: the time, as `Clock.now`. expand_days: how far ahead of now endless series are expanded when nobody asks for
    more; expand_until: the same as a fixed instant. per_minute: queries per user (600 for new projects; None: no limit).
    """

    name = "calendar"

    def __init__(
        self,
        seed: int = 1,
        *,
        now: Callable[[], datetime] = _utc_now,
        expand_days: float = 730,
        expand_until: datetime | None = None,
        per_minute: int | None = None,
        token_seconds: float = 3599,
    ) -> None:
        super().__init__(seed)
        self.now = now
        self.calendars: dict[str, Calendar] = {}
        self.accounts: list[str] = []
        self.invitations: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.channels: dict[str, channels.Channel] = {}
        self.empty_pages = 0
        self.quota = Quota(per_minute)
        self.oauth = OAuth(lambda: self.now().timestamp(), token_seconds)
        self._expand = timedelta(days=expand_days)
        self._until = expand_until
        self._made = 0

    # -- filling it

    def add_account(self, address: str, zone: str = "UTC", scopes: Sequence[str] = DEFAULT_SCOPES) -> str:
        """A person with an empty primary calendar and a standing grant; returns the refresh token."""
        address = address.lower()
        self.accounts.append(address)
        self.add_calendar(address, {address: "owner"}, zone=zone)
        return self.oauth.grant(address, scopes, f"1//refresh-{address}")

    def add_calendar(self, calendar_id: str, roles: dict[str, str], summary: str = "", zone: str = "UTC") -> None:
        """roles: address -> owner, writer, reader or freeBusyReader."""
        if calendar_id in self.calendars:
            raise ValueError(f"there is a calendar {calendar_id} already")
        self.calendars[calendar_id] = Calendar(
            calendar_id, summary or calendar_id, zone, roles, self.now, self.horizon,
            on_change=lambda c: channels.ring(self, c),
        )  # fmt: skip

    def horizon(self) -> datetime:
        """Moves once a day, so that what has been expanded can be kept."""
        return self._until or self.now().replace(hour=0, minute=0, second=0, microsecond=0) + self._expand

    def new_id(self) -> str:
        self._made += 1
        return f"ev{self._made:06d}"

    def add_event(self, calendar_id: str, event: Data) -> str:
        """One event in Google's own form, as if entered by hand; its attendees here get copies. Returns its id."""
        with self.lock:
            calendar = self.calendars[calendar_id]
            event_id = event.get("id") or self.new_id()
            data = {
                "id": event_id, "iCalUID": f"{event_id}@google.com", "status": "confirmed", "sequence": 0,
                "organizer": {"email": calendar_id}, "creator": {"email": calendar_id}, **copy.deepcopy(event),
            }  # fmt: skip
            made = calendar.put(data)
            self.spread(calendar, made)
            return str(event_id)

    def load(self, calendar_id: str, events: Iterable[Data]) -> list[str]:
        """Many events at once; see `add_event`."""
        return [self.add_event(calendar_id, event) for event in events]

    def change_event(self, calendar_id: str, event_id: str, **fields: Any) -> None:
        """The organizer edits an event, or one occurrence of a series; None takes a field away."""
        with self.lock:
            calendar = self.calendars[calendar_id]
            event = self._own(calendar, event_id)
            merged = {**event.data, **copy.deepcopy(fields)}
            event.data = {k: v for k, v in merged.items() if v is not None}
            event.source = None if "recurrence" in fields else event.source
            calendar.touch(event)
            self.spread(calendar, event)

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        """The organizer deletes an event, a whole series, or one occurrence of it."""
        with self.lock:
            calendar = self.calendars[calendar_id]
            event = self._own(calendar, event_id)
            calendar.cancel(event)
            self.spread(calendar, event)

    def _own(self, calendar: Calendar, event_id: str) -> Event:
        event = calendar.find(event_id)
        if event is None:
            raise KeyError(event_id)
        return calendar.events.setdefault(event_id, event)

    def load_ics(self, calendar_id: str, source: str | Path | bytes) -> Loaded:
        """Take an iCalendar file in, or, for a calendar that has taken one in before, its new state: events whose
        UID is missing now are deleted, those that are the same but for DTSTAMP stay untouched.

        Raises ValueError for what is no iCalendar file. One event that cannot be read is refused alone.
        """
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        loaded = Loaded()
        with self.lock:
            calendar = self.calendars[calendar_id]
            known = {e.data["iCalUID"]: e.digest for e in calendar.events.values() if e.digest and not e.is_cancelled}
            groups, same = ics.read(data, known)
            seen = {ics.event_id(uid) for uid in same}
            for group in groups:
                event_id = ics.event_id(group.uid)
                seen.add(event_id)
                is_known = event_id in calendar.events
                try:
                    event = self._take_in(calendar, event_id, group)
                except BROKEN as exc:
                    loaded.refused[group.uid] = type(exc).__name__
                    continue
                event.digest = group.digest
                (loaded.changed if is_known else loaded.added).append(event_id)
            for event_id, event in list(calendar.events.items()):
                if event.digest and event_id not in seen and not event.is_cancelled:
                    calendar.cancel(event)
                    loaded.removed.append(event_id)
        return loaded

    def _take_in(self, calendar: Calendar, event_id: str, group: ics.Group) -> Event:
        head = group.master or group.events[0]
        try:
            fields = ics.fields(head, calendar.zone)
        except BROKEN:  # a day at one end and an hour at the other: as the expansion understands it
            (one, *_) = expand.occurrences([head], group.zones, self.horizon(), calendar.zone).values()
            fields = ics.fields(head, calendar.zone, one.start, one.end)
        data = {"id": event_id, "iCalUID": group.uid, **fields}
        data.setdefault("organizer", {"email": calendar.id})
        if group.is_series:
            data["recurrence"] = ics.recurrence(head) or ["RRULE:FREQ=YEARLY;COUNT=1"]
            live = expand.occurrences(group.events, group.zones, self.horizon(), calendar.zone)
            event = calendar.put(data, group, live if data["status"] != "cancelled" else {})
        else:
            event = calendar.put(data)
        event.created_ms = ics.stamp_ms(head, "CREATED", event.created_ms)
        return event

    def spread(self, origin: Calendar, event: Event) -> None:
        """Carry an event into the calendars of its attendees that are held here, and its changes after it."""
        if event.data.get("organizer", {}).get("email", origin.id) != origin.id:
            return
        invited = {p["email"].lower() for p in event.data.get("attendees", [])}
        for calendar in self.calendars.values():
            copy_ = calendar.events.get(event.data["id"])
            if calendar is origin or (calendar.id not in invited and copy_ is None):
                continue
            if copy_ is None and (event.is_cancelled or event.is_exception):
                found = calendar.find(event.data["id"])
                if found is None:
                    continue
                copy_ = calendar.events.setdefault(event.data["id"], found)
            data = copy.deepcopy(event.data)
            for name in OWN_TO_A_COPY:
                if name != "visibility":
                    data.pop(name, None)
                if copy_ is not None and name in copy_.data:
                    data[name] = copy_.data[name]
            if calendar.id not in invited:
                data["status"] = "cancelled"
            if data != (copy_.data if copy_ else None):
                calendar.put(data, event.source)

    # -- what goes wrong

    def strikes(self, kind: str, event_id: str) -> bool:
        """Whether a fault of `kind` names this id."""
        if self.faults.args(kind) is None:
            return False
        rules = [r["args"] for r in self.faults.state() if r["kind"] == kind]
        return any(event_id in args.get("ids", ()) for args in rules)

    def poison(self, event_id: str, shown: Data) -> None:
        """Give the event in a shape nobody expects."""
        if self.strikes("poison", event_id):
            shown["start"] = {"dateTime": 17}

    def takes_empty_page(self) -> bool:
        """Whether this page comes without items, but with a page token (`empty_pages` of them do)."""
        if self.empty_pages <= 0:
            return False
        self.empty_pages -= 1
        return True

    # -- steering it

    def state(self) -> dict[str, Any]:
        return {
            "now": self.now().isoformat(),
            "calendars": {c.id: {"events": len(c.events), "seq": c.seq, "roles": c.roles} for c in self.calendars.values()},
            "channels": sorted(self.channels),
            "invitations": self.invitations,
        }  # fmt: skip

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """Steer the vendor from another process; `add_mailbox`, `load` and `seed` are what `ihub emulate` asks for.

        seed: {"accounts": [address], "calendars": {id: {address: role}}, "events": {calendar id: [event]}}.
        """
        match command:
            case "add_account" | "add_mailbox":
                return {"refresh_token": self.add_account(**args)}
            case "seed":
                for address in args.get("accounts", ()):
                    self.add_account(address)
                for calendar_id, roles in args.get("calendars", {}).items():
                    self.add_calendar(calendar_id, roles)
                return {"events": sum(len(self.load(c, events)) for c, events in args.get("events", {}).items())}
            case "load":
                return self.control("load_ics", {"calendar": args["address"], "path": args["path"]})
            case "add_calendar":
                self.add_calendar(**args)
            case "add_event":
                return {"id": self.add_event(args["calendar"], args["event"])}
            case "change_event":
                self.change_event(args["calendar"], args["id"], **args["fields"])
            case "delete_event":
                self.delete_event(args["calendar"], args["id"])
            case "load_ics":
                done = self.load_ics(args["calendar"], args["path"])
                return {"added": done.added, "changed": done.changed, "removed": done.removed, "refused": done.refused}
            case "forget":  # sync tokens given out so far are too old from now on
                for calendar in self.calendars.values():
                    calendar.seq += 1
                    calendar.forgotten = calendar.seq
            case "messages":
                waiting, self.messages = self.messages, []
                return {"messages": waiting}
            case "revoke":
                self.oauth.revoke(args["address"])
            case _:
                raise KeyError(command)
        return {}

    # -- serving it

    def routes(self) -> Sequence[BaseRoute]:
        every = ["GET", "POST", "PUT", "DELETE", "PATCH"]
        return [Route("/token", self._token, methods=["POST"]), Route("/{path:path}", self._api, methods=every)]

    async def _api(self, request: Request) -> Response:
        body = await request.body()
        raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        query: bytes = request.scope["query_string"]
        target = raw_path.decode("ascii", "replace") + ("?" + query.decode("latin-1") if query else "")
        with self.lock:
            answer = api.answer(self, ENDPOINTS, request.method, target, request.headers, body)
        return Response(answer.body, answer.status, answer.headers, answer.content_type if answer.body else None)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        with self.lock:
            try:
                if self.faults.hits("revoke_token", "/token", "POST"):
                    raise TokenRefused("invalid_grant", "Token has been expired or revoked.")
                answer = self.oauth.trade(form, self.accounts)
            except TokenRefused as refused:
                error = {"error": refused.error, "error_description": str(refused)}
                return JSONResponse(error, refused.status)
        return JSONResponse(answer, headers={"cache-control": "no-store"})
