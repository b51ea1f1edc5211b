"""Answers to invitations and days of meetings: from each copy to one timeline, to people's eyes and to a destination."""

import argparse
import io
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from acorn import Vendor, body
from databases import on_sqlite
from world import START, US, World, mail

from hub import reports
from hub.api import Answer, Identifier, Interaction, Participation, RawRecord
from hub.cli.explaining import show
from hub.cli.output import Screen
from hub.cli.people import answers, show_brief, show_timeline
from hub.store import Store
from hub.store import tables as t

ANA, BO, SAM = "ana@kestrel.example", "bo@kestrel.example", f"sam@{US}"
NAMES = {ANA: "Ana Ruiz", BO: "Bo Lee", SAM: "Sam Own"}


def copy(
    name: str,
    is_organizers: bool = False,
    days: Sequence[date] = (),
    minute: int = 0,
    revision: str = "",
    **answered: Answer,
) -> Interaction:
    """A copy of one meeting of Sam's with Ana and Bo. revision: as the calendar counts its moves, "" where it does not."""
    people = [(SAM, "organizer", "")] + [(a, "attendee", answered.get(a.partition("@")[0], "")) for a in (ANA, BO)]
    given: dict[str, Any] = {"occurred_at": None, "all_day": days[0], "all_day_last": days[-1]} if days else {}
    return mail(
        name, minute=minute, kind="meeting", channel="calendar", dedup_keys=("ical:m1",), thread_refs=(), subject="Review",
        text="Bring the numbers", signals=("organizers-copy",) * is_organizers + (f"revision:{revision}",) * bool(revision),
        participants=tuple(
            Participation(identifier=Identifier("email", a), role=role, name=NAMES[a], answer=answer)  # type: ignore[arg-type]
            for a, role, answer in people
        ),
        **given,
    )  # fmt: skip


class Copies:
    def __init__(self, store: Store) -> None:
        self.sor = Vendor()
        self.world = World(store, {**{name: Vendor() for name in "abc"}, "sor": self.sor}, sor="sor")
        self.runs = {name: self.world.run(name) for name in "abc"}

    def take(self, source: str, meeting: Interaction) -> dict[str, int]:
        return dict(self.world.take(self.runs[source], RawRecord(meeting.external_id, body(meeting))).counts)

    def gone(self, source: str, name: str) -> None:
        self.world.take(self.runs[source], gone=[name])

    @property
    def entry(self) -> dict[str, Any]:
        with self.world.store.read() as c:
            [found] = reports.timeline(c, reports.find(c, ANA)[0]["public_id"])["entries"]
        return found  # type: ignore[no-any-return]

    @property
    def answers(self) -> dict[str, str]:
        return {p["address"]: p["answer"] for p in self.entry["people"] if p["role"] == "attendee"}

    def pushed(self) -> Interaction:
        """Applies what is due at the destination; what it was told of the meeting."""
        self.world.settle()
        [found] = [c.entity for kind, _, c in self.sor.objects.values() if kind == "interaction"]
        assert isinstance(found, Interaction)
        return found


@pytest.fixture
def copies(store: Store) -> Copies:
    return Copies(store)


@on_sqlite
def test_a_later_answer_replaces_an_earlier_one_and_a_refusal_stays_on_the_timeline(copies: Copies) -> None:
    copies.take("a", copy("m", ana="unanswered", bo="accepted"))
    assert copies.answers == {ANA: "unanswered", BO: "accepted"}
    assert copies.take("a", copy("m", ana="declined", bo="accepted")) == {"updated": 1}
    assert copies.answers == {ANA: "declined", BO: "accepted"}
    assert copies.take("a", copy("m", ana="declined", bo="accepted")) == {"unchanged": 1}
    assert copies.entry["subject"] == "Review"


@on_sqlite
def test_the_organizers_copy_knows_best_whatever_comes_first(emptied: Callable[[], Store]) -> None:
    """A guest's copy may hold an old answer for ever; a copy that knows of none takes none away."""
    steps = [
        ("a", copy("guest", ana="accepted", bo="unanswered")),
        ("b", copy("own", True, ana="declined")),
        ("c", copy("third", ana="unanswered", bo="tentative")),
    ]
    found = []
    for order in permutations(steps):
        copies = Copies(emptied())
        for source, meeting in order:
            copies.take(source, meeting)
        found.append(copies.answers)
    assert found == [{ANA: "declined", BO: "tentative"}] * 6


