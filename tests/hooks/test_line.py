"""The line at an endpoint: whatever is put in, finished, put off or told again, nobody is overtaken and nobody is stuck."""

from collections.abc import Sequence

import sqlalchemy as sa
from databases import on_sqlite
from emptying import empty
from hypothesis import given, settings
from hypothesis import strategies as some

from hub.hooks import line
from hub.store import Store, add
from hub.store import tables_hooks as h

KEYS = some.lists(some.sampled_from("abcd"), min_size=1, max_size=3, unique=True)
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("come"), some.lists(KEYS, min_size=1, max_size=4)),
        some.tuples(some.just("go"), some.lists(some.booleans(), min_size=1, max_size=4)),
        some.tuples(some.just("again"), some.lists(some.integers(1, 12), min_size=1, max_size=3, unique=True)),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


class Line:
    """One endpoint, and what is in line there by our own reckoning: event -> keys."""

    def __init__(self, store: Store) -> None:
        self.store, self.all, self.pending = store, dict[int, Sequence[str]](), dict[int, Sequence[str]]()
        with store.write() as c:
            add(c, h.endpoint, [{
                "id": 1, "public_id": "ep_1", "url": "x", "events": "*.*", "state": "active", "created_at": 0, "changed_at": 0,
            }])  # fmt: skip

    def come(self, events: Sequence[Sequence[str]]) -> None:
        fresh = dict(enumerate(events, len(self.all) + 1))
        with self.store.write() as c:
            add(c, h.event, [
                {
                    "id": n, "public_id": f"evt_{n}", "audience": "", "type": "t", "subject": "s", "at": 0, "body": "",
                    "lanes": "[" + ", ".join(f'"{k}"' for k in keys) + "]",
                }
                for n, keys in fresh.items()
            ])  # fmt: skip
            line.enqueue(c, 1, list(fresh.items()), 0)
        self.all |= fresh
        self.pending |= fresh

    def go(self, outcomes: Sequence[bool]) -> None:
        with self.store.write() as c:
            jobs = line.ready(c, 1, 0, len(outcomes))
            done = [job for job, is_ok in zip(jobs, outcomes, strict=False) if is_ok]
            line.over(c, 1, [(job, "done", 1) for job in done], 0)
            line.again(c, [(job, job.tries + 1, 0) for job in jobs if job not in done])
        for job in done:
            assert not [n for n in self.pending if n < job.event_id and set(self.pending[n]) & set(job.keys)]
        for job in done:
            del self.pending[job.event_id]

    def again(self, numbers: Sequence[int]) -> None:
        told = {n: self.all[n] for n in numbers if n in self.all}
        with self.store.write() as c:
            line.anew(c, 1, list(told.items()), 0)
        self.pending |= told

    def check(self) -> None:
        """Due is exactly what is first for all its keys, and what is due has no key in common."""
        first: dict[str, int] = {}
        for n in sorted(self.pending):
            for key in self.pending[n]:
                first.setdefault(key, n)
        due = [n for n in sorted(self.pending) if all(first[k] == n for k in self.pending[n])]
        with self.store.read() as c:
            assert [job.event_id for job in line.ready(c, 1, 0, 100)] == due
            waiting = c.execute(sa.select(h.delivery.c.event_id).where(h.delivery.c.state == "waiting")).scalars()
            assert sorted(waiting) == sorted(set(self.pending) - set(due))
            assert len(c.execute(sa.select(h.turn)).all()) == sum(map(len, self.pending.values()))
        assert bool(due) == bool(self.pending)


@on_sqlite
@settings(max_examples=40)
@given(steps=STEPS)
def test_nobody_is_overtaken_and_nobody_is_stuck(store: Store, steps: list[tuple[str, list[object]]]) -> None:
    empty(store)
    found = Line(store)
    for what, given_ in steps:
        getattr(found, what)(given_)
        found.check()
    while found.pending:
        found.go([True] * 3)
    found.check()
