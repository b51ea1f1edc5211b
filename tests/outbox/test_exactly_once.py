"""Property: plan equals apply and each thing stands once at the destination, though one answer in three is lost."""

from collections.abc import Callable
from typing import Any

from acorn import Vendor
from hypothesis import given, settings
from hypothesis import strategies as st
from world import US, World, mail

from hub.store import Store

PEOPLE = ["ana@kestrel.example", "bo@kestrel.example", "cy@gmail.com", "info@other.example", f"sam@{US}", f"kim@{US}"]
KEYS = [f"m{i}" for i in range(5)]

edits = st.tuples(
    st.sampled_from(["put", "put", "put", "delete"]), st.sampled_from(KEYS), st.sampled_from(PEOPLE),
    st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=2), st.sampled_from(["one", "two"]),
)  # fmt: skip


def carry_out(vendor: Vendor, edit: tuple[Any, ...]) -> None:
    what, key, sender, to, text = edit
    if what == "put":
        vendor.mail(mail(key, sender, to, text=text))
    elif key in vendor.feeds["mail"].records:
        vendor.delete("mail", key)


def test_each_thing_stands_once_and_as_planned(emptied: Callable[[], Store], store: Store) -> None:
    @settings(max_examples=6 if store.is_sqlite else 3)
    @given(st.lists(st.lists(edits, min_size=1, max_size=4), min_size=1, max_size=3), st.sampled_from([0, 2, 3]))
    def any_estate(rounds: list[list[Any]], drop_every: int) -> None:
        source, record = Vendor(), Vendor(drop_every=drop_every)
        world = World(emptied(), {"a": source, "sor": record}, sor="sor")
        for edits in rounds:
            for edit in edits:
                carry_out(source, edit)
            world.sync("a", census=False)
            before = record.held()
            plan = world.plan()
            if not plan.id:
                continue
            result = world.apply(plan.id)
            assert result.applied.failures == []
            after = record.held()
            promised = {
                effect: sum(c[effect] for c in plan.counts.values()) for effect in ("create", "update", "delete")
            }
            assert sum(result.applied.done.values()) == plan.changes
            assert len(after.keys() - before.keys()) == promised["create"]
            assert len(before.keys() - after.keys()) == promised["delete"]
            assert all(after[key] == before[key] for key in after.keys() & before.keys())
            assert world.plan().changes == 0
        shown = {
            public: e
            for public, e in world.timeline().items()
            if any(n[0] in {"person", "organization"} for n, *_ in e["links"])
        }
        written: dict[str, Any] = {
            record.objects[i][1]: record.objects[i][2].entity for i in record.held("interaction").values()
        }
        assert {k: e.text for k, e in written.items()} == {k: e["text"] for k, e in shown.items()}

    any_estate()
