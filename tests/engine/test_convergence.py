"""State machine: whatever happens at the sources and to our process, a quiet hub equals one synced from nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from acorn import Killed, Vendor
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from world import US, World, crash_in_commit, mail

from hub import status
from hub.store import Store

NAMES = st.sampled_from(["a", "b"])
KEYS = [f"m{i}" for i in range(6)]
POLICIES: list[dict[str, Any]] = [
    {}, {"internal": "keep"}, {"block_domains": ("kestrel.example",)}, {"metadata_only": True},
    {"metadata_only_domains": ("other.example",)}, {"require_label": "Keep"},
]  # fmt: skip
WRITERS = ["ana@kestrel.example", "bo@other.example", f"kim@{US}"]


class Estate(RuleBasedStateMachine):
    """Two mailboxes holding copies of the same six messages, one hub."""

    def __init__(self, emptied: Callable[[], Store]) -> None:
        super().__init__()
        self.emptied = emptied
        self.vendors = {"a": Vendor(page_size=2), "b": Vendor(page_size=2)}
        self.policy: dict[str, Any] = {}
        self.world = World(emptied(), self.vendors)
        self.taken_away = False

    def records(self, name: str) -> dict[str, bytes]:
        return self.vendors[name].feeds["mail"].records

    @rule(
        name=NAMES, key=st.sampled_from(KEYS), text=st.sampled_from(["one", "two", "three"]), minute=st.integers(0, 2),
        label=st.sampled_from([(), ("Keep",)]), bad=st.integers(0, 9),
    )  # fmt: skip
    def edit(self, name: str, key: str, text: str, minute: int, label: tuple[str, ...], bad: int) -> None:
        n = KEYS.index(key)
        if bad == 0:
            self.vendors[name].put_raw("mail", key, reject="unreadable")
            return
        letter = mail(
            key,
            WRITERS[n % 3],
            [f"sam@{US}"],
            refs=KEYS[n - 1 : n] if n % 2 else (),
            text=text,
            minute=minute,
            labels=label,
        )
        self.vendors[name].mail(letter)

    @rule(name=NAMES, key=st.sampled_from(KEYS))
    def delete(self, name: str, key: str) -> None:
        if key in self.records(name):
            self.vendors[name].delete("mail", key)
            self.taken_away = True

    @rule(name=NAMES)
    def expire(self, name: str) -> None:
        self.vendors[name].expire()
        self.world.clock.advance(86400 * 1.1)

    @rule(policy=st.sampled_from(POLICIES))
    def change_policy(self, policy: dict[str, Any]) -> None:
        self.policy = policy
        self.taken_away = True
        self.restart()

    @rule(name=NAMES)
    def sync(self, name: str) -> None:
        self.world.sync(name, census=False)
        self.world.check()

    @rule(name=NAMES, page=st.integers(0, 4))
    def sync_killed_between_pages(self, name: str, page: int) -> None:
        self.vendors[name].trouble = [*[None] * page, Killed("between pages")]
        self.killed(name)

    @rule(name=NAMES, nth=st.integers(1, 9))
    def sync_killed_in_a_commit(self, name: str, nth: int) -> None:
        with crash_in_commit(self.world.store, nth):
            self.killed(name)

    def killed(self, name: str) -> None:
        try:
            self.world.sync(name, census=False)
        except Killed:
            pass
        self.vendors[name].trouble = []
        self.restart()
        self.world.check()

    def restart(self) -> None:
        self.world = self.world.restart(capture=self.policy)

    def teardown(self) -> None:
        """Nothing moves any more: one sync settles, the next finds nothing to do, and a fresh hub agrees."""
        self.world.clock.advance(86400 * 1.1)
        self.world.sync()
        seen = self.world.timeline()
        for result in (self.world.sync("a", census=False), self.world.sync("b", census=False)):
            assert result.status == status.HEALTHY, result
            assert all(s.books.seen == 0 for s in result.streams), result
        assert self.world.timeline() == seen
        self.world.check()
        fresh = World(self.emptied(), self.vendors, capture=self.policy)
        fresh.sync()
        expected = fresh.timeline()
        for public, entry in expected.items():  # what is gone or left out may still tie others together
            assert seen[public]["thread"] >= entry["thread"]
        assert_equal_but_for_threads(seen, expected)


def assert_equal_but_for_threads(seen: dict[str, Any], expected: dict[str, Any]) -> None:
    assert [{**e, "thread": None} for _, e in sorted(seen.items())] == [
        {**e, "thread": None} for _, e in sorted(expected.items())
    ]


def test_a_quiet_hub_equals_one_synced_from_nothing(emptied: Callable[[], Store], store: Store) -> None:
    small = settings(max_examples=8 if store.is_sqlite else 3, stateful_step_count=14)
    run_state_machine_as_test(lambda: Estate(emptied), settings=small)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_in_force_from_the_start_or_later_gives_the_same(
    emptied: Callable[[], Store], policy: dict[str, Any]
) -> None:
    vendors = {"a": Vendor(), "b": Vendor()}
    for n, key in enumerate(KEYS):
        for name in ("a", "b")[n % 2 :]:
            vendors[name].mail(mail(key, WRITERS[n % 3], labels=("Keep",) if n % 4 else ()))
    late = World(emptied(), vendors)
    late.sync()
    late = late.restart(capture=policy)
    late.sync()
    seen = late.timeline()
    fresh = World(emptied(), vendors, capture=policy)
    fresh.sync()
    assert_equal_but_for_threads(seen, fresh.timeline())
