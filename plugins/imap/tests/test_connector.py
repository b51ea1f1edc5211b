"""Reading, against the stand-in: what goes wrong on lines and in stores, and what the numbers may do."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.api import (
    AuthError,
    ContractBroken,
    CursorExpired,
    Interaction,
    Pull,
    RateLimited,
    RawRecord,
    RecordRejected,
    ScopeError,
    Transient,
    Window,
)
from hub.testing.suite_driver import Landed
from hub_imap.errors import of_break, of_refusal
from hub_imap.mapping import relabelled, unwrap, wrap
from hub_imap.places import external_id, folder_key, from_set, parse_cursor, parse_id, to_set

pytestmark = pytest.mark.anyio


async def pulled(imap: Any) -> Landed:
    landed = Landed("mail")
    await landed.pull(imap)
    return landed


# -- lines that break ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reset", "drop_answer", "truncate"])
@pytest.mark.parametrize("command", ["FETCH", "SEARCH", "EXAMINE", "LIST", "AUTHENTICATE"])
async def test_a_line_cut_anywhere_costs_nothing_but_time(stand: Any, kind: str, command: str) -> None:
    ids = stand.fill(150)
    stand.emulator.faults.add(kind, path=f"/imap/{command}", times=2)
    landed = await pulled(stand.imap())
    assert set(landed.bodies) == set(ids)
    assert len(stand.clock.slept) == 2


async def test_a_line_that_never_holds_is_given_up(stand: Any) -> None:
    stand.fill(3)
    stand.emulator.faults.add("reset", path="/imap/FETCH")
    with pytest.raises(Transient):
        await pulled(stand.imap())
    assert len(stand.clock.slept) == 4


async def test_nobody_there_is_worth_another_try(stand: Any) -> None:
    stand.emulator.stop()
    with pytest.raises(Transient, match="ConnectionRefusedError") as told:
        await stand.imap().check()
    assert not told.value.is_unknown


async def test_a_page_for_people_is_not_imap(stand: Any) -> None:
    stand.emulator.faults.add("html")
    with pytest.raises(ContractBroken, match="not IMAP") as told:
        await stand.imap().check()
    assert "maintenance" not in str(told.value)


async def test_too_many_connections_are_waited_out(stand: Any) -> None:
    stand.fill(2)
    stand.emulator.most_connections = 0
    with pytest.raises(RateLimited, match="too many connections"):
        await stand.imap().check()
    assert stand.clock.slept == [30.0, 60.0, 90.0, 90.0]


async def test_a_server_out_of_order_for_now(stand: Any) -> None:
    stand.fill(2)
    stand.emulator.faults.add("status", status=503, path="/imap/EXAMINE", times=1)
    assert len((await pulled(stand.imap())).bodies) == 2


# -- messages that are not as they should be ----------------------------------------------------------


async def test_an_oversized_message_is_a_gap_and_is_not_loaded(stand: Any, mail: Any) -> None:
    stand.fill(2)
    big = stand.emulator.add("INBOX", mail("big", body="x" * (1024 * 1024 + 1)), (), stand.clock.now())
    landed = await pulled(stand.imap(max_message_megabytes=1))
    assert landed.gaps == {big: "larger than 1 MiB"}
    assert len(landed.bodies) == 2
    imap = stand.imap(max_message_megabytes=1)
    (asked,) = await imap.fetch("mail", [big])  # it is there: to leave it out would say it is gone
    with pytest.raises(RecordRejected, match="larger than 1 MiB"):
        list(imap.to_canonical("mail", asked))
    (whole,) = await stand.imap().fetch("mail", [big])
    assert len(whole.body) > 1024 * 1024


@pytest.mark.parametrize("how", ["nil", "garbage"])
async def test_a_broken_message_costs_itself(stand: Any, how: str) -> None:
    ids = stand.fill(20)
    stand.emulator.faults.add("poison", ids=[ids[7]], how=how)
    imap = stand.imap()
    landed = await pulled(imap)
    timeline = landed.timeline(imap)
    assert len(timeline.entities) == 19
    assert timeline.rejected.get(ids[7]) or landed.gaps[ids[7]]


async def test_a_message_without_date_or_id_has_the_servers_time(stand: Any) -> None:
    name = stand.emulator.add("INBOX", b"From: a@example.org\r\nSubject: bare\r\n\r\nWords.\r\n", (), stand.clock.now())
    imap = stand.imap()
    ((entity,),) = (await pulled(imap)).timeline(imap).entities.values()
    assert isinstance(entity, Interaction)
    assert (entity.external_id, entity.occurred_at, entity.dedup_keys) == (name, stand.clock.now(), ())


# -- what is read -------------------------------------------------------------------------------------


async def test_only_peeking_commands_are_sent_and_nothing_is_marked(stand: Any) -> None:
    ids = stand.fill(5)
    await pulled(stand.imap())
    assert {name for name, _, _ in stand.emulator.requests} <= {
        "CAPABILITY", "AUTHENTICATE", "ENABLE", "LIST", "EXAMINE", "STATUS", "SEARCH", "FETCH", "LOGOUT",
    }  # fmt: skip
    assert all(stand.emulator.place(i)[0].messages[stand.emulator.place(i)[1]].flags == set() for i in ids)


async def test_folders_can_be_chosen_and_left_out(stand: Any) -> None:
    for folder in ("INBOX", "Kunden/Jürgen", "Notizen"):
        stand.fill(2, folder)
    chosen = await pulled(stand.imap(folders=("Kunden/Jürgen",)))
    assert {i.rsplit("/", 2)[0] for i in chosen.bodies} == {"Kunden/Jürgen"}
    rest = await pulled(stand.imap(exclude=("Notizen",)))
    assert {i.rsplit("/", 2)[0] for i in rest.bodies} == {"INBOX", "Kunden/Jürgen"}
    with pytest.raises(Exception, match="folders: there is no folder 'Nowhere'"):
        await pulled(stand.imap(folders=("Nowhere",)))


async def test_other_separators_become_slashes(make_stand: Any) -> None:
    stand = make_stand(separator=".")
    stand.fill(1, "INBOX.Kunden")
    imap = stand.imap()
    ((entity,),) = (await pulled(imap)).timeline(imap).entities.values()
    assert isinstance(entity, Interaction)
    assert entity.labels == ("INBOX/Kunden",)


async def test_newest_first_over_all_folders_and_in_the_window(stand: Any, mail: Any) -> None:
    now = stand.clock.now()
    for n in range(240):
        at = now - timedelta(hours=n)
        stand.emulator.add(("INBOX", "Sent", "Alt")[n % 3], mail(n, at), (), now)  # imported: all received just now
    landed = Landed("mail", Window(since=now - timedelta(hours=199), until=now))
    imap = stand.imap()
    pages = await landed.pull(imap)
    times = landed.timeline(imap).times()
    spans = [[times[r.external_id] for r in page.records] for page in pages if page.records]
    assert sum(map(len, spans)) == 199
    assert [len(s) for s in spans] == [100, 99]
    assert min(spans[0]) > max(spans[1])
    estimate = await imap.estimate("mail", landed.window)
    assert not estimate.is_exact
    assert 190 <= estimate.records <= 215
    assert (await imap.estimate("mail", Window())).records == 240


async def test_very_full_folders_are_searched_in_spans(make_stand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_imap.wire.SEARCH_SPAN", 40)
    stand = make_stand("plain")
    ids = stand.fill(130)
    landed = await pulled(stand.imap())
    assert set(landed.bodies) == set(ids)
    census = await stand.imap().census("mail", Window())
    assert census.ids == set(ids)
    assert [name for name, _, _ in stand.emulator.requests].count("SEARCH") == 3 * 4  # place, plan and census


async def test_a_count_without_its_messages_moves_nothing(make_stand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that leaves messages out would look like deletions."""
    stand = make_stand("plain")
    stand.fill(20)
    landed = await pulled(stand.imap())
    cursor = landed.cursor
    stand.fill(1)
    monkeypatch.setattr("hub_imap.wire.Line.search", lambda self, criteria, now=None: [1, 2, 3])
    with pytest.raises(Transient, match="counts 21 messages and names 3"):
        await landed.pull(stand.imap())
    assert landed.cursor == cursor
    assert len(landed.bodies) == 20


