"""Labels, sending, drafts, insert and watch at the Gmail emulator."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hub.testing import Running
from hub_gmail.emulator import GmailEmulator

ADA, BOB = "ada@example.com", "bob@example.com"
START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def raw(text: str) -> str:
    """base64url without padding, as clients send it."""
    return base64.urlsafe_b64encode(text.replace("\n", "\r\n").encode()).rstrip(b"=").decode()


def letter(to: str = "cy@example.org", sender: str = ADA, subject: str = "Offer", extra: str = "") -> str:
    return f"From: {sender}\nTo: {to}\nSubject: {subject}\n{extra}\nText\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with GmailEmulator().serve() as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


class Box:
    def __init__(self, emulator: GmailEmulator, url: str, client: httpx.Client, address: str = ADA) -> None:
        self.emulator = emulator
        self.url = url
        self.client = client
        self.address = address
        self.headers = {"authorization": f"Bearer {emulator.access_token(address, ('full',))}"}

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        url = f"{self.url}/gmail/v1/users/me/{path}"
        return self.client.request(method, url, json=body, params=params, headers=self.headers)

    def ok(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        answer = self.call(method, path, body, **params)
        assert answer.status_code in {200, 204}, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[int, str]:
        answer = self.call(method, path, body, **params)
        return answer.status_code, answer.json()["error"]["message"]

    def changes(self, start: str) -> list[tuple[str, str]]:
        """(kind, message id) of every typed change since."""
        records = self.ok("GET", "history", startHistoryId=start).get("history", [])
        return [(k, item["message"]["id"]) for r in records for k in r if k not in {"id", "messages"} for item in r[k]]

    def cursor(self) -> str:
        return str(self.ok("GET", "profile")["historyId"])

    def headers_of(self, message_id: str) -> dict[str, str]:
        payload = self.ok("GET", f"messages/{message_id}")["payload"]
        return {h["name"]: h["value"] for h in payload["headers"]}


@pytest.fixture
def box(running: Running, client: httpx.Client) -> Box:
    emulator = running.emulator
    # One server for all tests, since starting one takes longer than a test; each test finds it as new.
    emulator.__init__(now=lambda: START)  # type: ignore[misc]
    assert isinstance(emulator, GmailEmulator)
    emulator.add_mailbox(ADA, aliases=("sales@example.com",))
    emulator.add_mailbox(BOB)
    return Box(emulator, running.url, client)


# -- labels


def test_labels_and_their_counts(box: Box) -> None:
    made = box.ok("POST", "labels", {"name": "In CRM"})
    assert (made["id"], made["type"]) == ("Label_1", "user")
    assert box.refused("POST", "labels", {"name": "in crm"})[0] == 409
    ids = [box.emulator.add_message(ADA, f"Subject: {n}\n\n".encode(), ("INBOX", "UNREAD")) for n in range(3)]
    box.ok("POST", f"messages/{ids[0]}/modify", {"addLabelIds": ["Label_1"], "removeLabelIds": ["UNREAD"]})
    box.ok("POST", "messages/batchModify", {"ids": [ids[1], "18aaaaaaaaaaaaaa"], "addLabelIds": ["Label_1"]})
    label = box.ok("GET", "labels/Label_1")
    assert (label["messagesTotal"], label["messagesUnread"], label["threadsTotal"]) == (2, 1, 2)
    listed = {item["id"]: item for item in box.ok("GET", "labels")["labels"]}
    assert {"INBOX", "SENT", "TRASH", "SPAM", "DRAFT", "UNREAD", "Label_1"} <= set(listed)
    assert listed["INBOX"]["type"] == "system"
    assert box.refused("GET", "labels/Label_9")[0] == 404


@pytest.mark.parametrize(
    "change",
    [
        {"addLabelIds": ["SENT"]},
        {"removeLabelIds": ["DRAFT"]},
        {"addLabelIds": ["Label_9"]},
        {"addLabelIds": "INBOX"},
        {},
        {"addLabelIds": ["STARRED"], "removeLabelIds": ["STARRED"]},
    ],
)
def test_impossible_label_changes_are_refused(box: Box, change: dict[str, Any]) -> None:
    message_id = box.emulator.add_message(ADA, b"Subject: x\n\n")
    assert box.refused("POST", f"messages/{message_id}/modify", change)[0] == 400
    assert box.refused("POST", "messages/batchModify", {"ids": [message_id], **change})[0] == 400


def test_batch_limits(box: Box) -> None:
    many = {"ids": [f"{n:016x}" for n in range(1001)], "addLabelIds": ["STARRED"]}
    assert box.refused("POST", "messages/batchModify", many) == (400, "Number of ids cannot exceed 1000")
    ids = [box.emulator.add_message(ADA, b"Subject: x\n\n") for _ in range(2)]
    cursor = box.cursor()
    assert box.ok("POST", "messages/batchDelete", {"ids": ids}) is None
    assert box.changes(cursor) == [("messagesDeleted", ids[0]), ("messagesDeleted", ids[1])]
    assert box.refused("POST", "messages/batchDelete", {"ids": []})[0] == 400


def test_a_change_that_changes_nothing_leaves_no_history(box: Box) -> None:
    message_id = box.emulator.add_message(ADA, b"Subject: x\n\n")
    cursor = box.cursor()
    box.ok("POST", f"messages/{message_id}/modify", {"addLabelIds": ["INBOX"]})
    assert box.changes(cursor) == []


# -- sending


def test_sent_mail_is_stamped_and_its_from_rewritten(box: Box) -> None:
    sent = box.ok("POST", "messages/send", {"raw": raw(letter(sender="test@example.org"))})
    assert set(sent) == {"id", "threadId", "labelIds"}
    assert sent["labelIds"] == ["SENT"]
    headers = box.headers_of(sent["id"])
    assert headers["From"] == ADA
    assert headers["Message-Id"].endswith("@mail.gmail.com>")
    assert headers["Date"] == "Wed, 01 May 2024 12:00:00 +0000"
    state = box.emulator.state()["sent"]
    assert [(s["mailbox"], s["id"], s["to"]) for s in state] == [(ADA, sent["id"], ["cy@example.org"])]


def test_send_as_addresses_and_message_ids_are_kept(box: Box) -> None:
    text = letter(sender="Sales <sales@example.com>", extra="Message-ID: <own-1@example.com>\n")
    sent = box.ok("POST", "messages/send", {"raw": raw(text)})
    assert box.headers_of(sent["id"])["From"] == "Sales <sales@example.com>"
    found = box.ok("GET", "messages", q="rfc822msgid:own-1@example.com in:sent")
    assert [m["id"] for m in found["messages"]] == [sent["id"]]
    box.emulator.keeps_message_id = False
    sent = box.ok("POST", "messages/send", {"raw": raw(text)})
    assert "own-1" not in json.dumps(box.headers_of(sent["id"]))


def test_mail_to_mailboxes_held_here_arrives_without_bcc(box: Box) -> None:
    sent = box.ok("POST", "messages/send", {"raw": raw(letter(to=BOB, extra="Bcc: boss@example.org\n"))})
    other = Box(box.emulator, box.url, box.client, BOB)
    arrived = other.ok("GET", "messages", labelIds=["INBOX", "UNREAD"])["messages"]
    assert len(arrived) == 1
    assert "Bcc" not in other.headers_of(arrived[0]["id"])
    assert box.headers_of(sent["id"])["Bcc"] == "boss@example.org"
    message_ids = {b.headers_of(i)["Message-Id"] for b, i in ((box, sent["id"]), (other, arrived[0]["id"]))}
    assert len(message_ids) == 1


def test_mail_to_oneself_is_sent_inbox_and_unread_at_once(box: Box) -> None:
    sent = box.ok("POST", "messages/send", {"raw": raw(letter(to="sales@example.com"))})
    assert sent["labelIds"] == ["SENT", "INBOX", "UNREAD"]
    assert box.ok("GET", "profile")["messagesTotal"] == 1


def test_replies_join_their_thread_only_with_references_and_subject(box: Box) -> None:
    first = box.emulator.add_message(ADA, b"Message-ID: <q@example.org>\nFrom: cy@example.org\nSubject: Offer\n\n?")
    good = letter(subject="Re: Offer", extra="In-Reply-To: <q@example.org>\nReferences: <q@example.org>\n")
    lone = letter(subject="Re: Offer")
    wrong = letter(subject="Other", extra="In-Reply-To: <q@example.org>\n")
    threads = [
        box.ok("POST", "messages/send", {"raw": raw(text), "threadId": first})["threadId"]
        for text in (good, lone, wrong)
    ]
    assert threads[0] == first
    assert first not in threads[1:]
    assert box.refused("POST", "messages/send", {"raw": raw(good), "threadId": "18aaaaaaaaaaaaaa"})[0] == 404


def test_unsendable_mail(box: Box) -> None:
    assert "'raw' RFC822 payload" in box.refused("POST", "messages/send", {})[1]
    assert box.refused("POST", "messages/send", {"raw": "%%%"})[0] == 400
    assert box.refused("POST", "messages/send", {"raw": raw("Subject: to nobody\n\nx")}) == (
        400,
        "Recipient address required",
    )
    answer = box.client.post(f"{box.url}/gmail/v1/users/me/messages/send", content=b"{", headers=box.headers)
    assert answer.status_code == 400


def test_uploads(box: Box) -> None:
    url = f"{box.url}/upload/gmail/v1/users/me/messages/send"
    text = letter().replace("\n", "\r\n").encode()
    headers = {**box.headers, "content-type": "message/rfc822"}
    assert box.client.post(url, params={"uploadType": "media"}, content=text, headers=headers).status_code == 200
    body = b"--x\r\nContent-Type: application/json\r\n\r\n{}\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
    headers["content-type"] = "multipart/related; boundary=x"
    answer = box.client.post(
        url, params={"uploadType": "multipart"}, content=body + text + b"\r\n--x--\r\n", headers=headers
    )
    stored = box.ok("GET", f"messages/{answer.json()['id']}", format="raw")["raw"]
    assert base64.urlsafe_b64decode(stored + "==").endswith(text.partition(b"\r\n")[2])
    assert box.client.post(url, params={"uploadType": "resumable"}, headers=headers).status_code == 400


# -- drafts


def test_drafts_keep_their_id_while_the_message_churns(box: Box) -> None:
    cursor = box.cursor()
    draft = box.ok("POST", "drafts", {"message": {"raw": raw(letter())}})
    first = draft["message"]["id"]
    assert draft["message"]["labelIds"] == ["DRAFT"]
    saved = box.ok("PUT", f"drafts/{draft['id']}", {"message": {"raw": raw(letter(subject="Better offer"))}})
    second = saved["message"]["id"]
    assert saved["id"] == draft["id"]
    assert second != first
    assert box.changes(cursor) == [("messagesAdded", first), ("messagesDeleted", first), ("messagesAdded", second)]
    assert box.ok("GET", "drafts")["drafts"] == [
        {"id": draft["id"], "message": {"id": second, "threadId": saved["message"]["threadId"]}}
    ]
    whole = box.ok("GET", f"drafts/{draft['id']}", format="full")
    assert {"name": "Subject", "value": "Better offer"} in whole["message"]["payload"]["headers"]
    sent = box.ok("POST", "drafts/send", {"id": draft["id"]})
    assert sent["id"] not in {first, second}
    assert sent["labelIds"] == ["SENT"]
    for call in (("GET", f"drafts/{draft['id']}"), ("POST", "drafts/send", {"id": draft["id"]})):
        assert box.refused(*call)[0] == 404
    assert box.refused("GET", f"messages/{second}")[0] == 404


def test_a_reply_draft_stays_in_its_thread_through_save_and_send(box: Box) -> None:
    first = box.emulator.add_message(ADA, b"Message-ID: <q@example.org>\nFrom: cy@example.org\nSubject: Offer\n\n?")
    message = {"raw": raw(letter(subject="Re: Offer", extra="References: <q@example.org>\n")), "threadId": first}
    draft = box.ok("POST", "drafts", {"message": message})
    saved = box.ok("PUT", f"drafts/{draft['id']}", {"message": message})
    sent = box.ok("POST", "drafts/send", {"id": draft["id"]})
    assert {draft["message"]["threadId"], saved["message"]["threadId"], sent["threadId"]} == {first}


def test_deleted_drafts_are_gone(box: Box) -> None:
    draft = box.ok("POST", "drafts", {"message": {"raw": raw(letter())}})
    assert box.call("DELETE", f"drafts/{draft['id']}").status_code == 204
    assert box.ok("GET", "drafts") == {"resultSizeEstimate": 0}
    assert box.refused("DELETE", f"drafts/{draft['id']}")[0] == 404
    assert box.emulator.state()["mailboxes"][ADA]["drafts"] == {}


# -- insert, import


def test_insert_and_import_store_without_sending(box: Box) -> None:
    text = letter(extra="Date: Mon, 01 Jan 2024 08:00:00 +0000\n")
    inserted = box.ok("POST", "messages", {"raw": raw(text), "labelIds": ["INBOX"]})
    imported = box.ok("POST", "messages/import", {"raw": raw(text)}, neverMarkSpam="true")
    dates = [box.ok("GET", f"messages/{m['id']}", format="minimal")["internalDate"] for m in (inserted, imported)]
    assert dates == [
        str(int(START.timestamp() * 1000)),
        str(int(datetime(2024, 1, 1, 8, tzinfo=UTC).timestamp() * 1000)),
    ]
    assert imported["labelIds"] == ["INBOX", "UNREAD"]
    assert box.emulator.state()["sent"] == []
    assert box.refused("POST", "messages", {"raw": raw(text)}, internalDateSource="never")[0] == 400


# -- watch, aliases, unknown paths


def test_watch_and_stop(box: Box) -> None:
    answer = box.ok("POST", "watch", {"topicName": "projects/p/topics/mail", "labelIds": ["INBOX"]})
    assert answer["historyId"] == box.cursor()
    assert int(answer["expiration"]) == int(START.timestamp() * 1000) + 7 * 86_400_000
    assert box.emulator.state()["mailboxes"][ADA]["watch"]["labelIds"] == ["INBOX"]
    pushed = box.emulator.push_body(ADA)
    assert pushed["subscription"] == "projects/p/subscriptions/mail"
    assert box.call("POST", "stop").status_code == 204
    assert box.emulator.state()["mailboxes"][ADA]["watch"] is None
    assert box.refused("POST", "watch", {"topicName": "mail"})[0] == 400


def test_send_as(box: Box) -> None:
    primary, alias = box.ok("GET", "settings/sendAs")["sendAs"]
    assert (primary["sendAsEmail"], primary["isPrimary"]) == (ADA, True)
    assert (alias["sendAsEmail"], alias["verificationStatus"]) == ("sales@example.com", "accepted")
    assert box.ok("GET", "settings/sendAs/sales@example.com") == alias
    assert box.refused("GET", "settings/sendAs/nobody@example.com")[0] == 404


def test_unknown_paths_answer_with_googles_html_404(box: Box) -> None:
    answer = box.call("GET", "holidays")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
