"""Days that go out and come back as they were, and what guests answered."""

from datetime import date
from typing import Any

import pytest

from hub.api import Change, Identifier, Interaction, Participation

ME = "sales@example.com"


@pytest.mark.anyio
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
async def test_days_come_back_as_they_went_out(stand: Any, model: Any, zone: str) -> None:
    connector = stand.connect(push_calendar="primary")
    stand.google.calendars[ME].zone = zone
    spans = {"one": (date(2026, 3, 28), None), "over the change of the clocks": (date(2026, 3, 27), date(2026, 3, 30))}
    changes = [
        Change(key=key, kind="interaction", op="upsert", entity=Interaction(
            external_id=key, kind="meeting", channel="calendar", all_day=first, all_day_last=last, subject=key,
        )) for key, (first, last) in spans.items()
    ]  # fmt: skip
    assert [r.outcome for r in await connector.push(changes)] == ["created", "created"]
    await stand.sync(connector, model)
    back = {m.subject: (m.all_day, m.all_day_last) for m in stand.meetings(connector, model).values()}
    assert back == spans
    assert [r.outcome for r in await connector.push(changes)] == ["unchanged", "unchanged"]


@pytest.mark.anyio
async def test_a_declined_meeting_is_there_with_the_answer_and_a_new_answer_replaces_it(stand: Any, model: Any) -> None:
    def guests(answer: str) -> list[dict[str, Any]]:
        return [{"email": "ana@customer.example", "responseStatus": answer}]

    connector = stand.connect()
    name = stand.add(stand.clock.now(), ME, attendees=guests("declined"))
    await stand.sync(connector, model)
    ana = Participation(identifier=Identifier("email", "ana@customer.example"), role="attendee", answer="declined")
    assert ana in stand.meetings(connector, model)[name].participants
    stand.change(name, attendees=guests("accepted"))
    await stand.sync(connector, model)
    assert model.changed == [name]
    answers = {p.identifier.value: p.answer for p in stand.meetings(connector, model)[name].participants}
    assert answers["ana@customer.example"] == "accepted"
