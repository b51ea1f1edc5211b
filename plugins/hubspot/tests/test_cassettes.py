"""HubSpot's wire format, as its own pages describe it: exchanges in `cassettes/`, played through the connector."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.api import Change, Interaction, Person, Pull, RateLimited, ScopeError, Window
from hub.testing.cassettes import replaying
from hub_hubspot import HubSpot

pytestmark = [pytest.mark.anyio, pytest.mark.block_network]

HERE = Path(__file__).parent / "cassettes"
SETTINGS = {"token": "pat-eu1-x", "link_days": 0, "sweep_minutes": 10_080}
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def play(name: str, **settings: Any) -> Any:
    return replaying(HubSpot, {**SETTINGS, **settings}, HERE / f"{name}.yaml", at=AT)


def note(n: int) -> Change:
    entity = Interaction(
        external_id=f"note-{n}", kind="note", channel="crm_note", direction="internal", text=f"Words of note {n}.",
        occurred_at=datetime(2026, 3, 9, 9, n, tzinfo=UTC),
    )  # fmt: skip
    return Change(key=f"note-{n}", kind="interaction", op="upsert", entity=entity)


async def test_a_batch_of_which_one_row_is_refused() -> None:
    """207 twice: the look-up by our key finds none, the upsert makes one and refuses the other by its trace id."""
    async with play("batch-207") as hubspot:
        made, refused = await hubspot.push([note(1), note(2)])
    assert (made.outcome, made.remote_id, made.version) == ("created", "880001", "2026-03-10T12:00:00.120Z")
    assert (refused.outcome, refused.error) == ("failed", "hs_timestamp lies too far back")


async def test_a_search_and_the_associations_it_leaves_out() -> None:
    """Ids are texts in objects and numbers in associations; no association at all is a 207 or an empty 200."""
    since = int(AT.timestamp() * 1000) - 3_600_000
    async with play("search-and-links") as hubspot:
        cursor = json.dumps({"since": since, "swept": since})
        [page] = [p async for p in hubspot.pull(Pull("notes", cursor, Window()))]
        [entity] = hubspot.to_canonical("notes", page.records[0])
    assert isinstance(entity, Interaction)
    assert (entity.external_id, entity.text) == ("880001", "Crates are dry again.")
    assert [p.identifier.value for p in entity.participants] == ["7001"]
    assert json.loads(page.cursor)["since"] == since + 3_600_000


async def test_the_rolling_limit_is_waited_out_and_both_lists_of_owners_are_read() -> None:
    async with play("rolling-limit") as hubspot:
        pages = [p async for p in hubspot.pull(Pull("owners", None, Window()))]
        people = [e for p in pages for r in p.records for e in hubspot.to_canonical("owners", r)]
        assert hubspot.services.clock.slept == [10.0], "the answer names its window and no Retry-After"
    assert [p.fields.get("account", "") for p in people if isinstance(p, Person)] == ["", "deactivated"]


async def test_the_daily_limit_lasts_until_midnight_in_the_portals_zone() -> None:
    async with play("daily-limit", time_zone="Europe/Berlin") as hubspot:
        with pytest.raises(RateLimited) as caught:
            [p async for p in hubspot.pull(Pull("owners", None, Window()))]
    assert caught.value.until == datetime(2026, 3, 10, 23, tzinfo=UTC)


async def test_a_missing_scope_is_named() -> None:
    async with play("missing-scope") as hubspot:
        with pytest.raises(ScopeError, match="sales-email-read"):
            await hubspot.estimate("emails", Window())


async def test_not_found_may_be_a_page_for_people() -> None:
    async with play("not-found-page") as hubspot:
        assert await hubspot.client.property("notes", "ihub_key") is None
