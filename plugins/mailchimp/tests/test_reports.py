"""Sends, opens, clicks, bounces, unsubscribes: read once, found again later, counted another way."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hub.api import Consent, Interaction, RecordRejected, Window
from hub_mailchimp.emulator.audience import hash_of
from hub_mailchimp.reports import _activity

pytestmark = pytest.mark.anyio
PEOPLE = [f"p{n}@example.org" for n in range(5)]


def campaign(account: Any, days_ago: float = 1, to: list[str] | None = None) -> str:
    e = account.emulator
    audience = next(iter(e.audiences.lists), None) or e.audiences.add("Newsletter")
    at = e.audiences.iso(account.clock.now() - timedelta(days=days_ago))
    return str(e.campaigns.send(audience, "Spring news", PEOPLE if to is None else to, send_time=at))


def act(account: Any, made: str, who: int, action: str, hours_ago: float = 0, **more: str) -> None:
    at = account.emulator.audiences.iso(account.clock.now() - timedelta(hours=hours_ago))
    account.emulator.campaigns.event(made, hash_of(PEOPLE[who]), action, at, **more)


def mapped(connector: Any, stream: str, records: dict[str, Any]) -> list[Interaction]:
    found = [e for r in records.values() for e in connector.to_canonical(stream, r)]
    return [e for e in found if isinstance(e, Interaction)]


async def test_one_persons_mail_from_send_to_unsubscribe(account: Any) -> None:
    made = campaign(account)
    act(account, made, 1, "open", 20, ip="198.51.100.4")
    act(account, made, 1, "click", 20, url="https://pinewharf.example/a", ip="198.51.100.4")
    act(account, made, 1, "click", 20, url="https://pinewharf.example/b", ip="198.51.100.4")
    act(account, made, 2, "bounce", 23, type="hard")
    act(account, made, 1, "unsubscribe", 19, reason="too many")
    act(account, made, 3, "abuse", 18)
    connector = account.connect()
    found: list[Interaction] = []
    for stream, n in (("sends", 5), ("activity", 4), ("unsubscribes", 2)):
        records, _, _ = await account.read(connector, stream)
        assert len(records) == n
        found += mapped(connector, stream, records)
        again = {r.external_id: r for r in await connector.fetch(stream, list(records))}
        assert {i: r.body for i, r in again.items()} == {i: r.body for i, r in records.items()}
    hers = [i for i in found if i.participants[0].identifier.value == PEOPLE[1]]
    assert sorted(i.kind for i in hers) == ["campaign_send", "click", "click", "open", "unsubscribe"]
    assert len({i.thread_refs for i in hers}) == 1
    assert {i.subject for i in hers} == {"Spring news"}
    assert [i.direction for i in hers if i.kind == "campaign_send"] == ["outbound"]
    assert {i.status for i in found if i.kind == "bounce"} == {"hard"}
    assert {i.status for i in found if i.kind == "unsubscribe"} == {"unsubscribed", "reported as spam"}


async def test_an_unsubscribe_is_an_opt_out_with_its_own_time(account: Any) -> None:
    made = campaign(account)
    act(account, made, 1, "unsubscribe", 19)
    act(account, made, 2, "abuse", 18)
    connector = account.connect()
    records, _, _ = await account.read(connector, "unsubscribes")
    consents = [
        e for r in records.values() for e in connector.to_canonical("unsubscribes", r) if isinstance(e, Consent)
    ]
    hours = {c.identifier.value: (account.clock.now() - c.at).total_seconds() / 3600 for c in consents}
    assert {c.state for c in consents} == {"opted_out"}
    assert hours == {PEOPLE[1]: 19, PEOPLE[2]: 18}


async def test_quiet_campaigns_cost_one_call(account: Any) -> None:
    for days in range(1, 6):
        act(account, campaign(account, days), 0, "open", 1)
    connector = account.connect()
    _, cursor, _ = await account.read(connector, "activity")
    account.clock.advance(3600)
    account.transport.exchanges.clear()
    records, cursor, _ = await account.read(connector, "activity", cursor)
    assert not records
    assert len(account.transport.exchanges) == 1


async def test_news_of_old_mails_and_news_that_show_late(account: Any) -> None:
    old = campaign(account, 20)
    connector = account.connect()
    _, cursor, _ = await account.read(connector, "activity")
    account.clock.advance(7200)
    act(account, old, 0, "open")
    records, cursor, _ = await account.read(connector, "activity", cursor)
    assert len(records) == 1
    account.clock.advance(300)
    act(account, old, 1, "click", 0.2, url="https://pinewharf.example/")  # twelve minutes old when it shows
    records, cursor, _ = await account.read(connector, "activity", cursor)
    assert any("/click/" in i for i in records)


async def test_a_campaign_sent_later_and_one_too_old(account: Any) -> None:
    ancient = campaign(account, 200)
    connector = account.connect()
    records, cursor, _ = await account.read(connector, "sends")
    assert len(records) == 5
    account.clock.advance(3600)
    new = campaign(account, 0)
    act(account, ancient, 0, "open")
    records, _, _ = await account.read(connector, "sends", cursor)
    assert {i.partition("/")[0] for i in records} == {new}
    assert not (await account.read(connector, "activity", cursor))[0], "older than activity_days: not asked for"


async def test_events_that_cannot_be_read_cost_themselves_only(account: Any) -> None:
    made = campaign(account)
    act(account, made, 0, "open", 1)
    account.emulator.campaigns.events[made][0]["timestamp"] = "yesterday"
    act(account, made, 2, "click", 1)
    connector = account.connect()
    odd = [
        name
        for row in ({"email_id": "x", "activity": [7, None]}, {"activity": {"a": 1}})
        for name, _, _ in _activity(row)
    ]
    assert len(set(odd)) == 3
    records, _, _ = await account.read(connector, "activity")
    good, bad = 0, 0
    for record in records.values():
        try:
            good += len(list(connector.to_canonical("activity", record)))
        except RecordRejected:
            bad += 1
    assert (good, bad) == (1, 1)


async def test_an_automation_goes_on_sending(account: Any) -> None:
    """Its mail keeps its time of long ago; recipients and opens are read all the same, sends have no time of their own."""
    made = campaign(account, 300)
    account.emulator.campaigns.campaigns[made]["type"] = "automation"
    connector = account.connect()
    cursors = {s: (await account.read(connector, s))[1] for s in ("sends", "activity")}
    account.clock.advance(7200)
    account.emulator.campaigns.recipient(made, hash_of("new@example.org"), "new@example.org")
    act(account, made, 0, "open", ip="198.51.100.4")
    sends, _, _ = await account.read(connector, "sends", cursors["sends"])
    assert f"{made}/{hash_of('new@example.org')}/sent" in sends
    assert not mapped(connector, "sends", sends)
    opens, _, _ = await account.read(connector, "activity", cursors["activity"])
    assert [i.signals for i in mapped(connector, "activity", opens)] == [("uncertain",)]


async def test_a_backfill_that_dies_at_every_page(account: Any) -> None:
    ids = set()
    for days in range(1, 5):
        made = campaign(account, days, [f"r{days}-{n}@example.org" for n in range(25)])
        ids |= {f"{made}/{hash_of(f'r{days}-{n}@example.org')}/sent" for n in range(25)}
    found: dict[str, Any] = {}
    cursor, pages, order = None, 0, []
    for _ in range(40):
        records, cursor, given = await account.read(account.connect(page_size=10), "sends", cursor, stop=1)
        found |= records
        pages += 1
        order += [i.partition("/")[0] for i in records]
        assert given[0].is_full
        if given[0].is_last:
            break
    assert set(found) == ids
    assert pages == 12
    assert list(dict.fromkeys(order)) == sorted(set(order), reverse=True) or len(set(order)) == 4
    times = [account.emulator.campaigns.campaigns[c]["send_time"] for c in dict.fromkeys(order)]
    assert times == sorted(times, reverse=True), "the newest campaign first"


async def test_the_window_is_the_events(account: Any) -> None:
    made = campaign(account, 10)
    act(account, made, 0, "open", 240)
    act(account, made, 1, "open", 1)
    since = account.clock.now() - timedelta(days=2)
    connector = account.connect()
    assert len((await account.read(connector, "activity", window=Window(since=since)))[0]) == 1
    assert len((await account.read(connector, "activity", window=Window(until=since)))[0]) == 1
    assert not (await account.read(connector, "sends", window=Window(since=since)))[0]


async def test_many_opens_in_one_second_are_one_and_a_thousand_are_kept(account: Any) -> None:
    made = campaign(account)
    for n in range(1200):
        at = account.clock.now() - timedelta(seconds=1200 - n)
        account.emulator.campaigns.event(made, hash_of(PEOPLE[0]), "open", account.emulator.audiences.iso(at))
    for _ in range(3):
        act(account, made, 1, "open")
    records, _, _ = await account.read(account.connect(), "activity")
    assert len(records) == 1000 + 1


async def test_an_account_seeded_from_one_document(account: Any) -> None:
    at = account.emulator.audiences.iso(account.clock.now() - timedelta(days=2))
    made = account.emulator.control("seed", {
        "audiences": [{"name": "News", "members": [{"email": PEOPLE[0], "tags": ["Met"], "status": "unsubscribed"}]}],
        "campaigns": [{"audience": "News", "subject": "Spring", "to": PEOPLE[:2], "send_time": at,
                       "events": [{"email": PEOPLE[0], "action": "open", "timestamp": at}]}],
    })  # fmt: skip
    connector = account.connect()
    assert list((await account.read(connector, "members"))[0]) == made["members"]
    assert len((await account.read(connector, "sends"))[0]) == 2
    assert len((await account.read(connector, "activity"))[0]) == 1
    assert account.emulator.state()["campaigns"]["campaigns"].keys() == set(made["campaigns"])
    with pytest.raises(KeyError, match="seed"):
        account.emulator.control("nothing", {})


async def test_estimates_and_the_census_of_sends(account: Any) -> None:
    first, second = campaign(account, 3), campaign(account, 1)
    act(account, first, 0, "open", 1)
    connector = account.connect()
    assert (await connector.estimate("sends", Window())).records == 10
    assert (await connector.estimate("activity", Window())).records == 1
    assert (await connector.estimate("unsubscribes", Window())).records == 0
    assert await connector.estimate("audiences", Window()) is None
    middle = account.clock.now() - timedelta(days=2)
    halves = [(await connector.census("sends", w)).ids for w in (Window(until=middle), Window(since=middle))]
    assert [{i.partition("/")[0] for i in half} for half in halves] == [{first}, {second}]
    assert await connector.census("activity", Window()) is None


async def test_audiences_and_campaigns_are_named_whole_each_time(account: Any) -> None:
    kept, gone = campaign(account, 2), campaign(account, 1)
    connector = account.connect(page_size=10)
    records, cursor, pages = await account.read(connector, "campaigns")
    assert set(records) == {kept, gone}
    assert pages[-1].is_last
    del account.emulator.campaigns.campaigns[gone]
    records, _, _ = await account.read(connector, "campaigns", cursor)
    assert set(records) == {kept}
    assert [r.external_id for r in await connector.fetch("campaigns", [kept, gone])] == [kept]
    assert datetime.fromisoformat(account.emulator.campaigns.campaigns[kept]["send_time"]) < account.clock.now()
