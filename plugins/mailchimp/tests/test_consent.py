"""Opt-out is absorbing: whatever happens in five systems in whatever order, nobody is subscribed again by us.

Two halves. What the connector *says* must keep every opt-out standing, in a hub that keeps what it was told
(`effective` is that rule, in five lines). What it *writes* must never bring anybody nearer to getting mail.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.api import (
    Change,
    Consent,
    FakeClock,
    Identifier,
    Interaction,
    JournalEntry,
    Participation,
    Person,
    RawRecord,
    Services,
)
from hub.testing.emulator import Running
from hub.testing.faults import FaultBoard
from hub_mailchimp import Mailchimp, MailchimpSettings
from hub_mailchimp.emulator import MailchimpEmulator
from hub_mailchimp.emulator.audience import Audiences
from hub_mailchimp.emulator.bells import Bells
from hub_mailchimp.mapping import Mapper

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
OURS = MailchimpSettings.model_validate({"api_key": "k-us1"})
ADA = Identifier("email", "ada@example.org")

MAILCHIMP = ("confirm", "leave", "archive", "import", "bounce", "edit", "transactional", "erase")
OTHERS = ("form", "helpdesk", "crm", "shop")
EVENTS = st.one_of(
    st.tuples(st.just("mailchimp"), st.sampled_from(MAILCHIMP)),
    st.tuples(st.sampled_from(OTHERS), st.sampled_from(("in", "out"))),
)


def effective(said: Sequence[Consent]) -> str:
    """Opted out, if anybody said so at or after the last opt-in with evidence."""
    opted_in = max((c.at for c in said if c.state == "opted_in" and c.evidence), default=None)
    if any(c.state == "opted_out" and (opted_in is None or c.at >= opted_in) for c in said):
        return "opted_out"
    return "opted_in" if opted_in else "unknown"


class Mailchimps:
    """Ada at Mailchimp, moved by people and programs there; what the connector says of her after each move."""

    def __init__(self, clock: FakeClock) -> None:
        self.audiences = Audiences(clock.now, FaultBoard(), Bells(clock.now, "", ""))
        self.list = self.audiences.add("Newsletter")
        self.key = ""

    def happens(self, what: str) -> list[Consent]:
        now = self.audiences.iso()
        if not self.key:
            proof = {} if what == "confirm" else {"ip_opt": "", "source": "Import"}
            self.key = self.audiences.join(self.list, ADA.value, **proof)
        moves: dict[str, dict[str, Any]] = {
            "confirm": {"status": "subscribed", "timestamp_opt": now, "ip_opt": "198.51.100.7"},
            "leave": {"status": "unsubscribed"}, "archive": {"status": "archived"}, "bounce": {"status": "cleaned"},
            "import": {"status": "subscribed"}, "edit": {"merge_fields": {"FNAME": now}},
            "transactional": {"status": "transactional"},
        }  # fmt: skip
        if what == "erase":
            self.audiences.erase(self.key)
            self.key = ""
            return []
        self.audiences.change(self.key, **moves[what])
        raw = RawRecord(self.key, json.dumps(self.audiences.members[self.key]).encode())
        return [e for e in Mapper(OURS).entities("members", raw) if isinstance(e, Consent)]


@settings(max_examples=120, deadline=None)
@given(st.lists(EVENTS, max_size=30))
@example([("mailchimp", "confirm"), ("mailchimp", "leave"), ("mailchimp", "archive"), ("mailchimp", "import")])
@example([("form", "in"), ("mailchimp", "leave"), ("mailchimp", "erase"), ("mailchimp", "import")])
@example([("mailchimp", "leave"), ("shop", "in"), ("helpdesk", "out"), ("mailchimp", "import")])
def test_an_opt_out_said_after_the_last_opt_in_stands(events: list[tuple[str, str]]) -> None:
    """Five systems, any interleaving; the truth is what people did, not what we were told."""
    clock = FakeClock(START)
    there, said = Mailchimps(clock), list[Consent]()
    truth: list[tuple[datetime, bool]] = []
    for system, what in events:
        clock.advance(61)
        if system == "mailchimp":
            said += there.happens(what)
        else:
            state: Any = "opted_in" if what == "in" else "opted_out"
            said.append(Consent(external_id=system, identifier=ADA, channel="email", state=state, at=clock.now(),
                                evidence="signed form"))  # fmt: skip
        if what in {"in", "confirm", "out", "leave"}:
            truth.append((clock.now(), what in {"in", "confirm"}))
    if truth and not truth[-1][1]:
        assert effective(said) == "opted_out"
    confirmed = [at for at, is_in in truth if is_in]
    assert all(c.at in confirmed for c in said if c.state == "opted_in"), "an opt-in nobody gave"


WORDS = st.sampled_from(["subscribed", "pending", "opted_in", "opted_out", "unsubscribed", "transactional", "1", ""])
FIELDS = st.dictionaries(
    st.sampled_from(["status", "status_if_new", "email_status", "first_name", "tags", "opt_in"]), WORDS
)
WHO = st.integers(0, 3)  # the fourth is no member
STEPS = st.one_of(
    st.tuples(
        st.just("vendor"), WHO, st.sampled_from(["subscribed", "unsubscribed", "archived", "cleaned", "pending"])
    ),
    st.tuples(st.just("person"), WHO, FIELDS),
    st.tuples(st.just("consent"), WHO, st.sampled_from(["opted_out", "opted_in", "unknown"])),
    st.tuples(st.just("note"), WHO, st.text(max_size=20)),
    st.tuples(st.just("undo"), st.integers(0, 9), st.none()),
    st.tuples(st.just("lost"), st.sampled_from(["PATCH", "POST"]), st.none()),
)


class Pushing:
    """Three members in one audience, and the hub's writes to them."""

    def __init__(self, running: Running) -> None:
        self.clock = FakeClock(START)
        self.emulator = MailchimpEmulator(self.clock.now)
        self.list = self.emulator.audiences.add("Newsletter", fields=("FNAME", "LNAME", "IHUBKEY"))
        self.keys = [self.emulator.audiences.join(self.list, f"p{n}@example.org") for n in range(3)]
        running.put(self.emulator)
        given = {"api_key": self.emulator.api_key, "base_url": running.url}
        services = Services("account", self.clock, jitter=lambda: 0.5)
        self.connector = Mailchimp(MailchimpSettings.model_validate(given), services)
        self.done: list[JournalEntry] = []

    def statuses(self) -> dict[str, str]:
        return {key: member["status"] for key, member in self.emulator.audiences.members.items()}

    async def step(self, kind: str, which: Any, what: Any) -> None:
        if kind == "vendor":
            if which < 3:
                self.emulator.audiences.change(self.keys[which], status=what)
        elif kind == "lost":
            self.emulator.faults.add("drop_answer", method=which, times=1)
        elif kind == "undo":
            if self.done:
                before = self.statuses()
                await self.connector.undo([self.done[which % len(self.done)]])
                self.no_nearer(before)
        else:
            change = self.change(kind, which, what)
            before = self.statuses()
            (receipt,) = await self.connector.push([change])
            self.no_nearer(before)
            self.done.append(JournalEntry(change=change, receipt=receipt))
            if (kind, what) == ("consent", "opted_out") and which < 3:
                assert receipt.outcome in {"updated", "unchanged"}
                assert self.statuses()[self.keys[which]] not in {"subscribed", "pending"}

    def change(self, kind: str, which: int, what: Any) -> Change:
        who, key = Identifier("email", f"p{which}@example.org"), f"{kind}-{which}"
        if kind == "person":
            person = Person(external_id=key, identifiers=(who,), name="Ada Example", fields=what)
            return Change(key=key, kind="person", op="upsert", entity=person)
        if kind == "consent":
            said = Consent(external_id=key, identifier=who, channel="email", state=what, at=self.clock.now())
            return Change(key=key, kind="consent", op="upsert", entity=said)
        people = (Participation(identifier=who, role="to"),)
        note = Interaction(external_id=key, kind="note", channel="system", text=what, participants=people)
        return Change(key=key, kind="interaction", op="upsert", entity=note)

    def no_nearer(self, before: dict[str, str]) -> None:
        """Nobody is added, and the only status we give is unsubscribed."""
        after = self.statuses()
        assert after.keys() == before.keys()
        for key, status in after.items():
            assert status in {before[key], "unsubscribed"}
            assert status == before[key] or before[key] in {"subscribed", "pending"}


