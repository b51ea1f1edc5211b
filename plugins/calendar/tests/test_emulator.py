"""The emulator does what Google's pages and recorded answers say, the nasty parts included."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

ME = "sales@example.com"
ZONE = {"timeZone": "Europe/Berlin"}
TIMES = {
    "start": {"dateTime": "2026-03-12T09:00:00+01:00", **ZONE}, "end": {"dateTime": "2026-03-12T10:00:00+01:00", **ZONE}
}  # fmt: skip
DAILY = {**TIMES, "id": "da11000", "recurrence": ["RRULE:FREQ=DAILY;COUNT=4"], "summary": "Daily"}

ICS = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VEVENT\r
UID:one@example.com\r
DTSTAMP:20260101T000000Z\r
DTSTART;TZID=Europe/Berlin:20260312T090000\r
DTEND;TZID=Europe/Berlin:20260312T100000\r
SUMMARY:One\r
ATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@customer.example\r
ATTENDEE;CUTYPE=ROOM:mailto:room@example.com\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:many@example.com\r
DTSTAMP:20260101T000000Z\r
DTSTART;VALUE=DATE:20260312\r
RRULE:FREQ=DAILY;COUNT=3\r
SUMMARY:Many\r
CLASS:PRIVATE\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Client:
    """Calls as somebody with every right; the answer's status and JSON."""

    def __init__(self, stand: Any) -> None:
        self.stand = stand
        stand.connect()
        token = stand.google.oauth.issue(ME, ("calendar",))
        self.http = httpx.AsyncClient(
            base_url=f"{stand.url}/calendar/v3/", headers={"authorization": f"Bearer {token}"}, verify=False
        )

    async def call(
        self, method: str, path: str = "", body: Any = None, calendar: str = ME, etag: str = "", **params: Any
    ) -> Any:
        headers = {"if-match": etag} if etag else {}
        url = f"calendars/{calendar}/events{'/' + path if path else ''}"
        answer = await self.http.request(method, url, json=body, params=params, headers=headers)
        return answer.status_code, answer.json() if answer.content else None

    async def reason(self, method: str, path: str = "", body: Any = None, **more: Any) -> tuple[int, str]:
        status, said = await self.call(method, path, body, **more)
        assert set(said["error"]) == {"errors", "code", "message"}
        assert said["error"]["code"] == status
        return status, said["error"]["errors"][0]["reason"]


@pytest.fixture
async def api(stand: Any) -> AsyncIterator[Client]:
    client = Client(stand)
    yield client
    await client.http.aclose()


async def test_ordered_and_filtered_lists_give_no_sync_token(api: Client) -> None:
    await api.call("POST", body={**TIMES})
    _, plain = await api.call("GET", maxResults=2500)
    assert "nextSyncToken" in plain
    for params in ({"orderBy": "updated"}, {"q": "x"}, {"iCalUID": "x"}, {"privateExtendedProperty": "a=b"},
                   {"timeMin": "2026-01-01T00:00:00Z"}, {"updatedMin": "2026-03-01T00:00:00Z"}):  # fmt: skip
        _, found = await api.call("GET", **params)
        assert not {"nextSyncToken", "nextPageToken"} & set(found)


async def test_what_goes_not_with_a_sync_token(api: Client) -> None:
    _, first = await api.call("GET", singleEvents="true")
    token = first["nextSyncToken"]
    for params in ({"timeMin": "2026-01-01T00:00:00Z"}, {"q": "x"}, {"orderBy": "updated"}, {"showDeleted": "false"}):
        assert await api.reason("GET", syncToken=token, singleEvents="true", **params) == (400, "invalid")
    assert await api.reason("GET", syncToken="nonsense") == (400, "invalid")
    assert await api.reason("GET", syncToken=token) == (410, "fullSyncRequired"), "other parameters"
    api.stand.google.add_calendar("team", {ME: "owner"})
    assert await api.reason("GET", calendar="team", syncToken=token, singleEvents="true") == (410, "fullSyncRequired")
    api.stand.google.control("forget", {})
    assert await api.reason("GET", syncToken=token, singleEvents="true") == (410, "fullSyncRequired")
    assert await api.reason("GET", orderBy="startTime") == (400, "badRequest")
    empty = {"timeMin": "2026-02-01T00:00:00Z", "timeMax": "2026-01-01T00:00:00Z"}
    assert await api.reason("GET", **empty) == (400, "timeRangeEmpty")
    assert await api.reason("GET", colour="red") == (400, "invalid")


async def test_pages_may_be_empty_and_still_go_on(api: Client) -> None:
    for n in range(3):
        await api.call("POST", body={**TIMES, "summary": str(n)})
    api.stand.google.empty_pages = 1
    _, empty = await api.call("GET", maxResults=2)
    assert empty["items"] == []
    _, first = await api.call("GET", maxResults=2, pageToken=empty["nextPageToken"])
    _, second = await api.call("GET", maxResults=2, pageToken=first["nextPageToken"])
    assert [len(p["items"]) for p in (first, second)] == [2, 1]
    assert "nextSyncToken" in second
    assert "nextSyncToken" not in first


