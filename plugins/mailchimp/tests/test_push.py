"""Writing: fields, tags and notes of members that exist; once each, and taken back."""

from typing import Any

import pytest

from hub.api import Change, Identifier, Interaction, JournalEntry, Link, Participation, Person, RateLimited, Transient

pytestmark = pytest.mark.anyio


def person(
    key: str = "k1", email: str = "ada@example.org", name: str = "", remote_id: str = "", **fields: str
) -> Change:
    entity = Person(external_id=key, identifiers=(Identifier("email", email),), name=name, fields=fields)
    return Change(key=key, kind="person", op="upsert", entity=entity, remote_id=remote_id)


def note(key: str = "n1", text: str = "She asked for samples.", to: str = "ada@example.org", **more: Any) -> Change:
    who = (Participation(identifier=Identifier("email", to), role="to"),)
    entity = Interaction(external_id=key, kind="call", channel="phone", subject="Samples", text=text, participants=who)
    return Change(key=key, kind="interaction", op="upsert", entity=entity, **more)


async def member(account: Any, **more: Any) -> str:
    """One audience with our field and one member."""
    e = account.emulator
    audience = e.audiences.add("Newsletter")
    given = {"email": "ada@example.org", "merge_fields": {"FNAME": "Ada"}, **more}
    key = e.audiences.join(audience, **given)
    await account.connect().check()
    account.transport.exchanges.clear()
    return str(key)


async def test_nobody_is_added(account: Any) -> None:
    await member(account)
    (receipt,) = await account.connect().push([person(email="stranger@example.org")])
    assert receipt.outcome == "failed"
    assert "adds nobody" in receipt.error
    assert not account.writes()
    (receipt,) = await account.connect().push([note(to="stranger@example.org")])
    assert receipt.outcome == "failed"


async def test_fields_tags_and_our_key_and_back_again(account: Any) -> None:
    key = await member(account, tags=["Met"])
    connector = account.connect()
    change = person(name="Ada Lovelace", phone="+44 1632 960001", company="not a field here", tags="Met; Customer")
    (receipt,) = await connector.push([change])
    held = account.emulator.audiences.members[key]
    assert receipt.outcome == "updated"
    assert held["merge_fields"] == {"FNAME": "Ada", "LNAME": "Lovelace", "PHONE": "+44 1632 960001", "IHUBKEY": "k1"}
    assert [t["name"] for t in held["tags"]] == ["Customer", "Met"]
    assert receipt.before is not None
    assert receipt.before["merge_fields"] == {"LNAME": "", "PHONE": "", "IHUBKEY": ""}
    assert receipt.before["tags"] == ["Customer"]
    (tagging,) = account.calls("POST", "/tags")
    assert b'"is_syncing":true' in tagging[0].content, "a tag of ours must start no automation"
    assert (await connector.push([change]))[0].outcome == "unchanged"
    entry = JournalEntry(change=change, receipt=receipt)
    assert [(await connector.undo([entry]))[0].outcome for _ in range(2)] == ["updated", "unchanged"]
    assert held["merge_fields"] == {"FNAME": "Ada", "LNAME": "", "PHONE": "", "IHUBKEY": ""}
    assert [t["name"] for t in held["tags"]] == ["Met"]


async def test_undo_leaves_what_somebody_changed_since(account: Any) -> None:
    key = await member(account)
    connector, change = account.connect(), person(first_name="Augusta", phone="1")
    (receipt,) = await connector.push([change])
    account.emulator.audiences.change(key, merge_fields={"FNAME": "Ada Augusta"})
    await connector.undo([JournalEntry(change=change, receipt=receipt)])
    merged = account.emulator.audiences.members[key]["merge_fields"]
    assert (merged["FNAME"], merged["PHONE"], merged["IHUBKEY"]) == ("Ada Augusta", "", "")


@pytest.mark.parametrize(
    ("held", "wanted"), [(7, "7"), ("(404) 555-0100", "404 555 0100"), ("+44 1632-960001", "+441632960001")]
)
async def test_what_mailchimp_formats_anew_is_not_written_again(account: Any, held: Any, wanted: str) -> None:
    key = await member(account, merge_fields={"PHONE": held, "IHUBKEY": "k1"})
    (receipt,) = await account.connect().push([person(phone=wanted)])
    assert receipt.outcome == "unchanged"
    assert account.emulator.audiences.members[key]["merge_fields"]["PHONE"] == held


async def test_a_blank_never_wins_and_a_name_is_not_cut_anew(account: Any) -> None:
    key = await member(account, merge_fields={"FNAME": "Ada", "LNAME": "King Lovelace", "PHONE": "1"})
    await account.connect().push([person(name="Ada King Lovelace", phone="")])
    merged = account.emulator.audiences.members[key]["merge_fields"]
    assert (merged["FNAME"], merged["LNAME"], merged["PHONE"]) == ("Ada", "King Lovelace", "1")


