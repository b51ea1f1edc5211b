"""The corpora, played through the engine's own path: pages are landed, identified and put on the timeline as in a sync.

All cases share one database, as customers do: the first step of each case comes in the same pages, then the second. Each
order is played on its own. `python -m tests.identity.corpus.play` prints the figures.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from hub import identity, reconcile
from hub.api import Identifier, Interaction, Organization, Participation, Person, RawRecord, Redirect
from hub.identity.lists import orphans, queue
from hub.identity.showing import text_of
from hub.store import Store
from hub.store import tables as t
from tests.identity.corpus.cases import OURS, TOOLS, VERBS, Case, Entry, Record, load

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from acorn import Vendor, body
from world import START, World

ORGANIZATIONS = {"company", "zdorg"}
ROLES = {"meet": ("organizer", "attendee"), "ticket": ("requester", "cc"), "chat": ("requester", "to")}


KINDS = ("false merges", "missed merges", "wrong links", "missed links", "not queued")


@dataclass
class Verdict:
    """What went wrong: kind -> (case, what). looked: how many pairs, links and entries of the queue were judged."""

    found: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    looked: Counter[str] = field(default_factory=Counter)

    def say(self, kind: str, case: Case, what: str) -> None:
        self.found[kind].append((case.id, what))

    def cases(self) -> set[str]:
        return {case for found in self.found.values() for case, _ in found}

    def __str__(self) -> str:
        looked = ", ".join(f"{n} {what}" for what, n in self.looked.items())
        return ", ".join(f"{kind} {len(found)}" for kind, found in self.found.items()) + f" (of {looked})"


def given(case: Case) -> list[list[Record | Entry]]:
    return [[step] for step in case.steps]


def backwards(case: Case) -> list[list[Record | Entry]]:
    return given(case) if case.is_ordered else given(case)[::-1]


def shuffled(case: Case) -> list[list[Record | Entry]]:
    steps = given(case)
    if not case.is_ordered:
        Random(f"{case.id} 1").shuffle(steps)
    return steps


def at_once(case: Case) -> list[list[Record | Entry]]:
    return given(case) if case.is_ordered else [list(case.steps)]


ORDERS: dict[str, Callable[[Case], list[list[Record | Entry]]]] = {
    "given": given, "backwards": backwards, "shuffled": shuffled, "at once": at_once,
}  # fmt: skip


def play(store: Store, cases: Sequence[Case], order: str) -> World:
    """Take everything the cases tell in, in that order, on an empty store."""
    tools = {tool: Vendor() for tool in dict.fromkeys((*TOOLS, "mailbox"))}
    world = World(store, tools)
    runs = {tool: world.run(tool, "mail" if tool == "mailbox" else "parties") for tool in tools}
    plans = [(case, ORDERS[order](case)) for case in cases]
    for k in range(max(len(steps) for _, steps in plans)):
        pages: dict[str, list[RawRecord]] = {}
        gone: dict[str, list[str]] = {}
        for case, steps in plans:
            for step in steps[k] if k < len(steps) else ():
                if isinstance(step, Entry):
                    pages.setdefault("mailbox", []).append(_message(case, step))
                elif step.is_gone:
                    gone.setdefault(step.tool, []).append(step.id)
                else:
                    pages.setdefault(step.tool, []).append(_party(step))
        for tool in sorted(pages.keys() | gone.keys()):
            world.take(runs[tool], *pages.get(tool, ()), gone=gone.get(tool, ()))
    return world


def _party(r: Record) -> RawRecord:
    facts: dict[str, Any] = {
        "external_id": r.id,
        "identifiers": r.identifiers,
        "name": r.name,
        "fields": dict(r.fields),
    }
    entity: Person | Organization = Organization(**facts)
    if r.tool not in ORGANIZATIONS:
        entity = Person(**facts, organizations=r.organizations, is_own=r.tool == "owner")
    return RawRecord(r.id, body(entity, *(Redirect(external_id=loser, into=r.id) for loser in r.merged)))


def _message(case: Case, e: Entry) -> RawRecord:
    kind, channel = VERBS[e.verb]
    first, others = ROLES.get(e.verb, ("from", "to"))
    people = tuple(
        Participation(identifier=who, role=first if k == 0 else others, name=name)
        for k, (who, name) in enumerate(e.people)
    )
    key = f"{case.number}-{e.label}"
    told = Interaction(
        external_id=key, kind=kind, channel=channel, participants=people, signals=e.signals,
        occurred_at=START + timedelta(minutes=case.number), dedup_keys=(f"message-id:<{key}>",),
    )  # fmt: skip
    return RawRecord(key, body(told))


def audited(world: World) -> None:
    """The nightly audit, applied: everybody weighed against everybody, with weights learnt from these records."""
    rules, now = world.engine.rules(world.engine.own()), world.clock.now()
    with world.store.write() as c:
        done = identity.apply_audit(c, identity.audit(c, rules), rules, now, "test")
        reconcile.follow(c, done.parties, now)


# --- what came of it --------------------------------------------------------------------------------------------------


@dataclass
class State:
    """The store as it stands. party: (scheme, value) -> party id. kind: of a party. linked: label -> party ids.

    alone: parties that one identifier leads to, and no record. waiting: what the review queue speaks of.
    """

    party: dict[tuple[str, str], int]
    kind: dict[int, str]
    alone: set[int]
    linked: dict[str, set[int]]
    waiting: set[str]

    def of(self, given: Identifier) -> int | None:
        return self.party.get((given.scheme, _written(given)))


def _written(given: Identifier) -> str:
    """The value as the store has it."""
    value = " ".join(given.value.split())
    return value.lower() if given.scheme in {"email", "domain"} else value


def look(store: Store) -> State:
    with store.read() as c:
        i = t.identifier.c
        rows = c.execute(sa.select(i.id, i.scheme, i.value, i.party_id)).all()
        kind = dict(c.execute(sa.select(t.party.c.id, t.party.c.kind)).tuples().all())
        seen = set(c.execute(sa.select(t.observation.c.party_id)).scalars())
        names = Counter(r.party_id for r in rows)
        linked: dict[str, set[int]] = {}
        entries = (
            sa.select(t.record.c.external_id, t.link.c.party_id)
            .join(t.source, t.source.c.record_id == t.record.c.id)
            .outerjoin(t.link, t.link.c.interaction_id == t.source.c.interaction_id)
        )
        for label, party in c.execute(entries):
            linked.setdefault(label, set()).update([] if party is None else [party])
        return State(
            {(r.scheme, r.value): r.party_id for r in rows}, kind,
            {pid for pid, n in names.items() if n == 1 and pid not in seen}, linked, _waiting(c),
        )  # fmt: skip


def _waiting(c: sa.Connection) -> set[str]:
    """All that a person is asked about, open questions and what is tied to nobody, as shown; each has its rule and age."""
    found: set[str] = set()
    question: int | None = None
    while questions := queue(c, 500, question):
        for asked in questions:
            assert asked["rule"] and asked["at"] and asked["why"], asked
            for side in (asked["left"], asked["right"]):
                found |= {side["text"], *side["addresses"], *side["ids"]}
        question = questions[-1]["review"]
    for left in orphans(c, 10_000):
        assert left["rule"] and left["since"], left
        found.add(left["text"])
    return found


def judge(state: State, cases: Iterable[Case]) -> Verdict:
    """Compare with what the cases say."""
    verdict, owner = Verdict(), dict[int, Case]()
    for case in cases:
        same, apart = case.pairs()
        for kind, pairs, is_wrong in (("missed merges", same, False), ("false merges", apart, True)):
            verdict.looked["pairs apart" if is_wrong else "pairs together"] += len(pairs)
            for left, right in pairs:
                x, y = state.of(left), state.of(right)
                if (x is not None and x == y) == is_wrong:
                    verdict.say(kind, case, f"{told(left)} and {told(right)}")
        for who in {who for must, may in case.people for who in must + may}:
            pid = state.of(who)
            if pid is not None and state.kind[pid] == "person" and owner.setdefault(pid, case) is not case:
                verdict.say("false merges", case, f"{told(who)} and somebody of {owner[pid].id}")
        for tie in case.ties:
            _judge_tie(state, case, tie, verdict)
    return verdict


def told(given: Identifier) -> str:
    return f"{given.scheme} {given.value}"


def _judge_tie(state: State, case: Case, tie: Any, verdict: Verdict) -> None:
    verdict.looked["entries"] += 1
    linked = state.linked.get(f"{case.number}-{tie.label}", set())
    entry = next(s for s in case.steps if isinstance(s, Entry) and s.label == tie.label)
    outside = [who for who, _ in entry.people if who.value != OURS]
    for what, is_org, must, may in (
        ("person", False, tie.people, tie.may_people),
        ("organization", True, tie.organizations, tie.may_organizations),
    ):
        kinds = {"organization"} if is_org else {"person"}
        have = {pid for pid in linked if state.kind[pid] in kinds}
        wanted = {state.of(who) for who in must}
        spared = {state.of(who) for who in may} | (state.alone if tie.is_queued else set())
        for pid in have - wanted - spared:
            names = sorted(value for (_, value), p in state.party.items() if p == pid)[:4]
            verdict.say("wrong links", case, f"{tie.label}: the {what} {names}")
        if missing := wanted - have:
            verdict.say("missed links", case, f"{tie.label}: {len(missing)} {what} of {sorted(map(told, must))}")
    if tie.is_queued:
        verdict.looked["to be asked"] += 1
        hosts = {who.value.rpartition("@")[2] for who in outside if who.scheme == "email"}
        if not state.waiting & ({text_of(who.scheme, _written(who)) for who in outside} | hosts):
            verdict.say("not queued", case, f"{tie.label}: {sorted(map(told, outside))}")


def main() -> None:
    """Print the figures of both corpora in every order, and what went wrong in any."""
    for name in ("traps", "links"):
        cases = load(name)
        for order in ORDERS:
            with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
                store = Store.open(f"sqlite:///{folder}/hub.db")
                began = time.process_time()
                world = play(store, cases, order)
                verdict = judge(look(store), cases)
                if order == "shuffled":
                    audited(world)
                    print("after the nightly audit:", judge(look(store), cases))
                store.close()
            print(f"{name}, {order}: {len(cases)} cases in {time.process_time() - began:.1f} CPU s: {verdict}")
            if "-v" in sys.argv:
                print(json.dumps(verdict.found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
