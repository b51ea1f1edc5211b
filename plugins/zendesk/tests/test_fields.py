"""Fields written back to people and organizations the account has: exactly what was named, once, and undone."""

from typing import Any

import pytest

from hub.api import Change, JournalEntry, Organization, Person, RawRecord, Receipt
from hub_zendesk.stand import Stand

OWN = {"user_fields": {"level": "customer_level", "last_meeting": "last_met", "vip": "is_vip"}}


def fields(remote_id: int, key: str = "p-1", version: str = "", **named: str) -> Change:
    entity = Person(external_id=key, fields=named)
    return Change(
        key=key, kind="person", op="upsert", entity=entity, remote_id=str(remote_id), expected_version=version
    )


def push(desk: Stand, *changes: Change) -> list[Receipt]:
    found: list[Receipt] = desk.call(lambda c: c.push(changes), **OWN)
    return found


def undo(desk: Stand, change: Change, receipt: Receipt) -> str:
    entry = JournalEntry(change=change, receipt=receipt)
    return str(desk.call(lambda c: c.undo([entry]), **OWN)[0].outcome)


def writes(desk: Stand) -> list[tuple[str, str]]:
    found = [(m, p) for m, p, _ in desk.zendesk.requests if m != "GET" and "oauth" not in p]
    desk.zendesk.requests.clear()
    return found


@pytest.fixture
def own(desk: Stand) -> Stand:
    desk.desk.custom["users"] += ["customer_level", "last_met", "is_vip"]
    return desk


def bare(user: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in user.items() if k != "updated_at"}


def test_only_what_is_named_changes_and_a_blank_empties(own: Stand) -> None:
    custom = {"customer_level": "gold", "last_met": None, "is_vip": True}
    ada = own.user("Ada", phone="+1 555 0100", details="Likes tea", user_fields=custom)
    before = bare(dict(own.desk.users[ada]))
    change = fields(ada, phone="", level="silver", last_meeting="2026-03-10", vip="false")
    (receipt,) = push(own, change)
    assert (receipt.outcome, receipt.remote_id) == ("updated", str(ada))
    now = {"customer_level": "silver", "last_met": "2026-03-10", "is_vip": False}
    assert bare(own.desk.users[ada]) == {**before, "phone": None, "user_fields": now}
    assert writes(own) == [("PUT", f"/api/v2/users/{ada}")]
    own.desk.change_user(ada, {"user_fields": {"last_met": "2026-03-10T00:00:00+00:00"}})  # as it is given back
    assert push(own, change)[0].outcome == "unchanged"
    assert writes(own) == []
    assert [undo(own, change, receipt) for _ in range(2)] == ["updated", "unchanged"]
    assert bare(own.desk.users[ada]) == before


def test_what_was_written_is_read_as_it_was_said(own: Stand) -> None:
    ada = own.user("Ada", user_fields={"last_met": "2026-03-10T00:00:00Z", "is_vip": True, "phone": "not the phone"})
    own.desk.change_user(ada, {"phone": "+1 555 0100", "iana_time_zone": "Europe/Berlin", "locale": "en_GB"})

    async def read(connector: Any) -> Any:
        (raw,) = await connector.fetch("users", [str(ada)])
        (person,) = connector.to_canonical("users", RawRecord(raw.external_id, raw.body))
        return person.fields

    told = {"phone": "+1 555 0100", "language": "en-gb", "time_zone": "Europe/Berlin", "vip": "true"}
    assert own.call(read, **OWN) == {**told, "last_meeting": "2026-03-10"}


def test_the_record_is_meant_by_its_id_and_an_agent_by_none(own: Stand) -> None:
    mine = own.user("Ada", external_id="ihub:p-1")
    other = own.user("Ada2", external_id="ihub:p-2")
    assert push(own, fields(other, phone="+1 555 0199"))[0].remote_id == str(other)
    assert (own.desk.users[mine]["phone"], own.desk.users[other]["external_id"]) == (None, "ihub:p-2")
    own.desk.change_user(other, {"role": "agent"})
    (refused,) = push(own, fields(other, phone=""))
    assert (refused.outcome, "own agents" in refused.error) == ("failed", True)


def test_what_is_gone_fails_and_nobody_is_made(own: Stand) -> None:
    ada, count = own.user("Ada"), len(own.desk.users)
    own.desk.change_user(ada, {"active": False})
    company = own.desk.put_organization({"name": "Pine"})["id"]
    own.desk.change_organization(company, {"deleted_at": own.desk.text()})
    entity = Organization(external_id="o", fields={"description": "Boards"})
    lost = Change(key="o", kind="organization", op="upsert", entity=entity, remote_id=str(company))
    receipts = [*push(own, fields(ada, phone="1")), *push(own, lost), *push(own, fields(999, phone="1"))]
    assert [(r.outcome, r.error[:5]) for r in receipts] == [("failed", "gone:")] * 3
    assert len(own.desk.users) == count
    assert writes(own) == []


def test_unknown_fields_are_refused_by_name_and_a_stale_before_image_too(own: Stand) -> None:
    ada = own.user("Ada")
    receipts = push(own, fields(ada, shoe_size="7", phone="1"), fields(ada, phone="1", version="2020-01-01T00:00:00Z"))
    assert [r.outcome for r in receipts] == ["failed", "failed"]
    assert "shoe_size" in receipts[0].error
    assert "conflict" in receipts[1].error
    own.desk.custom["users"].remove("customer_level")
    lacking = own.user("Bea")
    (refused,) = push(own, fields(lacking, level="gold"))
    assert "no user field customer_level" in refused.error
    assert writes(own) == []


def test_a_lost_answer_does_no_harm(own: Stand) -> None:
    ada = own.user("Ada")
    own.zendesk.faults.add("drop_answer", method="PUT", path="/users", times=1)
    assert push(own, fields(ada, phone="1"))[0].outcome == "updated"
    assert own.desk.users[ada]["phone"] == "1"


def test_an_organizations_fields(own: Stand) -> None:
    own.desk.custom["organizations"].append("tier")
    company = own.desk.put_organization({"name": "Pine", "domain_names": ["pine.example"], "details": "Boards"})
    entity = Organization(external_id="o", fields={"description": "", "tier": "1"})
    change = Change(key="o", kind="organization", op="upsert", entity=entity, remote_id=str(company["id"]))
    settings = {"organization_fields": {"tier": "tier"}}
    (receipt,) = own.call(lambda c: c.push([change]), **settings)
    assert receipt.before == {"details": "Boards", "organization_fields": {"tier": None}}
    held = own.desk.organizations[company["id"]]
    assert (held["name"], held["domain_names"], held["external_id"]) == ("Pine", ["pine.example"], None)
    assert (held["details"], held["organization_fields"]) == ("", {"tier": "1"})
    assert own.call(lambda c: c.push([change]), **settings)[0].outcome == "unchanged"


def test_what_can_be_written(own: Stand) -> None:
    async def ask(connector: Any) -> list[Any]:
        return [connector.writable(kind) for kind in ("person", "organization", "interaction", "consent")]

    assert own.call(ask, **OWN) == [
        {"phone", "description", "level", "last_meeting", "vip"}, {"description"}, frozenset(), frozenset(),
    ]  # fmt: skip
