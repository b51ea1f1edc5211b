"""The Gmail emulator's reads, history, batch, quota and faults, each quirk over real HTTP."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from hub.testing import Running
from hub_gmail.emulator import GmailEmulator

ADA = "ada@example.com"
START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def mail(
    n: int = 1, subject: str = "Hello", body: str = "Good day.", sender: str = "bob@example.org", extra: str = ""
) -> bytes:
    """Message n: one hour after the one before."""
    at = (START - timedelta(days=10) + timedelta(hours=n)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    return (
        f"Message-ID: <m{n}@example.org>\r\nDate: {at}\r\nFrom: Bob <{sender}>\r\nTo: {ADA}\r\n"
        f"Subject: {subject}\r\n{extra}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    ).encode()


class Api:
    """A client of one mailbox."""

    def __init__(self, emulator: GmailEmulator, url: str, client: httpx.Client) -> None:
        self.emulator = emulator
        self.url = url
        self.client = client
        self.token = emulator.access_token(ADA, ("full",))

    def call(self, method: str, path: str, params: Any = None, body: Any = None) -> httpx.Response:
        return self.client.request(
            method,
            f"{self.url}/gmail/v1/users/me/{path}",
            params=params,
            json=body,
            headers={"authorization": f"Bearer {self.token}"},
        )

    def get(self, path: str, **params: Any) -> Any:
        answer = self.call("GET", path, params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        answer = self.call("POST", path, params, body)
        assert answer.status_code in {200, 204}, answer.text
        return answer.json() if answer.content else None

    def refusal(self, method: str, path: str, params: Any = None, body: Any = None) -> tuple[int, str, str]:
        """(status, reason, message); checks that the body has the documented shape."""
        answer = self.call(method, path, params, body)
        return refusal(answer.status_code, answer.json())

    def ids(self, **params: Any) -> list[str]:
        """All ids of messages.list, page by page."""
        found, token = [], None
        while True:
            page = self.get("messages", **params, **({"pageToken": token} if token else {}))
            found += [m["id"] for m in page.get("messages", [])]
            token = page.get("nextPageToken")
            if token is None:
                return found

    def history(self, start: str, **params: Any) -> list[dict[str, Any]]:
        found, token = [], None
        while True:
            page = self.get("history", startHistoryId=start, **params, **({"pageToken": token} if token else {}))
            found += page.get("history", [])
            token = page.get("nextPageToken")
            if token is None:
                return found

    def cursor(self) -> str:
        return str(self.get("profile")["historyId"])

    def batch(self, calls: list[str], path: str = "/batch/gmail/v1") -> httpx.Response:
        parts = "".join(
            f"--cut\r\nContent-Type: application/http\r\nContent-ID: <item{n}>\r\n\r\n{call}\r\n\r\n\r\n"
            for n, call in enumerate(calls)
        )
        return self.client.post(
            self.url + path,
            content=parts + "--cut--\r\n",
            headers={"authorization": f"Bearer {self.token}", "content-type": "multipart/mixed; boundary=cut"},
        )


def refusal(status: int, body: Any) -> tuple[int, str, str]:
    error = body["error"]
    assert set(error) == {"code", "message", "errors", "status"}
    assert error["code"] == status
    assert {"message", "domain", "reason"} <= set(error["errors"][0])
    return status, error["errors"][0]["reason"], error["message"]


def parts_of(answer: httpx.Response) -> list[tuple[str, int, Any]]:
    """(Content-ID, status, JSON) of each part."""
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    found = []
    for piece in answer.text.split(f"--{boundary}")[1:-1]:
        outer, head, body = piece.removeprefix("\r\n").split("\r\n\r\n", 2)
        content_id = re.search(r"Content-ID: (\S+)", outer)
        status = re.match(r"HTTP/1.1 (\d+)", head)
        assert content_id
        assert status
        found.append((content_id[1], int(status[1]), json.loads(body) if body.strip() else None))
    return found


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with GmailEmulator().serve() as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


@pytest.fixture
def api(running: Running, client: httpx.Client) -> Api:
    emulator = running.emulator
    # One server for all tests, since starting one takes longer than a test; each test finds it as new.
    emulator.__init__(now=lambda: START)  # type: ignore[misc]
    assert isinstance(emulator, GmailEmulator)
    emulator.add_mailbox(ADA, aliases=("sales@example.com",))
    return Api(emulator, running.url, client)


def unpadded(data: str) -> bytes:
    assert "=" not in data
    assert "+" not in data
    assert "/" not in data
    return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))


# -- lists


def test_ids_look_like_gmails_and_are_the_same_in_every_run() -> None:
    runs = []
    for _ in range(2):
        emulator = GmailEmulator(now=lambda: START)
        emulator.add_mailbox(ADA)
        ids = [emulator.add_message(ADA, mail(n)) for n in range(3)]
        runs.append((ids, emulator.state()["mailboxes"][ADA]["historyId"]))
    assert runs[0] == runs[1]
    assert all(re.fullmatch(r"[0-9a-f]{16}", i) for i in runs[0][0])
    assert runs[0][1].isdigit()


def test_list_pages_newest_first_and_its_estimate_is_no_count(api: Api) -> None:
    ids = [api.emulator.add_message(ADA, mail(n, f"s{n}")) for n in range(250)]
    page = api.get("messages")
    assert len(page["messages"]) == 100
    assert set(page["messages"][0]) == {"id", "threadId"}
    assert re.fullmatch(r"\d{20}", page["nextPageToken"])
    assert page["resultSizeEstimate"] == 201
    assert api.ids() == ids[::-1]
    assert api.ids(maxResults=500) == ids[::-1]


def test_mail_arriving_between_pages_moves_nothing(api: Api) -> None:
    ids = [api.emulator.add_message(ADA, mail(n)) for n in range(6)]
    page = api.get("messages", maxResults=3)
    api.emulator.add_message(ADA, mail(50))
    rest = api.get("messages", maxResults=3, pageToken=page["nextPageToken"])
    assert [m["id"] for m in page["messages"] + rest["messages"]] == ids[::-1]


def test_empty_list_has_no_messages_key(api: Api) -> None:
    assert api.get("messages") == {"resultSizeEstimate": 0}


def test_bad_page_tokens_and_sizes_are_refused(api: Api) -> None:
    assert api.refusal("GET", "messages", {"pageToken": "abc"})[:2] == (400, "invalidArgument")
    assert api.refusal("GET", "messages", {"maxResults": "many"})[0] == 400
    assert api.refusal("GET", "messages", {"pageSize": 5})[0] == 400


def test_labels_are_anded_and_trash_and_spam_stay_out(api: Api) -> None:
    emulator = api.emulator
    plain = emulator.add_message(ADA, mail(1), ("INBOX",))
    both = emulator.add_message(ADA, mail(2), ("INBOX", "UNREAD"))
    trashed = emulator.add_message(ADA, mail(3), ("TRASH",))
    junk = emulator.add_message(ADA, mail(4), ("SPAM", "UNREAD"))
    assert api.ids() == [both, plain]
    assert api.ids(labelIds=["INBOX", "UNREAD"]) == [both]
    assert api.ids(includeSpamTrash="true") == [junk, trashed, both, plain]
    assert api.ids(labelIds="TRASH") == [trashed]
    assert api.ids(q="in:spam") == [junk]
    assert api.ids(q="in:anywhere -in:chats") == [junk, trashed, both, plain]


def test_query_operators(api: Api) -> None:
    emulator = api.emulator
    ids = [emulator.add_message(ADA, mail(n, f"Topic {n}", sender=f"p{n}@example.org")) for n in range(4)]
    emulator.add_message(ADA, mail(9), ("Key accounts",))
    second = int((START - timedelta(days=10) + timedelta(hours=2)).timestamp())
    assert api.ids(q=f"after:{second} before:{second + 3601}") == [ids[3], ids[2]]
    assert api.ids(q="before:2024/04/22 -in:chats") == [*api.ids(q="label:key-accounts"), *ids[::-1]]
    assert api.ids(q="after:2024/04/22") == []
    assert api.ids(q="rfc822msgid:m2@example.org") == [ids[2]]
    assert api.ids(q="rfc822msgid:<m2@example.org>") == [ids[2]]
    assert api.ids(q='from:p1@example.org subject:"topic 1"') == [ids[1]]
    assert api.ids(q="-from:p1@example.org label:INBOX") == [ids[3], ids[2], ids[0]]
    assert api.ids(q="in:sent") == []
    assert api.refusal("GET", "messages", {"q": "larger:5M"})[:2] == (400, "invalidArgument")


# -- one message


def test_full_message_keeps_header_case_and_order(api: Api) -> None:
    raw = mail(1).replace(b"Message-ID", b"Message-Id").replace(b"Subject", b"SUBJECT")
    raw = b"Received: one;\r\n two\r\nReceived: three\r\n" + raw
    message_id = api.emulator.add_message(ADA, raw, ("INBOX", "UNREAD"))
    message = api.get(f"messages/{message_id}")
    names = [h["name"] for h in message["payload"]["headers"]]
    assert names[:3] == ["Received", "Received", "Message-Id"]
    assert "SUBJECT" in names
    assert message["payload"]["headers"][0]["value"] == "one; two"
    assert message["internalDate"] == str(int((START - timedelta(days=10) + timedelta(hours=1)).timestamp() * 1000))
    assert message["labelIds"] == ["INBOX", "UNREAD"]
    assert message["historyId"].isdigit()
    assert message["sizeEstimate"] == len(raw)
    assert unpadded(message["payload"]["body"]["data"]) == b"Good day.\r\n"
    assert "raw" not in message


def test_other_formats(api: Api) -> None:
    raw = mail(1, body="a")
    message_id = api.emulator.add_message(ADA, raw)
    whole = api.get(f"messages/{message_id}", format="raw")
    assert unpadded(whole["raw"]) == raw
    assert "payload" not in whole
    minimal = api.get(f"messages/{message_id}", format="minimal")
    assert "headers" not in minimal["payload"]
    assert "mimeType" not in minimal["payload"]
    some = api.get(f"messages/{message_id}", format="metadata", metadataHeaders=["subject", "FROM"])
    assert [h["name"] for h in some["payload"]["headers"]] == ["From", "Subject"]
    assert "body" not in some["payload"]
    assert api.refusal("GET", f"messages/{message_id}", {"format": "everything"})[0] == 400
    assert api.refusal("GET", "messages/18aaaaaaaaaaaaaa") == (404, "notFound", "Requested entity was not found.")


def test_a_message_without_message_id_or_date_is_served(api: Api) -> None:
    first = api.emulator.add_message(ADA, mail(1))
    second = api.emulator.add_message(ADA, b"From: x@example.org\n\nno more")
    message = api.get(f"messages/{second}")
    assert {h["name"] for h in message["payload"]["headers"]} == {"From"}
    # No sane date: a second after the one before.
    assert int(message["internalDate"]) == int(api.get(f"messages/{first}")["internalDate"]) + 1000


def test_parts_tree_with_attachments_behind_changing_ids(api: Api) -> None:
    blob = bytes(range(256)) * 20
    raw = (
        b"From: b@example.org\nTo: ada@example.com\nSubject: t\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="o"\n\n'
        b'--o\nContent-Type: multipart/alternative; boundary="i"\n\n'
        b"--i\nContent-Type: text/plain\n\nplain\n--i\nContent-Type: text/html\n\n<b>rich</b>\n--i--\n"
        b'--o\nContent-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\n\n'
        + base64.encodebytes(blob)
        + b'--o\nContent-Type: text/csv\nContent-Disposition: attachment; filename="s.csv"\n\na,b\n'
        b"--o\nContent-Type: message/rfc822\n\nSubject: inner\n\ninner text\n--o--\n"
    )
    message_id = api.emulator.add_message(ADA, raw)
    root = api.get(f"messages/{message_id}")["payload"]
    assert (root["partId"], root["mimeType"], root["filename"], root["body"]) == (
        "",
        "multipart/mixed",
        "",
        {"size": 0},
    )
    alternative, pdf, csv, forwarded = root["parts"]
    assert [p["partId"] for p in alternative["parts"]] == ["0.0", "0.1"]
    assert pdf["filename"] == "a.pdf"
    assert pdf["body"]["size"] == len(blob)
    assert "data" not in pdf["body"]
    # Small ones come inline.
    assert unpadded(csv["body"]["data"]) == b"a,b"
    assert forwarded["parts"][0]["headers"] == [{"name": "Subject", "value": "inner"}]
    again = api.get(f"messages/{message_id}")["payload"]["parts"][1]
    first, second = pdf["body"]["attachmentId"], again["body"]["attachmentId"]
    assert first != second
    assert len(first) > 200
    for attachment_id in (first, second):
        got = api.get(f"messages/{message_id}/attachments/{attachment_id}")
        assert unpadded(got["data"]) == blob
        assert got["size"] == len(blob)
    other = api.emulator.add_message(ADA, mail(2))
    assert api.refusal("GET", f"messages/{other}/attachments/{first}")[0] == 400


def test_text_is_utf8_whatever_the_header_says(api: Api) -> None:
    raw = "日本語".encode("iso-2022-jp")
    message_id = api.emulator.add_message(ADA, b"Content-Type: text/plain; charset=iso-2022-jp\n\n" + raw)
    payload = api.get(f"messages/{message_id}")["payload"]
    assert payload["headers"][0]["value"] == "text/plain; charset=iso-2022-jp"
    assert unpadded(payload["body"]["data"]).decode() == "日本語"


def test_headers_are_decoded_and_a_decoded_name_stays_one_name(api: Api) -> None:
    raw = b"From: =?utf-8?q?Doe=2C_J=C3=BCrgen?= <j@example.org>\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\n\nx"
    message_id = api.emulator.add_message(ADA, raw)
    values = {h["name"]: h["value"] for h in api.get(f"messages/{message_id}")["payload"]["headers"]}
    assert values == {"From": '"Doe, Jürgen" <j@example.org>', "Subject": "Grüße"}


def test_snippet_is_escaped_html(api: Api) -> None:
    message_id = api.emulator.add_message(ADA, mail(1, body="it's <b>\u200c & more\r\n\r\nthan that"))
    assert api.get(f"messages/{message_id}")["snippet"] == "it&#39;s &lt;b&gt;\u200c &amp; more than that"


# -- threads


def test_threads_need_a_reference_and_the_same_subject(api: Api) -> None:
    add = api.emulator.add_message
    reply = "References: <m1@example.org>\r\nIn-Reply-To: <m1@example.org>\r\n"
    first = add(ADA, mail(1, "Offer"))
    second = add(ADA, mail(2, "Re: Offer", extra=reply))
    elsewhere = add(ADA, mail(3, "Another matter", extra=reply))
    lookalike = add(ADA, mail(4, "Re: Offer"))
    bare = add(ADA, mail(5, "Re: Offer", extra="In-Reply-To: m1@example.org\r\n"))
    threads = {m["id"]: m["threadId"] for m in api.get("messages")["messages"]}
    assert threads[first] == threads[second] == first
    assert len({threads[i] for i in (first, elsewhere, lookalike, bare)}) == 4
    thread = api.get(f"threads/{first}", format="minimal")
    assert [m["id"] for m in thread["messages"]] == [first, second]
    listed = api.get("threads", maxResults=2)
    assert [t["id"] for t in listed["threads"]] == [bare, lookalike]
    rest = api.get("threads", pageToken=listed["nextPageToken"])
    assert [t["id"] for t in rest["threads"]] == [elsewhere, first]
    assert api.refusal("GET", "threads/18aaaaaaaaaaaaaa")[0] == 404


# -- history


def test_nothing_new_means_no_history_key(api: Api) -> None:
    api.emulator.add_message(ADA, mail(1))
    cursor = api.cursor()
    assert api.get("history", startHistoryId=cursor) == {"historyId": cursor}


def test_history_has_gaps_bumps_and_every_kind_of_change(api: Api) -> None:
    box_start = api.cursor()
    message_id = api.emulator.add_message(ADA, mail(1), ("INBOX", "UNREAD"))
    other = api.emulator.add_message(ADA, mail(2))
    api.post(f"messages/{message_id}/modify", {"removeLabelIds": ["UNREAD"]})
    api.post("messages/batchModify", {"ids": [message_id, other], "addLabelIds": ["STARRED"]})
    api.post(f"messages/{other}/trash")
    api.call("DELETE", f"messages/{other}")
    records = api.history(box_start)
    ids = [int(r["id"]) for r in records]
    assert ids == sorted(ids)
    assert any(b - a > 1 for a, b in pairwise(ids))
    assert int(api.cursor()) >= ids[-1]
    bumps = [r for r in records if set(r) == {"id", "messages"}]
    assert bumps
    kinds = [next(iter(set(r) - {"id", "messages"})) for r in records if r not in bumps and len(r) == 3]
    assert kinds == ["messagesAdded", "messagesAdded", "labelsRemoved", "labelsAdded", "messagesDeleted"]
    starred = next(r for r in records if "labelsAdded" in r)["labelsAdded"]
    assert len(starred) == 2
    # The set around that change, not the one of now.
    assert starred[1]["message"]["labelIds"] == ["INBOX", "STARRED"]
    assert starred[1]["labelIds"] == ["STARRED"]
    trashed = next(r for r in records if len(r) == 4)
    assert trashed["labelsAdded"][0]["labelIds"] == ["TRASH"]
    assert trashed["labelsRemoved"][0]["labelIds"] == ["INBOX"]
    only = api.history(box_start, historyTypes=["messageDeleted"])
    assert [set(r) for r in only] == [{"id", "messages", "messagesDeleted"}]
    assert len(api.history(box_start, maxResults=1)) == len(records)
    assert api.history(box_start, labelId="TRASH")


def test_trash_is_a_label_and_the_message_stays_readable(api: Api) -> None:
    message_id = api.emulator.add_message(ADA, mail(1))
    assert api.post(f"messages/{message_id}/trash")["labelIds"] == ["TRASH"]
    assert api.get(f"messages/{message_id}")["labelIds"] == ["TRASH"]
    assert api.ids() == []
    assert "TRASH" not in api.post(f"messages/{message_id}/untrash").get("labelIds", [])


def test_plural_history_types_are_refused_by_name(api: Api) -> None:
    status, _, message = api.refusal(
        "GET", "history", {"startHistoryId": api.cursor(), "historyTypes": ["messageAdded", "labelsAdded"]}
    )
    assert status == 400
    assert "history_types" in message
    assert '"labelsAdded"' in message
    body = api.call("GET", "history", {"startHistoryId": api.cursor(), "historyTypes": "labelsAdded"}).json()
    assert body["error"]["status"] == "INVALID_ARGUMENT"


def test_bad_history_ids(api: Api) -> None:
    assert api.refusal("GET", "history")[:2] == (400, "invalidArgument")
    assert api.refusal("GET", "history", {"startHistoryId": "x"})[0] == 400
    assert api.refusal("GET", "history", {"startHistoryId": "1"})[:2] == (404, "notFound")
    future = str(int(api.cursor()) + 10_000)
    assert api.refusal("GET", "history", {"startHistoryId": future})[:2] == (404, "notFound")


def test_history_is_forgotten_after_a_week_and_an_old_messages_id_is_no_way_back(api: Api) -> None:
    message_id = api.emulator.add_message(ADA, mail(1))
    old = api.get(f"messages/{message_id}")["historyId"]
    assert api.call("GET", "history", {"startHistoryId": old}).status_code == 200
    api.emulator.control("now", {"advance_s": 8 * 86400})
    api.token = api.emulator.access_token(ADA)
    api.emulator.add_message(ADA, mail(2))
    assert api.refusal("GET", "history", {"startHistoryId": old})[:2] == (404, "notFound")
    # The trap of following the newest message's historyId: the profile's is the one that works.
    assert api.call("GET", "history", {"startHistoryId": api.cursor()}).status_code == 200


def test_a_page_without_items_still_has_a_next_page(api: Api) -> None:
    cursor = api.cursor()
    message_id = api.emulator.add_message(ADA, mail(1))
    api.emulator.control("empty_page", {"of": "history"})
    page = api.get("history", startHistoryId=cursor)
    assert set(page) == {"nextPageToken", "historyId"}
    page = api.get("history", startHistoryId=cursor, pageToken=page["nextPageToken"])
    assert page["history"][0]["messages"][0]["id"] == message_id
    api.emulator.control("empty_page", {"of": "messages"})
    page = api.get("messages")
    assert "messages" not in page
    assert api.get("messages", pageToken=page["nextPageToken"])["messages"][0]["id"] == message_id


# -- batch


def test_batch_parts_have_their_own_statuses(api: Api) -> None:
    message_id = api.emulator.add_message(ADA, mail(1))
    calls = [
        f"GET /gmail/v1/users/me/messages/{message_id}?format=minimal HTTP/1.1",
        "GET /gmail/v1/users/me/messages/18aaaaaaaaaaaaaa",
        f"DELETE /gmail/v1/users/me/messages/{message_id}",
    ]
    for path in ("/batch", "/batch/gmail/v1"):
        found = parts_of(api.batch(calls[:2], path))
        assert [(i, s) for i, s, _ in found] == [("<response-item0>", 200), ("<response-item1>", 404)]
        assert found[0][2]["id"] == message_id
        assert refusal(404, found[1][2])[1] == "notFound"
    assert parts_of(api.batch(calls[2:]))[0] == ("<response-item0>", 204, None)


def test_batch_carries_bodies_and_counts_to_a_hundred(api: Api) -> None:
    message_id = api.emulator.add_message(ADA, mail(1))
    body = '{"addLabelIds": ["STARRED"]}'
    call = (
        f"POST /gmail/v1/users/me/messages/{message_id}/modify HTTP/1.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    assert parts_of(api.batch([call]))[0][2]["labelIds"] == ["INBOX", "STARRED"]
    profile = "GET /gmail/v1/users/me/profile HTTP/1.1"
    assert len(parts_of(api.batch([profile] * 100))) == 100
    answer = api.batch([profile] * 101)
    status, _, message = refusal(answer.status_code, answer.json())
    assert status == 400
    assert message == "Inner request count exceeds the limit. Received: 101, Limit: 100"


def test_a_malformed_batch_is_refused(api: Api) -> None:
    headers = {"authorization": f"Bearer {api.token}", "content-type": "multipart/mixed; boundary=cut"}
    for body in ("", "--cut\r\nnonsense\r\n\r\nnonsense\r\n--cut--\r\n", "--cut\r\nContent-Type: application/http\r\n"):
        assert api.client.post(api.url + "/batch", content=body, headers=headers).status_code == 400
    headers["content-type"] = "application/json"
    assert api.client.post(api.url + "/batch", content="{}", headers=headers).status_code == 400


# -- quota


def test_quota_counts_units_and_refuses_by_turns_with_403_and_429(api: Api) -> None:
    message_id = api.emulator.add_message(ADA, mail(1))
    api.emulator.quota.per_minute = 50
    found = parts_of(api.batch([f"GET /gmail/v1/users/me/messages/{message_id}"] * 5))
    assert [status for _, status, _ in found] == [200, 200, 403, 429, 403]
    reasons = [refusal(status, body)[1] for _, status, body in found[2:]]
    assert reasons == ["rateLimitExceeded", "userRateLimitExceeded", "rateLimitExceeded"]
    # 10 units are left: a list (5) passes, a get (20) does not.
    assert api.call("GET", "messages").status_code == 200
    assert api.call("GET", f"messages/{message_id}").status_code in {403, 429}
    api.emulator.control("now", {"advance_s": 60})
    assert api.call("GET", f"messages/{message_id}").status_code == 200
    assert api.emulator.state()["quota_spent"][ADA] == 20 + 20 + 5 + 20


def test_quota_faults(api: Api) -> None:
    faults = api.emulator.faults
    faults.add("quota", scope="daily", times=1)
    assert api.refusal("GET", "messages")[:2] == (403, "dailyLimitExceeded")
    faults.add("quota", scope="concurrent", path="/messages/", every=2)
    message_id = api.emulator.add_message(ADA, mail(1))
    found = parts_of(api.batch([f"GET /gmail/v1/users/me/messages/{message_id}"] * 4))
    assert [status for _, status, _ in found] == [200, 429, 200, 429]
    assert refusal(429, found[1][2])[1:] == ("rateLimitExceeded", "Too many concurrent requests for user")


# -- semantic faults


def test_hidden_messages_are_readable_but_not_listed(api: Api) -> None:
    cursor = api.cursor()
    ids = [api.emulator.add_message(ADA, mail(n)) for n in range(3)]
    rule = api.emulator.faults.add("hide", args={"from": "history", "ids": [ids[0]]})
    seen = {m["id"] for r in api.history(cursor) for m in r["messages"]}
    assert seen == set(ids[1:])
    assert set(api.ids()) == set(ids)
    rule.args["from"] = "list"
    assert set(api.ids()) == set(ids[1:])
    assert {m["id"] for r in api.history(cursor) for m in r["messages"]} == set(ids)
    rule.args["from"] = "both"
    assert len(api.ids()) == 2
    assert len({m["id"] for r in api.history(cursor) for m in r["messages"]}) == 2
    assert api.get(f"messages/{ids[0]}")["id"] == ids[0]


def test_a_share_vanishes_without_a_trace(api: Api) -> None:
    cursor = api.cursor()
    ids = [api.emulator.add_message(ADA, mail(n)) for n in range(100)]
    api.emulator.faults.add("vanish", fraction=0.3)
    left = api.ids()
    assert 55 <= len(left) <= 85
    assert left == api.ids()
    lost = sorted(set(ids) - set(left))
    assert api.refusal("GET", f"messages/{lost[0]}")[:2] == (404, "notFound")
    assert {m["id"] for r in api.history(cursor) for m in r["messages"]} == set(left)
    assert api.get("profile")["messagesTotal"] == len(left)
    api.emulator.faults.clear("vanish")
    assert len(api.ids()) == 100


def test_cursor_fault_and_page_loop(api: Api) -> None:
    for n in range(4):
        api.emulator.add_message(ADA, mail(n))
    cursor = str(api.emulator.mailboxes[ADA].history.floor)
    api.emulator.faults.add("expire_cursor", times=1)
    assert api.refusal("GET", "history", {"startHistoryId": cursor})[:2] == (404, "notFound")
    for path, params in (("messages", {}), ("history", {"startHistoryId": cursor})):
        api.emulator.faults.clear()
        api.emulator.faults.add("page_loop", path=f"/{path}")
        token = api.get(path, maxResults=2, **params)["nextPageToken"]
        for _ in range(3):
            assert api.get(path, maxResults=2, pageToken=token, **params)["nextPageToken"] == token


@pytest.mark.parametrize("how", ["missing", "base64", "type"])
def test_poisoned_messages(api: Api, how: str) -> None:
    ids = [api.emulator.add_message(ADA, mail(n)) for n in range(2)]
    api.emulator.faults.add("poison", ids=[ids[0]], how=how)
    broken = api.get(f"messages/{ids[0]}").get("payload")
    if how == "base64":
        assert "%" in broken["body"]["data"]
    else:
        assert broken == {"missing": None, "type": 17}[how]
    assert api.get(f"messages/{ids[1]}")["payload"]["mimeType"] == "text/plain"
    raw = api.get(f"messages/{ids[0]}", format="raw").get("raw")
    assert raw != base64.urlsafe_b64encode(mail(0)).rstrip(b"=").decode()


# -- steering over HTTP


def test_control_over_http(api: Api, tmp_path: Any) -> None:
    def control(command: str, **args: Any) -> Any:
        answer = api.client.post(f"{api.url}/_emulator/{command}", json=args)
        assert answer.status_code == 200
        return answer.json()

    cursor = api.cursor()
    raw = base64.b64encode(mail(1)).decode()
    found = control("deliver", address=ADA, raw=raw, labels=["INBOX", "VIP"])
    assert found["threadId"] == found["id"]
    message = api.get(f"messages/{found['id']}", format="minimal")
    assert message["labelIds"] == ["INBOX", "Label_1"]
    assert message["internalDate"] == str(int(START.timestamp() * 1000))
    control("label", address=ADA, ids=[found["id"]], add=["STARRED"], remove=["VIP"])
    control("trash", address=ADA, ids=[found["id"]])
    assert api.get(f"messages/{found['id']}", format="minimal")["labelIds"] == ["STARRED", "TRASH"]
    control("delete", address=ADA, ids=[found["id"]])
    assert api.call("GET", f"messages/{found['id']}").status_code == 404
    assert [k for r in api.history(cursor) for k in r if k.startswith(("messagesA", "messagesD"))] == [
        "messagesAdded",
        "messagesDeleted",
    ]
    (tmp_path / "one.eml").write_bytes(mail(2))
    assert control("load", address="new@example.com", path=str(tmp_path)) == {"loaded": 1}
    assert control("now", at="2024-06-01T00:00:00+00:00") == {"now": "2024-06-01T00:00:00+00:00"}
    pushed = json.loads(base64.b64decode(control("push", address=ADA)["message"]["data"]))
    assert pushed["emailAddress"] == ADA
    state = api.client.get(f"{api.url}/_emulator/state").json()
    assert state["mailboxes"]["new@example.com"]["messages"] == 1
    assert state["mailboxes"][ADA]["ids"] == []
