"""The connector against a real server: Dovecot, started by these tests, one account each."""

import imaplib
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from hub.api import AuthError, ConfigError, Interaction, Pull, RateLimited, ScopeError, Window
from hub.testing.suite_driver import Landed

pytestmark = pytest.mark.anyio


def subjects(landed: Landed, imap: Any) -> dict[str, set[str]]:
    """Subject -> folders it stands in, by the mapped interactions."""
    found: dict[str, set[str]] = {}
    for entities in landed.timeline(imap).entities.values():
        for entity in entities:
            assert isinstance(entity, Interaction)
            found.setdefault(entity.subject, set()).add(entity.labels[0])
    return found


async def test_check_names_folders_and_what_the_server_can(real: Any) -> None:
    matrix = await real.imap(push="drafts").check()
    assert all(row.is_granted for row in matrix.permissions)
    assert {row.stream for row in matrix.permissions} == {"mail", "drafts"}
    assert {"imap:qresync", "imap:condstore", "imap:uidplus", "imap:acl"} <= set(matrix.capabilities)


async def test_drafts_junk_and_trash_are_not_read(real: Any, mail: Any) -> None:
    for folder in ("INBOX", "Sent", "Drafts", "Junk", "Trash"):
        real.append(mail(folder), folder)
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    assert subjects(landed, imap) == {"Matter INBOX": {"INBOX"}, "Matter Sent": {"Sent"}}
    landed, imap = Landed("mail"), real.imap(include_junk=True, include_trash=True)
    await landed.pull(imap)
    assert set(subjects(landed, imap)) == {"Matter INBOX", "Matter Sent", "Matter Junk", "Matter Trash"}


async def test_folder_names_are_decoded(real: Any, mail: Any) -> None:
    assert real.line.create('"Kunden/J&APw-rgen &- Co"')[0] == "OK"
    real.append(mail(1), '"Kunden/J&APw-rgen &- Co"')
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    assert subjects(landed, imap) == {"Matter 1": {"Kunden/Jürgen & Co"}}
    assert [r.external_id for r in await imap.fetch("mail", list(landed.bodies))] == list(landed.bodies)


async def test_qresync_names_what_came_changed_and_went(real: Any, mail: Any) -> None:
    for n in range(8):
        real.append(mail(n))
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    assert len(landed.bodies) == 8
    real.append(mail("new"))
    real.do("INBOX", ("STORE", "2", "+FLAGS", "(\\Flagged Wichtig)"), ("STORE", "3", "+FLAGS", "(\\Seen \\Answered)"))
    real.delete("INBOX", "5,7")
    pages = await landed.pull(imap)
    gone = [name for page in pages for name in page.gone]
    assert sorted(name.rpartition("/")[2] for name in gone) == ["5", "7"]
    assert len(landed.bodies) == 7
    changed = [i.rpartition("/")[2] for i in landed.rewritten]
    assert changed == ["2"], "reading and answering are not news, a flag and a keyword are"
    (entity,) = landed.timeline(imap).entities[landed.rewritten[0]]
    assert isinstance(entity, Interaction)
    assert entity.labels == ("INBOX", "Wichtig", "Flagged") or set(entity.labels) == {"INBOX", "Flagged", "Wichtig"}
    assert [len(p.records) + len(p.gone) for p in await landed.pull(imap)] == [0], "and then it is quiet"


async def test_a_quiet_mailbox_costs_a_status_per_folder(real: Any, mail: Any) -> None:
    real.append(mail(1))
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    before = imap.http.requests
    await landed.pull(imap)
    assert imap.http.requests - before <= 5 + 1 + 2  # sign-in and goodbye, LIST, STATUS of INBOX and Sent


async def test_moved_mail_never_leaves_the_timeline(real: Any, mail: Any) -> None:
    for n in range(4):
        real.append(mail(n))
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    assert real.line.create("Archive")[0] == "OK"
    real.do("INBOX", ("MOVE", "1:2", "Archive"), ("COPY", "3", "Archive"))
    given: list[str] = []
    async for page in imap.pull(Pull("mail", landed.cursor, Window(), landed.kept)):
        assert not page.gone or len(given) == 3, "gone is said only when the new places have been given"
        given += [r.external_id for r in page.records]
        await landed._store(imap, page)
    assert subjects(landed, imap) == {
        "Matter 0": {"Archive"}, "Matter 1": {"Archive"}, "Matter 2": {"Archive", "INBOX"}, "Matter 3": {"INBOX"},
    }  # fmt: skip
    keys = [e.dedup_keys for entities in landed.timeline(imap).entities.values() for e in entities]  # type: ignore[union-attr]
    assert len(keys) == 5
    assert len(set(keys)) == 4, "two copies, one name"


