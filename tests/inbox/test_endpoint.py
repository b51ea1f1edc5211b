"""The inbox over real HTTP: who is let in, what is kept, and when the answer is given."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from acorn import Acorn, Vendor
from ringing import WINDOW_S, Bell, Ringing, connector, in_threads, send, served, signed, stored

from hub.api import ConfigError, FakeClock, Notice, WebhookRejected
from hub.api import WebhookRequest as Call
from hub.inbox import Limits, create_app, serving
from hub.store import Store
from hub.store import tables as t

EVENT = ("mail", "m1", "e1")


@pytest.fixture
def bell(store: Store) -> Bell:
    return Bell(store, {"box": Vendor()})


@pytest.fixture
def url(bell: Bell) -> Iterator[str]:
    with served(bell.app()) as url:
        yield url


def test_a_signed_call_is_kept_and_answered(bell: Bell, url: str) -> None:
    answer = send(url, *bell.call("box", [EVENT, ("parties", "p1", "e1")]))
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert stored(bell.world.store) == [("box", "mail", "m1", False), ("box", "parties", "p1", False)]


def test_only_what_was_named_is_stored_and_when(bell: Bell, url: str) -> None:
    body = json.dumps([["mail", "m1", "canary-event-of-ana@kestrel.example"]]).encode() + b" " * 20
    assert send(url, "/hooks/box", body, signed("box", body, bell.world.clock.now())).status == 200
    (row,) = bell.world.all(sa.select(t.notice))
    assert set(t.notice.c.keys()) == {
        "id", "connection", "stream", "external_id", "dedup", "received_at", "due_at", "tries", "done_at",
    }  # fmt: skip
    assert "canary" not in repr(row)
    assert len(bytes(row[4])) == 16


def test_forged_calls_are_401_and_leave_nothing(bell: Bell, url: str) -> None:
    path, body, headers = bell.call("box", [EVENT])
    other = signed("another-secret", body, bell.world.clock.now())
    forged: list[tuple[bytes, dict[str, str]]] = [
        (body, {}), (body, other), (body + b" ", headers), (b"", headers), (body, {**headers, "acorn-time": "1"}),
        (body, {**headers, "acorn-time": "١٢"}), (b"\xff\xfe", headers),
    ]  # fmt: skip
    for content, signs in forged:
        safe = {k: v.encode("utf-8").decode("latin-1") for k, v in signs.items()}
        assert send(url, path, content, safe).status == 401
    bell.world.clock.advance(WINDOW_S + 2)
    assert send(url, path, body, headers).status == 401, "a replay after the window"
    assert stored(bell.world.store) == []


def test_an_address_that_is_nobodys_says_no_more_than_any_other(bell: Bell, url: str) -> None:
    _, body, headers = bell.call("box", [EVENT])
    paths = [
        "/hooks/nobody",
        "/hooks/" + "x" * 300,
        "/hooks/a%00b",
        "/hooks/%F0%9F",
        "/hooks/",
        "/nothing",
        "/hooks/box/",
    ]
    answers = [send(url, path, body, headers) for path in paths]
    alike = {(a.status, a.body, tuple(sorted(k for k in a.headers))) for a in answers}
    assert len(alike) == 1
    assert answers[0].status == 404
    assert stored(bell.world.store) == []


def test_a_connection_that_is_off_or_never_calls_is_nobodys(store: Store) -> None:
    bell = Bell(store, {"box": Vendor(), "off": Vendor()}, off={"enabled": False})
    with served(bell.app()) as url:
        assert bell.ring(url, "off", EVENT) == 404
        assert bell.ring(url, "box", EVENT) == 200
    bell.engine.registry.connectors["acorn"] = Acorn
    with served(bell.app()) as url:
        assert bell.ring(url, "box", EVENT) == 404


def test_vendors_may_try_the_address(bell: Bell, url: str) -> None:
    assert send(url, "/hooks/box?whatever=1", method="GET").status == 200
    assert send(url, "/hooks/box", method="HEAD").status == 200
    assert send(url, "/hooks/nobody", method="GET").status == 404
    refused = send(url, "/hooks/box", method="PUT")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    assert stored(bell.world.store) == []


def test_a_secret_address(bell: Bell) -> None:
    _, body, headers = bell.call("box", [EVENT])
    with served(bell.app(secrets={"box": "correct-horse"})) as url:
        for wrong in ("/hooks/box", "/hooks/box/", "/hooks/box/correct-hors", "/hooks/box/%C3%A4", "/hooks/box/a/b"):
            assert send(url, wrong, body, headers).status == 404
            assert send(url, wrong, method="GET").status == 404
        assert stored(bell.world.store) == []
        assert send(url, "/hooks/box/correct-horse", method="GET").status == 200
        assert send(url, "/hooks/box/correct-horse", body, headers).status == 200
    assert len(stored(bell.world.store)) == 1


class Nosy(Ringing):
    """Lets everything in and remembers how it came; or does what a test says."""

    calls: list[Call]
    verified: Callable[[Call], None]
    parsed: Callable[[Call], list[Notice]]

    def verify_webhook(self, request: Call) -> None:
        type(self).calls.append(request)
        type(self).verified(request)

    def parse_webhook(self, request: Call) -> Any:
        return type(self).parsed(request)


@pytest.fixture
def nosy(monkeypatch: pytest.MonkeyPatch) -> type[Nosy]:
    monkeypatch.setattr(Nosy, "calls", [], raising=False)
    monkeypatch.setattr(Nosy, "verified", staticmethod(lambda _: None), raising=False)
    monkeypatch.setattr(Nosy, "parsed", staticmethod(lambda _: []), raising=False)
    return Nosy


def app_of(cls: type[Acorn], store: Store, **more: Any) -> Any:
    clock = FakeClock(Bell(store, {}).world.clock.now())
    return create_app(lambda name: connector(cls, name, clock) if name == "box" else None, store, clock, **more)


def test_the_connector_sees_the_call_as_it_was_sent(nosy: type[Nosy], store: Store) -> None:
    """Bytes, address and headers: each of them is something that some vendor signs."""
    body = bytes(range(256)) * 10
    with served(app_of(nosy, store, public_url="https://hub.example/in/")) as url:
        send(url, "/hooks/box?a=%3A%2f&b=+&b=2", body, {"X-Signed": "v1=a", "Content-Type": "application/x-other"})
        send(url, "/hooks/box/se%20cret", iter([b"one ", b"two"]))
    first, second = nosy.calls
    assert (first.method, first.body) == ("POST", body)
    assert first.url == "https://hub.example/in/hooks/box?a=%3A%2f&b=+&b=2"
    assert first.headers["x-signed"] == "v1=a"
    assert (second.url, second.body) == ("https://hub.example/in/hooks/box/se%20cret", b"one two")


def test_without_a_public_address_the_host_counts_and_a_header_sent_twice_is_one(
    nosy: type[Nosy], store: Store
) -> None:
    with served(app_of(nosy, store)) as url:
        raw(url, b"POST /hooks/box HTTP/1.1\r\nHost: hub.example\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n")
    (call,) = nosy.calls
    assert (call.url, call.headers["x-a"]) == ("http://hub.example/hooks/box", "1, 2")


def raw(url: str, data: bytes, *, is_half: bool = False) -> bytes:
    """Send these bytes; what came back by the time the server closed, or answered once."""
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), parts.port), timeout=20) as line:
        line.sendall(data)
        if is_half:
            line.shutdown(socket.SHUT_WR)
        return line.recv(65536)


def test_whatever_a_forged_call_makes_a_library_raise_it_is_401(
    nosy: type[Nosy], store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(_: Call) -> None:
        raise ValueError("not enough values to unpack")

    monkeypatch.setattr(nosy, "verified", staticmethod(odd))
    monkeypatch.setattr(nosy, "parsed", staticmethod(lambda _: [Notice("mail", "m1")]))
    with served(app_of(nosy, store)) as url:
        assert send(url, "/hooks/box", b"x").status == 401
    assert stored(store) == []
    assert "could not be verified" in caplog.text


def test_a_genuine_call_that_cannot_be_read(
    nosy: type[Nosy], store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_: Call) -> Iterator[Notice]:
        yield Notice("mail", "m1")
        raise RuntimeError if not caplog.records else WebhookRejected("no list of events")

    monkeypatch.setattr(nosy, "parsed", staticmethod(half))
    with served(app_of(nosy, store)) as url:
        assert send(url, "/hooks/box").status == 500
        assert "could not be read" in caplog.text
        assert send(url, "/hooks/box").status == 401
    assert stored(store) == [], "half a call is not kept"


def test_odd_ids_stand_for_their_stream_and_unknown_streams_for_nothing(
    nosy: type[Nosy], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [Notice("mail", x, "e\ud800\x00") for x in ("a\x00b", "\ud800", "x" * 513, "x" * 512, "ä b")]
    monkeypatch.setattr(nosy, "parsed", staticmethod(lambda _: [*odd, Notice("letters", "m1"), Notice("x" * 99, "m")]))
    with served(app_of(nosy, store)) as url:
        assert send(url, "/hooks/box").status == 200
    assert [row[2] for row in stored(store)] == ["", "", "", "x" * 512, "ä b"]


def test_bodies_are_cut_off_at_the_limit_however_they_come(nosy: type[Nosy], store: Store) -> None:
    with served(app_of(nosy, store, limits=Limits(body_bytes=1000))) as url:
        assert send(url, "/hooks/box", b"x" * 1000).status == 200
        assert send(url, "/hooks/box", b"x" * 1001).status == 413
        assert send(url, "/hooks/box", iter([b"x" * 500] * 3)).status == 413
        for length in (b"9" * 30, b"4294967296"):
            head = b"POST /hooks/box HTTP/1.1\r\nHost: h\r\nContent-Length: " + length + b"\r\n\r\n"
            assert b" 4" in raw(url, head)[:13]
    assert [len(call.body) for call in nosy.calls] == [1000]


def test_a_body_that_does_not_arrive_is_given_up(nosy: type[Nosy], store: Store) -> None:
    head = b"POST /hooks/box HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"
    with served(app_of(nosy, store, limits=Limits(body_seconds=0.05))) as url:
        assert raw(url, head).startswith(b"HTTP/1.1 408 ")
        assert raw(url, head, is_half=True)[:12] in {b"", b"HTTP/1.1 408", b"HTTP/1.1 400"}
        assert send(url, "/hooks/box", b"x").status == 200
    assert [call.body for call in nosy.calls] == [b"x"]


def test_the_same_event_is_kept_once_whoever_receives_it(database_url: str) -> None:
    """Two processes behind one address, each with its own connection to the database."""
    stores = [Store.open(database_url), Store.open(database_url)]
    bells = [Bell(store, {"box": Vendor(), "other": Vendor()}) for store in stores]
    events = [("mail", f"m{n % 5}", f"e{n}") for n in range(20)]
    for name in ("box", "other"):
        bells[0].engine.connector(name)
    with served(bells[0].app()) as one, served(bells[1].app()) as two:

        def ring(url: str, bell: Bell, order: int) -> Callable[[], list[int]]:
            return lambda: [bell.ring(url, "box", *events[n::4][::order]) for n in range(4)]

        answers = in_threads(ring(one, bells[0], 1), ring(two, bells[1], -1), ring(one, bells[0], -1))
        assert {status for got in answers for status in got} == {200}
        assert bells[0].ring(one, "other", events[0]) == 200, "another account's event of the same name is its own"
    kept = stored(stores[0])
    assert len(kept) == 21
    assert sorted(x for name, _, x, _ in kept if name == "box") == sorted(f"m{n % 5}" for n in range(20))
    for store in stores:
        store.close()


def test_one_event_may_name_several_records_and_events_without_a_name_are_all_kept(bell: Bell, url: str) -> None:
    for _ in range(2):
        assert bell.ring(url, "box", ("mail", "m1", "e1"), ("mail", "m2", "e1"), ("mail", "", "")) == 200
    assert sorted(x for _, _, x, _ in stored(bell.world.store)) == ["", "", "m1", "m2"]


# --- durability -----------------------------------------------------------------------------------------------------


@contextmanager
def held_up(store: Store) -> Iterator[tuple[threading.Event, threading.Event, list[int]]]:
    """Units of work end only when let: (one has begun, let them end, how many there were)."""
    begun, let, count, write = threading.Event(), threading.Event(), list[int](), store.write

    @contextmanager
    def slow() -> Iterator[Any]:
        with write() as c:
            yield c
            count.append(1)
            begun.set()
            assert let.wait(30)

    with patch.object(store, "write", slow):
        try:
            yield begun, let, count
        finally:
            let.set()


def test_the_answer_comes_after_the_commit_and_those_who_wait_share_the_next(
    nosy: type[Nosy], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, rings, answers = 20, list[int](), list[int]()
    inside = threading.Semaphore(0)
    monkeypatch.setattr(nosy, "parsed", staticmethod(lambda call: [Notice("mail", call.url[-2:])]))
    monkeypatch.setattr(nosy, "verified", staticmethod(lambda _: inside.release()))
    app = app_of(nosy, store, ring=lambda: rings.append(len(stored(store))))
    with served(app) as url, held_up(store) as (begun, let, count):
        threads = [
            threading.Thread(target=lambda n=n: answers.append(send(url, f"/hooks/box?{n:02}").status))
            for n in range(many)
        ]
        threads[0].start()
        assert begun.wait(20)
        for thread in threads[1:]:
            thread.start()
        for _ in threads:
            assert inside.acquire(timeout=20)
        assert (answers, stored(store), rings) == ([], [], [])
        let.set()
        for thread in threads:
            thread.join(20)
    assert answers == [200] * many
    assert [x for _, _, x, _ in stored(store)] == [f"{n:02}" for n in range(many)]
    assert len(count) == 2, "all that came while one was written share a transaction"
    assert rings == [1, many], "the bell is rung after each commit"


def test_a_database_that_fails_is_told_to_the_vendor_and_nothing_is_promised(bell: Bell, url: str) -> None:
    @contextmanager
    def broken() -> Iterator[Any]:
        raise sa.exc.OperationalError("insert", {}, Exception("disk full"))
        yield

    assert send(url, "/hooks/box", method="GET").status == 200
    with patch.object(bell.world.store, "write", broken):
        answer = send(url, *bell.call("box", [EVENT]))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert bell.ring(url, "box", EVENT) == 200, "the next one finds the inbox working"
    assert len(stored(bell.world.store)) == 1


def test_a_full_inbox_says_when_to_come_again(bell: Bell) -> None:
    limits = Limits(at_once=1, retry_after_s=7)
    bell.engine.connector("box")  # its row is made on first sight
    with served(bell.app(limits=limits)) as url, held_up(bell.world.store) as (begun, let, _):
        statuses: list[int] = []
        first = threading.Thread(target=lambda: statuses.append(bell.ring(url, "box", EVENT)))
        first.start()
        assert begun.wait(20)
        answer = send(url, *bell.call("box", [EVENT]))
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        let.set()
        first.join(20)
        assert statuses == [200]
        assert bell.ring(url, "box", EVENT) == 200


def test_a_connection_whose_settings_are_wrong_is_asked_to_come_again(store: Store) -> None:
    trouble = [ConfigError("webhook_secret: the variable is not set"), ZeroDivisionError("a plugin's own")]

    def lookup(name: str) -> Any:
        raise trouble.pop()

    with served(create_app(lookup, store, FakeClock(Bell(store, {}).world.clock.now()))) as url:
        assert [send(url, "/hooks/box").status for _ in range(2)] == [503, 503]


def test_no_secret_is_written_to_the_log(bell: Bell, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path, body, headers = bell.call("box", [("mail", "canary-record", "canary-event")])
    with served(bell.app(secrets={"box": "canary-address"})) as url:
        assert send(url, f"{path}/canary-address?token=canary-token", body, headers).status == 200
        assert send(url, f"{path}/canary-address?token=canary-token", body, {}).status == 401
    assert "canary" not in caplog.text
    assert headers["acorn-signature"] not in caplog.text


def test_a_port_that_is_taken_is_a_configuration_error(bell: Bell, url: str) -> None:
    port = urlsplit(url).port
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"), serving(bell.app(), "127.0.0.1", port or 0):
        pass


def test_a_bell_nobody_hears_changes_nothing(bell: Bell, caplog: pytest.LogCaptureFixture) -> None:
    def gone() -> None:
        raise RuntimeError("the event loop is closed")

    with served(bell.app(ring=gone)) as url:
        assert bell.ring(url, "box", EVENT) == 200
        assert bell.ring(url, "box", ("mail", "m2", "e2")) == 200
    assert len(stored(bell.world.store)) == 2
    assert "could not be rung" in caplog.text


def test_calls_under_way_are_answered_before_the_inbox_ends(bell: Bell) -> None:
    statuses: list[int] = []
    bell.engine.connector("box")
    with held_up(bell.world.store) as (begun, let, _):
        with served(bell.app()) as url:
            call = threading.Thread(target=lambda: statuses.append(bell.ring(url, "box", EVENT)))
            call.start()
            assert begun.wait(20)
            threading.Timer(0.05, let.set).start()
        call.join(20)
    assert statuses == [200]
    with pytest.raises(OSError, match="refused"):
        send(url, "/hooks/box", method="GET")
