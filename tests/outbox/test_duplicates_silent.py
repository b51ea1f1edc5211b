"""Merging duplicates in a tool that says nothing of it afterwards: a Zendesk account, where the one that goes is just gone."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from crm import Transport

from hub import outbox
from hub import settings as config
from hub.api import FakeClock
from hub.engine import Engine, duplicates, push
from hub.plugins import Registry
from hub.store import Store
from hub.store import tables as t
from hub.testing import Running
from hub_zendesk import Zendesk
from hub_zendesk.emulator import ADMIN, ZendeskEmulator
from hub_zendesk.merging import CALLS

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)]
START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
ANA, OTHER = "ana@kestrel.example", "ana.kestrel@freemail.example"


class Account:
    """A hub over one account with two users who are one person, each with a ticket."""

    def __init__(self, store: Store, server: Running) -> None:
        self.store, self.clock, self.transport = store, FakeClock(START), Transport()
        self.zendesk = ZendeskEmulator(now=self.clock.now)
        server.put(self.zendesk)
        self.desk = self.zendesk.desk
        gate = self.zendesk.gate
        settings = {
            "subdomain": "team", "base_url": f"{server.url}/", "client_id": gate.client_id, "client_secret": gate.client_secret,
        }  # fmt: skip
        plain = {"connections": {"desk": {"connector": "zendesk", "settings": settings, "merge_duplicates": True}}}
        self.engine = Engine(
            config.Settings.model_validate(plain), store, Registry(connectors={"zendesk": Zendesk}), clock=self.clock,
            transport=self.transport,
        )  # fmt: skip
        self.ana = self.user("Ana Kestrel", ANA, phone="+49 30 1234567", details="Likes letters")
        self.other = self.user("Ana Kestrel", OTHER)
        at = self.desk.back(3600)
        self.ticket = self.desk.put_ticket({"subject": "A matter"}, [{"body": "Hello"}], self.other, at)["id"]

    def user(self, name: str, email: str, **more: str) -> int:
        return int(self.desk.put_user({"name": name, "email": email, **more}, self.desk.back(7200))["id"])

    async def sync(self) -> None:
        self.clock.advance(90)
        result = await self.engine.sync("desk", streams=["users", "tickets"], census=False)
        assert result.exit_code == 0, result.lines

    def parties(self) -> set[int]:
        with self.store.read() as c:
            i = t.identifier.c
            return set(c.execute(sa.select(i.party_id).where(i.value.in_((ANA, OTHER)))).scalars())

    def records(self) -> dict[str, tuple[Any, ...]]:
        """Users that are gone: number -> (the rule, where it points)."""
        r = t.record.c
        gone = sa.select(r.external_id, r.rule, r.redirect_to).where(r.gone_at.is_not(None))
        with self.store.read() as c:
            return {ext: (rule, into) for ext, rule, into in c.execute(gone)}

    def join(self) -> int:
        act = self.engine.identities.merge(*sorted(self.parties()), "kim").act
        assert len(self.parties()) == 1
        return act

    def merges(self) -> int:
        return sum(path.endswith("/merge") for _, path, _ in self.zendesk.requests)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with ZendeskEmulator().serve() as running:
        yield running


@pytest.fixture
async def account(store: Store, server: Running) -> AsyncIterator[Account]:
    made = Account(store, server)
    await made.sync()
    yield made
    await made.transport.really_close()


@pytest.mark.parametrize("is_lost", [False, True])
async def test_merged_once_and_both_ids_stay_one(account: Account, is_lost: bool) -> None:
    """The hub knows where the id that is gone leads from its own receipt, whatever the tool says of it later on."""
    act = account.join()
    account.desk.merge_delay_s = 25
    if is_lost:
        account.zendesk.faults.add("drop_answer", path="/merge", times=1)
    found = duplicates.plan(account.engine, "desk")
    assert (found.plan.counts, found.calls) == ({"person": {"merge": 1}}, CALLS)
    with account.store.read() as c:
        [pair] = outbox.pairs(c, found.plan.id)
    assert (pair["stays"], pair["absorbs"], pair["fields"]) == (str(account.ana), str(account.other), [])
    push.approve(account.engine, found.plan.id, "kim")
    result = await push.apply(account.engine, found.plan.id)
    assert (result.exit_code, result.applied.done, account.merges()) == (0, {"merged": 1}, 1)
    merged = {str(account.other): ("merged at source", str(account.ana))}
    assert account.records() == merged
    for _ in range(2):
        await account.sync()
        assert account.records() == merged
        assert duplicates.plan(account.engine, "desk").plan.id == 0
    assert account.desk.addresses(account.ana) == [ANA, OTHER]
    assert account.desk.tickets[account.ticket]["requester_id"] == account.ana
    account.engine.identities.undo(act, "kim")  # a person's word is gone; the tool's own merge still holds them
    assert len(account.parties()) == 1


async def test_what_only_the_other_says_is_told_to_be_lost_and_kept_here(account: Account) -> None:
    account.desk.change_user(account.ana, {"details": ""})
    account.desk.change_user(account.other, {"details": "Prefers mail", "notes": "Calls on Mondays"})
    await account.sync()
    account.join()
    made = duplicates.plan(account.engine, "desk").plan
    with account.store.read() as c:
        [pair] = outbox.pairs(c, made.id)
    assert pair["stays"] == str(account.ana)
    assert pair["fields"] == [{"field": "description", "stays": "", "other": "Prefers mail", "outcome": "lost"}]
    push.approve(account.engine, made.id, "kim")
    assert (await push.apply(account.engine, made.id)).applied.done == {"merged": 1}
    assert account.desk.users[account.ana]["details"] == ""
    with account.store.read() as c:
        [kept] = outbox.snapshots(c, made.id, str(account.other))
    record = kept["absorbs"]["record"]
    assert (record["email"], record["details"], record["notes"]) == (OTHER, "Prefers mail", "Calls on Mondays")
    assert kept["absorbs"]["linked"] == [f"tickets/{account.ticket}"]


async def test_a_user_deleted_meanwhile_is_no_merge(account: Account) -> None:
    """Its call was cut off before Zendesk did anything, and somebody deleted the user: nothing says that it was merged."""
    account.join()
    made = duplicates.plan(account.engine, "desk").plan
    push.approve(account.engine, made.id, "kim")
    account.zendesk.faults.add("reset", path="/merge")
    assert (await push.apply(account.engine, made.id)).status == "degraded"
    account.zendesk.faults.clear()
    account.desk.change_user(account.other, {"active": False})
    result = await push.apply(account.engine, made.id)
    [(_, error)] = result.applied.failures
    assert "nothing says that it went into" in error
    assert account.records() == {str(account.other): ("at source", None)}


async def test_agents_are_refused(account: Account) -> None:
    account.join()
    made = duplicates.plan(account.engine, "desk").plan
    push.approve(account.engine, made.id, "kim")
    account.desk.change_user(account.other, {"role": "agent"})
    result = await push.apply(account.engine, made.id)
    assert (account.merges(), len(result.applied.failures)) == (0, 1)
    assert account.desk.users[ADMIN]["active"]