async def test_mail_moved_to_the_trash_is_gone_and_comes_back(real: Any, mail: Any) -> None:
    real.append(mail(1))
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    real.do("INBOX", ("MOVE", "1", "Trash"))
    await landed.pull(imap)
    assert landed.bodies == {}
    real.do("Trash", ("MOVE", "1", "INBOX"))
    await landed.pull(imap)
    assert subjects(landed, imap) == {"Matter 1": {"INBOX"}}


def renumber(real: Any, folder: str) -> None:
    """As after a restored backup: the list of UIDs is lost."""
    real.line.logout()
    place = real.maildir / folder if folder else real.maildir
    for name in ("dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache"):
        (place / name).unlink(missing_ok=True)
    for path in real.maildir.glob("dovecot.list.index*"):
        path.unlink()
    head = f"3 V{1_900_000_000} N1 G0123456789abcdef0123456789abcdef\n"
    (place / "dovecot-uidlist").write_text(head)
    real.server.own()
    real.line = imaplib.IMAP4("127.0.0.1", real.server.port)
    real.line.login(real.user, real.given["password"])


async def test_a_folder_numbered_anew_doubles_nothing(real: Any, mail: Any) -> None:
    for n in range(30):
        real.append(mail(n))
    real.append(mail("sent"), "Sent")
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    before = landed.timeline(imap)
    real.delete("INBOX", "4")
    renumber(real, "")
    pages = await landed.pull(imap)
    assert not any(p.is_full for p in pages), "one folder is read anew, not the mailbox"
    after = landed.timeline(imap)
    assert len(after.live) == 30
    assert {i.split("/")[1] for i in after.live if i.startswith("INBOX/")} == {"1900000000"}
    first_gone = next(n for n, page in enumerate(pages) if page.gone)
    assert sum(len(page.records) for page in pages[:first_gone]) == 29, "the new names come before the old ones go"
    assert set(after.live) & set(before.live) == {i for i in before.live if i.startswith("Sent/")}
    assert [len(p.records) + len(p.gone) for p in await landed.pull(imap)] == [0]


async def test_a_renamed_folder_is_followed(real: Any, mail: Any) -> None:
    assert real.line.create("Alt")[0] == "OK"
    for n in range(3):
        real.append(mail(n), "Alt")
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    assert real.line.rename("Alt", "Neu")[0] == "OK"
    await landed.pull(imap)
    assert subjects(landed, imap) == {f"Matter {n}": {"Neu"} for n in range(3)}


async def test_a_deleted_folder_of_much_mail_waits_for_the_brake(real: Any, mail: Any) -> None:
    assert real.line.create("Alt")[0] == "OK"
    for n in range(15):
        real.append(mail(n), "Alt")
    landed, imap = Landed("mail"), real.imap()
    await landed.pull(imap)
    assert real.line.delete("Alt")[0] == "OK"
    await landed.pull(imap)
    assert len(landed.bodies) == 15, "the hub's census asks for each of them, under its brake"
    assert await imap.fetch("mail", list(landed.bodies)) == []
    census = await imap.census("mail", Window())
    assert census.ids == frozenset()


@pytest.mark.parametrize(
    "capability", ["IMAP4rev1 LITERAL+ ENABLE UIDPLUS MOVE CONDSTORE", "IMAP4rev1 LITERAL+"], ids=["condstore", "plain"]
)
async def test_servers_that_cannot_name_what_has_gone(
    dovecot_module: Any, make_real: Any, mail: Any, capability: str
) -> None:
    with dovecot_module.running(capability) as server:
        real = make_real(server)
        for n in range(20):
            real.append(mail(n))
        landed, imap = Landed("mail"), real.imap(push="drafts")
        await landed.pull(imap)
        real.append(mail("new"))
        real.do("INBOX", ("STORE", "2", "+FLAGS", "(\\Flagged)"))
        real.delete("INBOX", "5,7")
        await landed.pull(imap)
        assert {int(i.rpartition("/")[2]) for i in landed.bodies} == {*range(1, 22)} - {5, 7}
        if "CONDSTORE" in capability:
            assert [i.rpartition("/")[2] for i in landed.rewritten] == ["2"]
        real.delete("INBOX", "8:20")
        pages = await landed.pull(imap)
        assert pages[-1].is_last, "very much is gone at once: everything is enumerated, under the hub's brake"
        assert len(landed.held) == 13


