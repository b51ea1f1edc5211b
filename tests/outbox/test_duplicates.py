"""A tool's own duplicates, merged there: off by default, planned, looked at again, kept as they were, done once, followed.

A HubSpot portal over real HTTP: contacts of which a person said here that they are one.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Killed
from crm import Crm
from world import crash_in_commit, mail

from hub import outbox
from hub.api import ConfigError
from hub.engine import duplicates, push
from hub.identity.duplicates import ASKED, OTHER_NAMES
from hub.parties import standing
from hub.store import Store, micros
from hub.store import tables as t
from hub.testing import Running
from hub_hubspot.emulator import HubSpotEmulator
from hub_hubspot.merging import CALLS

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)]
ANA, OTHER, THIRD, BO = "ana@kestrel.example", "ana.kestrel@gmail.com", "a.kestrel@home.example", "bo@merlin.example"
ALLOWED = {"merge_duplicates": True}
MERGE = "/crm/v3/objects/contacts/merge"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with HubSpotEmulator(client_secret="-", refresh_token="-").serve() as running:
        yield running


@pytest.fixture
async def unread(store: Store, server: Running) -> AsyncIterator[Crm]:
    """Two contacts of people's making that are one person, and one of another."""
    made = Crm(store, server)
    made.again(crm=ALLOWED)
    name = {"firstname": "Ana", "lastname": "Kestrel"}
    seed(made, email=ANA, jobtitle="Buyer", phone="+49 30 111", **name)
    seed(made, email=OTHER, jobtitle="Head of buying", city="Ulm", country="DE", lifecyclestage="customer", **name)
    seed(made, email=BO, firstname="Bo", lastname="Merlin")
    yield made
    await made.transport.really_close()


@pytest.fixture
async def crm(unread: Crm) -> Crm:
    """Read, without the check: it prepares the portal for other writes, and takes a while."""
    with unread.store.write() as c:
        row = {"name": "crm", "connector": "hubspot", "checked_at": micros(unread.clock.now())}
        c.execute(sa.insert(t.connection).values(row))
    await unread.read_back()
    return unread


@pytest.fixture
async def filed(unread: Crm) -> Crm:
    """With mail on each of the two contacts, which the hub filed there."""
    unread.mailbox.mail(mail("m1", ANA))
    unread.mailbox.mail(mail("m2", OTHER, minute=1))
    await unread.engine.check("crm")
    await unread.read_back()
    await unread.sync("a")
    await unread.apply()
    return unread


def seed(crm: Crm, **properties: str) -> str:
    return str(crm.portal.seed({"contacts": [{"properties": properties}]})["contacts"][0])


def parties(crm: Crm, *addresses: str) -> list[int]:
    with crm.store.read() as c:
        found = dict(c.execute(sa.select(t.identifier.c.value, t.identifier.c.party_id)).tuples().all())
    return [found[a] for a in addresses]


def join(crm: Crm, one: str = ANA, other: str = OTHER) -> int:
    return crm.engine.identities.merge(*parties(crm, one, other), "kim", "the same signature").act


async def carry_out(crm: Crm) -> push.PushResult:
    made = duplicates.plan(crm.engine, "crm").plan
    push.approve(crm.engine, made.id, "kim")
    return await push.apply(crm.engine, made.id)


def merges(crm: Crm) -> int:
    return sum(path == MERGE and status == 200 for _, path, status in crm.portal.requests)


def shown(crm: Crm, plan_id: int) -> dict[str, Any]:
    with crm.store.read() as c:
        [pair] = outbox.pairs(c, plan_id)
    return pair


# --- the plan ---------------------------------------------------------------------------------------------------------


async def test_off_by_default(crm: Crm) -> None:
    join(crm)
    crm.again()
    with pytest.raises(ConfigError, match=r"connections\.crm\.merge_duplicates is off") as refused:
        duplicates.plan(crm.engine, "crm")
    assert "set merge_duplicates = true under [connections.crm]" in str(refused.value)
    with pytest.raises(ConfigError, match="a: the hub merges nothing in Acorn"):
        duplicates.plan(crm.engine, "a")
    with pytest.raises(ConfigError, match="there is no connection 'crn'; did you mean 'crm'"):
        duplicates.plan(crm.engine, "crn")
    crm.again(crm=ALLOWED)
    made = duplicates.plan(crm.engine, "crm").plan
    push.approve(crm.engine, made.id, "kim")
    crm.again()
    with pytest.raises(ConfigError, match=r"merge_duplicates is off"):
        await push.apply(crm.engine, made.id)
    assert merges(crm) == 0


