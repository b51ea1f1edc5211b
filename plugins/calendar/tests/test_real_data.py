"""Real calendars through the emulator to the connector: one feed at 41 points in time, and 295 odd files."""

import io
import json
import os
import tarfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.api import Entity, Interaction, Unmapped, Window
from hub.testing import shared_path

pytestmark = [pytest.mark.anyio, pytest.mark.real_data]

FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
# Endless rules: fourteen files have 67,000 of the 70,000 occurrences and take two minutes (HUB_LONG=1, --timeout 600).
MOST = 20_000 if os.environ.get("HUB_LONG") else 300


def data(name: str) -> Path:
    path = shared_path(f"data/calendar/{name}")
    if path is None:
        pytest.skip(f"data/calendar/{name} is not beside the checkout")
    return path


@cache
def files(archive: Path) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
        members = [m for m in tar.getmembers() if m.isfile()]
        return {m.name: tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]


async def test_a_feed_over_a_season_moves_and_never_multiplies(stand: Any, model: Any) -> None:
    snapshots = files(data("feed-over-time-afl2026.tar.gz"))
    facts = json.loads(data("feed-over-time-afl2026.facts.json").read_text())["snapshots"]
    connector = stand.connect()
    moved = added = removed = changed = 0
    starts: dict[str, datetime | None] = {}
    for fact, name in zip(facts, sorted(snapshots), strict=True):
        stand.google.load_ics("sales@example.com", snapshots[name])
        await stand.sync(connector, model)
        meetings = stand.meetings(connector, model)
        found = {i: m.occurred_at for i, m in meetings.items()}
        moves = sum(starts.get(i, at) != at for i, at in found.items())
        assert (len(found), moves) == (fact["events"], fact["moved_dtstart"]), name
        if fact["n"]:
            assert len(model.changed) == fact["changed_any"], name
            added, removed = added + len(model.added), removed + len(model.gone)
        moved, changed, starts = moved + moves, changed + len(model.changed), found
        keys = [k for m in meetings.values() for k in m.dedup_keys]
        assert len(keys) == len(set(keys)) == 2 * len(found)
        stand.google.load_ics("sales@example.com", snapshots[name])
        await stand.sync(connector, model)
        assert not (model.added or model.changed or model.gone), "the same feed again is no news"
        stand.clock.advance(3600)
    assert (len(starts), moved, added, removed) == (207, 82, 0, 0)
    assert changed == sum(f["changed_any"] for f in facts)


def is_in_facts(entity: Entity) -> bool:
    """Whether it begins within the facts' years by its own clock: they count local days."""
    if not isinstance(entity, Interaction) or entity.occurred_at is None:
        return True
    local = entity.occurred_at.astimezone(ZoneInfo(entity.zone)) if entity.zone else entity.occurred_at
    return FIRST.year <= local.year < LAST.year


@pytest.mark.slow
async def test_every_odd_file_is_read_and_its_occurrences_are_right(stand: Any, model: Any) -> None:
    facts = {f["path"]: f for f in json.loads(data("occurrences.facts.json").read_text())["files"]}
    index = [json.loads(line) for line in data("ics-dev.index.jsonl").read_text().splitlines()]
    unparsed = {row["path"] for row in index if not row["icalendar_parses"]}
    stand.clock.advance((LAST - timedelta(days=3650) - stand.clock.now()).total_seconds())
    google = stand.serve(expand_until=LAST)
    google.add_account("sales@example.com")
    refused, paths = set(), {}
    for number, (name, content) in enumerate(sorted(files(data("ics-dev.tar.gz")).items())):
        if facts.get(name, {}).get("a", 0) > MOST:
            continue
        calendar = f"c_{number}@group.calendar.google.com"
        google.add_calendar(calendar, {"sales@example.com": "reader"})
        try:
            google.load_ics(calendar, content)
        except ValueError:
            refused.add(name)
        else:
            paths[calendar] = name
    assert refused <= unparsed
    connector = stand.connect(calendars=tuple(paths), horizon_days=3650, page_size=2500)
    await stand.sync(connector, model, Window(FIRST - timedelta(days=1), LAST + timedelta(days=1)))
    entities = stand.entities(connector, model)
    assert all(isinstance(e, Interaction | Unmapped) for e in entities.values())
    counts = Counter(paths[name.rpartition("/")[0]] for name, e in entities.items() if is_in_facts(e))
    agreed = {n: f["a"] for n, f in facts.items() if f["status"] == "agree" and f["a"] <= MOST}
    differing = {n: (counts[n], a) for n, a in agreed.items() if counts[n] != a}
    assert differing == {}
