"""Drafts: made once, never sent, never overwritten, taken back only while nobody has touched them."""

import base64
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest

from hub.api import (
    Change,
    ConfigError,
    Identifier,
    Interaction,
    JournalEntry,
    Participation,
    Person,
    RateLimited,
    RecordRejected,
    ScopeError,
    Transient,
)  # fmt: skip
from hub.api.mail import own_message_id
from hub_gmail.drafts import compose

pytestmark = pytest.mark.anyio


def person(role: Any, address: str, name: str = "") -> Participation:
    return Participation(identifier=Identifier("email", address), role=role, name=name)


def interaction(**fields: Any) -> Interaction:
    given = {
        "external_id": "x", "kind": "message", "channel": "email", "subject": "Your offer",
        "text": "Dear Ada,\n\nhere it is.",
        "participants": (person("from", "sales@example.com"), person("to", "ada@example.org", "Ada Example")),
    }  # fmt: skip
    return Interaction(**{**given, **fields})


def change(key: str, **fields: Any) -> Change:
    return Change(**{"key": key, "kind": "interaction", "op": "upsert", "entity": interaction(), **fields})


def stored(rig: Any) -> list[EmailMessage]:
    return [message_from_bytes(rig.emulator._spool.get(rig.box.messages[i].at), policy=policy.default)
            for i in rig.box.drafts.values()]  # fmt: skip


async def test_a_draft_is_made_under_our_key_and_not_sent(rig: Any) -> None:
    gmail = rig.gmail(push_drafts=True)
    (receipt,) = await gmail.push([change("k-1")])
    assert (receipt.key, receipt.outcome) == ("k-1", "created")
    (draft,) = stored(rig)
    assert draft["message-id"] == "<k-1@interaction-hub.invalid>"
    assert draft["to"] == "Ada Example <ada@example.org>"
    assert draft["subject"] == "Your offer"
    assert draft.get_content().split() == ["Dear", "Ada,", "here", "it", "is."]
    assert rig.box.drafts == {receipt.remote_id: receipt.version}
    assert not rig.emulator.sent


async def test_pushing_again_changes_nothing(rig: Any) -> None:
    gmail = rig.gmail(push_drafts=True)
    (made,) = await gmail.push([change("k-1")])
    (again,) = await gmail.push([change("k-1", entity=interaction(text="other words"))])
    (known,) = await gmail.push([change("k-1", remote_id=made.remote_id)])
    assert (again.outcome, known.outcome) == ("unchanged", "unchanged")
    assert made.remote_id == again.remote_id == known.remote_id
    assert made.version == again.version == known.version
    assert len(rig.box.drafts) == 1


async def test_a_lost_answer_makes_no_second_draft(rig: Any) -> None:
    """One answer of three is lost after Gmail has made the draft."""
    rig.faults.add("drop_answer", path="/drafts", method="POST", every=3)
    gmail = rig.gmail(push_drafts=True)
    receipts = await gmail.push([change(f"k-{n}") for n in range(9)])
    assert [r.outcome for r in receipts] == ["created"] * 9
    assert len(rig.box.drafts) == 9
    assert {r.remote_id: r.version for r in receipts} == rig.box.drafts


async def test_an_unknown_outcome_is_raised_and_the_next_push_finds_what_was_made(rig: Any) -> None:
    rig.faults.add("drop_answer", path="/drafts", method="POST", times=1)
    rig.faults.add("reset", path="/batch")
    gmail = rig.gmail(push_drafts=True)
    with pytest.raises(Transient):
        await gmail.push([change("k-1", remote_id="")])
    rig.faults.clear()
    rig.faults.add("reset", path="/drafts", method="POST", times=1)
    with pytest.raises(Transient) as caught:
        await gmail.push([change("k-2")])
    assert caught.value.is_unknown
    assert not rig.box.drafts
    (made,) = await gmail.push([change("k-2")])
    assert made.outcome == "created"
    assert len(rig.box.drafts) == 1


