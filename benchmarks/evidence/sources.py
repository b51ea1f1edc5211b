"""The same mailbox as a file and over the Gmail stand-in: one timeline, whichever way it came, and no second copies.

    python -m benchmarks.evidence.sources [--messages N]

Three hubs: Gmail only, the file only, both at once (in either order). About two minutes.
"""

import argparse
import asyncio
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hub.engine import push
from tests.e2e import checks, real
from tests.e2e.checks import Figure, show
from tests.e2e.world import World


async def compared(folder: Path, limit: int | None) -> list[Figure]:
    """All figures of the comparison; used by a test on the set's first messages and by `main` on the whole."""
    path = real.mail_set() if limit is None else first_of(real.mail_set(), folder / "mail.tar.gz", limit)
    first = real.world(folder / "gmail")
    real.fill(first, limit)
    gmail, shown, texts = await _alone(first)
    file, shown_file, texts_file = await _alone(real.world(folder / "file", is_gmail=False, files=[path]))
    others = [k for k in shown if shown[k] != shown_file.get(k)]
    words = [k for k in texts if texts[k] != texts_file.get(k)]
    figures = [
        Figure("interactions from the file", len(shown_file), len(shown)),
        Figure("interactions missing in either", len(shown.keys() ^ shown_file.keys()), 0),
        Figure("interactions shown differently", len(others), 0, _which(shown, shown_file, others)),
        Figure("interactions with other words", len(words), 0),
        Figure("dispositions, file", file, {**gmail}),
    ]
    for order in ("gmail first", "file first"):
        world = real.world(folder / order.replace(" ", "_"), files=[path], gmail=first.gmail)
        figures += await _both(world, order, shown)
    return figures


async def _alone(world: World) -> tuple[dict[str, int], dict[str, Any], dict[str, Any]]:
    name = next(iter([*world.mailboxes, *world.files]))
    async with world.up():
        result = await world.sync(name)
        print(*result.lines, sep="\n", flush=True)
        with world.engine.store.read() as c:
            found = checks.timeline(c), checks.texts(c)
    return {k: n for k, n in result.streams[0].books.counts.items() if n}, *found


async def _both(world: World, order: str, shown: dict[str, Any]) -> list[Figure]:
    """Two sources of the same mail and a push between them: the second adds no copy and changes nothing."""
    names = [next(iter(world.mailboxes)), next(iter(world.files))]
    if order == "file first":
        names.reverse()
    async with world.up():
        await world.sync("hubspot")
        await world.sync(names[0])
        applied = await world.push()
        await world.sync("hubspot")
        second = await world.sync(names[1])
        print(order, *second.lines, sep="\n", flush=True)
        plan = push.plan(world.engine)
        emails = len(world.dump("emails"))
        with world.engine.store.read() as c:
            both, sources, wrong = checks.timeline(c), checks.sources_of(c), checks.invariants(c)
    written = applied.applied.done if applied else {}
    return [
        Figure(f"{order}: interactions", len(both), len(shown)),
        Figure(f"{order}: shown differently", sum(both[k] != shown.get(k) for k in both), 0),
        Figure(f"{order}: with both sources", sources[tuple(sorted(names))], len(shown)),
        Figure(f"{order}: second source's new records", second.streams[0].books.counts["new"], 0),
        Figure(f"{order}: changes at the CRM by the second", plan.counts, {}),
        Figure(f"{order}: engagements at the CRM", emails, sum(written.values()) - _people(world)),
        Figure(f"{order}: objects sharing a key", world.hubspot.state()["duplicates"], {}),
        Figure(f"{order}: broken invariants", wrong, []),
    ]


def _people(world: World) -> int:
    return len(world.dump("contacts")) + len(world.dump("companies"))


def _which(one: dict[str, Any], other: dict[str, Any], keys: list[str]) -> str:
    """Which columns differ, without naming anybody."""
    names = ("conversation", "kind", "channel", "direction", "time", "subject", "files", "people")
    found = {n for k in keys if k in other for n, a, b in zip(names, one[k], other[k], strict=True) if a != b}
    return ", ".join(sorted(found))


def first_of(archive: Path, into: Path, limit: int) -> Path:
    """A tar of the set's first messages."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as source, tarfile.open(into, "w:gz", compresslevel=1) as target:
        left = limit
        for member in source:
            if member.isfile() and left:
                target.addfile(member, source.extractfile(member))
                left -= 1
            elif not left:
                break
    return into


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--messages", type=int, help="only the first N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(compared(Path(folder), options.messages))
    return 0 if show(figures, title="one mailbox, two ways") else 1


if __name__ == "__main__":
    sys.exit(main())
