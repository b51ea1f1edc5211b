"""The mail file connector over real files of each kind."""

import gzip
import io
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import hub_mailfile
from hub.api import ConfigError, CursorExpired, Interaction, Page, Pull, RawRecord, RecordRejected, Services, Unmapped
from hub.api import Window as Span
from hub.api.mail import Mail
from hub.testing import shared_path
from hub_mailfile import MailFile, MailFileSettings, gmail_labels, hub_connectors

pytestmark = pytest.mark.anyio

OPEN = Span()


def message(number: int, extra: str = "", body: str = "Hello") -> bytes:
    return (
        f"From: Ann Ash <ann@example.com>\nTo: bob@example.org\nSubject: s{number}\n{extra}"
        f"Date: Mon, {1 + number % 28} Mar 2021 10:00:00 +0100\nMessage-ID: <m{number}@example.com>\n"
        f"\n{body} {number}\n"
    ).encode()


def mbox(*messages: bytes) -> bytes:
    return b"".join(b"From x@example.com Mon Mar  1 10:00:00 2021\n" + m + b"\n" for m in messages)


def connector(path: Path) -> MailFile:
    return MailFile(MailFileSettings(path=path), Services())


async def pull(path: Path, cursor: str | None = None, window: Span = OPEN) -> list[Page]:
    return [page async for page in connector(path).pull(Pull("messages", cursor, window))]


def ids(pages: list[Page]) -> list[str]:
    return [r.external_id for page in pages for r in page.records]


MESSAGES = [message(i) for i in range(450)]


def as_mbox(folder: Path) -> Path:
    path = folder / "mail.mbox"
    path.write_bytes(mbox(*MESSAGES))
    return path


def as_gzip(folder: Path) -> Path:
    path = folder / "mail.mbox.gz"
    path.write_bytes(gzip.compress(mbox(*MESSAGES)))
    return path


def as_maildir(folder: Path) -> Path:
    path = folder / "Maildir"
    for part in ("cur", "new", "tmp", ".Sent/cur"):
        (path / part).mkdir(parents=True)
    for i, data in enumerate(MESSAGES):
        name = ("cur", "new", ".Sent/cur")[i % 3] + f"/16{i:05d}.M1.host" + (":2,S" if i % 3 != 1 else "")
        (path / name).write_bytes(data)
    (path / "tmp/half").write_bytes(b"From: half")
    (path / "dovecot-uidlist").write_text("3 V1")
    return path


def as_folder(folder: Path) -> Path:
    path = folder / "eml"
    path.mkdir()
    for i, data in enumerate(MESSAGES):
        (path / f"{i:04d}.eml").write_bytes(data.replace(b"\n", b"\r\n"))
    (path / "readme.md").write_text("not mail")
    return path


def as_tar(folder: Path) -> Path:
    path = folder / "mail.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for i, data in enumerate(MESSAGES):
            info = tarfile.TarInfo(f"box/{i:04d}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def as_zip(folder: Path) -> Path:
    path = folder / "takeout.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Takeout/Mail/All mail.mbox", mbox(*MESSAGES[:300]))
        archive.writestr("Takeout/Mail/Sent.mbox", mbox(*MESSAGES[300:]))
        archive.writestr("Takeout/archive_browser.html", "<p>not mail</p>")
        archive.writestr("Takeout/Mail/User Settings/Filters.json", "{}")
    return path


def as_takeout_tgz(folder: Path) -> Path:
    path = folder / "takeout.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("Takeout/Mail/All.mbox", mbox(*MESSAGES)), ("Takeout/archive_browser.html", b"<p>")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


KINDS: list[Callable[[Path], Path]] = [
    as_mbox, as_gzip, as_maildir, as_folder, as_tar, as_zip, as_takeout_tgz,
]  # fmt: skip


