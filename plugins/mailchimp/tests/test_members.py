"""Members: their order, their moves while we read, their changes of address and status, their end."""

from datetime import timedelta
from typing import Any

import pytest

from hub.api import CursorExpired, Identifier, Person, RecordRejected, Window

pytestmark = pytest.mark.anyio


def people(account: Any, n: int, audience: str, **more: Any) -> list[str]:
    """n members, changed a minute apart, the last a minute ago."""
    now, join = account.clock.now(), account.emulator.audiences.join
    iso = account.emulator.audiences.iso
    return [
        join(audience, f"p{i}@example.org", last_changed=iso(now - timedelta(minutes=n - i)), **more) for i in range(n)
    ]


def person(connector: Any, record: Any) -> Person:
    found = [e for e in connector.to_canonical("members", record) if isinstance(e, Person)]
    assert len(found) == 1
    return found[0]


async def test_more_members_than_a_page_of_one_second(account: Any) -> None:
    """An import gives thousands the same time: they are read by offset, in that second only."""
    audience = account.emulator.audiences.add("Newsletter")
    ids = people(account, 30, audience)
    at = account.emulator.audiences.iso()
    ids += [account.emulator.audiences.join(audience, f"i{i}@example.org", last_changed=at) for i in range(75)]
    ids += people(account, 5, account.emulator.audiences.add("Other"))
    records, _, pages = await account.read(account.connect(page_size=20), "members")
    assert set(records) == set(ids)
    assert [p.is_last for p in pages].count(True) == 1
    offsets = [r.url.params["offset"] for r, _, _ in account.calls(path="/members")]
    assert max(map(int, offsets)) < 80


@pytest.mark.parametrize("is_inclusive", [False, True])
@pytest.mark.parametrize("lists_archived", [False, True])
async def test_whatever_the_vendor_does_where_it_does_not_say(
    account: Any, is_inclusive: bool, lists_archived: bool
) -> None:
    audiences = account.emulator.audiences
    audiences.is_inclusive, audiences.lists_archived = is_inclusive, lists_archived
    audience = audiences.add("Newsletter")
    ids = people(account, 15, audience)
    ids += [audiences.join(audience, f"i{i}@example.org", last_changed=audiences.iso()) for i in range(25)]
    for shelved in (ids[0], ids[20]):
        audiences.members[shelved]["status"] = "archived"
    connector = account.connect(page_size=10)
    records, cursor, pages = await account.read(connector, "members")
    assert set(records) == set(ids)
    assert len(pages) < 12
    account.clock.advance(3600)
    audiences.change(ids[1], status="archived")
    again, _, _ = await account.read(connector, "members", cursor)
    assert ids[1] in again


async def test_members_that_cannot_be_read_cost_themselves_only(account: Any) -> None:
    audience = account.emulator.audiences.add("Newsletter")
    ids = people(account, 25, audience)
    members = account.emulator.audiences.members
    members[ids[9]].update(contact_id="", id="")  # the last of a page
    members[ids[19]]["tags"] = "odd"
    connector = account.connect(page_size=10)
    records, _, _ = await account.read(connector, "members")
    assert len(records) == 25
    broken = [i for i, r in records.items() if "unreadable" in i]
    assert len(broken) == 1
    with pytest.raises(RecordRejected):
        list(connector.to_canonical("members", records[ids[19]]))


async def test_rows_that_move_up_between_two_pages_of_one_second(account: Any) -> None:
    """One of the first page changes: all behind move up, and by plain offset one would never be read."""
    audience = account.emulator.audiences.add("Newsletter")
    at = account.emulator.audiences.iso()
    ids = [account.emulator.audiences.join(audience, f"i{i:02}@example.org", last_changed=at) for i in range(50)]
    connector = account.connect(page_size=20)
    records, cursor, _ = await account.read(connector, "members", stop=1)
    account.clock.advance(60)
    for moved in ids[:3]:
        account.emulator.audiences.change(moved, merge_fields={"FNAME": "Moved"})
    rest, _, _ = await account.read(connector, "members", cursor)
    assert set(records) | set(rest) == set(ids)
    assert {person(connector, rest[i]).name for i in ids[:3]} == {"Moved"}


async def test_the_second_round_asks_for_changes_only(account: Any) -> None:
    audience = account.emulator.audiences.add("Newsletter")
    ids = people(account, 60, audience)
    connector = account.connect(page_size=50)
    _, cursor, _ = await account.read(connector, "members")
    account.clock.advance(1800)
    _, cursor, _ = await account.read(connector, "members", cursor)  # the overlap is behind us
    account.clock.advance(1800)
    account.emulator.audiences.change(ids[3], status="archived")
    records, cursor, pages = await account.read(connector, "members", cursor)
    assert set(records) == {ids[3]}
    assert not any(p.is_full for p in pages)
    late = account.emulator.audiences.add("Added later")
    new = people(account, 3, late)
    records, _, _ = await account.read(connector, "members", cursor)
    assert set(new) <= set(records), "an audience that was not there before is read from its beginning"


async def test_a_changed_address_is_the_same_member(account: Any) -> None:
    audience = account.emulator.audiences.add("Newsletter")
    (key,) = people(account, 1, audience)
    connector = account.connect()
    before, cursor, _ = await account.read(connector, "members")
    account.clock.advance(3600)
    account.emulator.audiences.change(key, email_address="new@example.org")
    after, _, _ = await account.read(connector, "members", cursor)
    old, new = person(connector, before[key]), person(connector, after[key])
    assert old.external_id == new.external_id == key
    assert Identifier("email", "new@example.org") in new.identifiers
    hashes = [{i.value for i in p.identifiers if i.scheme == "mailchimp:hash"} for p in (old, new)]
    assert hashes[0] != hashes[1]


async def test_archived_is_read_by_its_own_list_and_erased_is_gone(account: Any) -> None:
    audience = account.emulator.audiences.add("Newsletter")
    kept, archived, erased = people(account, 3, audience)
    account.emulator.audiences.change(archived, status="archived")
    connector = account.connect()
    records, _, _ = await account.read(connector, "members")
    assert set(records) == {kept, archived, erased}
    account.emulator.audiences.erase(erased)
    assert [r.external_id for r in await connector.fetch("members", [kept, archived, erased])] == [kept, archived]
    assert (await connector.census("members", Window())).ids == {kept, archived}


async def test_all_tags_of_a_member_with_more_than_fifty(account: Any) -> None:
    audience = account.emulator.audiences.add("Newsletter")
    tags = [f"tag {n:02}" for n in range(60)]
    key = account.emulator.audiences.join(audience, "ada@example.org", tags=tags)
    connector = account.connect()
    records, _, _ = await account.read(connector, "members")
    assert person(connector, records[key]).fields["tags"] == "; ".join(tags)
    (again,) = await connector.fetch("members", [key])
    assert again.body == records[key].body


async def test_only_the_chosen_audiences(account: Any) -> None:
    wanted, other = account.emulator.audiences.add("Wanted"), account.emulator.audiences.add("Other")
    people(account, 2, other)
    ids = people(account, 2, wanted)
    connector = account.connect(audiences=[wanted])
    assert set((await account.read(connector, "members"))[0]) == set(ids)
    assert set((await account.read(connector, "audiences"))[0]) == {wanted}


async def test_an_account_without_audiences_and_a_place_nobody_can_read(account: Any) -> None:
    records, cursor, pages = await account.read(account.connect(), "members")
    assert not records
    assert cursor
    assert [p.is_last for p in pages] == [True]
    for stream in ("members", "sends"):
        with pytest.raises(CursorExpired):
            await account.read(account.connect(), stream, "not a place")