async def test_ids_are_used_up_by_the_first_and_stay_so(api: Client) -> None:
    status, made = await api.call("POST", body={**TIMES, "id": "abc12"})
    assert (status, made["iCalUID"]) == (200, "abc12@google.com")
    assert await api.reason("POST", body={**TIMES, "id": "abc12"}) == (409, "duplicate")
    for wrong in ("abc", "ABC12", "wxyz1", "a-b-c-d"):
        assert await api.reason("POST", body={**TIMES, "id": wrong}) == (400, "invalid")
    assert (await api.call("DELETE", "abc12"))[0] == 204
    assert await api.reason("DELETE", "abc12") == (410, "deleted")
    assert await api.reason("POST", body={**TIMES, "id": "abc12"}) == (409, "duplicate")
    assert (await api.call("GET", "abc12"))[1]["status"] == "cancelled"
    _, back = await api.call("PATCH", "abc12", {"status": "confirmed"})
    assert back["status"] == "confirmed"
    assert await api.reason("GET", "never") == (404, "notFound")


async def test_etags_change_with_every_write_and_guard_it(api: Client) -> None:
    _, made = await api.call("POST", body={**TIMES, "id": "abc12", "attendees": [{"email": "Ann@Customer.example"}]})
    assert made["etag"].startswith('"')
    _, changed = await api.call("PATCH", "abc12", {"summary": "B"}, etag=made["etag"])
    assert changed["etag"] != made["etag"]
    assert await api.reason("PATCH", "abc12", {"summary": "C"}, etag=made["etag"]) == (412, "conditionNotMet")
    assert await api.reason("DELETE", "abc12", etag=made["etag"]) == (412, "conditionNotMet")
    _, patched = await api.call("PATCH", "abc12", {"attendees": [{"email": "ben@customer.example"}], "summary": None})
    assert [g["email"] for g in patched["attendees"]] == ["ben@customer.example"], "arrays are replaced as a whole"
    assert "summary" not in patched
    _, put = await api.call("PUT", "abc12", {**TIMES, "summary": "D"})
    assert "attendees" not in put
    assert await api.reason("PATCH", "abc12", {"eventType": "focusTime"}) == (400, "invalid")


async def test_cancelled_occurrences_come_with_what_is_guaranteed(api: Client) -> None:
    await api.call("POST", body=DAILY)
    _, all_ = await api.call("GET", singleEvents="true")
    assert [e["originalStartTime"]["dateTime"][:10] for e in all_["items"]] == [
        f"2026-03-{d}" for d in (12, 13, 14, 15)
    ]
    assert not any("recurrence" in e for e in all_["items"])
    await api.call("DELETE", "da11000_20260313T080000Z")
    _, news = await api.call("GET", singleEvents="true", syncToken=all_["nextSyncToken"])
    (gone,) = news["items"]
    assert set(gone) == {"kind", "etag", "id", "status", "recurringEventId", "originalStartTime"}
    _, now = await api.call("GET", singleEvents="true")
    assert len(now["items"]) == 3
    _, masters = await api.call("GET")
    assert [e["status"] for e in masters["items"]] == ["confirmed", "cancelled"], "without it, it would seem to happen"
    await api.call("DELETE", "da11000")
    _, news = await api.call("GET", singleEvents="true", syncToken=news["nextSyncToken"])
    assert {e["status"] for e in news["items"]} == {"cancelled"}
    assert len(news["items"]) == 4


async def test_both_ways_of_saying_slow_down(api: Client) -> None:
    api.stand.google.quota.per_minute = 4
    for _ in range(4):
        assert (await api.call("GET"))[0] == 200
    reasons = {await api.reason("GET") for _ in range(2)}
    assert reasons == {(403, "userRateLimitExceeded"), (429, "rateLimitExceeded")}
    api.stand.clock.advance(59)
    assert (await api.reason("GET"))[0] in {403, 429}, "the minute slides"
    api.stand.clock.advance(1)
    assert (await api.call("GET"))[0] == 200
    assert await api.reason("PATCH", "x", {}) == (404, "notFound")
    assert (await api.reason("GET"))[0] in {403, 429}, "a patch costs three"


