"""Drafts and sending: each exactly once, whatever gets lost. SMTP is aiosmtpd's server, the mailbox the stand-in."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from hub.api import (
    AuthError,
    Change,
    ConfigError,
    Identifier,
    Interaction,
    JournalEntry,
    Participation,
    Transient,
)
from hub.testing.suite_driver import Landed
from hub_imap import ImapSettings
from hub_imap.emulator.reading import value

pytestmark = pytest.mark.anyio
BOX = "box@example.com"


def change(n: int = 1, to: str = "customer@example.org", **more: Any) -> Change:
    people = (
        Participation(identifier=Identifier("email", BOX), role="from"),
        Participation(identifier=Identifier("email", to), role="to", name="Customer"),
        Participation(identifier=Identifier("email", "quiet@example.org"), role="bcc"),
    )
    given = {"subject": f"Offer {n}", "text": "Words.", "participants": people, **more}
    entity = Interaction(external_id=f"i-{n}", kind="message", channel="email", **given)
    return Change(key=f"hub-i-{n}", kind="interaction", op="upsert", entity=entity)


def held(stand: Any, folder: str) -> list[bytes]:
    return [m.data for m in stand.emulator.folders[folder].messages.values()]


# -- drafts -------------------------------------------------------------------------------------------


async def test_a_draft_is_ours_by_message_id_and_key(stand: Any) -> None:
    imap = stand.imap(push="drafts")
    reply = change(thread_refs=("message-id:first@example.org", "message-id:second@example.org"))
    (made,) = await imap.push([reply])
    (data,) = held(stand, "Drafts")
    assert made.outcome == "created"
    assert value(data, "message-id") == "<hub-i-1@interaction-hub.invalid>"
    assert value(data, "x-interaction-hub-key") == "hub-i-1"
    assert value(data, "from") == BOX
    assert value(data, "in-reply-to") == "<second@example.org>"
    assert value(data, "references") == "<first@example.org> <second@example.org>"
    assert stand.emulator.folders["Drafts"].messages[1].flags == {"\\Draft", "\\Seen"}


async def test_what_a_person_sends_comes_back_as_ours(stand: Any) -> None:
    imap = stand.imap(push="drafts")
    (made,) = await imap.push([change()])
    stand.emulator.control("move", {"id": made.remote_id, "folder": "Sent"})
    landed = Landed("mail")
    await landed.pull(imap)
    assert landed.timeline(imap).ours(["hub-i-1"]) == set(landed.bodies)
    (found,) = await imap.find("interaction", ["hub-i-1"])
    assert found.remote_id.startswith("sent:Sent/")
    assert [r.outcome for r in await imap.push([change()])] == ["unchanged"]
    (undone,) = await imap.undo([JournalEntry(change=change(), receipt=made)])
    assert (undone.outcome, undone.error) == ("failed", "sent: it cannot be taken back")


async def test_a_server_without_uidplus(make_stand: Any) -> None:
    """It does not say where a message went, and deleting for good would take along what others have marked."""
    stand = make_stand("plain")
    imap = stand.imap(push="drafts")
    (made,) = await imap.push([change()])
    assert made.remote_id.startswith("Drafts/")
    (undone,) = await imap.undo([JournalEntry(change=change(), receipt=made)])
    assert undone.outcome == "deleted"
    assert stand.emulator.folders["Drafts"].messages[1].flags == {"\\Draft", "\\Seen", "\\Deleted"}
    assert await imap.find("interaction", ["hub-i-1"]) == []
    assert [r.outcome for r in await imap.undo([JournalEntry(change=change(), receipt=made)])] == ["unchanged"]


async def test_a_discarded_draft_is_not_made_again(stand: Any) -> None:
    imap = stand.imap(push="drafts")
    (made,) = await imap.push([change()])
    stand.emulator.control("delete", {"id": made.remote_id})
    known = Change(key="hub-i-1", kind="interaction", op="upsert", entity=change().entity, remote_id=made.remote_id)
    (again,) = await imap.push([known])
    assert again.outcome == "failed"
    assert "not made a second time" in again.error
    assert held(stand, "Drafts") == []


async def test_an_answer_lost_after_the_write_is_looked_up(stand: Any) -> None:
    imap = stand.imap(push="drafts")
    stand.emulator.faults.add("drop_answer", path="/imap/APPEND", times=1)
    with pytest.raises(Transient) as told:
        await imap.push([change()])
    assert told.value.is_unknown
    assert len(await imap.find("interaction", ["hub-i-1"])) == 1
    assert [r.outcome for r in await imap.push([change()])] == ["unchanged"]
    assert len(held(stand, "Drafts")) == 1


async def test_a_draft_renumbered_with_its_folder_is_still_found(stand: Any) -> None:
    imap = stand.imap(push="drafts")
    (made,) = await imap.push([change()])
    stand.emulator.renumber("Drafts")
    assert [r.outcome for r in await imap.push([change()])] == ["unchanged"]
    (undone,) = await imap.undo([JournalEntry(change=change(), receipt=made)])
    assert undone.outcome == "failed", "nobody can say that it is the one we wrote"


@pytest.mark.parametrize(
    "to", ["no address", "a@b@c.example", "jürgen@example.org", "x@example.org\r\nBcc: all@example.org"]
)
async def test_a_bad_recipient_fails_alone(stand: Any, to: str) -> None:
    receipts = await stand.imap(push="drafts").push([change(1, to=to), change(2)])
    assert [r.outcome for r in receipts] == ["failed", "created"]
    assert "e-mail address" in receipts[0].error


async def test_header_injection_stays_in_its_header(stand: Any) -> None:
    await stand.imap(push="drafts").push([change(subject="Hello\r\nBcc: all@example.org")])
    (data,) = held(stand, "Drafts")
    assert value(data, "subject") == "Hello Bcc: all@example.org"
    assert value(data, "bcc") == "quiet@example.org"


async def test_nothing_is_written_unless_it_is_switched_on(stand: Any) -> None:
    for call in (stand.imap().push([change()]), stand.imap().find("interaction", ["k"]), stand.imap().undo([])):
        with pytest.raises(ConfigError, match="push is off"):
            await call
    with pytest.raises(ConfigError, match="takes no person"):
        await stand.imap(push="drafts").find("person", ["k"])


async def test_a_mailbox_without_drafts_folder_says_so(stand: Any) -> None:
    del stand.emulator.folders["Drafts"]
    with pytest.raises(ConfigError, match="drafts_folder"):
        await stand.imap(push="drafts").push([change()])
    stand.emulator.add_folder("Entwürfe")
    assert [r.outcome for r in await stand.imap(push="drafts").push([change()])] == ["created"]


async def test_check_tells_whether_drafts_may_be_written(stand: Any) -> None:
    stand.emulator.folders["Drafts"].rights = "lr"
    rows = (await stand.imap(push="drafts").check()).permissions
    (row,) = [row for row in rows if row.action == "write"]
    assert (row.is_granted, row.scope) == (False, "acl:it")


# -- sending ------------------------------------------------------------------------------------------


class Post:
    """A mail server that keeps what it gets, and refuses or falls silent when told to."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refuse = ""
        self.is_silent = False

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse and address == "customer@example.org":
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        if self.is_silent:
            assert server.transport is not None
            server.transport.abort()
            await asyncio.sleep(0)
        return "250 accepted"


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
    is_known = isinstance(given, LoginPassword) and (given.login, given.password) == (BOX.encode(), b"open-sesame")
    return AuthResult(success=is_known, handled=False)


