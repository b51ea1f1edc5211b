"""Batches taken apart, and refusals understood: bytes in, meaning out, no HTTP."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from hub.api import AuthError, ContractBroken, FakeClock, RateLimited, Response, ScopeError
from hub_gmail.batch import decode, encode
from hub_gmail.changes import touches
from hub_gmail.errors import explain
from hub_gmail.pull import relabel
from hub_gmail.wire import Record

KIND = {"content-type": "multipart/mixed; boundary=batch_x"}


def part(name: str, body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return (
        f"--batch_x\r\nContent-Type: application/http\r\nContent-ID: <response-{name}>\r\n\r\n"
        f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {size}\r\n\r\n"
    ).encode() + body + b"\r\n"  # fmt: skip


def test_parts_come_out_as_they_went_in() -> None:
    first, second = b'{\n  "id": "1",\r\n\r\n  "x": "--batch"\n}', b'{"id":"\xc3\xa9"}'
    data = part("0", first) + part("1", second, "404 Not Found") + b"--batch_x--\r\n"
    answers = dict(decode(Response(200, KIND, data)))
    assert answers["0"].body == first
    assert answers["1"].body == second
    assert [answers[n].status for n in ("0", "1")] == [200, 404]
    assert answers["1"].headers["content-type"].startswith("application/json")


def test_a_batch_cut_anywhere_gives_only_whole_parts() -> None:
    bodies = [b'{"id":"%d"}' % n for n in range(3)]
    data = b"".join(part(str(n), body) for n, body in enumerate(bodies)) + b"--batch_x--\r\n"
    for end in range(len(data)):
        found = dict(decode(Response(200, KIND, data[:end])))
        assert all(answer.body == bodies[int(name)] for name, answer in found.items())


def test_a_part_shorter_than_it_says_is_missing() -> None:
    data = part("0", b'{"id":', length=400) + part("1", b"{}") + b"--batch_x--\r\n"
    assert [name for name, _ in decode(Response(200, KIND, data))] == ["1"]


@pytest.mark.parametrize(
    "boundary",
    ["boundary=batch_x", 'boundary="batch_x"', "boundary=batch_x; charset=UTF-8", "charset=x; boundary=batch_x"],
)
def test_the_boundary_is_found_however_it_is_written(boundary: str) -> None:
    answer = Response(200, {"content-type": f"multipart/mixed; {boundary}"}, part("0", b"{}") + b"--batch_x--")
    assert [name for name, _ in decode(answer)] == ["0"]


@pytest.mark.parametrize("kind", ["", "text/html", "application/json", "multipart/mixed", "text/html; boundary=x"])
def test_anything_but_a_multipart_is_not_understood(kind: str) -> None:
    with pytest.raises(ContractBroken):
        list(decode(Response(200, {"content-type": kind}, b"<html>")))


def test_headless_and_nameless_parts_are_passed_over() -> None:
    odd = [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\nContent-ID: <response-0>\r\n\r\nnonsense\r\n\r\n{}",
        b"\r\n\r\nHTTP/1.1 200\r\n\r\n{}",
    ]
    data = b"".join(b"--batch_x" + o + b"\r\n" for o in odd) + b"--batch_x--"
    assert list(decode(Response(200, KIND, data))) == []


def test_a_batch_names_every_call() -> None:
    data = encode({"0": "messages/a?format=full", "1": "messages/b?format=minimal"}).decode()
    assert data.count("Content-ID") == 2
    assert "GET /gmail/v1/users/me/messages/a?format=full HTTP/1.1" in data
    assert data.endswith("--\r\n")


def refusal(status: int, reason: str, message: str = "", **headers: str) -> Response:
    error = {"code": status, "message": message, "errors": [{"reason": reason, "domain": "x", "message": message}]}
    return Response(status, headers, msgspec.json.encode({"error": error}))


MINUTE = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'gmail'"
AT = datetime(2026, 3, 10, 12, 0, 15, tzinfo=UTC)  # 05:00:15 in California, summer time

MEANINGS = [
    (refusal(403, "rateLimitExceeded", MINUTE), RateLimited, 45),
    (refusal(429, "userRateLimitExceeded", "Retry after 2026-03-10T12:01:00.000Z"), RateLimited, 45),
    (refusal(429, "rateLimitExceeded", "User-rate limit exceeded.  Retry after 2026-03-10T15:00:15Z (Mail sending)"),
     RateLimited, 3 * 3600),
    (refusal(429, "rateLimitExceeded", "Retry after 2036-03-10T15:00:15Z"), RateLimited, 86_400),
    (refusal(429, "rateLimitExceeded", "Retry after 2016-03-10T15:00:15Z"), RateLimited, 0),
    (refusal(429, "rateLimitExceeded", "Too many concurrent requests for user"), RateLimited, None),
    (refusal(429, "rateLimitExceeded", "", **{"retry-after": "7"}), RateLimited, 7),
    (refusal(429, "anything"), RateLimited, None),
    (refusal(403, "dailyLimitExceeded", "Daily Limit Exceeded"), RateLimited, 19 * 3600 - 15),
    (refusal(403, "quotaExceeded", "Quota exceeded"), RateLimited, 19 * 3600 - 15),
    (refusal(403, "quotaExceeded", MINUTE), RateLimited, 45),
    (refusal(403, "insufficientPermissions", "Insufficient Permission"), ScopeError, None),
    (refusal(403, "domainPolicy", "blocked"), AuthError, None),
    (refusal(403, "accessNotConfigured", "Gmail API has not been used"), AuthError, None),
    (refusal(400, "failedPrecondition", "Mail service not enabled"), AuthError, None),
    (refusal(400, "invalidArgument", "Invalid pageToken"), ContractBroken, None),
    (refusal(403, "forbidden", "Delegation denied"), type(None), None),
    (refusal(404, "notFound"), type(None), None),
    (refusal(500, "backendError"), type(None), None),
    (Response(403, {}, b"<html>"), type(None), None),
    (Response(403, {}, b'{"error": "plain"}'), type(None), None),
]  # fmt: skip


@pytest.mark.parametrize(("response", "kind", "seconds"), MEANINGS)
def test_what_a_refusal_means(response: Response, kind: type, seconds: float | None) -> None:
    error = explain(response, FakeClock(AT))
    assert type(error) is kind
    if isinstance(error, RateLimited):
        assert error.retry_after_s == (pytest.approx(seconds, abs=1) if seconds is not None else None)


@pytest.mark.parametrize("reason", ["domainPolicy", "accessNotConfigured"])
def test_what_an_admin_must_do_is_said(reason: str) -> None:
    error = explain(refusal(403, reason), FakeClock(AT))
    assert error is not None
    assert "onsole" in error.message


def test_midnight_in_california_in_winter() -> None:
    error = explain(refusal(403, "dailyLimitExceeded"), FakeClock(datetime(2026, 1, 10, 7, 59, tzinfo=UTC)))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == pytest.approx(60, abs=1)


def record(id_: int, **events: list[str]) -> Record:
    fields: dict[str, Any] = {
        "id": str(id_),
        "messages": [{"id": m.partition(":")[0]} for ms in events.values() for m in ms],
    }
    for name, messages in events.items():
        if name != "messages":
            fields[name] = [{"message": {"id": i, "labelIds": [x for x in [label] if x]}}
                            for i, _, label in (m.partition(":") for m in messages)]  # fmt: skip
    return msgspec.convert(fields, Record, strict=False)


HISTORIES = [
    ("nothing", [], []),
    ("only messages", [record(5, messages=["a"])], [("a", 5, "read")]),
    ("touched twice counts last", [record(5, messagesAdded=["a", "b"]), record(9, labelsAdded=["a"])],
     [("b", 5, "read"), ("a", 9, "read")]),
    ("added and deleted", [record(5, messagesAdded=["a"]), record(7, messagesDeleted=["a"])], [("a", 7, "gone")]),
    ("deleted stays deleted", [record(5, messagesDeleted=["a"]), record(7, messages=["a"])], [("a", 7, "gone")]),
    ("deleted and relabelled at once", [record(5, messagesDeleted=["a"], labelsRemoved=["a"])], [("a", 5, "gone")]),
    ("draft saved", [record(5, messagesAdded=["a:DRAFT"])], [("a", 5, "draft")]),
    ("draft that became mail", [record(5, messagesAdded=["a:DRAFT"]), record(6, labelsRemoved=["a:DRAFT"])],
     [("a", 6, "read")]),
    ("out of order", [record(9, labelsAdded=["a"]), record(5, messagesAdded=["b"])],
     [("b", 5, "read"), ("a", 9, "read")]),
]  # fmt: skip


@pytest.mark.parametrize(("history", "expected"), [h[1:] for h in HISTORIES], ids=[h[0] for h in HISTORIES])
def test_what_a_history_touches(history: list[Record], expected: list[tuple[str, int, str]]) -> None:
    assert [(t.id, t.record, t.now) for t in touches(history)] == expected


def test_new_labels_leave_the_rest_of_a_stored_message_alone() -> None:
    stored = b'{"id": "a", "labelIds": ["INBOX"],  "payload": {"n":  1.50, "s": "\\u00e9"}, "historyId": "1"}'
    now = relabel(stored, b'{"id": "a", "labelIds": ["SENT"], "historyId": "9"}')
    assert now is not None
    fields = msgspec.json.decode(now, type=dict[str, msgspec.Raw])
    assert bytes(fields["payload"]) == b'{"n":  1.50, "s": "\\u00e9"}'
    assert bytes(fields["labelIds"]) == b'["SENT"]'
    assert bytes(fields["historyId"]) == b'"9"'


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [(["A", "B"], ["B", "A"], True), (["A"], [], False), ([], [], True), (None, [], True), (["A"], None, False)],
)
def test_labels_are_compared_as_sets(before: Any, after: Any, is_same: bool) -> None:
    stored, now = ({"id": "a", **({} if x is None else {"labelIds": x})} for x in (before, after))
    assert (relabel(msgspec.json.encode(stored), msgspec.json.encode(now)) is None) is is_same
