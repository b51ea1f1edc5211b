"""A real support mailbox, read through a real server: the same interactions as out of the file itself."""

import hashlib
import os
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.api import Entity, Interaction, Pull, RawRecord, Window
from hub.testing import shared_path
from hub_mailfile import MailFile

pytestmark = [pytest.mark.anyio, pytest.mark.real_data]

MAILBOX = "data/mail/usrp-users-2021-2023.tar.gz"
MESSAGES = 5_266
# Every third message, from the first year to the last; all of them with HUB_LONG=1. Each of these is compared byte for
# byte, every fourth as an interaction as well, which takes most of the time.
TAKEN, EACH = (1 if os.environ.get("HUB_LONG") else 3), 4


_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*<?([^>\s]+)")
_BLANK = re.compile(r"\n\s*\n")


def essence(entity: Entity) -> Interaction:
    """Everything an interaction says but its name at the source and its labels.

    Dovecot gives CRLF, the file holds LF: files sent as plain text count a byte more per line, and a carriage return that
    the sender encoded himself (=0D) before a line's end makes an empty line of it in the quoted part.
    """
    assert isinstance(entity, Interaction)
    files = tuple(msgspec.structs.replace(file, size=0) for file in entity.attachments)
    body = _BLANK.sub("\n", entity.body)
    return msgspec.structs.replace(entity, external_id="", labels=(), attachments=files, body=body)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_support_mailbox_reads_the_same_through_dovecot_and_from_its_file(real: Any) -> None:
    path = shared_path(MAILBOX)
    if path is None:
        pytest.skip(f"{MAILBOX} is not beside this checkout")
    files, message_ids = _lay_out(path, real.maildir / "cur")
    count = files.total()
    assert count == len(range(0, MESSAGES, TAKEN))
    real.server.own()
    imap = real.imap(commands_per_minute=60_000)
    names: set[str] = set()
    ids: set[str] = set()
    different = compared = 0
    async for page in imap.pull(Pull("mail", None, Window())):
        assert not page.gaps
        for record in page.records:
            (entity,) = imap.to_canonical("mail", record)
            assert isinstance(entity, Interaction)
            names.update(entity.dedup_keys)
            ids.add(record.external_id)
            data = record.body.partition(b"\n")[2].replace(b"\r\n", b"\n")
            assert files.pop(hashlib.sha256(data).digest(), 0) > 0, "byte for byte a message of the file"
            if len(ids) % EACH == 0:
                (other,) = MailFile.to_canonical(None, "messages", RawRecord("", data))  # type: ignore[arg-type]
                different += essence(entity) != essence(other)
                compared += 1
    assert len(ids) == count
    assert not files
    assert len(names) == len(message_ids)
    assert compared == count // EACH
    assert different == 0
    census = await imap.census("mail", Window())
    assert census.ids == ids


def _lay_out(path: Path, folder: Path) -> tuple[Counter[bytes], set[bytes]]:
    """The messages taken, each as a file of a Maildir; the hash of each, and their Message-IDs."""
    folder.mkdir(parents=True, exist_ok=True)
    found: Counter[bytes] = Counter()
    names: set[bytes] = set()
    with tarfile.open(path) as archive:
        mails = (member for member in archive if member.isfile() and member.name.endswith(".eml"))
        for number, member in enumerate(mails):
            if number % TAKEN:
                continue
            stream = archive.extractfile(member)
            assert stream is not None
            data = stream.read()
            (folder / f"{1_600_000_000 + number}.m{number}.host:2,S").write_bytes(data)
            found[hashlib.sha256(data).digest()] += 1
            names.update(_MESSAGE_ID.findall(data.replace(b"\r\n", b"\n").partition(b"\n\n")[0])[:1])
    return found, names
