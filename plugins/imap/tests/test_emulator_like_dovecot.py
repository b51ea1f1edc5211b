"""The stand-in held against a real server: one conversation with both, the answers compared.

IMAP has no machine-readable specification; a server that has been in use for twenty years is the next best thing. What
may differ between two good servers is taken out: words for people, chosen numbers, the order of items, which keywords are
offered.
"""

import re
import socket
from typing import Any

MAIL = (
    b"From: a@example.org\r\nTo: b@example.com\r\nSubject: one\r\nMessage-ID: <%d@example.org>\r\n"
    b"Date: Tue, 10 Mar 2026 %02d:00:00 +0000\r\n\r\nHello.\r\n"
)

# (what is sent, literal or None). The folder is made by the conversation.
TALK: list[tuple[str, bytes | None]] = [
    ("SELECT INBOX", None),
    ("LOGIN nobody@example.com wrong", None),
    ("LOGIN {user} open-sesame", None),
    ("ENABLE QRESYNC", None),
    ("CREATE Kunden", None),
    ("CREATE Kunden", None),
    ('LIST "" "*" RETURN (SPECIAL-USE)', None),
    ("STATUS Kunden (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)", None),
    ("STATUS Nowhere (MESSAGES)", None),
    ('APPEND INBOX (\\Seen) " 1-Mar-2026 10:00:00 +0000"', MAIL % (1, 10)),
    ('APPEND INBOX () " 2-Mar-2026 10:00:00 +0000"', MAIL % (2, 11)),
    ('APPEND INBOX (\\Flagged Wichtig) " 3-Mar-2026 10:00:00 +0000"', MAIL % (3, 12)),
    ("APPEND Nowhere", MAIL % (4, 12)),
    ("EXAMINE INBOX", None),
    ("UID STORE 1 +FLAGS (\\Deleted)", None),
    ("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE)])", None),
    ("UID FETCH 9:* (UID FLAGS)", None),
    ("UID FETCH 2 (UID BODY.PEEK[])", None),
    ("UID FETCH 2 (UID BODY.PEEK[]<0.20>)", None),
    ("UID FETCH 7 (UID FLAGS)", None),
    ("UID SEARCH ALL", None),
    ("UID SEARCH UID 2:3", None),
    ('UID SEARCH HEADER Message-ID "<2@example.org>"', None),
    ("UID SEARCH SENTSINCE 10-Mar-2026 SENTBEFORE 11-Mar-2026", None),
    ("UID SEARCH SENTSINCE 11-Mar-2026", None),
    ("UID SEARCH SINCE 2-Mar-2026", None),
    ("UID SEARCH NOT FLAGGED", None),
    ("UID SEARCH KEYWORD Wichtig", None),
    ("SELECT INBOX", None),
    ("UID STORE 2 +FLAGS.SILENT (\\Deleted)", None),
    ("UID EXPUNGE 1:3", None),
    ("UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 1 VANISHED)", None),
    ("UID MOVE 3 Kunden", None),
    ("UID SEARCH ALL", None),
    ("STATUS Kunden (MESSAGES UIDNEXT)", None),
    ("UNSELECT", None),
    ("UID SEARCH ALL", None),
    ("NOSUCHCOMMAND", None),
    ("LOGOUT", None),
]

_NUMBERS = re.compile(r"(UIDVALIDITY|HIGHESTMODSEQ|MODSEQ|APPENDUID|COPYUID) \(?\d+\)?")
_ITEM = re.compile(r"[A-Z0-9.]+(?:\[[^\]]*\](?:<\d+>)?)? (?:\([^)]*\)|\"[^\"]*\"|<literal [^>]*>|\S+)")


class Client:
    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.sock.makefile("rb")
        self.file.readline()

    def ask(self, number: int, line: str, literal: bytes | None) -> list[str]:
        tag = f"t{number}"
        data = f"{tag} {line}".encode()
        if literal is not None:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.sock.sendall(data + b"\r\n")
        said = []
        while True:
            answer = self.file.readline().decode("latin-1").rstrip("\r\n")
            while found := re.search(r"\{(\d+)\}$", answer):
                body = self.file.read(int(found[1]))
                shown = f"<literal {len(body)} {hash(body)}>"
                answer = answer[: found.start()] + shown + self.file.readline().decode("latin-1").rstrip("\r\n")
            said.append(answer.replace(f"{tag} ", "= ", 1) if answer.startswith(f"{tag} ") else answer)
            if answer.startswith(f"{tag} "):
                return said

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def _chosen(text: str) -> str:
    """Numbers a server chooses as it likes, taken out."""
    return _NUMBERS.sub(r"\1 #", text)


def shape(line: str) -> str:
    """An answer without what may differ."""
    if found := re.match(r"([=*]) (OK|NO|BAD|BYE)(?: \[([^\]]*)\])?", line):
        mark, status, code = found.groups()
        name = (code or "").split(" ")[0]
        if name in {"CAPABILITY", "PERMANENTFLAGS", "CLOSED", "UNSEEN", "SERVERBUG"} or status in {"BYE", "BAD"}:
            code = ""
        return f"{mark} {status} {_chosen(code or '')}".rstrip()
    if line.startswith("* FLAGS "):
        return "* FLAGS"
    if found := re.match(r"\* (\d+) FETCH \((.*)\)$", line):
        items = sorted(_flags_sorted(_chosen(item)) for item in _ITEM.findall(found[2]))
        return f"* {found[1]} FETCH {items}"
    if line.startswith("* STATUS "):
        return _chosen(line.replace('"', ""))
    return line


def _flags_sorted(item: str) -> str:
    if not item.startswith("FLAGS"):
        return item
    return "FLAGS " + " ".join(sorted(flag for flag in item[7:-1].split() if flag != "\\Recent"))


def talk(port: int, user: str) -> list[tuple[str, list[str]]]:
    client = Client(port)
    try:
        answers = []
        for number, (line, literal) in enumerate(TALK):
            said = [shape(x) for x in client.ask(number, line.format(user=user), literal)]
            kept = sorted(x for x in said if x and not x.endswith(" RECENT") and x not in {"* OK", "* CAPABILITY"})
            answers.append((line, kept))
        return answers
    finally:
        client.close()


def test_one_conversation_gets_the_same_answers(stand: Any, real: Any) -> None:
    mine = talk(stand.emulator.imap_port, "box@example.com")
    theirs = talk(real.server.port, real.user)
    different = []
    for (line, here), (_, there) in zip(mine, theirs, strict=True):
        if line.startswith("LIST"):  # Dovecot names children, and further folders of this stand-in
            here, there = ([*re.findall(r"\\(?:Drafts|Sent|Junk|Trash)\b", " ".join(x))] for x in (here, there))
        if sorted(here) != sorted(there):
            different.append((line, here, there))
    assert different == []