async def test_who_may_see_and_write_what(api: Client) -> None:
    google = api.stand.google
    google.add_account("boss@example.com")
    google.calendars["boss@example.com"].roles[ME] = "reader"
    guests = [{"email": ME}]
    private = google.add_event(
        "boss@example.com", {**TIMES, "summary": "Secret", "visibility": "private", "attendees": guests}
    )
    _, seen = await api.call("GET", private, calendar="boss@example.com")
    assert "summary" not in seen and "attendees" not in seen
    assert await api.reason("POST", body=TIMES, calendar="boss@example.com") == (403, "requiredAccessLevel")
    assert await api.reason("GET", calendar="nobody@example.com") == (404, "notFound")
    _, mine = await api.call("GET", private)
    assert [g for g in mine["attendees"] if g.get("self")] == [{"email": ME, "self": True}]
    assert await api.reason("PATCH", private, {"summary": "Mine"}) == (403, "forbiddenForNonOrganizer")
    assert (await api.call("PATCH", private, {"colorId": "3"}))[0] == 200
    google.delete_event("boss@example.com", private)
    assert (await api.call("GET", private))[1]["status"] == "cancelled"
    api.http.headers["authorization"] = "Bearer nothing"
    assert await api.reason("GET") == (401, "authError")


async def test_channels_speak_in_their_own_numbers(api: Client) -> None:
    body = {"id": "ch1", "type": "web_hook", "address": "https://hub.example.com/", "token": "t"}
    _, made = await api.call("POST", "watch", body)
    week = int(made["expiration"]) - api.stand.clock.now().timestamp() * 1000
    assert week == 7 * 86_400_000
    assert await api.reason("POST", "watch", body) == (400, "channelIdNotUnique")
    http = {**body, "id": "ch2", "address": "http://hub.example.com/"}
    assert await api.reason("POST", "watch", http) == (400, "push.webhookUrlNotHttps")
    for n in range(3):
        await api.call("POST", body={**TIMES, "summary": str(n)})
    said = api.stand.google.control("messages", {})["messages"]
    assert [m["headers"]["x-goog-resource-state"] for m in said] == ["sync", "exists", "exists", "exists"]
    numbers = [int(m["headers"]["x-goog-message-number"]) for m in said]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1
    assert numbers != list(range(1, 5)), "they rise, and not one by one"


async def test_files_are_taken_in_and_kept_up_to_date(api: Client, tmp_path: Path) -> None:
    google, file = api.stand.google, tmp_path / "feed.ics"
    file.write_bytes(ICS)
    done = google.control("load", {"address": ME, "path": str(file)})
    assert (len(done["added"]), done["refused"]) == (2, {})
    _, all_ = await api.call("GET", singleEvents="true", orderBy="startTime")
    assert [e["summary"] for e in all_["items"]] == ["Many", "One", "Many", "Many"]
    one = all_["items"][1]
    assert one["start"] == {"dateTime": "2026-03-12T09:00:00+01:00", "timeZone": "Europe/Berlin"}
    assert one["attendees"][0] == {"email": "ann@customer.example", "displayName": "Ann", "responseStatus": "accepted"}
    assert one["attendees"][1]["resource"] is True
    assert all_["items"][0]["visibility"] == "private"
    same = google.load_ics(ME, ICS.replace(b"DTSTAMP:2026", b"DTSTAMP:2027"))
    assert (same.added, same.changed, same.removed) == ([], [], [])
    moved = google.load_ics(
        ME, ICS.replace(b"T090000\r", b"T093000\r").split(b"BEGIN:VEVENT\r\nUID:many")[0] + b"END:VCALENDAR\r\n"
    )
    assert (len(moved.added), len(moved.changed), len(moved.removed)) == (0, 1, 1)
    with pytest.raises(ValueError, match="not an iCalendar file"):
        google.load_ics(ME, b"<html>")
    broken = google.load_ics(ME, ICS.replace(b"DTSTART;TZID=Europe/Berlin:20260312T090000", b"DTSTART:soon"))
    assert set(broken.refused) == {"one@example.com"}


async def test_plain_dicts_and_other_processes(api: Client) -> None:
    google = api.stand.google
    (first, _) = google.load(ME, [{**TIMES, "summary": "A"}, {**TIMES, "summary": "B"}])
    async with httpx.AsyncClient(base_url=api.stand.url, verify=False) as other:
        steer = {"calendar": ME, "id": first, "fields": {"summary": "C"}}
        assert (await other.post("/_emulator/change_event", json=steer)).status_code == 200
        assert (await other.post("/_emulator/delete_event", json={"calendar": ME, "id": first})).status_code == 200
        made = (await other.post("/_emulator/add_event", json={"calendar": ME, "event": TIMES})).json()
        await other.post("/_emulator/add_account", json={"address": "new@example.com"})
        await other.post("/_emulator/add_calendar", json={"calendar_id": "team", "roles": {ME: "owner"}})
        seed = {"accounts": ["seed@example.com"], "calendars": {}, "events": {"seed@example.com": [TIMES, TIMES]}}
        assert (await other.post("/_emulator/seed", json=seed)).json() == {"events": 2}
        state = (await other.get("/_emulator/state")).json()
        await other.post("/_emulator/revoke", json={"address": ME})
    assert set(state["calendars"]) == {ME, "new@example.com", "seed@example.com", "team"}
    assert google.calendars[ME].events[made["id"]].data["start"] == TIMES["start"]
    assert datetime.fromisoformat(state["now"]) == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert (await api.reason("GET"))[0] == 401