async def test_held_messages_are_not_read_again(stand: Any) -> None:
    stand.fill(30)
    imap = stand.imap()
    landed = await pulled(imap)
    landed.restart()
    pages = await landed.pull(imap)
    assert sum(len(p.records) for p in pages) == 0
    assert sum(len(p.also_seen) for p in pages) == 30


@pytest.mark.parametrize("level", ["qresync", "condstore", "plain"])
async def test_every_kind_of_server_tells_what_came_and_went(make_stand: Any, mail: Any, level: str) -> None:
    stand = make_stand(level)
    ids = stand.fill(20)
    imap = stand.imap()
    landed = await pulled(imap)
    stand.emulator.control("delete", {"id": ids[3]})
    moved = stand.emulator.control("move", {"id": ids[4], "folder": "Archiv"})["id"]
    new = stand.emulator.add("INBOX", mail("new"))
    await landed.pull(imap)
    assert set(landed.bodies) == {*ids, moved, new} - {ids[3], ids[4]}


@pytest.mark.parametrize("levels", [("plain", "qresync"), ("qresync", "plain"), ("condstore", "qresync")])
async def test_a_server_that_learns_or_forgets_an_extension(
    make_stand: Any, mail: Any, levels: tuple[str, str]
) -> None:
    stand = make_stand(levels[0])
    ids = stand.fill(20)
    imap = stand.imap()
    landed = await pulled(imap)
    stand.emulator.level = levels[1]
    new = stand.emulator.add("INBOX", mail("new"))
    try:
        await landed.pull(imap)
    finally:
        await landed.pull(imap)
    stand.emulator.control("delete", {"id": ids[3]})
    await landed.pull(imap)
    assert set(landed.bodies) == {*ids, new} - {ids[3]}