async def test_a_lagging_search_index_does_not_double_a_draft(rig: Any) -> None:
    gmail = rig.gmail(push_drafts=True)
    (made,) = await gmail.push([change("k-1")])
    rig.box.messages[made.version].rfc822_id = ""  # what the emulator's rfc822msgid: looks at
    (again,) = await gmail.push([change("k-1")])
    assert (again.outcome, again.remote_id) == ("unchanged", made.remote_id)
    assert [f.remote_id for f in await gmail.find("interaction", ["k-1", "k-2"])] == [made.remote_id]


async def test_a_draft_that_a_person_sent_is_not_made_again(rig: Any) -> None:
    gmail = rig.gmail(push_drafts=True)
    (made,) = await gmail.push([change("k-1")])
    await gmail.http.request("POST", "gmail/v1/users/me/drafts/send", json={"id": made.remote_id})
    (found,) = await gmail.find("interaction", ["k-1"])
    assert found.remote_id.startswith("message:")
    (again,) = await gmail.push([change("k-1")])
    assert again.outcome == "unchanged"
    (late,) = await gmail.push([change("k-1", remote_id=made.remote_id)])
    assert late.outcome == "failed"
    assert "sent or discarded" in late.error
    (undone,) = await gmail.undo([JournalEntry(change=change("k-1"), receipt=made)])
    assert undone.outcome == "unchanged"
    assert len(rig.emulator.sent) == 1


async def test_undo_deletes_our_draft_and_may_be_repeated(rig: Any) -> None:
    gmail = rig.gmail(push_drafts=True)
    made = await gmail.push([change("k-1"), change("k-2")])
    entries = [JournalEntry(change=change(r.key), receipt=r) for r in made]
    assert [r.outcome for r in await gmail.undo(entries[:1])] == ["deleted"]
    assert list(rig.box.drafts) == [made[1].remote_id]
    assert [r.outcome for r in await gmail.undo(entries)] == ["unchanged", "deleted"]
    assert not rig.box.drafts


async def test_undo_leaves_what_a_person_has_edited_or_owned_before(rig: Any) -> None:
    gmail = rig.gmail(push_drafts=True)
    (made,) = await gmail.push([change("k-1")])
    edited = base64.urlsafe_b64encode(b"Subject: mine now\r\n\r\nx").decode()
    path = f"gmail/v1/users/me/drafts/{made.remote_id}"
    await gmail.http.request("PUT", path, json={"message": {"raw": edited}})
    (refused,) = await gmail.undo([JournalEntry(change=change("k-1"), receipt=made)])
    assert refused.outcome == "failed"
    assert "edited" in refused.error
    found_only = msgspec.structs.replace(made, outcome="unchanged")
    (left,) = await gmail.undo([JournalEntry(change=change("k-1"), receipt=found_only)])
    assert left.outcome == "unchanged"
    assert len(rig.box.drafts) == 1


async def test_a_delete_takes_the_draft_away_by_key_or_by_id(rig: Any) -> None:
    gmail = rig.gmail(push_drafts=True)
    made = await gmail.push([change("k-1"), change("k-2")])
    receipts = await gmail.push([
        change("k-1", op="delete", entity=None),
        change("k-2", op="delete", entity=None, remote_id=made[1].remote_id),
        change("k-3", op="delete", entity=None),
    ])  # fmt: skip
    assert [r.outcome for r in receipts] == ["deleted", "deleted", "unchanged"]


async def test_one_bad_change_fails_alone(rig: Any) -> None:
    bad = interaction(participants=(person("to", "no address"),))
    receipts = await rig.gmail(push_drafts=True).push([change("k-1"), change("k-2", entity=bad), change("k-3")])
    assert [r.outcome for r in receipts] == ["created", "failed", "created"]
    assert "not an e-mail address" in receipts[1].error
    (wrong,) = await rig.gmail(push_drafts=True).push([change("k-4", entity=Person(external_id="p"))])
    assert wrong.outcome == "failed"