@pytest.mark.parametrize("make", KINDS)
async def test_every_kind_gives_the_same_messages(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    pages = await pull(path)
    assert sorted(ids(pages)) == sorted(hub_mailfile._Names().name(m) for m in MESSAGES)
    assert [len(p.records) for p in pages] == [200, 200, 50]
    assert [(p.is_full, p.is_last) for p in pages] == [(True, False), (True, False), (True, True)]
    again = await pull(path, pages[-1].cursor)
    assert [(len(p.records), p.is_full, p.cursor) for p in again] == [(0, False, pages[-1].cursor)]


@pytest.mark.parametrize("make", KINDS)
async def test_resume_after_any_page(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    pages = await pull(path)
    for number, page in enumerate(pages[:-1]):
        rest = await pull(path, page.cursor)
        assert ids(rest) == ids(pages[number + 1 :])
        assert rest[-1].is_last


async def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_mbox(tmp_path)
    cursor = (await pull(path))[-1].cursor
    monkeypatch.setattr(hub_mailfile.sources.FileSource, "messages", lambda *a: pytest.fail("the file was read"))
    assert len(await pull(path, cursor)) == 1


async def test_a_file_that_grew_is_read_on(tmp_path: Path) -> None:
    path = as_mbox(tmp_path)
    cursor = (await pull(path))[-1].cursor
    with path.open("ab") as file:
        file.write(mbox(message(900), message(3)))  # a new one, and a copy of one we have
    pages = await pull(path, cursor)
    assert ids(pages) == [hub_mailfile._Names().name(message(900)), hub_mailfile._Names().name(message(3)) + "-2"]
    assert not any(p.is_full or p.is_last for p in pages)
    assert ids(await pull(path, pages[-1].cursor)) == []
    assert ids(await pull(path))[-2:] == ids(pages)


async def test_a_file_rewritten_is_enumerated_afresh(tmp_path: Path) -> None:
    path = as_mbox(tmp_path)
    cursor = (await pull(path))[-1].cursor
    path.write_bytes(mbox(*MESSAGES[1:], message(900)))
    pages = await pull(path, cursor)
    assert len(ids(pages)) == 450
    assert pages[0].is_full
    assert pages[-1].is_last
    path.write_bytes(path.read_bytes()[:-1000])
    assert (await pull(path, pages[-1].cursor))[-1].is_last


async def test_a_maildir_with_new_mail_is_enumerated_but_flags_are_no_change(tmp_path: Path) -> None:
    path = as_maildir(tmp_path)
    cursor = (await pull(path))[-1].cursor
    read = path / "cur/1600000.M1.host:2,S"
    read.rename(path / "cur/1600000.M1.host:2,RS")
    assert len(await pull(path, cursor)) == 1
    (path / "new/1700000.M1.host").write_bytes(message(900))
    assert len(ids(await pull(path, cursor))) == 451


async def test_equal_messages_get_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.mbox"
    path.write_bytes(mbox(message(1), message(1), message(2), message(1)))
    first, second, other, third = ids(await pull(path))
    assert (second, third) == (f"{first}-2", f"{first}-3")
    assert other != first


async def test_window(tmp_path: Path) -> None:
    path = tmp_path / "x.mbox"
    undated = b"From: a@example.com\n\nx\n"
    path.write_bytes(mbox(*(message(i) for i in range(28)), undated))
    window = Span(datetime(2021, 3, 5, tzinfo=UTC), datetime(2021, 3, 8, tzinfo=UTC))
    assert len(ids(await pull(path, None, window))) == 3
    assert len(ids(await pull(path, None, Span(None, window.until)))) == 8
    census = await connector(path).census("messages", window)
    assert census is not None
    assert census.ids == frozenset(ids(await pull(path, None, window)))
    assert len((await connector(path).census("messages", OPEN)).ids or ()) == 29  # type: ignore[union-attr]


async def test_check_estimate_and_fetch(tmp_path: Path) -> None:
    path = as_mbox(tmp_path)
    matrix = await connector(path).check()
    assert matrix.permissions[0].is_granted
    assert matrix.label == "mail.mbox"
    estimate = await connector(path).estimate("messages", OPEN)
    assert estimate is not None
    assert (estimate.records, estimate.is_exact) == (450, True)
    wanted = hub_mailfile._Names().name(MESSAGES[400])
    fetched = await connector(path).fetch("messages", [wanted, "0" * 20])
    assert [(r.external_id, r.body.strip()) for r in fetched] == [(wanted, MESSAGES[400].strip())]
    assert await connector(path).fetch("messages", []) == []


async def test_estimate_of_a_large_file_is_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_mailfile, "_SAMPLE", 100)
    path = tmp_path / "x.mbox"
    path.write_bytes(mbox(*(message(i, body="word " * 2000) for i in range(400))))
    estimate = await connector(path).estimate("messages", OPEN)
    assert estimate is not None
    assert not estimate.is_exact
    assert 250 < estimate.records < 600


def damaged(folder: Path, kind: str) -> Path:
    path = folder / {"gz": "a.mbox.gz", "tgz": "a.tar.gz", "tar": "a.tar", "zip": "a.zip"}.get(kind, "a.mbox")
    if kind == "gz":
        path.write_bytes(gzip.compress(mbox(*MESSAGES))[:-200])
    elif kind == "tgz":
        path.write_bytes(as_tar(folder).read_bytes()[:-3000])
    elif kind == "tar":
        path.write_bytes(gzip.decompress(as_tar(folder).read_bytes())[: 512 * 101 + 300])
    elif kind == "zip":
        path.write_bytes(as_zip(folder).read_bytes()[:-100])
    elif kind == "denied":
        path.write_bytes(mbox(message(1)))
        path.chmod(0)
    elif kind == "empty folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("gz", "again"), ("tgz", "again"), ("tar", "again"), ("zip", "again"), ("missing", "check the setting"),
        ("denied", "permission"), ("empty folder", "point `path`"),
    ],
)  # fmt: skip
async def test_a_bad_file_is_a_config_error_that_names_it(tmp_path: Path, kind: str, fix: str) -> None:
    path = damaged(tmp_path, kind)
    if kind == "denied" and os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(ConfigError, match=fix) as caught:
        await pull(path)
    assert str(path) in str(caught.value)