async def test_a_plan_says_who_stays_what_is_lost_and_what_it_costs(crm: Crm) -> None:
    assert duplicates.plan(crm.engine, "crm").plan.id == 0
    act = join(crm)
    before = crm.writes()
    found = duplicates.plan(crm.engine, "crm")
    assert crm.writes() == before
    assert (found.plan.counts, found.plan.status, found.plan.kind) == ({"person": {"merge": 1}}, "draft", "merge")
    pair = shown(crm, found.plan.id)
    ids = crm.contacts()
    assert (pair["name"], pair["stays"], pair["absorbs"]) == ("Ana Kestrel", ids[OTHER], ids[ANA])
    assert pair["why"] == "it says more: 7 fields against 6"
    assert f"kim said so: the same signature, act {act}" in " ".join(pair["because"])
    outcomes = {f["field"]: (f["stays"], f["other"], f["outcome"]) for f in pair["fields"]}
    assert outcomes == {
        "job_title": ("Head of buying", "Buyer", "kept"), "lifecycle_stage": ("customer", "lead", "own"),
        "phone": ("", "+49 30 111", "filled"),
    }  # fmt: skip
    assert pair["addresses"] == [[OTHER], [ANA]]
    assert found.calls == CALLS
    assert any("new id" in note for note in found.notes["contacts"])


async def test_the_plan_and_others_leave_each_other_alone(filed: Crm) -> None:
    """Neither is in the way of the other; nothing of this is ever done without being asked for by its number."""
    crm = filed
    crm.mailbox.mail(mail("m3", ANA, minute=2))
    await crm.sync("a")
    ordinary = crm.plan()
    join(crm)
    made = duplicates.plan(crm.engine, "crm").plan
    again = duplicates.plan(crm.engine, "crm").plan
    with crm.store.read() as c:
        states = [outbox.read(c, p.id).status for p in (ordinary, made, again)]  # type: ignore[union-attr]
        assert outbox.newest(c, crm.engine._row("crm")["id"]).id == ordinary.id  # type: ignore[union-attr]
    assert states == ["draft", "superseded", "draft"]
    assert (await push.deliver(crm.engine, "crm")).exit_code == 0  # type: ignore[union-attr]
    assert merges(crm) == 0
    push.approve(crm.engine, again.id, "kim")
    assert duplicates.plan(crm.engine, "crm").plan.id == again.id


async def test_what_is_open_or_contradicted_is_not_proposed(crm: Crm) -> None:
    seed(crm, email=THIRD, firstname="Ana", lastname="Kestrel")
    await crm.read_back()
    join(crm, ANA, BO)
    found = duplicates.plan(crm.engine, "crm")
    assert ([x.reason for x in found.left], found.plan.id) == ([OTHER_NAMES], 0)
    act = join(crm)
    crm.engine.identities.undo(act, "kim")
    assert duplicates.plan(crm.engine, "crm").plan.id == 0
    join(crm, OTHER, THIRD)
    with crm.store.write() as c:
        ids = dict(c.execute(sa.select(t.identifier.c.value, t.identifier.c.id)).tuples().all())
        row = {
            "left_identifier_id": ids[THIRD], "right_identifier_id": ids[OTHER], "verdict": "unsure", "kind": "model",
            "rule": "weighed", "actor": "hub", "decided_at": 1,
        }  # fmt: skip
        c.execute(sa.insert(t.decision).values(row))
    found = duplicates.plan(crm.engine, "crm")
    assert sorted(x.reason for x in found.left) == sorted([ASKED, OTHER_NAMES])