async def test_a_member_of_another_record_and_a_stale_before_image(account: Any) -> None:
    key = await member(account)
    connector = account.connect()
    await connector.push([person("k1")])
    (receipt,) = await connector.push([person("k2")])
    assert receipt.outcome == "failed"
    assert "another record" in receipt.error
    stale = Change(key="k1", kind="person", op="upsert", entity=person("k1", phone="7").entity, remote_id=key,
                   expected_version="2020-01-01T00:00:00+00:00")  # fmt: skip
    (receipt,) = await connector.push([stale])
    assert "conflict" in receipt.error


async def test_without_our_field_nothing_is_written(account: Any) -> None:
    audience = account.emulator.audiences.add("Newsletter")
    account.emulator.audiences.join(audience, "ada@example.org")
    (receipt,) = await account.connect().push([person()])
    assert "IHUBKEY" in receipt.error
    assert not account.writes()


async def test_a_lost_answer_to_each_kind_of_write(account: Any) -> None:
    key = await member(account)
    connector = account.connect()
    for method, change in (("PATCH", person(tags="Met")), ("POST", person(tags="Met; Customer")), ("POST", note())):
        account.emulator.faults.add("drop_answer", method=method, times=1)
        (receipt,) = await connector.push([change])
        assert receipt.outcome in {"created", "updated"}
    assert len(account.emulator.audiences.notes[key]) == 1
    assert [t["name"] for t in account.emulator.audiences.members[key]["tags"]] == ["Customer", "Met"]


async def test_a_note_that_was_not_carried_out_is_sent_again(account: Any) -> None:
    key = await member(account)
    account.emulator.faults.add("reset", method="POST", times=2)
    (receipt,) = await account.connect().push([note()])
    assert receipt.outcome == "created"
    assert len(account.emulator.audiences.notes[key]) == 1
    account.emulator.faults.add("reset", method="POST")
    with pytest.raises(Transient):
        await account.connect().push([note("n2")])


async def test_notes_are_found_changed_and_taken_back(account: Any) -> None:
    key = await member(account)
    e, connector = account.emulator, account.connect()
    other = e.audiences.join(e.audiences.add("Fairs"), "ada@example.org")
    (first,) = await connector.push([note()])
    assert first.outcome == "created"
    assert {len(e.audiences.notes[k]) for k in (key, other)} == {1}, "a note on each member of that address"
    assert (await connector.push([note()]))[0].outcome == "unchanged"
    found = await connector.find("interaction", ["n1", "n2"])
    assert [(f.key, set(f.remote_id.split())) for f in found] == [("n1", set(first.remote_id.split()))]
    (second,) = await connector.push([note(text="She asked for two.")])
    assert second.outcome == "updated"
    assert "for two" in e.audiences.notes[key][0]["note"]
    (undone,) = await connector.undo([JournalEntry(change=note(), receipt=second)])
    assert undone.outcome == "updated"
    assert "for samples" in e.audiences.notes[key][0]["note"]
    for outcome in ("deleted", "unchanged"):
        (undone,) = await connector.undo([JournalEntry(change=note(), receipt=first)])
        assert undone.outcome == outcome
    assert not e.audiences.notes[key]


async def test_a_note_goes_to_the_linked_member_and_fits(account: Any) -> None:
    key = await member(account)
    link = (Link("person", "k1", key),)
    (receipt,) = await account.connect().push([note(text="word " * 500, to="other@example.org", links=link)])
    (held,) = account.emulator.audiences.notes[key]
    assert receipt.outcome == "created"
    assert len(held["note"]) == 1000
    assert held["note"].endswith(" ...\n[ihub:n1]")
    gone = Change(key="n1", kind="interaction", op="delete", remote_id=receipt.remote_id)
    assert [(await account.connect().push([gone]))[0].outcome for _ in range(2)] == ["deleted", "unchanged"]


async def test_members_are_never_removed(account: Any) -> None:
    key = await member(account)
    gone = Change(key="k1", kind="person", op="delete", remote_id=key)
    (receipt,) = await account.connect().push([gone])
    assert receipt.outcome == "failed"
    assert not account.writes()


async def test_what_makes_every_outcome_unknown_is_raised(account: Any) -> None:
    await member(account)
    account.emulator.faults.add("quota", status=429)
    with pytest.raises(RateLimited):
        await account.connect().push([person()])


async def test_people_are_found_by_key_among_archived_too(account: Any) -> None:
    key = await member(account)
    connector = account.connect()
    await connector.push([person("k1")])
    account.emulator.audiences.change(key, status="archived")
    found = await connector.find("person", ["nobody", "k1"])
    assert [(f.key, f.remote_id) for f in found] == [("k1", key)]
