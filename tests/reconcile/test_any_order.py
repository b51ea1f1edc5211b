"""Property: the timeline is a function of what the sources hold, not of the order, paging or repetition of its arrival."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acorn import Vendor, body
from hypothesis import given, settings
from hypothesis import strategies as st
from world import US, World, mail

from hub.api import Interaction, RawRecord
from hub.store import Store

PEOPLE = [
    "ana@kestrel.example", "Ana+x@Kestrel.example", "bo@kestrel.example", "cy@gmail.com", "c.y@googlemail.com",
    "info@kestrel.example", "crew@kestrel.example", "no-reply@other.example", f"sam@{US}", f"kim@{US}", f"help@{US}",
]  # fmt: skip
KEYS = [f"m{i}" for i in range(6)]

LISTED = {"m4", "m5"}  # mail of the list crew@, which says so in all its forms


def letter(key: str, sender: str, to: list[str], cc: list[str], refs: list[str], minute: int, text: str) -> Interaction:
    if key not in LISTED:
        return mail(key, sender, to, cc=cc, refs=refs, minute=minute, text=text)
    to = [*to, "crew@kestrel.example"]
    return mail(key, sender, to, cc=cc, refs=refs, minute=minute, text=text, signals=("list:crew@kestrel.example",))


letters = st.builds(
    letter, st.sampled_from(KEYS), st.sampled_from(PEOPLE), st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=2),
    st.lists(st.sampled_from(PEOPLE), max_size=1), st.lists(st.sampled_from([*KEYS, "lost"]), max_size=2),
    st.integers(0, 3), st.sampled_from(["", "one", "two"]),
)  # fmt: skip


@dataclass
class Delivery:
    source: str
    letter: Interaction


@st.composite
def histories(draw: st.DrawFn) -> list[list[Delivery]]:
    """Pages, each of one source. A record comes once or several times; the last time it comes is how it ends."""
    sent = draw(st.lists(st.builds(Delivery, st.sampled_from("ab"), letters), min_size=1, max_size=9))
    sent = draw(st.permutations([*sent, *draw(st.lists(st.sampled_from(sent), max_size=2))]))
    pages: list[list[Delivery]] = []
    for d in sent:
        if pages and pages[-1][0].source == d.source and draw(st.booleans()):
            pages[-1].append(d)
        else:
            pages.append([d])
    return pages


def deliver(store: Store, pages: list[list[Delivery]]) -> dict[str, dict[str, Any]]:
    world = World(
        store,
        {"a": Vendor(), "b": Vendor()},
        own={"domains": [US], "lists": [f"help@{US}"]},
        capture={"internal": "keep"},
    )
    runs = {name: world.run(name) for name in ("a", "b")}
    for page in pages:
        world.take(runs[page[0].source], *(RawRecord(d.letter.external_id, body(d.letter)) for d in page))
    world.check()
    return world.timeline()


def at_the_end(pages: list[list[Delivery]]) -> list[list[Delivery]]:
    """The same estate, each record once and in its last form, by source and key."""
    last = {(d.source, d.letter.external_id): d for page in pages for d in page}
    return [[last[x] for x in sorted(last) if x[0] == source] for source in "ab" if any(x[0] == source for x in last)]


def thread_partition(pages: list[list[Delivery]]) -> Callable[[str], frozenset[str]]:
    """Message key -> the keys that any reference ever seen ties it to."""
    groups: dict[str, set[str]] = {}
    taken = ({d.letter.external_id: d for d in page} for page in pages)  # of a page's forms of a record the last one
    for d in (d for page in taken for d in page.values()):
        refs = {r.removeprefix("message-id:<").removesuffix(">") for r in d.letter.thread_refs}
        joined = set().union(refs, *(groups[r] for r in refs if r in groups))
        groups |= dict.fromkeys(joined, joined)
    return lambda key: frozenset(groups[key])


def differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """What of which entry differs: (found, expected)."""
    nothing: dict[str, Any] = {}
    return {
        f"{public} {what}": (found.get(public, nothing).get(what), expected.get(public, nothing).get(what))
        for public in found.keys() | expected.keys()
        for what in found.get(public, nothing).keys() | expected.get(public, nothing).keys()
        if found.get(public, nothing).get(what) != expected.get(public, nothing).get(what)
    }


def test_the_timeline_does_not_depend_on_how_things_arrive(emptied: Callable[[], Store], store: Store) -> None:
    @settings(max_examples=12 if store.is_sqlite else 5)
    @given(histories())
    def any_history(pages: list[list[Delivery]]) -> None:
        found = deliver(emptied(), pages)
        expected = deliver(emptied(), at_the_end(pages))
        together = thread_partition(pages)
        keys = {public: next(ext for _, _, ext, _ in e["sources"]) for public, e in found.items()}
        for public, entry in found.items():
            assert {keys[p] for p in entry["thread"]} == together(keys[public]) & set(keys.values())
        for timeline in (found, expected):  # references of earlier forms tie too: compared above
            for entry in timeline.values():
                del entry["thread"]
        assert differences(found, expected) == {}

    any_history()
