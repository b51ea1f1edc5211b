"""Loading mailbox files into the Gmail emulator: formats, odd mail, and the real data sets where they are."""

import gzip
import io
import json
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.testing import shared_path
from hub_gmail.emulator import GmailEmulator
from hub_gmail.emulator.mailbox import read_head
from hub_gmail.emulator.mime import Limits, part_bytes, render

ADA = "ada@example.com"
START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
LIMITS = Limits(1024, 512 * 1024)
ONE = b"From: bob@example.org\nSubject: one\n\nFirst\n"
TWO = b"From: Ada <ada@example.com>\nSubject: two\n\nFrom here on\n\n>From quoted\n"


@pytest.fixture
def emulator() -> GmailEmulator:
    return GmailEmulator(now=lambda: START)


def raws(emulator: GmailEmulator) -> list[bytes]:
    box = emulator.mailboxes[ADA]
    return [box.spool.get(m.at) for m in box.messages.values()]


def labels(emulator: GmailEmulator) -> list[tuple[str, ...]]:
    return [m.labels for m in emulator.mailboxes[ADA].messages.values()]


@pytest.mark.parametrize("packed", [False, True])
def test_mbox(emulator: GmailEmulator, tmp_path: Path, packed: bool) -> None:
    quoted = re.sub(rb"(?m)^(>*From )", rb">\1", TWO.partition(b"\n\n")[2])
    text = b"From a Thu Jan 1\n" + ONE + b"\nFrom b Thu Jan 1\n" + TWO.partition(b"\n\n")[0] + b"\n\n" + quoted + b"\n"
    path = tmp_path / ("all.mbox.gz" if packed else "all.mbox")
    path.write_bytes(gzip.compress(text) if packed else text)
    assert len(emulator.load(ADA, path)) == 2
    assert raws(emulator) == [ONE, TWO]
    assert labels(emulator) == [("INBOX",), ("SENT",)]


def test_maildir_flags_become_labels(emulator: GmailEmulator, tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "cur" / "1.host:2,FS").write_bytes(ONE)
    (tmp_path / "cur" / "2.host:2,ST").write_bytes(ONE)
    (tmp_path / "new" / "3.host").write_bytes(ONE)
    emulator.load(ADA, tmp_path)
    assert sorted(labels(emulator)) == [("INBOX", "STARRED"), ("INBOX", "TRASH"), ("INBOX", "UNREAD")]


def test_folders_and_archives_keep_bytes_and_order(emulator: GmailEmulator, tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.eml").write_bytes(ONE)
    (folder / "sub" / "b.eml").write_bytes(TWO)
    (folder / "index.json").write_bytes(b"{}")
    emulator.load(ADA, folder, labels=("INBOX", "Old mail"))
    assert raws(emulator) == [ONE, TWO]
    assert labels(emulator) == [("INBOX", "Label_1")] * 2
    archive = tmp_path / "mails.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in (("z.eml", TWO), ("y.eml", ONE), ("index.jsonl", b"{}")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    emulator.load(ADA, archive)
    assert raws(emulator)[2:] == [TWO, ONE]


def test_a_file_without_mail_is_an_error(emulator: GmailEmulator, tmp_path: Path) -> None:
    path = tmp_path / "empty.mbox"
    path.write_bytes(b"nothing here\n")
    with pytest.raises(ValueError, match="no messages"):
        emulator.load(ADA, path)


@pytest.mark.parametrize("date", ["Mon, 1 Jan 0102 00:00:00 +0000", "Fri, 1 Jan 2100 00:00:00 +0000", "yesterday", ""])
def test_insane_dates_follow_the_load_order(emulator: GmailEmulator, date: str) -> None:
    emulator.add_mailbox(ADA)
    emulator.add_message(ADA, b"Date: Mon, 22 Apr 2024 10:00:00 +0000\n\n")
    message_id = emulator.add_message(ADA, f"Date: {date}\n\n".encode())
    at = datetime(2024, 4, 22, 10, 0, 1, tzinfo=UTC)
    assert emulator.mailboxes[ADA].messages[message_id].internal_ms == int(at.timestamp() * 1000)


def leaves(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [leaf for child in part["parts"] for leaf in leaves(child)] if "parts" in part else [part]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no headers at all",
        b"Subject: only\n",
        b"Subject: =?utf-8?b?%%%?= =?x-none?q?a=FF?=\n\n\xff\xfe",
        b"Content-Type: text/plain; charset=rot13\n\nabc",
        b"Content-Type: text/plain; charset=idna\n\n\xff",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b'Content-Type: multipart/mixed; boundary="a"\n\nnever started',
        b'Content-Type: multipart/mixed; boundary="a"\n\n--a\n\nnever ended',
        b"Content-Transfer-Encoding: base64\n\n%%%%",
        b"Content-Type: message/rfc822\n\n",
        b"Content-Type: multipart/report; boundary=a\n\n--a\nContent-Type: message/delivery-status\n\nA: b\n\nC: d\n",
        b"From: \xff\xfe <x@example.org>\nSubject: caf\xe9\n\nb",
        b"Content-Disposition: attachment; filename*=utf-8''%ff\n\nx",
        b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(600)) + b"\nend",
    ],
)
def test_broken_mail_is_served_all_the_same(raw: bytes) -> None:
    snippet, payload = render(raw, LIMITS)
    text = json.dumps([snippet, payload], ensure_ascii=False)
    text.encode()
    assert payload["partId"] == ""
    for leaf in leaves(payload):
        assert {"partId", "mimeType", "filename", "headers", "body"} <= set(leaf)


