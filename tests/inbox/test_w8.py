"""W8 on the whole hub: webhooks lost, doubled and in any order, over real HTTP; one poll later all is as it should be."""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from acorn import Killed, Vendor
from hypothesis import given, settings
from hypothesis import strategies as st
from ringing import Bell, Event, send, served, stored
from through_engine import Hub, _tests_of
from world import US, World, crash_in_commit, mail

from hub.api import WebhookRequest
from hub.engine import doorbell
from hub.inbox import create_app
from hub.store import Store, unpack
from hub.store import tables as t

WRITERS = ["ana@kestrel.example", "bo@other.example", f"kim@{US}"]
KEYS = [f"m{i}" for i in range(6)]


class Call(NamedTuple):
    """A call on its way to us."""

    name: str
    events: list[Event]


class Estate:
    """Two mailboxes with copies of the same messages; of every five calls the line loses one and doubles one."""

    def __init__(self, store: Store, seed: int, page_size: int = 2, whole: float = 0.1) -> None:
        self.vendors = {"a": Vendor(page_size=page_size), "b": Vendor(page_size=page_size)}
        self.bell = Bell(store, self.vendors)
        self.rng = random.Random(seed)
        self.whole = whole  # the share of calls that say only that the mailbox changed
        self.fates: list[int] = []
        self.pending: list[Call] = []
        self.events = 0

    def happens(self, name: str, key: str) -> None:
        """Something happened to a message: the vendor calls, and the line does what it does."""
        self.events += 1
        whole = self.rng.random() < self.whole
        call = Call(name, [("mail", "" if whole else key, f"e{self.events}")])
        if not self.fates:
            self.fates = [0, 1, 1, 1, 2]
            self.rng.shuffle(self.fates)
        self.pending += [call] * self.fates.pop()

    def edit(self, name: str, key: str, text: str) -> None:
        n = KEYS.index(key) if key in KEYS else int(key[1:])
        refs = KEYS[n - 1 : n] if n % 2 else ()
        self.vendors[name].mail(mail(key, WRITERS[n % 3], [f"sam@{US}"], refs=refs, text=text, minute=n % 3))
        self.happens(name, key)

    def delete(self, name: str, key: str) -> None:
        if key in self.vendors[name].feeds["mail"].records:
            self.vendors[name].delete("mail", key)
            self.happens(name, key)

    def deliver(self, url: str, share: float) -> None:
        """Some of what is on its way arrives, in any order."""
        self.rng.shuffle(self.pending)
        count = round(len(self.pending) * share)
        arriving, self.pending = self.pending[:count], self.pending[count:]
        for call in arriving:
            assert self.bell.ring(url, call.name, *call.events) == 200

    def answer(self) -> None:
        for result in asyncio.run(doorbell.answer_all(self.bell.engine)):
            assert all(s.books.is_balanced for s in result.streams)
        self.bell.world.check()

    def killed(self, nth: int) -> None:
        """The process dies in its nth unit of work from now, and comes back."""
        with crash_in_commit(self.bell.world.store, nth), contextlib.suppress(Killed):
            self.answer()
        self.bell.restart()

    def settled(self, url: str) -> dict[str, Any]:
        """The rest of the calls, a last look, and one poll of each mailbox."""
        self.deliver(url, 1)
        self.bell.world.clock.advance(120)
        self.answer()
        self.bell.world.sync(census=False)
        assert all(is_done for *_, is_done in stored(self.bell.world.store))
        return self.bell.world.timeline()


def clean(store: Store, vendors: dict[str, Vendor]) -> dict[str, Any]:
    """What a hub holds that only polled, and began after all was over."""
    world = World(store, vendors)
    world.sync()
    return world.timeline()


