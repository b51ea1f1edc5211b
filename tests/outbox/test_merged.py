"""What joining and parting people here does at the system of record: a HubSpot portal, its state before and after compared.

Each timeline entry sits on every contact that stands for its person. Only associations of ours come and go.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from crm import Crm
from world import US, mail

from hub.api import Consent, Identifier, Person
from hub.engine import push
from hub.store import Store
from hub.store import tables as t
from hub.testing import Running
from hub_hubspot.emulator import HubSpotEmulator

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)]
ANA, OTHER, BO = "ana@kestrel.example", "ana.kestrel@gmail.com", "bo@merlin.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with HubSpotEmulator(client_secret="-", refresh_token="-").serve() as running:
        yield running


@pytest.fixture
async def crm(store: Store, server: Running) -> AsyncIterator[Crm]:
    """Mail with two addresses of one person and with somebody else, all of it filed; the contacts are ours."""
    made = Crm(store, server)
    made.mailbox.mail(mail("m1", ANA))
    made.mailbox.mail(mail("m2", f"sam@{US}", [OTHER], minute=1))
    made.mailbox.mail(mail("m3", OTHER, [f"sam@{US}", BO], minute=2))
    await made.check()
    await made.sync("a")
    assert await made.apply() == {"created": 8}
    yield made
    await made.transport.really_close()


def parties(crm: Crm, *addresses: str) -> list[int]:
    with crm.store.read() as c:
        found = dict(c.execute(sa.select(t.identifier.c.value, t.identifier.c.party_id)).tuples().all())
    return [found[a] for a in addresses]


def merge(crm: Crm, one: str = ANA, other: str = OTHER) -> int:
    return crm.engine.identities.merge(*parties(crm, one, other), "kim", "the same signature").act


def split(crm: Crm, *values: str) -> None:
    with crm.store.read() as c:
        ids = c.execute(sa.select(t.identifier.c.id).where(t.identifier.c.value.in_(values))).scalars().all()
    crm.engine.identities.split(ids, "kim")


APART = {"About m1": {ANA}, "About m2": {OTHER}, "About m3": {OTHER, BO}}
AS_ONE = {"About m1": {ANA, OTHER}, "About m2": {ANA, OTHER}, "About m3": {ANA, OTHER, BO}}


def by_address(crm: Crm) -> dict[str, set[str]]:
    names = {contact: address for address, contact in crm.contacts().items()}
    return {subject: {names[i] for i in ids} for subject, ids in crm.filed().items()}


@pytest.mark.parametrize("is_read", [True, False], ids=["read back", "not read yet"])
@pytest.mark.parametrize("how", ["undo", "split"])
async def test_a_join_files_everything_under_both_and_parting_takes_back_exactly_that(
    crm: Crm, how: str, is_read: bool
) -> None:
    if is_read:
        await crm.read_back()
    before, names = crm.associations(), [crm.party(ANA), crm.party(OTHER)]
    assert by_address(crm) == APART
    act = merge(crm)
    assert crm.party(ANA) == crm.party(OTHER) in names
    assert crm.plan().counts == {"interaction": {"create": 0, "update": 3, "delete": 0}}
    await crm.apply()
    assert by_address(crm) == AS_ONE
    if is_read:
        await crm.read_back()
    assert await crm.apply() == {}
    if how == "undo":
        crm.engine.identities.undo(act, "kim")
    else:
        split(crm, OTHER, crm.contacts()[OTHER])
    assert [crm.party(ANA), crm.party(OTHER)] == names
    await crm.apply()
    assert crm.associations() == before
    await crm.read_back()
    assert await crm.apply() == {}
    crm.mailbox.mail(mail("m4", OTHER, minute=5))
    await crm.sync("a")
    await crm.apply()
    assert by_address(crm) == {**APART, "About m4": {OTHER}}


async def test_an_address_parted_from_its_contact_keeps_it_while_it_has_no_other(crm: Crm) -> None:
    """The tool knows the address by that contact and takes no second one with it, whosever the record is by then."""
    await crm.read_back()
    merge(crm)
    await crm.apply()
    split(crm, OTHER)
    await crm.apply()
    assert by_address(crm) == APART
    await crm.read_back()
    assert await crm.apply() == {}


async def test_what_people_associated_there_stays(crm: Crm) -> None:
    contacts, mails = crm.contacts(), {r["properties"]["hs_email_subject"]: r["id"] for r in crm.held("emails")}
    by_hand = {"type": "emails", "id": mails["About m1"], "to": "contacts"}
    crm.portal.control("associate", {**by_hand, "to_id": contacts[OTHER]})
    crm.portal.control("associate", {**by_hand, "to_id": contacts[BO]})
    before = crm.associations()
    act = merge(crm)
    await crm.apply()
    assert by_address(crm) == {**AS_ONE, "About m1": {ANA, OTHER, BO}}
    crm.engine.identities.undo(act, "kim")
    await crm.apply()
    assert crm.associations() == before


async def test_a_contact_of_theirs_gets_the_history_too_and_nothing_else_of_it_is_touched(crm: Crm) -> None:
    made = crm.portal.seed({"contacts": [{"properties": {"email": "ana@new-job.example", "firstname": "Ana"}}]})
    await crm.read_back()
    before = crm.associations()
    act = merge(crm, ANA, "ana@new-job.example")
    await crm.apply()
    assert by_address(crm) == {**APART, "About m1": {ANA, "ana@new-job.example"}}
    row = next(r for r in crm.held("contacts") if r["id"] == made["contacts"][0])
    assert (row["properties"]["email"], row["properties"].get("ihub_key")) == ("ana@new-job.example", None)
    crm.engine.identities.undo(act, "kim")
    await crm.apply()
    assert crm.associations() == before


async def test_a_contact_made_for_the_joined_stays_with_the_one_it_was_made_for(crm: Crm) -> None:
    """Only one of the two had an entry to be filed when they were joined; the other gets a contact when it needs one."""
    crm.mailbox.mail(mail("m4", "new@kestrel.example", minute=4))
    crm.mailbox.mail(mail("m5", "newt@kestrel.example", minute=5))
    await crm.sync("a")
    act = merge(crm, "new@kestrel.example", "newt@kestrel.example")
    assert crm.plan().counts["person"] == {"create": 1, "update": 0, "delete": 0}
    await crm.apply()
    await crm.read_back()
    assert by_address(crm)["About m5"] == {"new@kestrel.example"}
    crm.engine.identities.undo(act, "kim")
    assert crm.party("new@kestrel.example") != crm.party("newt@kestrel.example")
    await crm.apply()
    found = by_address(crm)
    assert (found["About m4"], found["About m5"]) == ({"new@kestrel.example"}, {"newt@kestrel.example"})
    await crm.read_back()
    assert await crm.apply() == {}


async def test_plans_that_associated_and_parted_are_taken_back(crm: Crm) -> None:
    apart = crm.associations()
    act = merge(crm)
    await crm.apply()
    as_one = crm.associations()
    await push.undo(crm.engine, crm.applied)
    assert crm.associations() == apart
    await crm.apply()
    assert crm.associations() == as_one
    crm.engine.identities.undo(act, "kim")
    await crm.apply()
    assert crm.associations() == apart
    await push.undo(crm.engine, crm.applied)
    assert crm.associations() == as_one
    await crm.apply()
    assert crm.associations() == apart


@pytest.mark.parametrize("mints_new_id", [False, True])
async def test_contacts_merged_there_after_they_were_joined_here(crm: Crm, mints_new_id: bool) -> None:
    """R12, HubSpot: the survivor may have a new id; nothing is written again, and entries sit on it once."""
    await crm.read_back()
    merge(crm)
    await crm.apply()
    contacts = crm.contacts()
    pair = {"type": "contacts", "primary": contacts[OTHER], "other": contacts[ANA], "mints_new_id": mints_new_id}
    survivor = crm.portal.control("merge", pair)["id"]
    after_merge, created = crm.associations(), len(crm.held("contacts"))
    await crm.read_back()
    await crm.apply()
    assert crm.associations() == after_merge
    assert len(crm.held("contacts")) == created
    assert {crm.contacts()[ANA], crm.contacts()[OTHER]} == {survivor}
    crm.mailbox.mail(mail("m4", ANA, minute=4))
    await crm.sync("a")
    await crm.apply()
    assert crm.filed()["About m4"] == {survivor}
    assert crm.timeline(OTHER) == {"About m1", "About m2", "About m3", "About m4"}


@pytest.mark.parametrize("mints_new_id", [False, True])
async def test_contacts_merged_there_alone_are_one_here(crm: Crm, mints_new_id: bool) -> None:
    await crm.read_back()
    contacts = crm.contacts()
    pair = {"type": "contacts", "primary": contacts[ANA], "other": contacts[OTHER], "mints_new_id": mints_new_id}
    survivor = crm.portal.control("merge", pair)["id"]
    after_merge = crm.associations()
    await crm.read_back()
    assert crm.party(ANA) == crm.party(OTHER)
    assert crm.timeline(ANA) == {"About m1", "About m2", "About m3"}
    await crm.apply()
    assert {key: held.get("contacts") for key, held in crm.associations().items()} == {
        key: held.get("contacts") for key, held in after_merge.items()
    }
    assert crm.filed()["About m1"] == crm.filed()["About m2"] == {survivor}
    await crm.read_back()
    assert await crm.apply() == {}


async def test_what_was_exchanged_with_a_former_employer_stays_with_it(crm: Crm) -> None:
    def companies() -> set[str]:
        names = {row["id"]: row["properties"]["domain"] for row in crm.held("companies")}
        [mail] = (r for r in crm.held("emails") if r["properties"]["hs_email_subject"] == "About m1")
        return {names[i] for i in mail["associations"].get("companies", ())}

    assert companies() == {"kestrel.example"}
    moved = Person(
        external_id="p1", identifiers=(Identifier("email", ANA),), name="Ana Kestrel",
        organizations=(Identifier("domain", "merlin.example"),),
    )  # fmt: skip
    crm.mailbox.put("parties", "p1", moved)
    await crm.sync("a")
    await crm.apply()
    assert companies() == {"kestrel.example", "merlin.example"}


# --- what contacts say ------------------------------------------------------------------------------------------------


def titles(crm: Crm) -> list[str | None]:
    return [_says(crm, address, "jobtitle") for address in (ANA, OTHER)]


def refused(crm: Crm) -> list[bool]:
    return [_says(crm, address, "hs_email_optout") == "true" for address in (ANA, OTHER, BO)]


def _says(crm: Crm, address: str, name: str) -> Any:
    return next(r["properties"].get(name) for r in crm.held("contacts") if r["properties"]["email"] == address)


def say(crm: Crm, key: str, address: str, *more: Any, **fields: str) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    person = Person(
        external_id=key, identifiers=(Identifier("email", address),), name="Ana Kestrel", fields=fields, changed_at=at
    )
    crm.mailbox.put("parties", key, person, *more)


async def test_fields_and_refusals_go_to_the_right_contacts_while_joined_and_after(crm: Crm) -> None:
    rules = {"person": {"job_title": {"precedence": ["a"], "write_to": ["crm"]}}}
    crm.again(fields=rules, consent={"write_to": ["crm"]})
    say(crm, "p1", ANA, job_title="Buyer")
    said_no = Consent(
        external_id="p2", identifier=Identifier("email", OTHER), channel="email", state="opted_out",
        at=datetime(2026, 11, 1, tzinfo=UTC),
    )  # fmt: skip
    say(crm, "p2", OTHER, said_no)
    await crm.sync("a")
    await crm.read_back()
    await crm.apply()
    assert (titles(crm), refused(crm)) == (["Buyer", None], [False, True, False])
    await crm.read_back()
    act = merge(crm)
    await crm.apply()
    assert (titles(crm), refused(crm)) == (["Buyer", "Buyer"], [True, True, False])
    await crm.read_back()
    assert await crm.apply() == {}
    crm.engine.identities.undo(act, "kim")
    say(crm, "p2", OTHER, said_no, job_title="Pilot")
    await crm.sync("a")
    await crm.apply()
    assert (titles(crm), refused(crm)) == (["Buyer", "Pilot"], [True, True, False])
    await crm.read_back()
    assert await crm.apply() == {}
