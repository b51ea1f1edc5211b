"""Real iCalendar data through the emulator and the mapping: what library test suites collected, and one feed over time."""

import json
import tarfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hub.api import Interaction, RawRecord, RecordRejected
from hub.testing import shared_path
from hub_caldav.ics import Layout, meetings
from hub_caldav.mapping import to_entities

pytestmark = [pytest.mark.real_data, pytest.mark.anyio]

FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
EVERYTHING = Layout(LAST, 10**9, "UTC")
# Midnight in Berlin at the very edge of the counted span, which counts by the clock on the wall.
ON_THE_EDGE = {
    "niccokunzmann-python-recurring-ical-events/recurring_ical_events/test/calendars/one_event_repeat_every_3_days.ics": 1
}


def data(name: str) -> Path:
    path = shared_path(f"data/calendar/{name}")
    if path is None:
        pytest.skip("the calendar data is not beside the checkout")
    return path


@cache
def files() -> dict[str, bytes]:
    found = {}
    with tarfile.open(data("ics-dev.tar.gz")) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and member.name.endswith(".ics"):
                found[member.name] = content.read()
    return found


def unpacked(name: str, into: Path) -> list[Path]:
    with tarfile.open(data(name)) as archive:
        archive.extractall(into, filter="data")
    return sorted(into.rglob("*.ics"))


def count(body: bytes) -> int:
    return sum(m.begins is not None and FIRST <= m.begins < LAST for m in meetings("/c/x.ics", body, EVERYTHING))


@pytest.mark.slow
def test_occurrences_are_those_both_methods_agree_on() -> None:
    facts = json.loads(data("occurrences.facts.json").read_text())["files"]
    agreed = {f["path"]: f["a"] for f in facts if f["status"] == "agree"}
    assert len(agreed) == 119
    found = {path: count(files()[path]) for path in agreed}
    differ = {path: (n, agreed[path]) for path, n in found.items() if n - ON_THE_EDGE.get(path, 0) != agreed[path]}
    assert differ == {}


@pytest.mark.slow
async def test_every_file_is_read_as_an_object_of_a_calendar(make_bench: Callable[..., Any]) -> None:
    """No file stops the others; each gives interactions, or says why not in words of its own."""
    bench = make_bench()
    for path, body in files().items():
        bench.server.put(body.decode("utf-8", "replace"), path.replace("/", "_"))
    connector = bench.connect(days_ahead=30, most_occurrences=5)
    pages = await bench.sync(connector)
    assert pages[-1].is_last
    assert not [g for p in pages for g in p.gaps]
    timeline = bench.landed.timeline(connector)
    given = [e for entities in timeline.entities.values() for e in entities if isinstance(e, Interaction)]
    reached = {i.partition("#")[0] for i in timeline.live}
    holding = [p for p, body in files().items() if b"BEGIN:VEVENT" in body.upper()]
    assert len(files()) == 295
    assert len(given) > 1_000
    assert len({r for r in timeline.rejected.values()}) <= 12
    unread = [p for p in files() if f"/anna/work/{p.replace('/', '_')}" not in reached]
    silent = [p for p in holding if p in unread]
    # Series that lie wholly beyond the span laid out are no records yet; nothing else with an event may be silent.
    assert all(count_until(files()[p]) == 0 for p in silent), silent
    for path in unread:  # nor would they make the mapping stumble
        with suppress(RecordRejected):
            list(to_entities(RawRecord(path, files()[path]), "UTC", "reduce"))


def count_until(body: bytes) -> int:
    return len(meetings("/c/x.ics", body, Layout(datetime(2026, 5, 1, tzinfo=UTC), 5, "UTC")))


@pytest.mark.slow
async def test_a_feed_over_time_is_followed_without_a_double(make_bench: Callable[..., Any], tmp_path: Path) -> None:
    """41 states of one real feed, served as a calendar: 82 moves, nothing added, nothing removed."""
    facts = json.loads(data("feed-over-time-afl2026.facts.json").read_text())["snapshots"]
    snapshots = unpacked("feed-over-time-afl2026.tar.gz", tmp_path)
    assert len(snapshots) == len(facts) == 41
    bench = make_bench()
    connector = bench.connect(batch_size=100)
    moves = changes = 0
    before: dict[str, Interaction] = {}
    texts: dict[str, bytes] = {}
    for snapshot, fact in zip(snapshots, facts, strict=True):
        bench.server.load(snapshot, is_whole=True)
        pages = await bench.sync(connector)
        now = {i: e for i, e in before.items() if i in bench.landed.bodies}
        for number, record in enumerate(r for p in pages for r in p.records):
            # The feed writes a new DTSTAMP into all 207 each time. That it changes nothing is tried on every fortieth.
            words = b"".join(line for line in record.body.splitlines() if not line.startswith(b"DTSTAMP"))
            if texts.get(record.external_id) == words and number % 40:
                continue
            texts[record.external_id] = words
            [now[record.external_id]] = [
                e for e in connector.to_canonical("events", record) if isinstance(e, Interaction)
            ]
        assert not [g for p in pages for g in (*p.gone, *p.gaps)]
        assert len(now) == fact["events"] == 207
        assert len({e.dedup_keys for e in now.values()}) == 207
        if before:
            assert set(now) == set(before)
            moved = [i for i in now if start(now[i]) != start(before[i])]
            changed = [i for i in now if now[i] != before[i]]
            assert (len(moved), len(changed)) == (fact["moved_dtstart"], fact["changed_any"])
            moves += len(moved)
            changes += len(changed)
        before = now
        bench.clock.advance(86_400)
    assert moves == 82
    assert changes == sum(f["changed_any"] for f in facts)


def start(interaction: Interaction) -> datetime | date | None:
    return interaction.occurred_at or interaction.all_day
