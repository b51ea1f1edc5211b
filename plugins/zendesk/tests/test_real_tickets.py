"""Real support conversations served as Zendesk tickets: every ticket and every comment arrives, once.

Issue threads (tickets with comments) and a live chat (one ticket a log, each line a chat message) are read through
the exports with real page sizes; counts are those of the data's own FACTS.json.
"""

import gzip
import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.api import Interaction, Ticket, Window
from hub.testing import shared_path
from hub_zendesk.emulator.loading import issue_archive
from hub_zendesk.stand import Stand

pytestmark = pytest.mark.real_data


@pytest.fixture
def data() -> Path:
    path = shared_path("data/tickets")
    if path is None:
        pytest.skip("the real tickets are not beside the checkout")
    return path


def epoch(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int((at.replace(tzinfo=UTC) if at.tzinfo is None else at).timestamp())


class People:
    """A user for each handle."""

    def __init__(self, desk: Stand) -> None:
        self.desk = desk
        self.ids: dict[str, int] = {}

    def __getitem__(self, handle: str) -> int:
        if handle not in self.ids:
            at = epoch("2015-01-01")
            self.ids[handle] = int(self.desk.desk.put_user({"name": handle}, at)["id"])
        return self.ids[handle]


def issues(desk: Stand, data: Path, repo: str) -> tuple[int, int]:
    """Load one project's issues; (tickets, comments). The issue's own text is the ticket's first comment."""
    people, tickets, comments = People(desk), 0, 0
    for row in issue_archive(data / "github-issues-dev.jsonl.gz"):
        if row["repo"] != repo:
            continue
        said = [{"author": row["author"], "body": row["body"], "created_at": row["created_at"]}, *row["comments"]]
        desk.zendesk.control(
            "load",
            {
                "tickets": [
                    {
                        "subject": row["title"],
                        "requester_id": people[row["author"] or "ghost"],
                        "at": epoch(row["created_at"]),
                        "status": "open" if row["state"] == "OPEN" else "closed",
                        "tags": sorted({str(x).replace(" ", "_") for x in row["labels"]}),
                        "channel": "web",
                        "comments": [
                            {
                                "body": c["body"] or "(empty)",
                                "author_id": people[c["author"] or "ghost"],
                                "at": epoch(c["created_at"]),
                                "via": {"channel": "web"},
                            }
                            for c in said
                        ],
                    }
                ]
            },
        )
        tickets, comments = tickets + 1, comments + len(said)
    return tickets, comments


@pytest.mark.parametrize("repo", ["tlswg/draft-ietf-tls-esni", "quicwg/qlog"])
def test_issue_threads_arrive_whole(desk: Stand, data: Path, repo: str) -> None:
    desk.wait(86_400 * 365)  # the archive reaches into 2026
    facts = json.loads((data / "FACTS.json").read_text())[f"github-issues {repo}"]
    loaded = issues(desk, data, repo)
    assert loaded == (facts["issues"], facts["issues"] + facts["issue_comments"])
    desk.pull("tickets")
    desk.pull("comments")
    tickets, comments = desk.entities("tickets"), desk.entities("comments")
    assert (len(tickets), len(comments)) == loaded
    mapped = [e for entities in (*tickets.values(), *comments.values()) for e in entities]
    assert sum(isinstance(e, Ticket) for e in mapped) == loaded[0]
    assert sum(isinstance(e, Interaction) for e in mapped) == loaded[1]
    assert sum(isinstance(e, Ticket) and not e.is_closed for e in mapped) == facts["open"]
    assert desk.call(lambda c: c.census("tickets", Window())).ids == set(tickets)
    authors = {p.identifier for e in mapped if isinstance(e, Interaction) for p in e.participants if p.role == "from"}
    assert len(authors) == facts["people_in_issues"]
    # Each ticket's own count, which nobody computed from the comments, agrees with what arrived.
    arrived: dict[str, int] = defaultdict(int)
    for name in comments:
        arrived[name.partition("-")[0]] += 1
    assert arrived == {str(i): len(rows) for i, rows in desk.desk.comments.items()}
    assert sum(n - 1 == 0 for n in arrived.values()) == facts["issues_without_comment"]


def test_a_live_chat_is_messages_in_order(desk: Stand, data: Path) -> None:
    facts = json.loads((data / "FACTS.json").read_text())["irc-stripe"]
    people = People(desk)
    logs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with gzip.open(data / "irc-stripe.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            logs[row["log"]].append(row)
    for name, rows in logs.items():
        said = [
            {"body": r["text"], "author_id": people[r["nick"]], "at": epoch(r["ts"]), "via": {"channel": "chat"}}
            for r in rows
        ]
        first = said[0]
        ticket = {
            "subject": name,
            "requester_id": first["author_id"],
            "at": first["at"],
            "channel": "chat",
            "comments": said,
        }
        desk.zendesk.control("load", {"tickets": [ticket]})
    desk.pull("comments")
    found = [e for entities in desk.entities("comments").values() for e in entities]
    assert len(found) == facts["lines"]
    assert {(e.channel, e.kind) for e in found if isinstance(e, Interaction)} == {("chat", "message")}
    threads = {e.thread_refs for e in found if isinstance(e, Interaction)}
    assert len(threads) == len(logs)
    speakers = {p.identifier for e in found if isinstance(e, Interaction) for p in e.participants if p.role == "from"}
    assert len(speakers) == facts["nicks"]


def test_one_mail_in_zendesk_and_in_a_mailbox_has_one_name(desk: Stand) -> None:
    """The dedup key is written the way the mail connectors write it, whatever brackets and case Zendesk gives."""
    from hub.api.mail import parse_mime, to_interaction

    raw = b"Message-ID: <Ab.1@Example.ORG>\r\nFrom: ada@example.org\r\nTo: help@team.example.com\r\nSubject: Hm\r\n\r\nHm.\r\n"
    letter = to_interaction(parse_mime(raw), external_id="m1")
    via = {"channel": "email", "source": {"from": {"address": "ada@example.org"}, "to": {}, "rel": None}}
    desk.ticket({"body": "Hm.", "via": via, "message_id": "<Ab.1@Example.ORG>"}, channel="email")
    desk.pull("comments")
    ((comment,),) = desk.entities("comments").values()
    assert isinstance(comment, Interaction)
    assert comment.dedup_keys == letter.dedup_keys
    assert (comment.kind, comment.channel) == (letter.kind, letter.channel)
