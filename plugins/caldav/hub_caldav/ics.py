"""Calendar objects taken apart: one record for a single event, one for each meeting of a series.

A calendar object resource holds a series as its rule and the meetings that differ from it (RFC 4791 section 4.1). The
hub's unit is one meeting, so a series is laid out here: every meeting becomes a record of its own, whose bytes are the
parts of the object that govern it. A change to one meeting then changes one record. Nothing here calls anything.
"""

import hashlib
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]
from icalendar.timezone import tzp
from recurring_ical_events.util import to_recurrence_ids  # type: ignore[import-untyped]

from hub.api import RawRecord

Moment = date | datetime  # a day for all-day events; a datetime without zone for floating ones
OLDEST = datetime(1, 1, 3)
# Days a rule may be walked through, times the meetings it may hold per day: two centuries of a daily meeting.
MOST_STEPS = 80_000
_NAME = re.compile(rb"[A-Za-z0-9-]+")
_FOLD = re.compile(rb"(?:\r?\n)+[ \t]")
_TZID = re.compile(rb"^TZID:(.*)$", re.MULTILINE)
_TIMES = {
    b"BEGIN",
    b"END",
    b"UID",
    b"DTSTART",
    b"DTEND",
    b"DURATION",
    b"RRULE",
    b"RDATE",
    b"EXDATE",
    b"RECURRENCE-ID",
    b"SEQUENCE",
}
_PER_DAY = {"SECONDLY": 86_400, "MINUTELY": 1_440, "HOURLY": 24}
_PARSING = threading.Lock()


class Unreadable(ValueError):
    """The object is no calendar, or a rule in it cannot be laid out; the text says why and repeats nothing of it."""


@dataclass(frozen=True)
class Meeting:
    """One meeting of an object as a record. at: when it begins, where laying a series out has told it already."""

    record: RawRecord
    at: datetime | None = None
    floating_zone: str = "UTC"

    @property
    def begins(self) -> datetime | None:
        """None where that cannot be read. A single event is parsed only when somebody asks."""
        if self.at is not None:
            return self.at
        try:
            calendar = parse(times_only(self.record.body).encode())
            events = [e for e in calendar.walk("VEVENT") if isinstance(e, icalendar.Event)]
            return instant(_start(events[0]), zone_of(calendar, self.floating_zone)) if events else None
        except Unreadable:
            return None


def parse(body: bytes) -> icalendar.Calendar:
    """Raises Unreadable. The library remembers zones by name across calendars, and many programs call theirs the same
    ("Customized Time Zone"): what it remembers is dropped first, so that an object reads the same in any order.
    """
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zone names guessed from a vendor's prefix; dates in forms gone out of use
        tzp.use_zoneinfo()
        try:
            # Unfolded as bytes: a fold may stand inside a character.
            found = icalendar.Calendar.from_ical(_FOLD.sub(b"", body), multiple=True)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as exc:
            raise Unreadable(f"not an iCalendar object ({type(exc).__name__})") from exc
    calendars = [c for c in found if isinstance(c, icalendar.Calendar)]
    if not calendars:
        raise Unreadable("no calendar in it")
    for more in calendars[1:]:  # imported files hold several; a server never makes such an object itself
        calendars[0].subcomponents += more.subcomponents
    return calendars[0]


def prop(event: icalendar.Event, name: str) -> Any:
    """The value of a time property; None when absent. Raises Unreadable for one that is no time."""
    value = event.get(name)
    if value is None:
        return None
    try:
        return (value[0] if isinstance(value, list) else value).dt
    except (AttributeError, ValueError, IndexError) as exc:  # the library's broken property is an AttributeError too
        raise Unreadable(f"{name} is not a time") from exc


def zone_of(calendar: icalendar.Calendar, floating: str) -> ZoneInfo:
    """What floating times are read in: the calendar's own X-WR-TIMEZONE, else the connection's setting."""
    try:
        return ZoneInfo(str(calendar.get("X-WR-TIMEZONE", floating)).strip())
    except (OSError, ValueError, KeyError):
        return ZoneInfo(floating)