def assert_same(seen: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal in all a person can see; a deleted message may still tie others into one conversation."""
    assert {k: {**v, "thread": None} for k, v in seen.items()} == {
        k: {**v, "thread": None} for k, v in expected.items()
    }
    assert all(seen[k]["thread"] >= v["thread"] for k, v in expected.items())


NAMES = st.sampled_from(["a", "b"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), NAMES, st.sampled_from(KEYS), st.sampled_from(["one", "two"])),
        st.tuples(st.just("delete"), NAMES, st.sampled_from(KEYS)),
        st.tuples(st.just("deliver"), st.sampled_from([0.3, 0.7, 1.0])),
        st.tuples(st.just("answer")),
        st.tuples(st.just("sync"), NAMES),
        st.tuples(st.just("killed"), st.integers(1, 6)),
    ),
    min_size=8, max_size=25,
)  # fmt: skip


def test_any_history_over_a_bad_line_ends_as_a_clean_run(emptied: Callable[[], Store], store: Store) -> None:
    at_hand: list[Estate] = []

    def lookup(name: str) -> Any:
        return at_hand[-1].bell.engine.connector(name)

    # The inbox keeps its connectors, whose clock is the first world's: every call is signed and judged by that one.
    first = Estate(emptied(), 0)
    at_hand.append(first)
    with served(create_app(lookup, store, first.bell.world.clock)) as url:

        @settings(max_examples=6 if store.is_sqlite else 2)
        @given(steps=STEPS, seed=st.integers(0, 1000))
        def run(steps: list[tuple[Any, ...]], seed: int) -> None:
            estate = Estate(emptied(), seed)
            estate.bell = Bell(store, estate.vendors, clock=first.bell.world.clock)
            at_hand.append(estate)
            for what, *args in steps:
                if what == "deliver":
                    estate.deliver(url, *args)
                elif what == "sync":
                    estate.bell.world.sync(*args, census=False)
                else:
                    getattr(estate, what)(*args)
            seen = estate.settled(url)
            assert_same(seen, clean(emptied(), estate.vendors))

        run()


def test_a_busy_day_over_a_bad_line(emptied: Callable[[], Store]) -> None:
    """A hundred changes in two mailboxes: a fifth of the calls lost, a fifth doubled, all shuffled."""
    estate = Estate(emptied(), 8, page_size=20, whole=0)
    keys = [f"m{n}" for n in range(40)]
    with served(estate.bell.app()) as url:
        for n, key in enumerate(keys):
            for name in ("a", "b")[n % 2 :]:
                estate.edit(name, key, "first")
        estate.pending.clear()
        estate.bell.world.sync(census=False)
        for n in range(100):
            name, key = estate.rng.choice("ab"), estate.rng.choice(keys)
            if estate.rng.random() < 0.15:
                estate.delete(name, key)
            else:
                estate.edit(name, key, f"text {n}")
            if n % 25 == 24:
                estate.deliver(url, 0.6)
                estate.answer()
        estate.deliver(url, 1)
        estate.answer()
        by_bells = estate.bell.world.timeline()
        seen = estate.settled(url)
    expected = clean(emptied(), estate.vendors)
    assert_same(seen, expected)
    right = sum(by_bells.get(k, {}).get("text") == v["text"] for k, v in expected.items())
    assert 0.7 * len(expected) < right < len(expected), "the bells bring most of it, the poll what they missed"


# --- vendors with signatures of their own -----------------------------------------------------------------------------

PUBLIC = "https://hub.example/in"


@pytest.fixture
def folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


def emptied_of_all(folder: Path) -> None:
    for file in folder.glob("hub.db*"):
        file.unlink()


def raws(hub: Hub) -> dict[str, bytes]:
    """What is held, byte for byte."""
    query = sa.select(t.record.c.external_id, t.raw.c.codec, t.raw.c.body).join(t.raw)
    rows = hub.rows(
        query.join(t.stream, t.stream.c.id == t.record.c.stream_id).where(t.stream.c.name == hub.rig.stream)
    )
    return {external_id: unpack(codec, body) for external_id, codec, body in rows}


def signed_again(hub: Hub, name: str, call: WebhookRequest) -> dict[str, str]:
    """The call as the vendor sends it to our address: one of them signs the address as well."""
    if not name.startswith("hubspot"):
        return dict(call.headers)
    rig = _tests_of("hubspot")
    at = str(int(hub.clock.now().timestamp() * 1000))
    signature = rig.sign_v3(rig.SECRET, "POST", f"{PUBLIC}/hooks/it?portal=1%2F2", call.body, at)
    return {"x-hubspot-request-timestamp": at, "x-hubspot-signature-v3": signature}


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["bulletin-messages", "hubspot-contacts"])
async def test_a_tools_own_calls_lost_doubled_and_shuffled(folder: Path, name: str) -> None:
    hub = Hub(name, folder)
    rng = random.Random(8)
    try:
        ids = hub.rig.populate(20)
        hub.rig.webhooks()
        await hub.sync()
        await answered_calls(hub, name, ids, rng)
        hub.clock.advance(max(hub.rig.interval_s, hub.rig.sweep_s))
        assert (await hub.sync()).status == "healthy"
        assert hub.live() == hub.rig.existing()
        seen = raws(hub)
        hub.restart()
        emptied_of_all(folder)
        await hub.sync()
        assert seen == raws(hub), "as a hub that never heard a bell"
    finally:
        await hub.close()


async def answered_calls(hub: Hub, name: str, ids: list[str], rng: random.Random) -> None:
    hub.clock.advance(hub.rig.interval_s / 4)
    calls: list[WebhookRequest] = []
    for external_id in ids[:10]:
        hub.rig.change(external_id)
        calls += hub.rig.webhooks()
    hub.rig.add()
    hub.rig.delete(ids[15])
    calls += hub.rig.webhooks()
    assert len(calls) >= 11
    kept = [c for n, c in enumerate(calls) if n % 5 != 2]
    kept += kept[::5]
    rng.shuffle(kept)
    app = create_app(lambda _: hub.engine.connector("it"), hub.engine.store, hub.clock, public_url=PUBLIC)
    with served(app) as url:
        for call in kept:
            headers = signed_again(hub, name, call)
            answer = await asyncio.to_thread(send, url, "/hooks/it?portal=1%2F2", call.body, headers)
            assert answer.status == 200
            wrong = {k: v[:-3] + ("AAA" if v[-3:] != "AAA" else "BBB") for k, v in headers.items() if "sign" in k}
            assert (await asyncio.to_thread(send, url, "/hooks/it", call.body, {**headers, **wrong})).status == 401
    before = raws(hub)
    results = await doorbell.answer_all(hub.engine)
    assert [r.status for r in results] == ["healthy"]
    changed = {k for k, body in raws(hub).items() if before.get(k) != body}
    assert len(changed) >= 6, "what was named is here before any poll"
