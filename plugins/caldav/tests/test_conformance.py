"""CalDAV against the clauses every connector is held to, with both servers' hands and without sync-collection."""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import Change, FakeClock, Identifier, Interaction, Participation
from hub.testing import ConnectorSuite, Rig
from hub_caldav import CalDav
from hub_caldav.emulator import CalDavEmulator

QUALITY = Path(__file__).parents[1] / "quality.toml"


def event(uid: str, at: datetime, summary: str, *lines: str) -> str:
    return "\r\n".join((
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VEVENT", f"UID:{uid}",
        "DTSTAMP:20260101T000000Z", f"DTSTART:{at:%Y%m%dT%H%M%SZ}", "DURATION:PT30M", f"SUMMARY:{summary}",
        *lines, "END:VEVENT", "END:VCALENDAR", "",
    ))  # fmt: skip


class CalDavRig(Rig):
    """One account with a calendar of single meetings, in Radicale's hand."""

    stream: ClassVar[str] = "events"
    style: ClassVar[str] = "radicale"
    many: ClassVar[int] = 70
    burst: ClassVar[int] = 45
    cannot: ClassVar[dict[str, str]] = {
        "newest-first": "a listing over CalDAV has no order and tells no times",
        "refresh": "a password is not refreshed",
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.server = self.emulator = CalDavEmulator(now=clock.now, style=self.style)
        self.count = 0
        self.bad: list[str] = []

    @property
    def objects(self) -> dict[str, Any]:
        return self.server.calendars["work"].objects

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "base_url": url, "username": "anna", "password": "pass-of-anna", "push_calendar": self.server.href("work"),
            "batch_size": 20, "per_minute": 60,
        }  # fmt: skip

    def existing(self) -> set[str]:
        return {self.server.href("work", name) for name in self.objects}

    def remote_state(self) -> Any:
        return self.server.state()

    def written(self) -> dict[str, int]:
        marked = [o.text.replace("\r\n ", "").partition("X-INTERACTION-HUB-KEY:")[2] for o in self.objects.values()]
        keys = [m.partition("\r\n")[0] for m in marked if m]
        return {key: keys.count(key) for key in keys}

    def make(self, at: datetime, *lines: str, said: str = "") -> str:
        self.count += 1
        return self.server.put(event(f"e{self.count}@example.org", at, said or f"Matter {self.count}", *lines))

    def populate(self, n: int) -> list[str]:
        return [self.make(self.clock.now() - timedelta(minutes=n - i)) for i in range(n)]

    def add(self) -> str:
        return self.make(self.clock.now())

    def add_late(self) -> str:
        return self.make(self.clock.now() - timedelta(days=3))

    def change(self, external_id: str) -> None:
        self.count += 1
        name = external_id.rpartition("/")[2]
        old = self.objects[name].text
        summary = old.partition("SUMMARY:")[2].partition("\r\n")[0]
        self.server.put(old.replace(f"SUMMARY:{summary}", f"SUMMARY:Changed {self.count}"), name)

    def delete(self, external_id: str) -> None:
        self.server.remove(external_id)

    def private(self, text: str, domain: str) -> list[str]:
        now, said = self.clock.now(), f"DESCRIPTION:About {text}"
        return [
            self.make(now, said, "CLASS:PRIVATE", "CATEGORIES:Private", f"LOCATION:{text}", said=text),
            self.make(now, said, "CLASS:CONFIDENTIAL", f"ATTENDEE;CN={text}:mailto:b@example.org", said=text),
            self.make(now, said, f"ATTENDEE;CN={text}:mailto:adviser@{domain}", said=text),
        ]

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.server.faults.add("hide", ids=ids)
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.server.faults.add("vanish", ids=sorted(external_ids))

    def poison(self, external_id: str) -> None:
        self.bad.append(external_id)
        self.server.faults.clear("poison")
        self.server.faults.add("poison", ids=self.bad)

    def expire_cursor(self) -> None:
        self.server.forget_tokens()

    def deny_scope(self) -> str:
        self.server.faults.add("deny_scope", scope="DAV:read")
        return "DAV:read"

    def revoke(self) -> None:
        self.server.is_revoked = True

    def spend_day(self) -> None:
        self.server.faults.add("quota")

    def limit(self) -> None:
        self.server.per_minute = 60

    def refusals(self) -> int:
        return self.server.refusals

    def wanted(self, n: int) -> Change:
        at = self.clock.now().replace(microsecond=0) - timedelta(days=n + 1)
        people = (("organizer", "team@example.com"), ("attendee", f"person{n}@example.org"))
        entity = Interaction(
            external_id=f"i-{n}", kind="meeting", channel="calendar", subject=f"Offer {n}; \"quoted\", long " + "x" * 90,
            text=f"Words of offer {n},\nand more.", occurred_at=at, ended_at=at + timedelta(minutes=30), status="confirmed",
            participants=tuple(Participation(identifier=Identifier("email", a), role=r) for r, a in people),
        )  # fmt: skip
        return Change(key=f"hub-i-{n}", kind="interaction", op="upsert", entity=entity)


class XandikosRig(CalDavRig):
    style: ClassVar[str] = "xandikos"


class PlainRig(CalDavRig):
    """A server without sync-collection: etags and ctags."""

    style: ClassVar[str] = "plain"
    cannot: ClassVar[dict[str, str]] = {
        **CalDavRig.cannot,
        "expire-cursor": "without sync-collection there is no token that could expire",
    }


class OAuthRig(CalDavRig):
    """A server that takes no password."""

    cannot: ClassVar[dict[str, str]] = {"newest-first": CalDavRig.cannot["newest-first"]}

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "base_url": url, "token_url": f"{url}/token", "client_id": "hub", "refresh_token": "refresh-of-anna",
        }  # fmt: skip

    def expire_token(self) -> None:
        self.server.tokens.clear()

    def refreshes(self) -> int:
        return self.server.refreshes


class TestRadicale(ConnectorSuite):
    connector = CalDav
    rig = CalDavRig
    quality = QUALITY


class TestXandikos(ConnectorSuite):
    connector = CalDav
    rig = XandikosRig
    quality = QUALITY
    clauses = ("W4", "W6", "W11")


class TestPlain(ConnectorSuite):
    connector = CalDav
    rig = PlainRig
    quality = QUALITY
    clauses = ("W3", "W4", "W9")


class TestOAuth(ConnectorSuite):
    connector = CalDav
    rig = OAuthRig
    quality = QUALITY
    clauses = ("W13",)