def test_bounces_keep_their_report_as_one_part() -> None:
    raw = (
        b"Content-Type: multipart/report; boundary=a\n\n--a\nContent-Type: message/delivery-status\n\n"
        b"Reporting-MTA: dns; example.org\n\nFinal-Recipient: rfc822; x@example.org\n\n--a--\n"
    )
    report = render(raw, LIMITS)[1]["parts"][0]
    assert report["mimeType"] == "message/delivery-status"
    assert "parts" not in report
    assert b"Final-Recipient: rfc822; x@example.org" in (part_bytes(raw, "0") or b"")


# -- the real sets


def real(name: str) -> Path:
    path = shared_path(f"data/mail/{name}")
    if path is None:
        pytest.skip(f"the real data set {name} is not beside the checkout")
    return path


@pytest.mark.real_data
@pytest.mark.slow
def test_the_conformance_set_is_served_whole(emulator: GmailEmulator) -> None:
    ids = emulator.load(ADA, real("mime-conformance-dev.tar.gz"))
    box = emulator.mailboxes[ADA]
    for message_id in ids:
        message = box.messages[message_id]
        _, payload = emulator.rendered(box, message)
        raw = box.spool.get(message.at)
        for leaf in leaves(json.loads(payload)):
            if "attachmentId" in leaf["body"]:
                data = part_bytes(raw, leaf["partId"])
                assert data is not None
                assert len(data) == leaf["body"]["size"]
    assert len(ids) == 369


@pytest.mark.real_data
@pytest.mark.slow
def test_the_real_support_mailbox_loads_and_threads_never_exceed_the_references(emulator: GmailEmulator) -> None:
    ids = emulator.load(ADA, real("usrp-users-2021-2023.tar.gz"))
    box = emulator.mailboxes[ADA]
    facts = json.loads(real("FACTS.json").read_text())["sets"]["usrp-users-2021-2023.tar.gz"]["facts"]
    assert len(ids) == len(set(ids)) == facts["messages"]
    assert len({m.rfc822_id for m in box.messages.values()}) == facts["distinct_message_ids"]
    # Union-find over every id mentioned: each of Gmail's threads must lie inside one of these.
    parent: dict[str, str] = {}

    def root(x: str) -> str:
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x

    for message in box.messages.values():
        head = read_head(box.spool.get(message.at))
        cited = re.findall(r"<[^<>\s]+>", f"{head.message_id} {head.references} {head.in_reply_to}")
        for cited_id in cited:
            parent[root(cited_id)] = root(message.id)
    for thread in box.threads.values():
        assert len({root(message_id) for message_id in thread}) == 1
    assert facts["threads_references"] <= len(box.threads) < len(ids)