async def test_the_brake_holds_a_plan_that_merges_very_many(crm: Crm) -> None:
    join(crm)
    crm.again(crm=ALLOWED, system_of_record={"connection": "crm", "brake_percent": 10.0, "brake_count": 0})
    made = duplicates.plan(crm.engine, "crm").plan
    said = "1 of 3 records there would be merged into others (33 %, the brake is at 10 %)"
    assert (made.status, made.held) == ("held", said)


async def test_of_many_each_is_in_one_merge_at_a_time(crm: Crm) -> None:
    for address in (THIRD, "ana@four.example", "ana@five.example"):
        seed(crm, email=address, firstname="Ana", lastname="Kestrel")
    await crm.read_back()
    for address in (OTHER, THIRD, "ana@four.example", "ana@five.example"):
        join(crm, ANA, address)
    rounds = []
    while (found := duplicates.plan(crm.engine, "crm")).plan.id:
        rounds.append((found.plan.changes, found.waiting))
        assert (await carry_out(crm)).exit_code == 0
    assert rounds == [(2, 2), (1, 1), (1, 0)]
    assert len(set(crm.contacts().values())) == 2
    assert merges(crm) == 4


# --- carrying it out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mints_new_id", [False, True])
async def test_merged_once_followed_and_quiet(filed: Crm, mints_new_id: bool) -> None:
    """Both ids lead to what is left, the timeline stays one, nothing is written twice, and nothing more is due."""
    crm = filed
    crm.portal.control("flags", {"merge_mints_new_id": mints_new_id})
    was = crm.contacts()
    join(crm)
    await crm.apply()
    asked = len(crm.portal.requests)
    result = await carry_out(crm)
    calls = [path for _, path, _ in crm.portal.requests[asked:] if "/oauth/" not in path]
    assert (result.exit_code, result.applied.done, merges(crm)) == (0, {"merged": 1}, 1)
    assert calls.index(MERGE) == CALLS - 1
    ids = crm.contacts()
    assert ids[ANA] == ids[OTHER]
    assert (ids[OTHER] == was[OTHER]) is not mints_new_id
    assert shown(crm, result.plan_id)["became"] == ids[ANA]
    absorbed = {was[ANA], was[OTHER]} - {ids[ANA]}
    with crm.store.read() as c:
        gone = sa.select(t.record.c.external_id, t.record.c.redirect_to).where(t.record.c.rule == "merged at source")
        assert set(c.execute(gone).tuples()) == {(x, ids[ANA]) for x in absorbed}
    stands = crm.associations()
    assert (await crm.apply()).keys() <= {"unchanged"}
    for _ in range(2):
        assert await crm.apply() == {}
        assert duplicates.plan(crm.engine, "crm").plan.id == 0
        await crm.read_back()
    assert crm.associations() == stands
    assert set(crm.filed().values()) == {frozenset({ids[ANA]})}
    assert crm.timeline(ANA) == crm.timeline(OTHER) == {"About m1", "About m2"}
    crm.mailbox.mail(mail("m3", ANA, minute=3))
    await crm.sync("a")
    await crm.apply()
    assert crm.filed()["About m3"] == {ids[ANA]}
    assert merges(crm) == 1


async def test_companies_too(crm: Crm) -> None:
    rows = [{"properties": {"name": "Kestrel GmbH", "domain": d}} for d in ("kestrel.example", "kestrel-group.example")]
    one, _ = crm.portal.seed({"companies": rows})["companies"]
    await crm.sync("crm", ("companies",))
    join(crm, "kestrel.example", "kestrel-group.example")
    made = duplicates.plan(crm.engine, "crm").plan
    assert made.counts == {"organization": {"merge": 1}}
    assert shown(crm, made.id)["addresses"] == [["kestrel.example"], ["kestrel-group.example"]]
    push.approve(crm.engine, made.id, "kim")
    assert (await push.apply(crm.engine, made.id)).applied.done == {"merged": 1}
    assert ([row["id"] for row in crm.held("companies")], shown(crm, made.id)["became"]) == ([one], one)
    assert crm.party("kestrel.example") == crm.party("kestrel-group.example")
    assert duplicates.plan(crm.engine, "crm").plan.id == 0


