"""Reading a mailbox over HTTP: everything once, then what changed; nothing lost, nothing invented."""

from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from hub.api import ContractBroken, CursorExpired, Pull, Window

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_pages")]


@pytest.fixture
def model(make_model: Any) -> Any:
    return make_model()


async def test_backfill_reads_every_message_of_the_mailbox_byte_for_byte(rig: Any, model: Any) -> None:
    wanted = {*rig.fill(95), *rig.fill(6, ("SENT",)), *rig.fill(3, ())}
    rig.fill(2, ("TRASH",)), rig.fill(2, ("SPAM",)), rig.fill(2, ("DRAFT",)), rig.fill(2, ("CHAT",))
    pages = await rig.sync(rig.gmail(), model)
    assert model.ids == wanted == rig.existing()
    assert all(page.is_full for page in pages)
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert max(len(page.records) for page in pages) == 15
    some = next(iter(wanted))
    token = rig.emulator.access_token(rig.address)
    async with httpx.AsyncClient(verify=False, headers={"authorization": f"Bearer {token}"}) as client:
        answer = await client.get(f"{rig.url}/gmail/v1/users/me/messages/{some}")
    assert model.bodies[some] == answer.content


async def test_newest_mail_comes_first(rig: Any, model: Any) -> None:
    rig.fill(60)
    pages = await rig.sync(rig.gmail(), model)
    times = [int(msgspec.json.decode(r.body)["internalDate"]) for p in pages for r in p.records]
    assert times == sorted(times, reverse=True)


async def test_an_empty_mailbox_is_a_complete_enumeration(rig: Any, model: Any) -> None:
    (page,) = await rig.sync(rig.gmail(), model)
    assert page.is_full
    assert page.is_last
    assert not page.records


async def test_a_killed_backfill_goes_on_from_any_page(rig: Any, make_model: Any) -> None:
    rig.fill(100)
    whole = make_model()
    pages = await rig.sync(rig.gmail(), whole)
    assert len(pages) > 6
    for stop in range(len(pages)):
        model = make_model()
        async for page in rig.pages(rig.gmail(), model):
            model.store(page)
            stop -= 1
            if stop < 0:
                break
        rest = await rig.sync(rig.gmail(), model)
        assert model.bodies == whole.bodies
        assert rest[-1].cursor == pages[-1].cursor


async def test_what_changes_during_a_backfill_is_not_lost(rig: Any, make_model: Any) -> None:
    """Deleting shifts the list, new mail grows it: every interruption point ends in the mailbox as it is."""
    for stop in range(5):
        old = rig.fill(70)
        model = make_model()
        async for page in rig.pages(rig.gmail(), model):
            model.store(page)
            if stop == 0:
                break
            stop -= 1
        rig.do("delete", ids=[old[-1], old[-3], old[3]])
        rig.do("trash", ids=[old[40]])
        rig.label([old[-2], old[10]], add=["STARRED"])
        rig.fill(1)
        await rig.sync(rig.gmail(), model)
        await rig.sync(rig.gmail(), model)
        assert model.ids == rig.existing()
        assert "STARRED" in model.labels(old[-2])
        assert "STARRED" in model.labels(old[10])


async def test_a_page_token_that_ran_out_restarts_the_list_but_not_the_pin(rig: Any, model: Any) -> None:
    rig.fill(90)
    gmail = rig.gmail()
    async for page in rig.pages(gmail, model):
        model.store(page)
        if msgspec.json.decode(page.cursor).get("page"):
            break
    cursor = msgspec.json.decode(model.cursor)
    late = rig.fill(3)
    model.cursor = msgspec.json.encode({**cursor, "page": "stale"}).decode()
    pages = await rig.sync(gmail, model)
    assert msgspec.json.decode(pages[-1].cursor) == {"history": cursor["pin"]}
    assert model.ids == rig.existing()
    await rig.sync(gmail, model)
    assert set(late) <= model.ids


