"""Days that go out and come back as they were, and what guests answered."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from hub.api import Change, Interaction, Participation, RawRecord
from hub.api.canonical import Identifier
from hub_caldav.mapping import to_entities

Make = Callable[..., str]


def one(text: str) -> Interaction:
    [entity] = to_entities(RawRecord("/c/a.ics", text.encode()), "UTC", "reduce")
    assert isinstance(entity, Interaction)
    return entity


@pytest.mark.anyio
async def test_days_come_back_as_they_went_out(bench: Any) -> None:
    bench.connect(push_calendar="Work", floating_zone="Pacific/Auckland")
    spans = {"one": (date(2026, 3, 28), None), "four": (date(2026, 3, 27), date(2026, 3, 30))}
    changes = [
        Change(key=key, kind="interaction", op="upsert", entity=Interaction(
            external_id=key, kind="meeting", channel="calendar", all_day=first, all_day_last=last, subject=key,
        )) for key, (first, last) in spans.items()
    ]  # fmt: skip
    assert [r.outcome for r in await bench.made[-1].push(changes)] == ["created", "created"]
    await bench.sync()
    assert {m.subject: (m.all_day, m.all_day_last) for m in bench.entities().values()} == spans
    assert [r.outcome for r in await bench.made[-1].push(changes)] == ["unchanged", "unchanged"]


@pytest.mark.anyio
async def test_an_answer_given_at_the_server_outlives_our_next_write(bench: Any) -> None:
    bench.connect(push_calendar="Work")
    bob = Participation(identifier=Identifier("email", "bob@example.org"), role="attendee")

    def meeting(subject: str) -> Change:
        entity = Interaction(
            external_id="i", kind="meeting", channel="calendar", all_day=date(2026, 3, 28), participants=(bob,),
            subject=subject,
        )  # fmt: skip
        return Change(key="k", kind="interaction", op="upsert", entity=entity)

    await bench.made[-1].push([meeting("Plan")])
    event = bench.server.calendars["work"].objects["k.ics"]
    answered = event.text.replace("\r\n ", "").replace("ATTENDEE;", "ATTENDEE;PARTSTAT=DECLINED;")
    bench.server.calendars["work"].put("k.ics", answered)
    [written] = await bench.made[-1].push([meeting("New plan")])
    assert written.outcome == "updated"
    await bench.sync()
    [found] = bench.entities().values()
    assert (found.subject, found.participants[0].answer) == ("New plan", "declined")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("PARTSTAT=accepted", "accepted"), ("PARTSTAT=DECLINED", "declined"), ("PARTSTAT=TENTATIVE", "tentative"),
        ("PARTSTAT=NEEDS-ACTION", "unanswered"), ("PARTSTAT=DELEGATED", ""), ("CN=Bob", ""),
    ],
)  # fmt: skip
def test_answers(make_event: Make, line: str, answer: str) -> None:
    start = "DTSTART:20260310T090000Z"
    [bob] = one(make_event("u", start, f"ATTENDEE;{line}:mailto:bob@example.org")).participants
    assert bob.answer == answer


def test_the_copy_that_invitations_went_out_from_is_the_organizers(make_event: Make) -> None:
    lines = ("DTSTART:20260310T090000Z", "ORGANIZER:mailto:ann@example.com")
    own = one(make_event("u", *lines, "ATTENDEE;SCHEDULE-STATUS=1.2:mailto:bob@example.org"))
    assert own.signals == ("organizers-copy",)
    assert one(make_event("u", *lines, "ATTENDEE:mailto:bob@example.org")).signals == ()


def test_how_often_it_was_moved_is_told(make_event: Make) -> None:
    start = "DTSTART:20260310T090000Z"
    assert one(make_event("u", start, "SEQUENCE:3")).signals == ("revision:3",)
    assert (
        one(make_event("u", start, "SEQUENCE:0")).signals == one(make_event("u", start, "SEQUENCE:many")).signals == ()
    )


@pytest.mark.parametrize(
    ("end", "last"),
    [
        ("DTEND;VALUE=DATE:20260330", date(2026, 3, 29)), ("DTEND;VALUE=DATE:20260329", None), ("DURATION:P3D", date(2026, 3, 30)),
        ("SUMMARY:without an end", None), ("DTEND;VALUE=DATE:20260301", None),
    ],
)  # fmt: skip
def test_the_last_of_several_days(make_event: Make, end: str, last: date | None) -> None:
    assert one(make_event("u", "DTSTART;VALUE=DATE:20260328", end)).all_day_last == last
