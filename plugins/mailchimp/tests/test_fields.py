"""Fields written back to members the account has, and opt-outs: exactly what was said, once, never a subscription."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.api import Change, Consent, Identifier, JournalEntry, Person

pytestmark = pytest.mark.anyio


async def member(account: Any, **more: Any) -> str:
    """One audience with our field and one member."""
    e = account.emulator
    audience = e.audiences.add("Newsletter")
    given = {"email": "ada@example.org", "merge_fields": {"FNAME": "Ada"}, **more}
    key = e.audiences.join(audience, **given)
    await account.connect().check()
    account.transport.exchanges.clear()
    return str(key)


def fields(remote_id: str, **named: str) -> Change:
    entity = Person(external_id="k1", fields=named)
    return Change(key="k1", kind="person", op="upsert", entity=entity, remote_id=remote_id)


def opt_out(address: str = "ada@example.org", state: Any = "opted_out", channel: Any = "email") -> Change:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    who = Identifier("email", address)
    entity = Consent(external_id=address, identifier=who, channel=channel, state=state, at=at, evidence="a form")
    return Change(key="out", kind="consent", op="upsert", entity=entity)


async def test_an_opt_out_goes_to_every_audience_and_stays(account: Any) -> None:
    key = await member(account)
    e = account.emulator
    other = e.audiences.add("Fairs")
    keys = [key, e.audiences.join(other, "ada@example.org", status="pending")]
    shelved = e.audiences.join(e.audiences.add("Old"), "ada@example.org", status="archived")
    connector = account.connect()
    await connector.check()
    change = opt_out()
    (receipt,) = await connector.push([change])
    assert [e.audiences.members[k]["status"] for k in keys] == ["unsubscribed"] * 2
    assert e.audiences.members[shelved]["status"] == "archived", "archived is not unsubscribed, and gets no mail"
    assert set(receipt.before["unsubscribed"]) == set(keys)
    assert await connector.find("consent", ["out"]) == []
    assert (await connector.push([change]))[0].outcome == "unchanged"
    (undone,) = await connector.undo([JournalEntry(change=change, receipt=receipt)])
    assert undone.outcome == "unchanged"
    assert "only the person" in undone.error
    assert [e.audiences.members[k]["status"] for k in keys] == ["unsubscribed"] * 2
    assert not e.audiences.members[key]["merge_fields"]["IHUBKEY"], "an opt-out is all that is written"


@pytest.mark.parametrize("said", ["opted_in", "unknown"])
async def test_no_word_subscribes(account: Any, said: str) -> None:
    await member(account, status="unsubscribed")
    (receipt,) = await account.connect().push([opt_out(state=said)])
    assert (receipt.outcome, account.transport.exchanges) == ("failed", [])
    who = Identifier("email", "ada@example.org")
    entity = Person(external_id="k1", identifiers=(who,), fields={"status": "subscribed", "email_status": "subscribed"})
    await account.connect().push([Change(key="k1", kind="person", op="upsert", entity=entity)])
    assert not [r for r in account.writes() if b"status" in r.content]


async def test_who_is_no_member_gets_no_mail_and_another_channel_has_no_place(account: Any) -> None:
    await member(account)
    for change in (opt_out("stranger@example.org"), opt_out(channel="sms")):
        assert (await account.connect().push([change]))[0].outcome == "unchanged"
    assert not account.writes()


async def test_only_what_is_named_changes_and_a_blank_empties(account: Any) -> None:
    key = await member(account, merge_fields={"FNAME": "Ada", "LNAME": "King", "PHONE": "1"}, tags=["Met"])
    connector, held = account.connect(), account.emulator.audiences.members[key]
    before, change = dict(held["merge_fields"]), fields(key, phone="+44 1632 960001", last_name="")
    (receipt,) = await connector.push([change])
    assert (receipt.outcome, receipt.remote_id) == ("updated", key)
    assert held["merge_fields"] == {"FNAME": "Ada", "LNAME": "", "PHONE": "+44 1632 960001", "IHUBKEY": ""}
    assert [t["name"] for t in held["tags"]] == ["Met"]
    assert len(account.writes()) == 1
    assert (await connector.push([change]))[0].outcome == "unchanged"
    assert len(account.writes()) == 1
    entry = JournalEntry(change=change, receipt=receipt)
    assert [(await connector.undo([entry]))[0].outcome for _ in range(2)] == ["updated", "unchanged"]
    assert held["merge_fields"] == before


async def test_a_member_is_meant_by_its_id_whoever_it_stands_for(account: Any) -> None:
    key = await member(account, merge_fields={"IHUBKEY": "another"})
    (receipt,) = await account.connect().push([fields(key, phone="7")])
    assert (receipt.outcome, account.emulator.audiences.members[key]["merge_fields"]["IHUBKEY"]) == (
        "updated",
        "another",
    )
    account.emulator.audiences.erase(key)
    (receipt,) = await account.connect().push([fields(key, phone="8")])
    assert (receipt.outcome, receipt.error[:5]) == ("failed", "gone:")
    assert account.emulator.audiences.members == {}


async def test_a_field_without_a_place_is_refused_by_name(account: Any) -> None:
    key = await member(account)
    place = {"addr1": "1 High Street", "city": "Bath"}
    account.emulator.audiences.members[key]["merge_fields"]["ADDRESS"] = place
    connector = account.connect(merge_fields={"phone": "PHONE", "birthday": "BIRTHDAY", "address": "ADDRESS"})
    assert connector.writable("person") == {"phone", "birthday", "address"}
    assert connector.writable("organization") == frozenset()
    wrong = ({"shoe_size": "7"}, {"email_status": "subscribed"}, {"birthday": "12/10"}, {"address": "1 Low Street"})
    receipts = await connector.push([fields(key, **named) for named in wrong])
    assert [r.outcome for r in receipts] == ["failed"] * 4
    for receipt, word in zip(receipts, ("shoe_size", "email_status", "BIRTHDAY", "address"), strict=True):
        assert word in receipt.error
    assert (await connector.push([fields(key, birthday="")]))[0].outcome == "unchanged"
    assert not account.writes()
