"""How events are brought: signed, in order for each customer, again after what failed; to receivers that do not behave."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from databases import on_sqlite
from receiving import Receiver, Rig
from test_signature import verified

from hub import hooks
from hub.api import ConfigError
from hub.health import health
from hub.hooks import line
from hub.store import Store, add, micros, scalar
from hub.store import tables as t
from hub.store import tables_hooks as h


def listen(rig: Rig, receiver: Receiver, *events: str, **kwargs: Any) -> str:
    return rig.endpoints.add(receiver.url, events or ["contact.*"], **kwargs)[0].public_id


def happen(rig: Rig, *of: str | Sequence[str], kind: str = "contact.updated") -> list[int]:
    """Events, each of one customer or of several, straight into the line of every endpoint; their numbers."""
    with rig.store.write() as c:
        first = hooks.newest(c) + 1
        now = micros(rig.clock.now())
        rows = []
        for n, who in enumerate(of, first):
            keys = [who] if isinstance(who, str) else list(who)
            body = json.dumps({"type": f"hub.{kind}.v1", "subject": keys[0], "n": n, "keys": keys})
            rows.append({
                "id": n, "public_id": f"evt_{n}", "audience": "", "type": f"hub.{kind}.v1", "subject": keys[0], "at": now,
                "lanes": json.dumps(keys), "body": body,
            })  # fmt: skip
        add(c, h.event, rows)
        for to in hooks.endpoints(c):
            line.enqueue(c, to.id, [(r["id"], json.loads(r["lanes"])) for r in rows], now)
    return [r["id"] for r in rows]


def numbers(receiver: Receiver) -> list[int]:
    return [e["n"] for e in receiver.events]


def failing(times: dict[int, int], status: int = 500) -> Any:
    """An answer to give: event number -> how often it fails first."""
    left = dict(times)

    def answer(event: dict[str, Any]) -> int:
        left[event["n"]] = left.get(event["n"], 0) - 1
        return status if left[event["n"]] >= 0 else 200

    return answer


# --- a call -------------------------------------------------------------------------------------------------------------


@on_sqlite
def test_each_call_is_signed_and_says_when(rig: Rig, receiver: Receiver) -> None:
    made, secret = rig.endpoints.add(receiver.url, ["*"])
    happen(rig, "ana")
    receiver.answer = failing({1: 1})
    rig.deliver()
    rig.clock.advance(5)
    rig.deliver()
    (first, body), (second, again) = receiver.got
    assert body == again
    assert first["webhook-id"] == second["webhook-id"] == "evt_1"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 5
    assert verified(secret, first, body)
    assert verified(secret, second, body)
    assert [(x["state"], [a["status"] for a in x["attempts"]]) for x in rig.log(made.public_id)] == [
        ("done", [500, 200])
    ]


@on_sqlite
def test_for_a_day_after_a_rotation_both_secrets_sign(rig: Rig, receiver: Receiver) -> None:
    made, old = rig.endpoints.add(receiver.url, ["*"])
    new = rig.endpoints.rotate(made.public_id)
    for n, (moved, secrets) in enumerate([(0, (new, old)), (24 * 3600 - 1, (new, old)), (2, (new,))], 1):
        rig.clock.advance(moved)
        happen(rig, f"p{n}")
        rig.deliver()
        headers, body = receiver.got[-1]
        assert len(headers["webhook-signature"].split(" ")) == len(secrets)
        assert all(verified(s, headers, body) for s in secrets)
    assert not verified(old, *receiver.got[-1])


@on_sqlite
def test_secrets_are_kept_encrypted_and_shown_once(rig: Rig, receiver: Receiver, store: Store) -> None:
    made, secret = rig.endpoints.add(receiver.url, ["*"])
    with store.read() as c:
        kept = b"".join(bytes(x) for x in c.execute(sa.select(t.secret.c.value)).scalars())
    assert secret.encode() not in kept
    assert kept
    assert secret not in json.dumps(made.to_dict(), default=str)
    rig.endpoints.remove(made.public_id)
    with store.read() as c:
        assert c.execute(sa.select(t.secret)).all() == []


@on_sqlite
def test_without_a_key_there_is_no_endpoint(store: Store, rig: Rig, receiver: Receiver) -> None:
    from hub.store import Secrets

    without = hooks.Endpoints(store, Secrets(store, []), rig.clock, allow_loopback=True)
    with pytest.raises(ConfigError, match="ihub init --key"):
        without.add(receiver.url, ["*"])


# --- order --------------------------------------------------------------------------------------------------------------


def test_what_fails_holds_back_its_customer_and_nobody_else(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana", "bo", "ana", "bo", "ana")
    receiver.answer = failing({1: 1})
    rig.deliver()
    assert sorted(numbers(receiver)) == [1, 2, 4]
    assert rig.counts(made) == {"waiting": 2, "due": 1, "done": 2, "failed": 0}
    rig.clock.advance(4.9)
    rig.deliver()
    assert len(receiver.got) == 3
    rig.clock.advance(0.2)
    rig.deliver()
    assert numbers(receiver)[3:] == [1, 3, 5]


def test_an_event_of_two_customers_keeps_both_in_order(rig: Rig, receiver: Receiver) -> None:
    listen(rig, receiver)
    happen(rig, "ana", ["ana", "bo"], "bo", "cai")
    receiver.answer = failing({1: 2})
    rig.deliver()
    assert sorted(numbers(receiver)) == [1, 4]
    rig.settle()
    assert numbers(receiver)[-4:] == [1, 1, 2, 3]


@on_sqlite
def test_one_endpoint_waits_for_no_other(rig: Rig, receiver: Receiver) -> None:
    good = listen(rig, receiver)
    bad = rig.endpoints.add("http://127.0.0.1:9/in", ["*"])[0].public_id
    happen(rig, "ana", "ana")
    rig.deliver()
    assert rig.counts(good)["done"] == 2
    assert rig.counts(bad) == {"waiting": 1, "due": 1, "done": 0, "failed": 0}


@on_sqlite
def test_what_happens_later_stands_behind(rig: Rig, receiver: Receiver) -> None:
    listen(rig, receiver)
    receiver.answer = failing({1: 1})
    happen(rig, "ana")
    rig.deliver()
    happen(rig, "ana", "bo")
    rig.deliver()
    assert numbers(receiver) == [1, 3]
    rig.settle()
    assert numbers(receiver) == [1, 3, 1, 2]


# --- again --------------------------------------------------------------------------------------------------------------


@on_sqlite
def test_the_schedule_is_that_of_standard_webhooks(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana", "ana")
    receiver.answer = failing({1: 10})
    rig.settle()
    at = [a["at"] for a in rig.log(made)[1]["attempts"]]
    waits = [round((b - a).total_seconds()) for a, b in pairwise(at)]
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert [(x["state"], x["tries"]) for x in rig.log(made)] == [("done", 1), ("failed", 10)]  # the next goes on then
    assert numbers(receiver) == [1] * 10 + [2]


@on_sqlite
def test_jitter_spreads_what_failed_together(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana", "bo")
    receiver.answer = lambda _: 500
    spread = iter([0.0, 1.0])

    async def work() -> None:
        sender = hooks.Sender(rig.clock, allow_loopback=True)
        await hooks.Courier(rig.store, rig.endpoints, rig.clock, sender, jitter=lambda: next(spread)).deliver()
        await sender.aclose()

    asyncio.run(work())
    waits = sorted((x["next_at"] - rig.clock.now()).total_seconds() for x in rig.log(made))
    assert waits == [5.0, 5.5]


@pytest.mark.parametrize(("status", "given", "wait"), [
    (503, "120", 120), (429, "3", 3), (503, "0", 1), (503, "1e9", 86400), (503, "-1", 5), (503, "nan", 5), (500, "120", 5),
])  # fmt: skip
@on_sqlite
def test_a_receiver_may_say_when(rig: Rig, receiver: Receiver, status: int, given: str, wait: int) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana")
    receiver.answer = lambda _: (status, {"retry-after": given}, b"")
    rig.deliver()
    assert rig.log(made)[0]["next_at"] - rig.clock.now() == timedelta(seconds=wait)


def test_one_that_is_gone_is_disabled_and_taken_up_again(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana", "ana", "bo")
    receiver.answer = lambda _: 410
    rig.settle()
    shown = rig.show(made)
    assert (shown.state, shown.reason) == ("disabled", "the receiver answered 410: it is gone")
    assert issues(rig) == [(f"webhook {made}", "webhook-gone")]
    happen(rig, "cai")
    before = len(receiver.got)
    rig.settle()
    assert len(receiver.got) == before
    receiver.answer = lambda _: 200
    assert rig.endpoints.resume(made).state == "active"
    assert issues(rig) == []
    rig.settle()
    assert rig.counts(made) == {"waiting": 0, "due": 0, "done": 4, "failed": 0}
    assert [n for n in numbers(receiver)[before:] if n in (1, 2)] == [1, 2]


def issues(rig: Rig) -> list[tuple[str, str]]:
    """Open ones, as health tells of them."""
    with rig.store.read() as c:
        found = health(
            lambda sql, values: [dict(r) for r in c.execute(sa.text(sql), values).mappings()], [], rig.clock.now()
        )
    return [(i["connection"], i["cause"]) for i in found["issues"]]


@on_sqlite
def test_one_that_fails_for_days_is_disabled(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    receiver.answer = lambda _: 500
    for day in range(6):
        happen(rig, f"p{day}")
        rig.deliver()
        assert rig.show(made).state == ("disabled" if day == 5 else "active")
        rig.clock.advance(86400)
    assert "every call failed for 5 days: it answered 500" in rig.show(made).reason
    assert issues(rig) == [(f"webhook {made}", "webhook-failing")]


@on_sqlite
def test_one_success_and_the_days_begin_anew(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    for day in range(8):
        status = 200 if day == 4 else 500
        receiver.answer = lambda _, status=status: status
        happen(rig, f"p{day}")
        rig.deliver()
        rig.clock.advance(86400)
    assert rig.show(made).state == "active"


@on_sqlite
def test_a_receiver_that_is_down_is_tried_with_one_at_a_time(rig: Rig, receiver: Receiver) -> None:
    """Thousands of events do not use up their tries, nor the receiver's patience."""
    made = listen(rig, receiver)
    happen(rig, *(f"p{n}" for n in range(200)))
    receiver.answer = lambda _: 500
    for _ in range(6):
        at = rig.deliver()
        rig.clock.advance((at - rig.clock.now()).total_seconds() + 0.001)
    assert len(receiver.got) < 40
    assert rig.show(made).held_until is not None
    receiver.answer = lambda _: 200
    rig.settle()
    assert rig.counts(made)["done"] == 200