@pytest.fixture(scope="module")
def served() -> Any:
    with MailchimpEmulator().serve() as running:
        yield running


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=3, max_size=8))
@example([("vendor", 0, "unsubscribed"), ("person", 0, {"status": "subscribed"}), ("undo", 0, None)])
@example([("consent", 0, "opted_out"), ("undo", 0, None), ("consent", 0, "opted_in")])
@example(
    [("vendor", 1, "archived"), ("consent", 1, "opted_out"), ("person", 1, {"first_name": "1"}), ("undo", 0, None)]
)
def test_no_write_brings_anybody_nearer_to_mail(served: Running, steps: list[tuple[str, Any, Any]]) -> None:
    async def play() -> None:
        there = Pushing(served)
        try:
            for step in steps:
                there.clock.advance(5)
                await there.step(*step)
        finally:
            await there.connector.aclose()

    anyio.run(play)


def test_the_one_gate_lets_no_other_status_through() -> None:
    """The connector could not send another status if it wanted to."""
    from hub_mailchimp.lookup import Place

    async def attempt(status: str) -> None:
        connector = Mailchimp(OURS, Services())
        with pytest.raises(ValueError, match="never writes a consent"):
            await connector._writer._patch(Place("a1", {"contact_id": "c1"}), {"status": status})

    for status in ("subscribed", "pending", "transactional", "cleaned", "archived", ""):
        anyio.run(attempt, status)
