"""Mailchimp's wire format, as its own pages describe it: exchanges in `cassettes/`, played through the connector."""

from pathlib import Path
from typing import Any

import pytest

from hub.api import AuthError, Consent, Interaction, Person, Pull, RateLimited, RecordRejected, Window
from hub.testing.cassettes import replaying
from hub_mailchimp import Mailchimp

pytestmark = [pytest.mark.anyio, pytest.mark.block_network]

HERE = Path(__file__).parent / "cassettes"
SETTINGS = {"api_key": "0123-us19", "audiences": ["a1b2c3d4e5"]}
ANA, JO = "c1" * 16, "c2" * 16


def play(name: str, settings: Any = None) -> Any:
    return replaying(Mailchimp, settings or SETTINGS, HERE / f"{name}.yaml")


async def test_members_of_three_statuses() -> None:
    """An address field is an object or "", all merge fields may be "", what is unset is "" and never null."""
    async with play("members") as mailchimp:
        pages = [p async for p in mailchimp.pull(Pull("members", None, Window()))]
        found = [e for p in pages for r in p.records for e in mailchimp.to_canonical("members", r)]
    people = [e for e in found if isinstance(e, Person)]
    assert [p.fields["email_status"] for p in people] == ["subscribed", "unsubscribed", "cleaned"]
    assert people[0].fields["address"] == "Quay 4, 40404, Haldenport, DE"
    assert people[0].fields["tags"] == "pallets"
    assert "address" not in people[1].fields
    said = {e.identifier.value: e.state for e in found if isinstance(e, Consent)}
    assert said == {"ana@customer.example": "opted_in", "jo@customer.example": "opted_out"}, "cleaned says nothing"


async def test_ten_open_connections_are_answered_without_a_retry_after() -> None:
    async with play("too-many-connections") as mailchimp:
        [record] = await mailchimp.fetch("members", [f"a1b2c3d4e5/{ANA}"])
        assert mailchimp.services.clock.slept == [2.0]
    assert record.version == "2026-03-01T10:00:00+00:00"


async def test_a_403_that_is_no_json_is_no_missing_permission() -> None:
    async with play("stopped-at-the-edge") as mailchimp:
        with pytest.raises(RateLimited) as caught:
            await mailchimp.fetch("members", [f"a1b2c3d4e5/{ANA}"])
    assert caught.value.retry_after_s == 300


async def test_a_dead_token_is_answered_with_200() -> None:
    async with play("dead-token", {"oauth_token": "dead"}) as mailchimp:
        with pytest.raises(AuthError, match="connect the account again"):
            await mailchimp.check()


async def test_problems_are_told_by_their_title_and_never_by_their_detail() -> None:
    async with play("problems") as mailchimp:
        assert await mailchimp.fetch("members", [f"a1b2c3d4e5/{ANA}"]) == [], "404: the member is gone"
        told = []
        for body in ({"status": "subscribed"}, {"merge_fields": {"LNAME": "x"}}):
            with pytest.raises(RecordRejected) as caught:
                await mailchimp.client.request("PATCH", f"lists/a1b2c3d4e5/members/{JO}", json=body)
            told.append(caught.value.message)
    assert told == [
        "Mailchimp refused: Member In Compliance State",
        "Mailchimp refused: Invalid Resource (merge_fields.LNAME)",
    ]
    assert "@" not in "".join(told)


async def test_what_recipients_did_with_a_campaign() -> None:
    """Every recipient has a row, most of them without any activity; events have no ids of their own."""
    async with play("email-activity") as mailchimp:
        [page] = [p async for p in mailchimp.pull(Pull("activity", None, Window()))]
        found = [e for r in page.records for e in mailchimp.to_canonical("activity", r)]
    done = [(e.kind, e.participants[0].identifier.value) for e in found if isinstance(e, Interaction)]
    assert done[:2] == [("open", "ana@customer.example"), ("click", "ana@customer.example")]
    assert [kind for kind, _ in done] == ["open", "click", "bounce"]
    assert len({r.external_id for r in page.records}) == 3