@on_sqlite
def test_a_redirect_inside_counts_as_a_failure(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana")
    receiver.answer = lambda _: (307, {"location": "http://169.254.169.254/latest/meta-data/"}, b"")
    rig.deliver()
    (x,) = rig.log(made)
    assert (x["state"], x["attempts"][0]["status"], x["attempts"][0]["error"]) == (
        "due", 307, "a redirect, which is not followed",
    )  # fmt: skip
    assert len(receiver.got) == 1


@on_sqlite
def test_what_is_logged_of_an_answer(rig: Rig, receiver: Receiver) -> None:
    made, secret = rig.endpoints.add(receiver.url, ["*"])
    happen(rig, "ana")
    receiver.answer = lambda _: (422, {}, f"no such person ana@kestrel.example; {secret}; {'word ' * 1000}".encode())
    rig.deliver()
    text = rig.log(made.public_id)[0]["attempts"][0]["answer"]
    assert text.startswith("no such person ***@***; ")
    assert secret not in text
    assert len(text) <= 1000


# --- paused, removed, killed ----------------------------------------------------------------------------------------------


@on_sqlite
def test_while_paused_events_wait_in_line(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    rig.endpoints.pause(made, "moving house")
    happen(rig, "ana", "ana")
    rig.settle()
    assert receiver.got == []
    rig.endpoints.resume(made)
    rig.settle()
    assert numbers(receiver) == [1, 2]


def test_one_that_is_removed_leaves_nothing(rig: Rig, receiver: Receiver, store: Store) -> None:
    made = listen(rig, receiver)
    receiver.answer = lambda _: 500
    happen(rig, "ana", "ana")
    rig.deliver()
    rig.endpoints.remove(made)
    with store.read() as c:
        for table in (h.endpoint, h.delivery, h.turn, h.attempt):
            assert c.execute(sa.select(table)).all() == []
    rig.settle()
    assert len(receiver.got) == 1


class Killed(BaseException):
    """The process dies here."""


def test_killed_between_the_call_and_its_note(rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver heard it, the hub does not know: it is sent once more, with the same id, and nothing overtakes it."""
    made = listen(rig, receiver)
    happen(rig, "ana", "ana")

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as at:
        at.setattr(hooks.Courier, "_note", dies)
        at.setattr("hub.hooks.courier.release", lambda *_: None)  # nothing is tidied up by who is dead
        with pytest.raises(Killed):
            rig.deliver()
    assert numbers(receiver) == [1]
    rig.deliver()
    assert numbers(receiver) == [1]  # the dead one's lease, on a host that may be another
    rig.clock.advance(61)
    rig.deliver()
    assert [x["webhook-id"] for x, _ in receiver.got] == ["evt_1", "evt_1", "evt_2"]
    assert rig.counts(made)["done"] == 2


_COURIER = """
import asyncio, sys
from hub import hooks
from hub.api import Clock
from hub.store import Secrets, Store

store, clock = Store.open(sys.argv[1]), Clock()
endpoints = hooks.Endpoints(store, Secrets(store, [sys.argv[2]]), clock, allow_loopback=True)
asyncio.run(hooks.Courier(store, endpoints, clock, hooks.Sender(clock, allow_loopback=True)).deliver())
"""


@on_sqlite
def test_a_process_killed_while_it_is_answered(rig: Rig, receiver: Receiver, key: str) -> None:
    """Nothing waits for the lease of a process of this host that is no more."""
    made = listen(rig, receiver)
    happen(rig, "ana", "ana")
    url = rig.store.engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", _COURIER, url, key])

    def kills(_: dict[str, Any]) -> int:
        if len(receiver.got) == 1:
            process.kill()
            process.wait()
        return 200

    receiver.answer = kills
    assert process.wait(60) == -signal.SIGKILL
    rig.deliver()
    assert [x["webhook-id"] for x, _ in receiver.got] == ["evt_1", "evt_1", "evt_2"]
    assert rig.counts(made)["done"] == 2


def test_a_worker_that_lost_its_lease_notes_nothing(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana")

    def taken_over(_: dict[str, Any]) -> int:
        if len(receiver.got) == 1:
            with rig.store.write() as c:
                c.execute(sa.update(t.lease).values(fence=t.lease.c.fence + 1, holder="elsewhere:1:x"))
        return 200

    receiver.answer = taken_over
    rig.deliver()
    assert rig.log(made)[0]["attempts"] == []
    rig.clock.advance(61)
    rig.deliver()
    assert [x["webhook-id"] for x, _ in receiver.got] == ["evt_1", "evt_1"]
    assert rig.counts(made)["done"] == 1


def test_two_couriers_send_nothing_twice(rig: Rig, receiver: Receiver) -> None:
    listen(rig, receiver)
    happen(rig, *(f"p{n % 7}" for n in range(60)))

    async def both() -> None:
        senders = [hooks.Sender(rig.clock, allow_loopback=True) for _ in "ab"]
        couriers = [hooks.Courier(rig.store, rig.endpoints, rig.clock, s) for s in senders]
        await asyncio.gather(*(c.deliver() for c in couriers))
        for sender in senders:
            await sender.aclose()

    asyncio.run(both())
    rig.deliver()
    assert sorted(numbers(receiver)) == list(range(1, 61))


@on_sqlite
def test_a_secret_that_cannot_be_read_disables_and_says_so(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana")
    rig.secrets.forget(f"hook:{made}")
    rig.deliver()
    assert rig.show(made).state == "disabled"
    assert issues(rig) == [(f"webhook {made}", "webhook-secret")]
    rig.endpoints.rotate(made)
    rig.endpoints.resume(made)
    rig.deliver()
    assert numbers(receiver) == [1]


@on_sqlite
def test_run_goes_on_until_it_is_stopped(rig: Rig, receiver: Receiver) -> None:
    listen(rig, receiver)
    happen(rig, "ana")

    async def work() -> None:
        heard, loop = asyncio.Event(), asyncio.get_running_loop()

        def answer(_: dict[str, Any]) -> int:
            if len(receiver.got) == 1:
                return 500
            loop.call_soon_threadsafe(heard.set)
            return 200

        receiver.answer = answer
        sender = hooks.Sender(rig.clock, allow_loopback=True)
        async with hooks.Courier(rig.store, rig.endpoints, rig.clock, sender) as courier:
            task = asyncio.create_task(courier.run())  # the clock moves with every sleep of the courier's
            await asyncio.wait_for(heard.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(work())
    assert numbers(receiver) == [1, 1]


def test_an_endpoint_may_be_changed(rig: Rig, receiver: Receiver, store: Store) -> None:
    from hub.store import marks

    made = listen(rig, receiver, "deal.*")
    found = rig.endpoints.edit(made, url=f"{receiver.url}/other", events=["issue.*"], description="the billing tool")
    assert (found.url, found.events, found.description) == (f"{receiver.url}/other", ("issue.*",), "the billing tool")
    with store.read() as c:
        assert marks.armed(c) == {"issue"}
    assert rig.endpoints.edit(made) == found
    for wrong in ({"url": "https://10.0.0.1/"}, {"events": ["none"]}):
        with pytest.raises(ConfigError):
            rig.endpoints.edit(made, **wrong)  # type: ignore[arg-type]
    assert rig.show(made) == found


# --- told again -----------------------------------------------------------------------------------------------------------


def test_one_event_is_sent_again(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana", "bo")
    rig.settle()
    hooks.resend(rig.store, made, "evt_1", rig.clock.now())
    rig.settle()
    assert sorted(numbers(receiver)) == [1, 1, 2]
    assert [len(x["attempts"]) for x in rig.log(made)] == [1, 2]
    for endpoint, event in ((made, "evt_9"), ("ep_none", "evt_1")):
        with pytest.raises(hooks.NoSuchEndpoint):
            hooks.resend(rig.store, endpoint, event, rig.clock.now())


def test_a_window_is_told_again_in_order_and_in_front_of_what_waits(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana", "ana", "bo", "ana", "bo")
    rig.settle()
    receiver.got.clear()
    receiver.answer = failing({6: 1})
    happen(rig, "ana")
    rig.deliver()
    receiver.got.clear()
    assert hooks.replay(rig.store, made, 1, rig.clock.now(), until=4) == 3
    assert rig.counts(made) == {"waiting": 2, "due": 2, "done": 2, "failed": 0}
    rig.settle()
    assert [n for n in numbers(receiver) if n in (2, 4, 6)] == [2, 4, 6]
    assert sorted(numbers(receiver)) == [2, 3, 4, 6]


@on_sqlite
def test_a_new_endpoint_may_hear_of_what_was_before_it(rig: Rig, receiver: Receiver) -> None:
    listen(rig, receiver, "contact.*")
    happen(rig, "ana", "bo")
    happen(rig, "ana", kind="deal.created")
    rig.settle()
    receiver.got.clear()
    second = listen(rig, receiver, "deal.*")
    assert hooks.replay(rig.store, second, 0, rig.clock.now()) == 1
    rig.settle()
    assert numbers(receiver) == [3]


def test_what_is_old_is_forgotten_but_for_the_last(rig: Rig, receiver: Receiver, store: Store) -> None:
    made = listen(rig, receiver)
    happen(rig, "ana", "bo")
    rig.settle()
    rig.endpoints.pause(made)
    happen(rig, "ana", "ana")
    rig.clock.advance(31 * 86400)
    rig.settle()
    with store.read() as c:
        assert list(c.execute(sa.select(h.event.c.id)).scalars()) == [4]
        assert hooks.newest(c) == 4
    rig.endpoints.resume(made)
    rig.settle()
    assert numbers(receiver)[-1] == 4  # nothing is left in front of it
    assert happen(rig, "ana") == [5]


def test_the_log_by_state_customer_and_page(rig: Rig, receiver: Receiver) -> None:
    made = listen(rig, receiver)
    receiver.answer = failing({1: 99})
    happen(rig, "ana", "bo", ["bo", "cai"], "bo_x")
    rig.deliver()
    assert [x["cursor"] for x in rig.log(made)] == [4, 3, 2, 1]
    assert [x["cursor"] for x in rig.log(made, states=["done"])] == [4, 3, 2]
    assert [x["cursor"] for x in rig.log(made, customer="bo")] == [3, 2]
    assert [x["cursor"] for x in rig.log(made, limit=2, before=4)] == [3, 2]
    with rig.store.read() as c:
        assert hooks.event(c, "evt_3")["keys"] == ["bo", "cai"]
        with pytest.raises(hooks.NoSuchEndpoint):
            hooks.event(c, "evt_99")


@on_sqlite
def test_a_trial_tells_of_nothing(rig: Rig, receiver: Receiver) -> None:
    made, secret = rig.endpoints.add(receiver.url, ["deal.*"])
    rig.endpoints.pause(made.public_id)

    async def work() -> hooks.Answer:
        sender = hooks.Sender(rig.clock, allow_loopback=True)
        found = await hooks.Courier(rig.store, rig.endpoints, rig.clock, sender).test(made.public_id)
        await sender.aclose()
        return found

    assert asyncio.run(work()).is_ok
    headers, body = receiver.got[0]
    assert verified(secret, headers, body)
    assert json.loads(body)["type"] == "hub.test.v1"
    assert rig.log(made.public_id) == []


# --- many -----------------------------------------------------------------------------------------------------------------


@on_sqlite
def test_of_many_with_failures_each_arrives_in_order_for_its_customer(rig: Rig, receiver: Receiver) -> None:
    """`python -m benchmarks.hooks` does it with ten thousand."""
    made = listen(rig, receiver)
    count, customers = 300, 40
    happen(
        rig, *((f"p{n * 7 % customers}", f"o{n % 11}") if n % 5 == 0 else f"p{n * 7 % customers}" for n in range(count))
    )
    receiver.answer = failing({n: n * 31 % 4 for n in range(1, count + 1) if n * 37 % 10 < 3})
    rig.settle(rounds=500)
    arrived: list[int] = []
    for n in numbers(receiver):  # the last time each was sent is when it arrived
        if n in arrived:
            arrived.remove(n)
        arrived.append(n)
    assert sorted(arrived) == list(range(1, count + 1))
    order: dict[str, list[int]] = {}
    keys = {e["n"]: e["keys"] for e in receiver.events}
    for n in arrived:
        for key in keys[n]:
            order.setdefault(key, []).append(n)
    assert all(found == sorted(found) for found in order.values())
    assert rig.counts(made) == {"waiting": 0, "due": 0, "done": count, "failed": 0}
    assert max(Counter(numbers(receiver)).values()) == 4
    with rig.store.read() as c:
        assert scalar(c, sa.select(sa.func.count()).select_from(h.turn)) == 0