@on_sqlite
def test_the_organizers_copy_says_when_it_is_whatever_comes_first(emptied: Callable[[], Store]) -> None:
    """Moved from minute 0 to minute 30: colleagues' calendars that are read later, or never again, hold the old time."""
    steps = [
        ("a", copy("guest", ana="accepted", revision="7")), ("b", copy("own", True, minute=30)),
        ("c", copy("third", minute=50)),
    ]  # fmt: skip
    assert moved_to(emptied, steps) == {30}


@on_sqlite
def test_of_an_outsiders_meeting_the_copy_moved_most_often_counts(emptied: Callable[[], Store]) -> None:
    """No copy is the organizer's; ten is more than nine, and a count that is no number is none."""
    steps = [
        ("a", copy("old", revision="9")), ("b", copy("new", minute=30, revision="10")), ("c", copy("none", revision="x")),
    ]  # fmt: skip
    assert moved_to(emptied, steps) == {30}
    steps[1] = ("b", copy("far", minute=40, revision="9" * 40))
    assert moved_to(emptied, steps) == {40}


def moved_to(emptied: Callable[[], Store], steps: Sequence[tuple[str, Interaction]]) -> set[int]:
    """The minutes shown when the copies arrive in each order, and each once more in the same."""
    found = set()
    for order in permutations(steps):
        copies = Copies(emptied())
        for source, meeting in [*order, *order]:
            copies.take(source, meeting)
        found.add((copies.entry["at"] - START) // timedelta(minutes=1))
    return found


@on_sqlite
def test_an_answer_in_a_copy_that_is_not_shown_reaches_the_destination(copies: Copies) -> None:
    copies.take("a", copy("own", True))
    copies.take("b", copy("guest", bo="unanswered"))
    assert {p.identifier.value: p.answer for p in copies.pushed().participants} == {SAM: "", ANA: "", BO: "unanswered"}
    copies.take("b", copy("guest", bo="accepted"))
    assert {p.identifier.value: p.answer for p in copies.pushed().participants}[BO] == "accepted"
    copies.gone("b", "guest")
    assert {p.identifier.value: p.answer for p in copies.pushed().participants}[BO] == ""


def test_days_go_to_the_destination_as_days(copies: Copies) -> None:
    days = [date(2026, 3, 28), date(2026, 3, 30)]
    copies.take("a", copy("m", days=days))
    assert (copies.entry["all_day"], copies.entry["all_day_last"]) == ("2026-03-28", "2026-03-30")
    told = copies.pushed()
    assert (told.all_day, told.all_day_last, told.occurred_at) == (*days, None)
    assert copies.take("a", copy("m", days=[days[0]])) == {"updated": 1}, "it is shorter now"
    told = copies.pushed()
    assert (told.all_day, told.all_day_last) == (days[0], None)
    assert copies.world.one(t.interaction.select().with_only_columns(t.interaction.c.all_day_last)) is None


def test_people_read_days_and_answers_in_plain_words(copies: Copies) -> None:
    """In Los Angeles the 28th is the 28th too."""
    copies.take("a", copy("m", days=[date(2026, 11, 28), date(2026, 11, 30)], ana="accepted", bo="declined"))
    shown = io.StringIO()
    screen = Screen(zone=ZoneInfo("America/Los_Angeles"), out=shown)
    with copies.world.store.read() as c:
        ana, entry = reports.find(c, ANA)[0]["public_id"], copies.entry
        show_timeline(screen, reports.timeline(c, ana), argparse.Namespace(), START)
        show_brief(screen, reports.brief(c, ana, START), START)
        show_brief(screen, reports.brief(c, ana, START + timedelta(days=60)), START + timedelta(days=60))
        show(screen, reports.explain(c, entry["public_id"]))
    told = shown.getvalue()
    assert told.count("Ana Ruiz accepted, Bo Lee declined") == 4
    assert told.count("Sat 28 Nov 2026 to Mon 30 Nov 2026") == 4
    assert "Sat 28  all day" in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), ""),
        ((("Ana", "accepted"), ("Bo", "declined")), "Ana accepted, Bo declined"),
        ((("Ana", "unanswered"), ("Bo", "unanswered")), "Ana and Bo have not answered"),
        ((("A", "tentative"), ("B", "tentative"), ("C", "tentative")), "A, B and 1 other may come"),
        ((("Ana", ""),), ""),
    ],
)
def test_answers_in_words(given: Sequence[tuple[str, str]], said: str) -> None:
    people = [{"name": n, "answer": a, "role": "attendee", "kind": "person"} for n, a in given]
    host = {"name": "Sam", "answer": "accepted", "role": "organizer", "kind": "own"}
    assert answers([host, *people]) == said