async def test_a_refusal_stays(crm: Crm) -> None:
    """The contact that holds it stays, and the refusal goes to every address that it has from then on."""
    crm.portal.control("flags", {"merge_mints_new_id": True})
    crm.again(crm=ALLOWED, consent={"write_to": ["crm"]})
    crm.portal.preferences.leave(ANA)
    await crm.read_back()
    join(crm)
    pair = shown(crm, duplicates.plan(crm.engine, "crm").plan.id)
    assert (pair["stays"], pair["why"]) == (crm.contacts()[ANA], "it holds the refusal to be written to")
    assert (await carry_out(crm)).exit_code == 0
    await crm.apply()
    await crm.read_back()
    assert await crm.apply() == {}
    [row] = [r for r in crm.held("contacts") if r["id"] == crm.contacts()[OTHER]]
    assert row["properties"]["hs_email_optout"] == "true"
    with crm.store.read() as c:
        [party] = set(parties(crm, ANA, OTHER))
        assert standing(c, [party])[party, "email"].state == "opted_out"


async def test_what_they_were_is_kept(filed: Crm) -> None:
    crm = filed
    was = {row["id"]: row["properties"] for row in crm.held("contacts")}
    ids = crm.contacts()
    filed = {subject: row["id"] for row in crm.held("emails") for subject in [row["properties"]["hs_email_subject"]]}
    join(crm)
    result = await carry_out(crm)
    with crm.store.read() as c:
        [kept] = outbox.snapshots(c, result.plan_id)
        assert outbox.snapshots(c, result.plan_id, ids[ANA]) == [kept]
        assert outbox.snapshots(c, result.plan_id, "1") == []
    assert (kept["stream"], kept["became"]) == ("contacts", ids[OTHER])
    for side, address, subject in (("stays", OTHER, "About m2"), ("absorbs", ANA, "About m1")):
        assert kept[side]["external_id"] == ids[address]
        given = kept[side]["record"]["object"]["properties"]
        assert {k: v for k, v in given.items() if v} == {k: was[ids[address]][k] for k, v in given.items() if v}
        assert given["email"] == address
        assert kept[side]["filed"] == [filed[subject]]
    with pytest.raises(ConfigError, match=f"cannot be taken back: `ihub identity snapshot {result.plan_id}`"):
        await push.undo(crm.engine, result.plan_id)
    with crm.store.write() as c:  # as an erasure does
        absorbed = c.execute(sa.select(t.record.c.id).where(t.record.c.external_id == ids[ANA])).scalar_one()
        outbox.strip(c, [outbox.merge_key(absorbed)])
        assert outbox.snapshots(c, result.plan_id) == []
        left = c.execute(sa.select(t.change.c.payload).where(t.change.c.plan_id == result.plan_id)).scalar_one()
    assert not any(word in left for word in (b"ana", b"Ana", b"Buyer"))


# --- what changed since -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [("edited", "as the hub had read it"), ("deleted", "it is gone there"), ("merged", "it is gone there"),
     ("parted", "they are not one here any more"), ("different", "they are not one here any more")],
)  # fmt: skip
async def test_nothing_is_merged_that_changed_since_the_plan(crm: Crm, change: str, said: str) -> None:
    act = join(crm)
    made = duplicates.plan(crm.engine, "crm").plan
    ids = crm.contacts()
    if change == "edited":
        crm.portal.control("touch", {"type": "contacts", "ids": [ids[ANA]], "properties": {"jobtitle": "Director"}})
    elif change == "deleted":
        crm.portal.control("delete", {"type": "contacts", "ids": [ids[OTHER]]})
    elif change == "merged":
        crm.portal.control("merge", {"type": "contacts", "primary": ids[BO], "other": ids[ANA]})
    else:
        crm.engine.identities.undo(act, "kim")
        if change == "different":
            crm.engine.identities.different(*parties(crm, ANA, OTHER), "kim")
    push.approve(crm.engine, made.id, "kim")
    result = await push.apply(crm.engine, made.id)
    assert (result.exit_code, merges(crm)) == (3, 0)
    [(_, error)] = result.applied.failures
    assert said in error
    assert shown(crm, made.id)["has_snapshot"] is False
    assert duplicates.plan(crm.engine, "crm").plan.id == (made.id + 1 if change == "edited" else 0)