def instant(moment: Moment, zone: ZoneInfo) -> datetime:
    """Aware UTC. A day begins at midnight UTC: only an order, never a time of a meeting."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time(), UTC)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    try:
        return aware.astimezone(UTC)
    except (OverflowError, ValueError) as exc:
        raise Unreadable("a time beyond the calendar") from exc


def stamp(moment: Moment, zone: ZoneInfo) -> str:
    """ "20260310T090000Z" for a time, "20260310" for a day: how a meeting of a series is named."""
    if not isinstance(moment, datetime):
        return moment.strftime("%Y%m%d").zfill(8)
    return instant(moment, zone).strftime("%Y%m%dT%H%M%SZ").zfill(16)


def unstamp(text: str) -> Moment:
    if len(text) == 8:
        return datetime.strptime(text, "%Y%m%d").date()
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


# -- the bytes ----------------------------------------------------------------------------------------


def blocks(body: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """(calendar's own lines, its VTIMEZONEs, its VEVENTs), each as the bytes they came in."""
    head: list[bytes] = []
    zones: list[bytes] = []
    events: list[bytes] = []
    open_: list[bytes] = []
    part: list[bytes] = []
    for line in body.replace(b"\r\n", b"\n").split(b"\n"):
        word = line.strip().upper()
        begins, ends = word.startswith(b"BEGIN:"), word.startswith(b"END:")
        if begins:
            open_.append(word[6:])
        if len(open_) <= 1:
            if not begins and not ends and line and (line[:1] not in b" \t" or head):
                head.append(line)
        else:
            part.append(line)
        if ends and open_:
            if len(open_) == 2:
                (events if open_[1] == b"VEVENT" else zones if open_[1] == b"VTIMEZONE" else []).append(
                    b"\r\n".join(part)
                )
                part = []
            open_.pop()
    return head, zones, events


def assemble(head: Iterable[bytes], zones: Iterable[bytes], events: Iterable[bytes]) -> bytes:
    return b"\r\n".join([b"BEGIN:VCALENDAR", *head, *zones, *events, b"END:VCALENDAR", b""])


def times_only(body: bytes) -> str:
    """The object with nothing left but what says when: enough to name its meetings again, without a word of content."""
    head, zones, events = blocks(body)
    head = [line for line in head if line.upper().startswith(b"X-WR-TIMEZONE")]
    kept = [b"\r\n".join(_time_lines(event)) for event in events]
    return assemble(head, [z for z in zones if not _is_iana(z)], kept).decode("utf-8", "replace")


def _time_lines(event: bytes) -> list[bytes]:
    """The event's own lines that say when and which; nothing of its alarms."""
    lines: list[bytes] = []
    is_kept, depth = False, 0
    for line in event.split(b"\r\n"):
        if line[:1] not in (b" ", b"\t", b""):
            name = _NAME.match(line)
            word = name[0].upper() if name else b""
            depth += word == b"BEGIN"
            is_kept = depth == 1 and word in _TIMES
            depth -= word == b"END"
        if is_kept:
            lines.append(line)
    return lines


def _is_iana(zone: bytes) -> bool:
    """Whether the zone's own name already says what its definition does."""
    name = _TZID.search(zone)
    try:
        return name is not None and bool(ZoneInfo(name[1].decode().strip()))
    except (OSError, ValueError, KeyError):
        return False


# -- the meetings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How far series are laid out, and in which zone floating times are read.

    until: no meeting of a series that begins at or after it. most: the newest so many of each series.
    """

    until: datetime
    most: int
    floating_zone: str


def meetings(href: str, body: bytes, layout: Layout, etag: str = "") -> list[Meeting]:
    """Every meeting of the object as a record; what cannot be read is one record, for the mapping to refuse.

    Names: the address itself for a single event; address "#" original start for a meeting of a series; with several
    UIDs in one object, which only broken servers and imported feeds have, a digest of the UID before that.
    """
    if b"BEGIN:VCALENDAR" not in body.upper():
        return [Meeting(RawRecord(href, body, etag))]
    head, zones, events = blocks(body)
    groups: dict[str, list[bytes]] = {}
    for number, event in enumerate(events):
        uid = _uid(event)
        groups.setdefault(hashlib.sha256(uid).hexdigest()[:16] if uid else f"n{number}", []).append(event)
    found: list[Meeting] = []
    for group, mine in groups.items():
        prefix = group if len(groups) > 1 else ""
        whole = body if not prefix else assemble(head, zones, mine)
        alone = Meeting(RawRecord(_name(href, prefix), whole, etag), None, layout.floating_zone)
        if len(mine) == 1 and not _is_recurring(mine[0]):
            found.append(alone)
            continue
        try:
            calendar = parse(times_only(assemble(head, zones, mine)).encode())  # the words are the mapping's
            zone = zone_of(calendar, layout.floating_zone)
            parsed = [e for e in calendar.walk("VEVENT") if isinstance(e, icalendar.Event)]
            if len(parsed) != len(mine):
                raise Unreadable("events inside events")
            for origin, at, number in laid_out(parsed, layout, zone):
                name = _name(href, prefix, stamp(origin, zone))
                found.append(Meeting(RawRecord(name, assemble(head, zones, [mine[number]]), etag), at))
        except Unreadable:
            found.append(alone)
    return found


def _uid(event: bytes) -> bytes:
    for line in _FOLD.sub(b"", b"\r\n".join(_time_lines(event))).split(b"\r\n"):
        if line[:4].upper() in (b"UID:", b"UID;"):
            return line.partition(b":")[2].strip()
    return b""


def _is_recurring(event: bytes) -> bool:
    return any(line.upper().startswith((b"RRULE", b"RDATE", b"RECURRENCE-ID")) for line in _time_lines(event))


def is_single(events: list[icalendar.Event]) -> bool:
    return len(events) == 1 and not any(k in events[0] for k in ("RRULE", "RDATE", "RECURRENCE-ID"))


def href_of(external_id: str) -> str:
    return external_id.partition("#")[0]


def origin_of(external_id: str) -> Moment | None:
    """The original start a record's name carries; None for a single event."""
    last = external_id.partition("#")[2].rpartition("/")[2]
    try:
        return unstamp(last)
    except ValueError:
        return None


def _name(href: str, prefix: str, start: str = "") -> str:
    rest = "/".join(part for part in (prefix, start) if part)
    return f"{href}#{rest}" if rest else href


def _start(event: icalendar.Event) -> Moment:
    start = prop(event, "DTSTART")
    if not isinstance(start, date):
        raise Unreadable("an event without DTSTART")
    return start


def laid_out(events: list[icalendar.Event], layout: Layout, zone: ZoneInfo) -> Iterator[tuple[Moment, datetime, int]]:
    """(original start, when it begins, number of the event that governs it) of one series, oldest first.

    Raises Unreadable for a rule that is broken, or so dense that nobody can mean it.
    """
    earliest = min((_naive(_start(e)) for e in events), default=OLDEST)
    series = icalendar.Calendar()
    for event in events:
        tamed = event.copy()
        _tame(tamed, earliest, layout.until)
        series.add_component(tamed)
    last = layout.until.replace(tzinfo=None) + timedelta(days=2)
    first = max(OLDEST, earliest - timedelta(days=400))  # a meeting may be moved to before the first one
    span = timedelta(days=min(layout.most * 40, 400_000))
    found: dict[str, tuple[Moment, datetime, int]] = {}
    while True:  # only the newest are wanted: from the end backwards, so that an old daily meeting costs little
        begin = last - span if last - first > span else first
        for origin, at, number in _between(series, events, begin, last, zone):
            if at < layout.until:
                found[stamp(origin, zone)] = (origin, at, number)
        if len(found) >= layout.most or begin == first:
            break
        span *= 4
    yield from sorted(found.values(), key=lambda o: o[1])[-layout.most :]


def _between(
    series: icalendar.Calendar, events: list[icalendar.Event], begin: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[tuple[Moment, datetime, int]]:
    """Meetings that overlap the span, as `laid_out` gives them. The library tells by RECURRENCE-ID which event governs."""
    governing: dict[tuple[datetime, ...], int] = {}
    for number, event in enumerate(events):
        key = to_recurrence_ids(prop(event, "RECURRENCE-ID")) if "RECURRENCE-ID" in event else ()
        if key not in governing or _sequence(event) >= _sequence(events[governing[key]]):
            governing[key] = number
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            query = recurring_ical_events.of(series, components=["VEVENT"])
            given = [o for part in query.series for o in part.between(begin, end)]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, ArithmeticError) as exc:
        raise Unreadable(f"the series cannot be laid out ({type(exc).__name__})") from exc
    for occurrence in given:
        number = governing[occurrence.recurrence_ids]
        origin = _origin(events[number], occurrence.start)
        yield origin, instant(occurrence.start, zone), number


def _sequence(event: icalendar.Event) -> int:
    value = event.get("SEQUENCE", -1)
    return value if isinstance(value, int) else -1


def _origin(governing: icalendar.Event, start: Moment) -> Moment:
    """The start this meeting would have by the rule."""
    changed = governing.get("RECURRENCE-ID")
    if changed is None:
        return start
    told = prop(governing, "RECURRENCE-ID")
    base = _start(governing)
    if str(changed.params.get("RANGE", "")).upper() == "THISANDFUTURE":
        return _moved(start, -_shift(governing))
    if isinstance(base, datetime) and not isinstance(told, datetime):
        return datetime.combine(told, base.timetz())  # a day where a time belongs: some programs write it so
    return told  # type: ignore[no-any-return]


def actual_start(event: icalendar.Event, origin: Moment | None, zone: ZoneInfo) -> Moment:
    """When the meeting with this original start begins, by the event that governs it: in the event's own zone."""
    start = _start(event)
    if origin is None:
        return start
    changed = event.get("RECURRENCE-ID")
    if changed is not None and str(changed.params.get("RANGE", "")).upper() != "THISANDFUTURE":
        return start
    if not isinstance(start, datetime) or not isinstance(origin, datetime):
        return origin if not isinstance(start, datetime) and not isinstance(origin, datetime) else start
    local = origin.astimezone(start.tzinfo or zone)
    if start.tzinfo is None:
        local = local.replace(tzinfo=None)
    return _moved(local, _shift(event)) if changed is not None else local


def _shift(event: icalendar.Event) -> timedelta:
    """How far "this and future" moves each meeting (RFC 5545 section 3.2.13), by the clock on the wall of its own zone."""
    start, told = _start(event), prop(event, "RECURRENCE-ID")
    if isinstance(start, datetime) and isinstance(told, datetime) and start.tzinfo and told.tzinfo:
        told = told.astimezone(start.tzinfo)
    return _naive(start) - _naive(told)


def _naive(moment: Moment) -> datetime:
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    return moment.replace(tzinfo=None)


def _moved(moment: Moment, by: timedelta) -> Moment:
    if isinstance(moment, datetime):
        return (moment.replace(tzinfo=None) + by).replace(tzinfo=moment.tzinfo)
    return moment + by


def _tame(event: icalendar.Event, earliest: datetime, until: datetime) -> None:
    """Refuse rules that would take minutes to walk; drop those that never match, which would take as long."""
    rules = event.get("RRULE")
    if rules is None:
        return
    kept = []
    for rule in rules if isinstance(rules, list) else [rules]:
        try:
            text = rule.to_ical().decode()
            if not text.strip():
                continue
            parts = {str(k).upper(): list(v) if isinstance(v, list) else [v] for k, v in rule.items()}
            freq = str(parts["FREQ"][0]).upper()
            interval = max(1, int(parts.get("INTERVAL", [1])[0]))
            ends = [_naive(m) for m in parts.get("UNTIL", []) if isinstance(m, date)]
        except (AttributeError, ValueError, KeyError, IndexError, TypeError) as exc:
            raise Unreadable("a broken recurrence rule") from exc
        filters = [k for k in parts if k.startswith("BY") and k != "BYDAY"]
        last = min([until.replace(tzinfo=None), *ends])
        days = max((last - earliest).days, 1)
        per_day = _PER_DAY.get(freq, 1) / (interval if freq in _PER_DAY else 1)
        for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            if freq not in _PER_DAY:
                per_day *= len(parts.get(part, [1]))
        steps = days * per_day
        if "COUNT" in parts and not filters:
            steps = min(steps, float(parts["COUNT"][0]) * 7)
        if steps > MOST_STEPS:
            raise Unreadable("a series too dense to be meetings")
        if not filters or _ever_matches(text, freq):
            kept.append(rule)
    del event["RRULE"]
    if kept:
        event["RRULE"] = kept if len(kept) > 1 else kept[0]


def _ever_matches(text: str, freq: str) -> bool:
    """Whether the rule holds any date: tried near the end of the calendar, where a search that finds none ends soon."""
    kept = [p for p in text.split(";") if not p.upper().startswith(("UNTIL=", "COUNT=", "INTERVAL="))]
    years = 1 if freq in {"SECONDLY", "MINUTELY"} else 9 if freq == "HOURLY" else 40
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return next(iter(rrulestr(";".join(kept), dtstart=datetime(9999 - years, 1, 1))), None) is not None
    except (ValueError, TypeError, OverflowError) as exc:
        raise Unreadable("a broken recurrence rule") from exc


def laid_out_error(events: list[icalendar.Event], zone: ZoneInfo) -> str:
    """Why a series came as one record instead of its meetings: what laying it out says."""
    try:
        for _ in laid_out(events, Layout(datetime(2100, 1, 1, tzinfo=UTC), 1, "UTC"), zone):
            pass
    except Unreadable as exc:
        return str(exc)
    return "a series that could not be laid out"