async def test_a_reply_joins_its_thread(rig: Any) -> None:
    (own,) = rig.fill(1, subject="Question")
    thread = rig.box.messages[own].thread_id
    mid = rig.box.messages[own].rfc822_id.strip("<>")
    reply = interaction(
        subject="Re: Question",
        thread_refs=(f"message-id:{mid}", "message-id:own@example.com", f"gmail-thread:{thread}"),
        dedup_keys=("message-id:own@example.com",),
    )
    (made,) = await rig.gmail(push_drafts=True).push([change("k-1", entity=reply)])
    assert rig.box.messages[made.version].thread_id == thread
    (draft,) = stored(rig)
    assert draft["in-reply-to"] == f"<{mid}>" == draft["references"]


async def test_drafts_must_be_switched_on_and_allowed(rig: Any) -> None:
    with pytest.raises(ConfigError, match="push_drafts"):
        await rig.gmail().push([change("k-1")])
    with pytest.raises(ConfigError, match="person"):
        await rig.gmail(push_drafts=True).push([change("k-1", kind="person")])
    rig.emulator.grant(rig.address, ["https://www.googleapis.com/auth/gmail.readonly"], "1//reader")
    with pytest.raises(ScopeError):
        await rig.gmail(push_drafts=True, refresh_token="1//reader").push([change("k-1")])
    assert not rig.box.drafts


async def test_a_draft_of_ours_never_comes_back_as_mail(rig: Any, make_model: Any) -> None:
    gmail, model = rig.gmail(push_drafts=True), make_model()
    await rig.sync(gmail, model)
    await gmail.push([change(f"k-{n}") for n in range(3)])
    for _ in range(3):
        await rig.sync(gmail, model)
    assert not model.bodies


async def test_a_spent_quota_leaves_nothing_half_known(rig: Any) -> None:
    rig.faults.add("quota", path="/drafts", method="POST", skip=1, scope="daily")
    gmail = rig.gmail(push_drafts=True)
    with pytest.raises(RateLimited):
        await gmail.push([change("k-1"), change("k-2")])
    rig.faults.clear()
    rig.clock.advance(86_400)
    receipts = await gmail.push([change("k-1"), change("k-2")])
    assert [r.outcome for r in receipts] == ["unchanged", "created"]


NASTY = "Hello\r\nBcc: thief@example.net\r\n\r\nbody\x00\u2028\x85 end"


def test_no_field_can_start_a_header_of_its_own() -> None:
    raw, thread = compose(
        "key\r\nBcc: thief@example.net",
        interaction(
            subject=NASTY,
            participants=(person("to", "ada@example.org", NASTY), person("bcc", "b@example.org")),
            thread_refs=(f"message-id:{NASTY}", "message-id:<a@b> <c@d>", "gmail-thread:18c0"),
        ),
    )
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["bcc"] == "b@example.org"
    assert mail.get_all("bcc") == ["b@example.org"]
    assert {name.lower() for name in mail} == {
        "to", "bcc", "subject", "message-id", "content-type", "content-transfer-encoding", "mime-version",
    }  # fmt: skip
    assert thread == "18c0"


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "a", "@", "a@", "@b", "a b@c", "<a@b>", "a@b,c@d", "a@b@c", ""])
def test_only_addresses_are_addressed(address: str) -> None:
    with pytest.raises(RecordRejected):
        compose("k", interaction(participants=(person("to", address),)))


def test_message_ids_are_stable_and_safe() -> None:
    assert own_message_id("interaction-42.a_b") == "interaction-42.a_b@interaction-hub.invalid"
    odd = {own_message_id(key) for key in ("a b", "a@b", "<x>", "ü", "x" * 300, "", ".a")}
    assert len(odd) == 7
    assert all(len(name) == 64 + 1 + len("interaction-hub.invalid") for name in odd)