async def test_the_window_and_the_query_choose_what_is_read(rig: Any, make_model: Any) -> None:
    old, new = rig.fill(5, days=30), rig.fill(5)
    private = rig.fill(3, ("INBOX", "private"))
    window = Window(since=rig.clock.now() - timedelta(days=7))
    model = make_model()
    await rig.sync(rig.gmail(), model, window)
    assert model.ids == {*new, *private}
    model = make_model()
    await rig.sync(rig.gmail(query="-label:private"), model, window)
    assert model.ids == set(new)
    model = make_model()
    await rig.sync(rig.gmail(), model, Window(until=rig.clock.now() - timedelta(days=7)))
    assert model.ids == set(old)


async def test_changes_keep_to_the_window_and_the_query(rig: Any, model: Any) -> None:
    old, new = rig.fill(3, days=30), rig.fill(3)
    window = Window(since=rig.clock.now() - timedelta(days=7))
    gmail = rig.gmail(query="-label:private")
    await rig.sync(gmail, model, window)
    rig.label(old, add=["STARRED"])
    rig.label(new[:1], add=["private"])
    late, hidden = rig.fill(1), rig.fill(1, ("INBOX", "private"))
    await rig.sync(gmail, model, window)
    assert model.ids == {*new[1:], *late}
    assert not set(hidden) & model.ids
    rig.label(new[:1], remove=["private"])
    await rig.sync(gmail, model, window)
    assert model.ids == {*new, *late}


async def test_spam_and_trash_on_request(rig: Any, model: Any) -> None:
    wanted = {*rig.fill(2), *rig.fill(1, ("TRASH",)), *rig.fill(1, ("SPAM",))}
    gmail = rig.gmail(include_spam_trash=True)
    await rig.sync(gmail, model)
    assert model.ids == wanted
    rig.do("trash", ids=list(wanted))
    await rig.sync(gmail, model)
    assert model.ids == wanted


async def test_an_idle_mailbox_costs_one_request(rig: Any, model: Any) -> None:
    rig.fill(20)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    rig.requests()
    for _ in range(3):
        (page,) = await rig.sync(gmail, model)
        assert rig.requests() == [("GET", "history")]
        assert not page.records
        assert not page.is_full


async def test_new_relabelled_trashed_deleted_and_restored(rig: Any, model: Any) -> None:
    ids = rig.fill(10)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    new = rig.fill(2)
    rig.label(ids[:1], add=["STARRED"], remove=["INBOX"])
    rig.do("trash", ids=[ids[1]])
    rig.label(ids[2:3], add=["SPAM"])
    rig.do("delete", ids=[ids[3]])
    (page,) = await rig.sync(gmail, model)
    assert set(page.gone) >= {ids[1], ids[2], ids[3]}
    assert model.ids == rig.existing()
    assert set(new) <= model.ids
    assert model.labels(ids[0]) == {"STARRED"}
    rig.label([ids[1]], remove=["TRASH"])
    rig.label([ids[2]], remove=["SPAM"])
    await rig.sync(gmail, model)
    assert model.ids == rig.existing() >= {ids[1], ids[2]}


async def test_born_and_gone_between_two_looks(rig: Any, model: Any) -> None:
    rig.fill(3)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    brief = rig.fill(2)
    rig.do("delete", ids=brief)
    (page,) = await rig.sync(gmail, model)
    assert set(page.gone) == set(brief)
    assert not page.records
    assert not page.gaps


async def test_drafts_are_not_read_however_often_they_are_saved(rig: Any, model: Any) -> None:
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    drafts = [rig.fill(1, ("DRAFT",))[0] for _ in range(5)]
    rig.do("delete", ids=drafts[:4])
    rig.requests()
    pages = await rig.sync(gmail, model)
    assert rig.requests() == [("GET", "history")]
    assert not model.ids
    assert pages[-1].cursor == model.cursor
    (starred,) = rig.fill(1, ("DRAFT", "STARRED"))
    rig.label([starred], remove=["STARRED"])  # tells nothing of DRAFT: read, seen to be one, and left out
    await rig.sync(gmail, model)
    assert not model.ids


