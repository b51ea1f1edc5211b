"""Google Calendar's wire format, as its own pages describe it: `cassettes/`, played through the connector."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.api import Change, CursorExpired, Identifier, Interaction, Page, Participation, Pull, Window
from hub.testing.cassettes import replaying
from hub_calendar import Calendar

pytestmark = [pytest.mark.anyio, pytest.mark.block_network]

HERE = Path(__file__).parent / "cassettes"
ME = "sales@pinewharf.example"
SETTINGS = {"account": ME, "client_id": "client", "client_secret": "s3cret", "refresh_token": "1//x", "page_size": 5}
HANDOVER = Interaction(
    external_id="meet-7", kind="meeting", channel="calendar", direction="outbound", subject="Handover",
    text="Keys and papers.", occurred_at=datetime(2026, 3, 16, 9, tzinfo=UTC),
    ended_at=datetime(2026, 3, 16, 9, 30, tzinfo=UTC),
    participants=(Participation(identifier=Identifier("email", "ana@customer.example"), role="attendee"),),
)  # fmt: skip


def play(name: str, **settings: Any) -> Any:
    return replaying(Calendar, {**SETTINGS, **settings}, HERE / f"{name}.yaml")


async def changes(calendar: Calendar) -> list[Page]:
    """Everything since a sync token that was given yesterday, say."""
    tokens = {ME: "CPDAlvWDx70CEPDAlvWDx70CGAU="}
    cursor = {"marks": calendar.settings.marks(), "until": "2027-03-10T00:00:00+00:00", "tokens": tokens}
    return [p async for p in calendar.pull(Pull("events", json.dumps(cursor), Window()))]


async def push(calendar: Calendar) -> Any:
    [receipt] = await calendar.push([Change(key="meet-7", kind="interaction", op="upsert", entity=HANDOVER)])
    return receipt


async def test_a_first_list_whose_first_page_is_empty() -> None:
    """An empty page with a page token is not the end; times, whole days, rooms and deletions in their own forms."""
    async with play("first-list") as calendar:
        empty, page = [p async for p in calendar.pull(Pull("events", None, Window()))]
        visit, fair, own = (next(iter(calendar.to_canonical("events", r))) for r in page.records)
    assert (list(empty.records), empty.is_last, page.is_last) == ([], False, True)
    assert page.gone == [f"{ME}/old1"], "all that is certain of a deleted event is its id"
    assert json.loads(page.cursor)["tokens"] == {ME: "CPDAlvWDx70CEPDAlvWDx70CGAU="}
    assert isinstance(visit, Interaction)
    assert isinstance(fair, Interaction)
    assert visit.occurred_at == datetime(2026, 3, 12, 9, tzinfo=UTC)
    assert [p.identifier.value for p in visit.participants] == [ME, "ana@customer.example"], "rooms are not people"
    assert (fair.all_day, fair.all_day_last) == (date(2026, 3, 20), date(2026, 3, 21)), "`end.date` is the day after"
    assert isinstance(own, Interaction)
    assert own.signals == ("private",), "which no policy lets in"
    assert b"Nobody" not in page.records[2].body


async def test_a_sync_token_google_has_forgotten() -> None:
    async with play("sync-token-expired") as calendar:
        with pytest.raises(CursorExpired):
            await changes(calendar)


async def test_a_403_of_the_usage_limit_is_waited_out() -> None:
    async with play("usage-limit") as calendar:
        [page] = await changes(calendar)
        assert calendar.services.clock.slept == [15.0]
    assert page.gone == [f"{ME}/old1"]


async def test_an_id_that_is_taken_by_our_own_event() -> None:
    """404, then 409 on the insert: somebody wrote it in between, and it was us."""
    async with play("insert-twice", push_calendar="primary") as calendar:
        receipt = await push(calendar)
    assert (receipt.outcome, receipt.version) == ("unchanged", '"3546600000000001"')


async def test_an_event_that_changes_under_our_patch() -> None:
    """412 under If-Match: read again, and only what we own is written."""
    async with play("changed-meanwhile", push_calendar="primary") as calendar:
        receipt = await push(calendar)
    assert (receipt.outcome, receipt.version) == ("updated", '"3546600000000003"')
    assert receipt.before == {"summary": "Handover at nine"}