async def test_what_is_no_mail_is_refused_by_check(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\x00\x01\x02" * 1000)
    with pytest.raises(ConfigError, match="holds no mail"):
        await connector(path).check()
    (tmp_path / "empty.mbox").write_bytes(b"")
    with pytest.raises(ConfigError, match="holds no mail"):
        await connector(tmp_path / "empty.mbox").check()


async def test_a_foreign_cursor_has_expired(tmp_path: Path) -> None:
    with pytest.raises(CursorExpired):
        await pull(as_mbox(tmp_path), "12345")


async def test_broken_messages_are_records_and_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.mbox"
    path.write_bytes(mbox(message(1), b"\x00\x01 no headers\n", message(2)))
    box = connector(path)
    records = [r for page in await pull(path) for r in page.records]
    good, broken, last = records
    assert isinstance(next(iter(box.to_canonical("messages", good))), Interaction)
    with pytest.raises(RecordRejected) as caught:
        box.to_canonical("messages", broken)
    assert caught.value.external_id == broken.external_id
    assert isinstance(next(iter(box.to_canonical("messages", last))), Interaction)


async def test_too_large_a_message_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_mailfile.sources, "MAX_MESSAGE_BYTES", 300)
    path = tmp_path / "box"
    path.mkdir()
    (path / "a.eml").write_bytes(message(1))
    (path / "b.eml").write_bytes(message(2, body="x" * 500))
    page = (await pull(path))[0]
    assert len(page.records) == 1
    assert "larger" in page.gaps[0].reason


def test_takeout_headers() -> None:
    extra = (
        "X-GM-THRID: 1692935425412222222\nX-Gmail-Labels: Inbox,=?UTF-8?Q?Kund=C3=A9n?=,Category Promotions,Opened\n"
    )
    raw = RawRecord("x", message(1, extra))
    (got,) = MailFile(MailFileSettings(path=Path("x")), Services()).to_canonical("messages", raw)
    assert isinstance(got, Interaction)
    assert got.labels == ("INBOX", "Kundén", "CATEGORY_PROMOTIONS", "Opened")
    assert got.thread_refs == ("message-id:m1@example.com", f"gmail-thread:{1692935425412222222:x}")


def test_drafts_are_left_out_with_a_reason() -> None:
    raw = RawRecord("x", message(1, "X-Gmail-Labels: Drafts\n"))
    (got,) = MailFile(MailFileSettings(path=Path("x")), Services()).to_canonical("messages", raw)
    assert isinstance(got, Unmapped)
    assert gmail_labels(Mail([])) == ()


def test_plugin_entry() -> None:
    assert hub_connectors() == [MailFile]
    assert MailFile.manifest.stream("messages").census == "ids"


async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.mbox"
    with path.open("wb") as file:
        for start in range(0, 4000, 100):
            file.write(mbox(*(message(start + i, body="word " * 1000) for i in range(100))))
    assert path.stat().st_size > 20_000_000
    tracemalloc.start()
    async for page in connector(path).pull(Pull("messages", None, OPEN)):
        assert page.cursor
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.real_data
async def test_real_mbox() -> None:
    path = shared_path("data/mail/enron-kean-labelled.mbox.gz")
    if path is None:
        pytest.skip("the shared mail data is not here")
    box = connector(path)
    pages = await pull(path)
    found = [e for page in pages for r in page.records for e in box.to_canonical("messages", r)]
    assert len(found) == len(set(ids(pages))) == 990
    assert sum("undated" in e.signals for e in found if isinstance(e, Interaction)) == 12
    census = await box.census("messages", OPEN)
    assert census is not None
    assert census.ids == set(ids(pages))