async def test_a_message_that_vanishes_before_it_is_read_is_a_gap(rig: Any, model: Any) -> None:
    ids = rig.fill(20)
    rig.faults.add("status", path="/batch", times=1, status=503)
    rig.faults.add("vanish", path=f"/messages/{ids[4]}", ids=[ids[4]])
    await rig.sync(rig.gmail(), model)
    assert [(g.external_id, g.reason) for g in model.gaps] == [(ids[4], "gone")]
    assert model.ids == set(ids) - {ids[4]}


async def test_long_histories_come_in_pages_that_can_be_resumed_anywhere(rig: Any, make_model: Any) -> None:
    """Also when one record touches more messages than a page holds, and when changes go on between the pages."""
    ids = rig.fill(60)
    first = make_model()
    await rig.sync(rig.gmail(), first)
    for n in range(45):
        rig.label([ids[n]], add=["STARRED"])
    rig.label(ids[:50], add=["team"])
    rig.do("delete", ids=ids[50:55])
    rig.fill(20)
    steps = 0
    for stop in range(30):
        model = make_model()
        model.bodies, model.cursor = dict(first.bodies), first.cursor
        taken = 0
        async for page in rig.pages(rig.gmail(), model):
            model.store(page)
            taken += 1
            if taken > stop:
                break
        if msgspec.json.decode(model.cursor).get("page") or msgspec.json.decode(model.cursor).get("upto"):
            assert msgspec.json.decode(model.cursor)["history"] == msgspec.json.decode(first.cursor)["history"]
        rig.label(ids[stop % 10 : stop % 10 + 1], add=[f"round{stop}"])
        await rig.sync(rig.gmail(), model)
        await rig.sync(rig.gmail(), model)
        assert model.ids == rig.existing()
        assert all(model.labels(i) == set(rig.box.messages[i].labels) for i in model.ids)
        steps = max(steps, taken)
        if taken <= stop:
            break
    assert steps > 5


async def test_a_window_ends_where_it_was_when_it_began(rig: Any, model: Any) -> None:
    """What happens while its pages are read may or may not be in them: it is asked for again."""
    ids = rig.fill(50)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    for own in ids:
        rig.label([own], add=["STARRED"])
    began = rig.box.history.current
    async for page in rig.pages(gmail, model):
        model.store(page)
        rig.fill(1)
    assert msgspec.json.decode(model.cursor) == {"history": began}
    await rig.sync(gmail, model)
    assert model.ids == rig.existing()


async def test_a_history_page_token_that_ran_out_starts_the_window_again(rig: Any, model: Any) -> None:
    rig.fill(2)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    rig.fill(5)
    start = msgspec.json.decode(model.cursor)["history"]
    model.cursor = msgspec.json.encode(
        {"history": start, "page": "stale", "upto": start + 10_000, "to": start}
    ).decode()
    await rig.sync(gmail, model)
    assert model.ids == rig.existing()


@pytest.mark.parametrize("which", ["history", "messages"])
async def test_pages_without_items_are_followed(rig: Any, model: Any, which: str) -> None:
    rig.fill(10)
    gmail = rig.gmail()
    rig.do("empty_page", of=which, times=1 if which == "messages" else 0)
    await rig.sync(gmail, model)
    rig.fill(3)
    rig.do("empty_page", of=which, times=1)
    await rig.sync(gmail, model)
    assert model.ids == rig.existing()