async def test_mail_moved_behind_our_back_is_given_before_it_is_gone(
    stand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INBOX is looked at first and has no news; only then mail goes into it from the folder looked at next."""
    from hub_imap.pull import Reader

    stand.fill(1)
    ids = stand.fill(3, "Zettel")
    imap = stand.imap()
    landed = await pulled(imap)
    stand.emulator.control("delete", {"id": ids[2]})  # so that the folder has news
    since, moved = Reader._since, list[str]()

    async def since_with_a_move(self: Any, folder: Any, before: Any) -> Any:
        if not moved:
            moved.append(stand.emulator.control("move", {"id": ids[0], "folder": "INBOX"})["id"])
        return await since(self, folder, before)

    monkeypatch.setattr(Reader, "_since", since_with_a_move)
    pages = await landed.pull(imap)
    given = next(n for n, page in enumerate(pages) if moved[0] in [r.external_id for r in page.records])
    gone = next(n for n, page in enumerate(pages) if ids[0] in page.gone)
    assert given < gone
    assert len(landed.bodies) == 3
    await landed.pull(imap)
    assert len(landed.bodies) == 3


async def test_a_folder_numbered_anew_during_the_backfill_starts_it_again(
    stand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_imap.pull.PAGE_RECORDS", 5)
    stand.fill(20)
    landed = Landed("mail")
    await landed.pull(stand.imap(), stop=2)
    stand.emulator.renumber("INBOX")
    with pytest.raises(CursorExpired):
        async for _ in stand.imap().pull(Pull("mail", landed.cursor, Window())):
            pass


async def test_uidvalidity_changes_match_by_message_id_and_leave_much_to_the_brake(stand: Any) -> None:
    ids = stand.fill(40)
    imap = stand.imap()
    landed = await pulled(imap)
    box = stand.emulator.folders["INBOX"]
    box.remove(range(1, 26))  # a backup restored with much of the mail missing
    names = stand.emulator.renumber("INBOX")
    await landed.pull(imap)
    assert set(names.values()) <= set(landed.bodies)
    assert set(landed.bodies) - set(names.values()) == set(ids[:25]), "not said to be deleted: the census asks"


async def test_a_stale_id_is_not_anothers_message(stand: Any) -> None:
    ids = stand.fill(2)
    stand.emulator.renumber("INBOX")
    assert await stand.imap().fetch("mail", [*ids, "nonsense", "INBOX/x/1"]) == []


# -- signing in ---------------------------------------------------------------------------------------


async def test_an_access_token_of_ones_own(stand: Any) -> None:
    stand.emulator.tokens.add("handmade")
    stand.fill(1)
    assert len((await pulled(stand.imap(password="", access_token="handmade"))).bodies) == 1
    with pytest.raises(AuthError):
        await pulled(stand.imap(password="", access_token="stale"))


async def test_starttls_and_tls_verify_the_server(stand: Any) -> None:
    """The stand-in speaks no TLS: a connection that must not go in clear never does."""
    for security in ("tls", "starttls"):
        with pytest.raises((Transient, ContractBroken)):
            await stand.imap(security=security).check()
    assert not any(name in {"LOGIN", "AUTHENTICATE"} for name, _, _ in stand.emulator.requests)


async def test_a_ca_file_of_ones_own_must_hold_certificates(stand: Any, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing\n")
    with pytest.raises(Exception, match="ca_file"):
        await stand.imap(security="tls", ca_file=str(tmp_path / "ca.pem")).check()


# -- errors, names, sets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "command", "kind"),
    [
        ("[AUTHENTICATIONFAILED] Authentication failed.", "LOGIN", AuthError),
        ("LOGIN failed", "LOGIN", AuthError),
        ("[EXPIRED] password", "LOGIN", AuthError),
        ("[UNAVAILABLE] Temporary authentication failure", "LOGIN", Transient),
        ("Temporary problem, please try again later", "LOGIN", Transient),
        ("[ALERT] Too many simultaneous connections. (Failure)", "LOGIN", RateLimited),
        ("[UNAVAILABLE] Maximum number of connections from user+IP exceeded", "LOGIN", RateLimited),
        ("[OVERQUOTA] Account exceeded command or bandwidth limits.", "FETCH", RateLimited),
        ("[INUSE] Mailbox in use", "EXAMINE", Transient),
        ("[NOPERM] Permission denied", "EXAMINE", ScopeError),
        ("something new", "FETCH", ContractBroken),
    ],
)
def test_refusals_say_what_to_do_next(text: str, command: str, kind: type[Exception]) -> None:
    assert type(of_refusal(text, command)) is kind


def test_what_a_broken_line_held_is_not_repeated() -> None:
    import imaplib

    for exc in (
        imaplib.IMAP4.abort("command: FETCH => unexpected response: b'secret words'"),
        imaplib.IMAP4.error("FETCH command error: BAD [b'secret words']"),
        ValueError("secret words"),
        OSError("secret words"),
    ):
        assert "secret" not in str(of_break(exc, "FETCH"))


def test_sets_go_both_ways_and_have_an_end() -> None:
    assert to_set([5, 1, 2, 3, 9, 8]) == "1:3,5,8:9"
    assert from_set("1:3,5,9:8") == {1, 2, 3, 5, 8, 9}
    assert from_set("1:4294967295", 4) == {1, 2, 3, 4}
    for bad in ("1:4294967295", "x", "1:", "99999999999", "1,,2"):
        with pytest.raises(ContractBroken):
            from_set(bad)


@pytest.mark.parametrize("folder", ["INBOX", "A/B/C", "Kunden/Jürgen", "x" * 300, "1/2/3"])
def test_names_go_both_ways(folder: str) -> None:
    name = external_id(folder, 17, 4)
    assert len(name) < 256
    assert parse_id(name) == (folder_key(folder), 17, 4)


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"folders": 1}', '{"folders": {"INBOX": {}}}'])
def test_a_cursor_that_is_none_is_expired(text: str) -> None:
    with pytest.raises(CursorExpired):
        parse_cursor(text)


def test_a_stored_body_keeps_the_message_byte_for_byte() -> None:
    data = b"From: a@example.org\r\n\r\n\x00\xff{}\n\n"
    body = wrap("Kunden/Jürgen", None, ("\\Seen", "Wichtig", "$Forwarded"), data)
    assert unwrap(body)[1] == data
    assert relabelled(body, "Kunden/Jürgen", ("Wichtig", "\\Answered")) is None
    again = relabelled(body, "Kunden/Jürgen", ("\\Flagged",))
    assert again is not None
    assert unwrap(again)[0].marks == ("\\Flagged",)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\n", b'{"folder":"INBOX"}\nno headers', b'{"folder":1}\nx'])
async def test_what_is_no_mail_is_rejected(stand: Any, body: bytes) -> None:
    with pytest.raises(RecordRejected) as told:
        list(stand.imap().to_canonical("mail", RawRecord("INBOX/1/1", body)))
    assert told.value.external_id == "INBOX/1/1"
