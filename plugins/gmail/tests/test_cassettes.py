"""Gmail's wire format, as its own pages describe it: exchanges in `cassettes/`, played through the connector."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.api import AuthError, CursorExpired, Gap, Interaction, Pull, RateLimited, ScopeError, Window
from hub.testing.cassettes import replaying
from hub_gmail import Gmail

pytestmark = [pytest.mark.anyio, pytest.mark.block_network]

HERE = Path(__file__).parent / "cassettes"
SETTINGS = {
    "mailbox": "sales@pinewharf.example", "client_id": "client", "client_secret": "s3cret", "refresh_token": "1//x",
}  # fmt: skip


def play(name: str, **more: Any) -> Any:
    return replaying(Gmail, SETTINGS, HERE / f"{name}.yaml", **more)


async def test_what_history_names_is_read_in_a_batch_whose_parts_fail_one_by_one() -> None:
    """A record without any typed list counts; the part that is gone is a gap; only the refused part is asked again."""
    async with play("history-and-batch") as gmail:
        [page] = [p async for p in gmail.pull(Pull("messages", '{"history":5301}', Window()))]
        first, answer = (e for r in page.records for e in gmail.to_canonical("messages", r))
    assert page.cursor == '{"history":5342}'
    assert page.gone == ["19a4c0de00000004"]
    assert page.gaps == [Gap("19a4c0de00000002", "gone")]
    assert isinstance(first, Interaction)
    assert isinstance(answer, Interaction)
    assert (first.subject, first.text) == ("Größe der Kisten", "Passen vierzig Kisten?")
    assert first.participants[0].identifier.value == "ana@customer.example"
    assert first.dedup_keys == ("message-id:order-1@customer.example",)
    assert answer.dedup_keys == ("message-id:answer-1@pinewharf.example",), "the header is spelled Message-Id here"
    assert "gmail-thread:19a4c0de00000001" in {*first.thread_refs} & {*answer.thread_refs}


async def test_a_history_id_gmail_has_forgotten() -> None:
    async with play("history-expired") as gmail:
        with pytest.raises(CursorExpired, match="17"):
            [p async for p in gmail.pull(Pull("messages", '{"history":17}', Window()))]


async def test_answers_without_any_history() -> None:
    """Nothing new has no `history` key at all, and even such a page may name a next one."""
    async with play("history-quiet") as gmail:
        [page] = [p async for p in gmail.pull(Pull("messages", '{"history":5342}', Window()))]
    assert (list(page.records), page.cursor) == ([], '{"history":5360}')


async def test_a_403_of_the_minute_quota_is_waited_out() -> None:
    async with play("minute-quota", at="2026-03-10T12:00:20Z") as gmail:
        found = await gmail.estimate("messages", Window())
        assert gmail.services.clock.slept == [40.0], "to the end of the minute"
    assert (found.records, found.is_exact) == (3, True), "three ids are three, whatever resultSizeEstimate says"


async def test_a_403_of_the_day_says_until_midnight_in_california() -> None:
    async with play("day-quota") as gmail:
        with pytest.raises(RateLimited) as caught:
            await gmail.estimate("messages", Window())
    assert caught.value.until == datetime(2026, 3, 11, 7, tzinfo=UTC)


async def test_a_403_of_a_missing_scope_is_no_quota() -> None:
    async with play("missing-scope") as gmail:
        with pytest.raises(ScopeError):
            await gmail.census("messages", Window())


async def test_a_refused_refresh_token_needs_a_person() -> None:
    async with play("sign-in-refused", signs_in=True) as gmail:
        with pytest.raises(AuthError, match="invalid_grant"):
            await gmail.census("messages", Window())
