"""Google Calendar against the clauses every connector is held to."""

import copy
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import Change, FakeClock, Identifier, Interaction, Participation, WebhookRequest
from hub.testing import ConnectorSuite, Rig
from hub_calendar import Calendar
from hub_calendar.emulator import CalendarEmulator
from hub_calendar.settings import READ_SCOPE

ME = "sales@example.com"
TEAM = "c_team0123@group.calendar.google.com"
HOOK = "https://hub.example.com/hooks/calendar"
KEY = "interaction-hub-key"


class CalendarRig(Rig):
    """An account with its own calendar and a shared one; records are made in both by turns."""

    stream: ClassVar[str] = "events"
    cannot: ClassVar[dict[str, str]] = {
        "newest-first": "Google gives no sync token for a list it was asked to order, and has no descending order at all",
        "tampered-body": "Google's messages have no body",
        "replay": "Google signs nothing and gives no time: a message sent again only rings the bell again",
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.google = self.emulator = CalendarEmulator(now=clock.now)
        self.google.add_account(ME)
        self.google.add_calendar(TEAM, {ME: "writer"}, "Team")
        self.count = 0

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "account": ME, "calendars": ["primary", TEAM], "client_id": "client", "client_secret": "client-secret-of-me",
            "refresh_token": f"1//refresh-{ME}", "base_url": url, "token_url": f"{url}/token", "page_size": 60,
            "push_calendar": "primary", "webhook_url": HOOK, "webhook_secret": "a secret for the bell",
        }  # fmt: skip

    # What is there

    def live(self) -> dict[str, dict[str, Any]]:
        return {
            f"{c.id}/{e.data['id']}": e.data
            for c in self.google.calendars.values()
            for e in c.events.values()
            if not e.is_cancelled
        }

    def existing(self) -> set[str]:
        return set(self.live())

    def remote_state(self) -> Any:
        return copy.deepcopy([(c.id, c.seq, e.data) for c in self.google.calendars.values() for e in c.events.values()])

    def written(self) -> dict[str, int]:
        keys = [d["extendedProperties"]["private"][KEY] for d in self.live().values() if "extendedProperties" in d]
        return {key: keys.count(key) for key in keys}

    # What people do

    def make(self, at: datetime, said: str = "", guest: str = "", **more: Any) -> str:
        self.count += 1
        n, calendar = self.count, (ME, TEAM)[self.count % 2]
        event = {
            "summary": said or f"Matter {n}", "description": said or f"Words of meeting {n}.", "location": said,
            "start": {"dateTime": at.isoformat(), "timeZone": "Europe/Berlin"},
            "end": {"dateTime": (at + timedelta(minutes=30)).isoformat(), "timeZone": "Europe/Berlin"},
            "attendees": [{"email": guest or f"person{n % 7}@example.org", "displayName": said}], **more,
        }  # fmt: skip
        return f"{calendar}/{self.google.add_event(calendar, event)}"

    def populate(self, n: int) -> list[str]:
        now = self.clock.now()
        return [self.make(now - timedelta(minutes=n - i)) for i in range(n)]

    def add(self) -> str:
        return self.make(self.clock.now())

    def add_late(self) -> str:
        return self.make(self.clock.now() - timedelta(minutes=5))

    def change(self, external_id: str) -> None:
        self.count += 1
        calendar, _, event_id = external_id.rpartition("/")
        self.google.change_event(calendar, event_id, summary=f"Changed {self.count}")

    def delete(self, external_id: str) -> None:
        calendar, _, event_id = external_id.rpartition("/")
        self.google.delete_event(calendar, event_id)

    def private(self, text: str, domain: str) -> list[str]:
        marked = self.make(self.clock.now(), said=text, visibility="private")
        return [marked, self.make(self.clock.now(), said=text, guest=f"adviser@{domain}")]

    # What goes wrong

    def _ids(self, external_ids: Collection[str]) -> list[str]:
        return [i.rpartition("/")[2] for i in sorted(external_ids)]

    def add_hidden(self, n: int) -> list[str]:
        made = [self.add() for _ in range(n)]
        self.google.faults.add("hide", ids=self._ids(made))
        return made

    def vanish(self, external_ids: Collection[str]) -> None:
        self.google.faults.add("vanish", ids=self._ids(external_ids))

    def poison(self, external_id: str) -> None:
        self.google.faults.add("poison", ids=self._ids([external_id]))

    def expire_cursor(self) -> None:
        self.google.control("forget", {})

    def deny_scope(self) -> str:
        self.google.faults.add("deny_scope")
        return READ_SCOPE

    def revoke(self) -> None:
        self.google.oauth.revoke(ME)

    def expire_token(self) -> None:
        self.google.oauth.tokens.clear()

    def refreshes(self) -> int:
        return self.google.oauth.issued

    def spend_day(self) -> None:
        self.google.faults.add("quota", scope="daily")

    def limit(self) -> None:
        self.google.quota.per_minute = 600

    def refusals(self) -> int:
        return self.google.quota.refusals

    # Webhooks

    def webhooks(self) -> list[WebhookRequest]:
        waiting = self.google.control("messages", {})["messages"]
        return [WebhookRequest("POST", m["url"], m["headers"], b"") for m in waiting]

    def forged(self) -> list[WebhookRequest]:
        """Under another channel's token, with a made-up one, with none."""
        one, other = sorted(self.google.channels.values(), key=lambda c: c.id)
        said = {"x-goog-resource-state": "exists", "x-goog-message-number": "7"}
        return [
            WebhookRequest("POST", HOOK, {**said, "x-goog-channel-id": a, "x-goog-channel-token": b}, b"")
            for a, b in ((one.id, other.token), (one.id, "0" * 64), (one.id, ""), ("", one.token), ("mine", one.token))
        ]

    # What we write

    def wanted(self, n: int) -> Change:
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=n)
        entity = Interaction(
            external_id=f"i-{n}", kind="meeting", channel="video", subject=f"Talk {n}", text=f"About matter {n}.",
            occurred_at=at, ended_at=at + timedelta(minutes=45), zone="Europe/Berlin",
            participants=(
                Participation(identifier=Identifier("email", ME), role="organizer"),
                Participation(identifier=Identifier("email", f"person{n}@example.org"), role="attendee", name="A Person"),
            ),
        )  # fmt: skip
        return Change(key=f"hub-i-{n}", kind="interaction", op="upsert", entity=entity)


class TestCalendar(ConnectorSuite):
    connector = Calendar
    rig = CalendarRig
    quality = Path(__file__).parents[1] / "quality.toml"