@pytest.fixture
def post() -> Iterator[tuple[Post, int]]:
    handler = Post()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(
        handler, hostname="127.0.0.1", port=port, server_hostname="post.example.com", authenticator=authenticate,
        auth_require_tls=False,
    )  # fmt: skip
    controller.start()
    yield handler, port
    controller.stop()


@pytest.fixture
def sending(stand: Any, post: tuple[Post, int]) -> Any:
    stand.given |= {"push": "send", "smtp_host": "127.0.0.1", "smtp_port": post[1], "smtp_security": "plain"}
    return stand


async def test_sending_files_one_copy_and_leaves_no_draft(sending: Any, post: tuple[Post, int]) -> None:
    imap = sending.imap()
    (made,) = await imap.push([change()])
    (envelope,) = post[0].taken
    assert made.outcome == "created"
    assert made.remote_id.startswith("sent:Sent/")
    assert sorted(envelope.rcpt_tos) == ["customer@example.org", "quiet@example.org"]
    assert isinstance(envelope.content, bytes)
    assert value(envelope.content, "message-id") == "<hub-i-1@interaction-hub.invalid>"
    assert b"quiet@example.org" not in envelope.content, "Bcc is for the envelope alone"
    assert held(sending, "Drafts") == []
    assert len(held(sending, "Sent")) == 1
    assert [r.outcome for r in await imap.push([change()])] == ["unchanged"]
    assert len(post[0].taken) == 1
    (undone,) = await imap.undo([JournalEntry(change=change(), receipt=made)])
    assert undone.outcome == "failed"
    landed = Landed("mail")
    await landed.pull(imap)
    assert landed.timeline(imap).ours(["hub-i-1"]) == set(landed.bodies) != set()


