"""Zendesk's wire format, as its own pages describe it: exchanges in `cassettes/`, played through the connector."""

from pathlib import Path
from typing import Any

import pytest

from hub.api import (
    AuthError,
    Conflict,
    Gone,
    HubError,
    Pull,
    RecordRejected,
    ScopeError,
    Ticket,
    Tombstone,
    Window,
)  # fmt: skip
from hub.testing.cassettes import replaying
from hub_zendesk import Zendesk

pytestmark = [pytest.mark.anyio, pytest.mark.block_network]

HERE = Path(__file__).parent / "cassettes"
SETTINGS = {"subdomain": "pinewharf", "client_id": "hub", "client_secret": "s3cret", "page_size": 2}
LAST = '{"after":"MTc3MjQ0NDAwMC4wfHw1MDM="}'


def play(name: str, settings: Any = None) -> Any:
    return replaying(Zendesk, settings or SETTINGS, HERE / f"{name}.yaml")


async def test_an_export_to_its_end_and_a_poll_without_news() -> None:
    """Deleted tickets come as rows; a row may be older than the cursor; a poll without news answers a null cursor."""
    async with play("ticket-export") as zendesk:
        pages = [p async for p in zendesk.pull(Pull("tickets", None, Window()))]
        [quiet] = [p async for p in zendesk.pull(Pull("tickets", pages[-1].cursor, Window()))]
        wet, deleted, solved = (e for p in pages for r in p.records for e in zendesk.to_canonical("tickets", r))
    assert [p.is_last for p in pages] == [False, True]
    assert pages[-1].cursor == quiet.cursor == LAST
    assert list(quiet.records) == []
    assert isinstance(wet, Ticket)
    assert isinstance(solved, Ticket)
    assert (wet.external_id, wet.severity, solved.external_id) == ("501", "high", "503")
    assert isinstance(deleted, Tombstone)
    assert [r.version for p in pages for r in p.records] == ["1772443805", "1772443900", "1772444000"]


async def test_a_429_in_plain_text_is_waited_out_as_its_header_says() -> None:
    async with play("too-many-calls") as zendesk:
        [page] = [p async for p in zendesk.pull(Pull("tickets", LAST, Window()))]
        assert zendesk.services.clock.slept == [23.0]
    assert page.cursor == LAST


async def test_a_start_time_within_the_last_minute_means_nothing_new() -> None:
    async with play("too-recent") as zendesk:
        [page] = [p async for p in zendesk.pull(Pull("organizations", '{"start":1773143990}', Window()))]
    assert (list(page.records), page.cursor) == ([], '{"start":1773143990}')


async def test_a_wrong_api_token_is_answered_with_200() -> None:
    async with play(
        "anonymous", {"subdomain": "pinewharf", "email": "a@pinewharf.example", "api_token": "x"}
    ) as zendesk:
        with pytest.raises(AuthError, match="signed in"):
            await zendesk.check()


async def test_the_forms_an_error_can_have() -> None:
    asked: list[tuple[str, str, type[HubError], str]] = [
        ("GET", "tickets/1", Gone, "RecordNotFound"),
        ("GET", "custom_objects", ScopeError, "the plan lacks it"),
        ("GET", "users/count", ScopeError, "Forbidden: This role"),
        ("PUT", "tickets/2", RecordRejected, "status: InvalidStatus"),
        ("PUT", "tickets/3", Conflict, "changed the ticket"),
        ("GET", "tickets?page=101", RecordRejected, "InvalidPaginationDepth"),
    ]
    async with play("error-forms") as zendesk:
        for method, path, error, words in asked:
            body = {"ticket": {"status": "open"}} if method == "PUT" else None
            with pytest.raises(error) as caught:
                await zendesk.http.request(method, f"api/v2/{path}", json=body)
            assert words in caught.value.message