async def test_rights_are_looked_at(real: Any, mail: Any) -> None:
    assert real.line.create("Vault")[0] == "OK"
    real.append(mail("secret"), "Vault")
    real.append(mail("open"))
    (real.maildir / ".Vault" / "dovecot-acl").write_text("owner l\n")
    real.server.own()
    rows = (await real.imap().check()).permissions
    assert [row.is_granted for row in rows] == [False, True]
    assert "'Vault'" in rows[0].detail
    assert rows[0].scope == "acl:lr"
    with pytest.raises(ScopeError, match="'Vault'.*exclude"):
        await Landed("mail").pull(real.imap())
    landed, imap = Landed("mail"), real.imap(exclude=("Vault",))
    await landed.pull(imap)
    assert set(subjects(landed, imap)) == {"Matter open"}


async def test_refusals_are_told_apart(real: Any, dovecot_module: Any) -> None:
    with pytest.raises(AuthError, match="AUTHENTICATIONFAILED"):
        await real.imap(password="wrong").check()
    assert real.clock.slept == [], "a refused password is not tried again"
    lines = []
    for _ in range(5):  # with the stand's own line, as many as the server lets one have
        lines.append(imaplib.IMAP4("127.0.0.1", real.server.port))
        lines[-1].login(real.user, dovecot_module.PASSWORD)
    with pytest.raises(RateLimited, match="too many connections"):
        await real.imap().check()
    assert len(real.clock.slept) == 4
    for line in lines:
        line.logout()
    await real.imap().check()


async def test_an_interrupted_backfill_goes_on(real: Any, mail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_imap.pull.PAGE_RECORDS", 7)
    now = real.clock.now()
    for n in range(40):
        real.append(mail(n, now - timedelta(hours=n * 7 % 40)), "Sent" if n % 3 else "INBOX")
    landed, is_over, spans = Landed("mail"), False, []
    while not is_over:
        await landed.pull(real.imap(), stop=1, is_lost=True)
        (page,) = await landed.pull(real.imap(), stop=1)
        times = landed.timeline(real.imap()).times()
        spans.append([times[r.external_id] for r in page.records])
        is_over = page.is_last
    assert len(landed.bodies) == 40
    assert len(spans) == 6
    assert all(min(early) >= max(late) for early, late in pairwise(spans)), "newest first over all folders"


async def test_drafts_are_written_found_and_taken_back(real: Any) -> None:
    from hub.api import JournalEntry
    from hub.testing import Rig

    rig = Rig(real.clock, real.maildir)
    imap = real.imap(push="drafts")
    changes = [rig.wanted(n) for n in range(3)]
    receipts = await imap.push(changes)
    assert [r.outcome for r in receipts] == ["created"] * 3
    assert [r.outcome for r in await imap.push(changes)] == ["unchanged"] * 3
    found = await imap.find("interaction", [*(c.key for c in changes), "other"])
    assert {f.key: f.remote_id for f in found} == {r.key: r.remote_id for r in receipts}
    edited = receipts[1].remote_id.rpartition("/")[2]
    real.line.select("Drafts")
    body = real.line.uid("FETCH", edited, "(BODY.PEEK[])")[1][0][1]
    real.append(body.replace(b"Words", b"Better words"), "Drafts", "\\Draft")
    real.delete("Drafts", edited)
    entries = [JournalEntry(change=c, receipt=r) for c, r in zip(changes, receipts, strict=True)]
    undone = await imap.undo(entries)
    assert [r.outcome for r in undone] == ["deleted", "failed", "deleted"]
    assert "edited by a person" in undone[1].error
    assert [r.outcome for r in await imap.undo(entries)] == ["unchanged", "failed", "unchanged"]
    landed = Landed("mail")
    await landed.pull(imap)
    assert landed.bodies == {}, "drafts are never read"


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_lines_are_encrypted_and_the_server_is_verified(real: Any, mail: Any, security: str) -> None:
    real.append(mail(1))
    given = {"security": security, "port": real.server.tls_port if security == "tls" else real.server.port}
    landed, imap = Landed("mail"), real.imap(**given, ca_file=str(real.server.root / "cert.pem"))
    await landed.pull(imap)
    assert len(landed.bodies) == 1
    with pytest.raises(ConfigError, match="certificate is not trusted"):
        await real.imap(**given).check()