# --- answers lost, processes killed -----------------------------------------------------------------------------------


async def test_an_answer_that_is_lost_is_not_asked_for_twice(crm: Crm) -> None:
    crm.portal.control("flags", {"merge_mints_new_id": True})
    join(crm)
    crm.portal.faults.add("drop_answer", path="/merge", times=1)
    result = await carry_out(crm)
    assert (result.exit_code, result.applied.done) == (0, {"merged": 1})
    assert sum(path == MERGE for _, path, _ in crm.portal.requests) == 1
    assert len(set(crm.contacts().values())) == 2


@pytest.mark.parametrize("nth", [7, 10, 11, 12])
async def test_killed_at_a_commit_it_goes_on(crm: Crm, nth: int) -> None:
    """Snapshot kept, call made, receipt kept, plan closed but nothing read back: one merge, and what the two were is known."""
    join(crm)
    made = duplicates.plan(crm.engine, "crm").plan
    push.approve(crm.engine, made.id, "kim")
    is_killed = False
    try:
        with crash_in_commit(crm.store, nth):
            await push.apply(crm.engine, made.id)
    except Killed:
        is_killed = True
    assert is_killed
    pair = shown(crm, made.id)
    assert pair["has_snapshot"]
    crm.clock.advance(61)
    crm.again(crm=ALLOWED)
    with crm.store.read() as c:
        status = outbox.read(c, made.id).status  # type: ignore[union-attr]
    assert (status, pair["state"], merges(crm)) == {
        7: ("applying", "due", 0), 10: ("applying", "sent", 1), 11: ("applying", "done", 1), 12: ("applied", "done", 1),
    }[nth]  # fmt: skip
    if status == "applying":
        assert (await push.apply(crm.engine, made.id)).applied.done == {"merged": 1}
    assert duplicates.plan(crm.engine, "crm").plan.id == 0
    await crm.read_back()
    assert merges(crm) == 1
    with crm.store.read() as c:
        [kept] = outbox.snapshots(c, made.id)
    assert kept["absorbs"]["record"]["object"]["properties"]["email"] == ANA
    assert len(set(crm.contacts().values())) == 2
    assert crm.party(ANA) == crm.party(OTHER)
    assert duplicates.plan(crm.engine, "crm").plan.id == 0


async def test_a_merge_is_restored_by_hand_as_the_guide_says(filed: Crm) -> None:
    """The record that went is made anew from its snapshot, gets its address and entries again, and is parted from the other."""
    crm = filed
    mine, was = crm.contacts()[OTHER], crm.filed()
    join(crm)
    result = await carry_out(crm)
    with crm.store.read() as c:
        [kept] = outbox.snapshots(c, result.plan_id)
    shelf = crm.portal.portal.shelves["contacts"]
    crm.portal.portal.update(shelf, shelf.records[int(mine)], {"hs_additional_emails": ""})
    del shelf.unique["email"][ANA]
    told = kept["absorbs"]["record"]["object"]["properties"]
    again = seed(crm, **{k: told[k] for k in ("email", "firstname", "lastname", "jobtitle", "phone")})
    for entry in kept["absorbs"]["filed"]:
        link = {"type": "emails", "id": entry, "to": "contacts"}
        crm.portal.control("associate", {**link, "to_id": again})
        crm.portal.control("associate", {**link, "to_id": mine, "remove": True})
    await crm.read_back()
    crm.engine.identities.split(identifiers(crm, ANA), "kim")
    assert crm.party(ANA) == crm.party(again)
    await crm.apply()
    assert crm.party(ANA) != crm.party(OTHER)
    assert (crm.timeline(ANA), crm.timeline(OTHER)) == ({"About m1"}, {"About m2"})
    assert crm.filed() == {**was, "About m1": {again}}
    assert duplicates.plan(crm.engine, "crm").plan.id == 0


def identifiers(crm: Crm, *values: str) -> list[int]:
    with crm.store.read() as c:
        return list(c.execute(sa.select(t.identifier.c.id).where(t.identifier.c.value.in_(values))).scalars())