async def test_what_was_sent_and_filed_nowhere_is_not_sent_again(sending: Any, post: tuple[Post, int]) -> None:
    imap = sending.imap(save_sent=False)
    (made,) = await imap.push([change()])
    assert held(sending, "Sent") == held(sending, "Drafts") == []
    known = Change(key="hub-i-1", kind="interaction", op="upsert", entity=change().entity, remote_id=made.remote_id)
    assert [r.outcome for r in await imap.push([known])] == ["unchanged"]
    assert len(post[0].taken) == 1


async def test_a_silent_server_is_never_sent_to_twice(sending: Any, post: tuple[Post, int]) -> None:
    post[0].is_silent = True
    imap = sending.imap()
    (made,) = await imap.push([change()])
    assert made.outcome == "failed"
    assert "never answered" in made.error
    assert len(held(sending, "Drafts")) == 1, "it stands among the drafts for a person to decide on"
    post[0].is_silent = False
    for _ in range(2):
        (again,) = await imap.push([change()])
        assert again.outcome == "failed"
    assert len(post[0].taken) == 1


async def test_a_recipient_refused_for_good_fails_and_leaves_nothing(sending: Any, post: tuple[Post, int]) -> None:
    post[0].refuse = "550 5.1.1 no such user"
    (made,) = await sending.imap().push([change()])
    assert (made.outcome, made.error) == ("failed", "RCPT: 550 5.1.1 no such user")
    assert held(sending, "Drafts") == []
    assert post[0].taken == []


async def test_a_refusal_for_now_is_worth_another_try(sending: Any, post: tuple[Post, int]) -> None:
    post[0].refuse = "451 4.7.1 greylisted"
    imap = sending.imap()
    with pytest.raises(Transient, match="451") as told:
        await imap.push([change()])
    assert not told.value.is_unknown
    post[0].refuse = ""
    assert [r.outcome for r in await imap.push([change()])] == ["created"]
    assert len(post[0].taken) == 1


async def test_check_proves_the_smtp_sign_in(sending: Any, post: tuple[Post, int]) -> None:
    rows = (await sending.imap().check()).permissions
    assert [(row.stream, row.is_granted) for row in rows if row.action == "write"] == [("drafts", True), ("smtp", True)]
    sending.emulator.password = "another"
    rows = (await sending.imap(password="another").check()).permissions
    (row,) = [row for row in rows if row.stream == "smtp"]
    assert not row.is_granted
    assert "refuses the sign-in" in row.detail
    assert post[0].taken == []


async def test_a_dead_sign_in_at_the_post_leaves_no_draft(sending: Any, post: tuple[Post, int]) -> None:
    sending.emulator.password = "another"
    with pytest.raises(AuthError):
        await sending.imap(password="another").push([change()])
    assert held(sending, "Drafts") == []


# -- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"security": "plain"}, "this very machine"),
        ({"push": "send"}, "smtp_host"),
        ({"push": "send", "smtp_host": "mail.example.com", "smtp_security": "plain"}, "this very machine"),
        ({"access_token": "t"}, "exactly one"),
        ({"password": ""}, "exactly one"),
        ({"password": "", "client_id": "c", "token_url": "http://elsewhere.example/token"}, "https"),
        ({"folders": ["A"], "exclude": ["B"]}, "not both"),
        ({"address": "nobody"}, "e-mail address"),
        ({"host": "https://mail.example.com/"}, "host name alone"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(given: dict[str, Any], words: str) -> None:
    base = {"address": BOX, "host": "mail.example.com", "password": "open-sesame"}
    with pytest.raises(ValueError, match=words) as told:
        ImapSettings(**{**base, **given})
    assert "open-sesame" not in str(told.value)


def test_ports_follow_from_the_kind_of_line() -> None:
    given: dict[str, Any] = {"address": BOX, "host": "mail.example.com", "password": "x"}
    assert ImapSettings(**given).imap_port == 993
    assert ImapSettings(**given, security="starttls").imap_port == 143
    assert ImapSettings(**given).mail_port == 465
    assert ImapSettings(**given, smtp_security="starttls").mail_port == 587
    assert ImapSettings(**given, port=1143).imap_port == 1143