async def test_an_expired_history_reads_only_labels_of_what_is_held(rig: Any, model: Any) -> None:
    ids = rig.fill(50)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    before = dict(model.bodies)
    rig.clock.advance(9 * 86_400)
    rig.label(ids[:2], add=["STARRED"])
    rig.do("delete", ids=ids[2:4])
    rig.do("trash", ids=ids[4:6])
    rig.clock.advance(9 * 86_400)
    new = rig.fill(3)
    with pytest.raises(CursorExpired):
        await rig.sync(gmail, model)
    model.cursor = None
    pages = await rig.sync(gmail, model)
    read = {r.external_id for p in pages for r in p.records}
    assert read == {*new, *ids[:2]}
    assert {i for p in pages for i in p.also_seen} == set(ids[6:])
    assert model.ids == rig.existing()
    assert model.labels(ids[0]) == {"INBOX", "STARRED"}
    now, then = (msgspec.json.decode(x[ids[0]], type=dict[str, msgspec.Raw]) for x in (model.bodies, before))
    assert bytes(now["payload"]) == bytes(then["payload"])
    (page,) = await rig.sync(gmail, model)
    assert not page.records
    assert list(gmail.to_canonical("messages", next(r for p in pages for r in p.records if r.external_id == ids[0])))


async def test_a_held_body_that_cannot_be_read_is_read_whole_again(rig: Any, model: Any) -> None:
    (own,) = rig.fill(1)
    model.bodies[own] = b"{broken"
    await rig.sync(rig.gmail(), model)
    assert msgspec.json.decode(model.bodies[own])["payload"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"history": "x"}', '{"q": "a"}'])
async def test_a_cursor_that_is_none_of_ours_reads_everything_again(rig: Any, text: str) -> None:
    gmail = rig.gmail()
    if text:
        with pytest.raises(CursorExpired):
            async for _ in gmail.pull(Pull("messages", text, Window())):
                pass


async def test_a_third_of_the_mailbox_out_of_sight_is_told_by_a_complete_enumeration(rig: Any, model: Any) -> None:
    ids = rig.fill(60)
    await rig.sync(rig.gmail(), model)
    rig.faults.add("vanish", fraction=0.3)
    model.cursor = None
    pages = await rig.sync(rig.gmail(), model)
    assert pages[-1].is_last
    assert 0 < len(model.ids) < len(ids)


async def test_the_census_names_what_the_change_feed_hid(rig: Any, model: Any) -> None:
    rig.fill(5)
    gmail = rig.gmail()
    await rig.sync(gmail, model)
    shown, hidden = rig.fill(45), []
    hidden = shown[3:6]
    rig.faults.add("hide", ids=hidden, **{"from": "history"})
    await rig.sync(gmail, model)
    assert model.ids == rig.existing() - set(hidden)
    census = await gmail.census("messages", Window(since=rig.clock.now() - timedelta(days=1), until=rig.clock.now()))
    assert census.ids == rig.existing()
    assert census.count == 50
    assert census.ids - model.ids == set(hidden)
    records = await gmail.fetch("messages", sorted(census.ids - model.ids))
    assert {r.external_id for r in records} == set(hidden)


async def test_fetch_leaves_out_what_is_gone(rig: Any) -> None:
    ids = rig.fill(4)
    rig.do("delete", ids=ids[:1])
    rig.do("trash", ids=ids[1:2])
    gmail = rig.gmail()
    assert [r.external_id for r in await gmail.fetch("messages", ids)] == ids[2:]
    assert await gmail.fetch("messages", []) == []


@pytest.mark.parametrize("path", ["/messages", "/history"])
async def test_a_list_that_turns_in_circles_is_stopped_before_the_cursor_moves(rig: Any, model: Any, path: str) -> None:
    rig.fill(90)
    gmail = rig.gmail()
    if path == "/history":
        await rig.sync(gmail, model)
        rig.fill(3)
    rig.faults.add("page_loop", path=path)
    with pytest.raises(ContractBroken, match="page token"):
        await rig.sync(gmail, model)
    rig.faults.clear()
    await rig.sync(gmail, model)
    assert model.ids == rig.existing()


async def test_the_census_stops_at_a_loop_too(rig: Any) -> None:
    rig.fill(90)
    rig.faults.add("page_loop", path="/messages")
    with pytest.raises(ContractBroken):
        await rig.gmail().census("messages", Window())


async def test_an_unknown_stream_is_named(rig: Any) -> None:
    with pytest.raises(KeyError, match="messages"):
        rig.gmail().pull(Pull("threads", None, Window()))
