"""Writing: internal, once, and undone."""

from typing import Any

import pytest
from msgspec.structs import replace

from hub.api import (
    Change,
    Identifier,
    Interaction,
    JournalEntry,
    Link,
    Organization,
    Participation,
    Person,
    RateLimited,
    Receipt,
    ScopeError,
    Task,
)
from hub_zendesk.emulator import ADMIN
from hub_zendesk.stand import START, Stand


def letter(n: int = 1, text: str = "We can do that.", **more: Any) -> Change:
    people = (
        Participation(identifier=Identifier("email", "team@team.example.com"), role="from", name="Team"),
        Participation(identifier=Identifier("email", "ada@example.org"), role="to", name="Ada"),
    )
    entity = Interaction(
        external_id=f"i{n}", kind="message", channel="email", direction="outbound", subject=f"Offer {n}", text=text,
        occurred_at=START, participants=people,
    )  # fmt: skip
    return Change(key=f"key-{n}", kind="interaction", op="upsert", entity=entity, **more)


def push(desk: Stand, *changes: Change) -> list[Receipt]:
    found: list[Receipt] = desk.call(lambda c: c.push(changes))
    return found


def undo(desk: Stand, change: Change, receipt: Receipt) -> Receipt:
    (found,) = desk.call(lambda c: c.undo([JournalEntry(change=change, receipt=receipt)]))
    assert isinstance(found, Receipt)
    return found


def bodies(desk: Stand, ticket: int) -> list[str]:
    return [c["body"] for c in desk.desk.comments[ticket]]


def the_profile(desk: Stand) -> dict[str, Any]:
    (ticket,) = [t for t in desk.desk.tickets.values() if (t["external_id"] or "").startswith("ihub:profile:")]
    return ticket


def test_a_customers_interactions_become_internal_notes_on_one_ticket(desk: Stand) -> None:
    receipts = push(desk, letter(1), letter(2))
    assert [r.outcome for r in receipts] == ["created", "created"]
    ticket = the_profile(desk)
    assert ticket["external_id"] == "ihub:profile:ada@example.org"
    assert ticket["tags"] == ["interaction_hub"]
    assert ticket["is_public"] is False
    comments = desk.desk.comments[ticket["id"]]
    assert [c["public"] for c in comments] == [False, False]
    assert [r.remote_id for r in receipts] == [f"{ticket['id']}-{c['id']}" for c in comments]
    assert comments[0]["body"] == (
        "Message (e-mail, outbound): Offer 1\n2026-03-10T12:00:00Z · Team, Ada\n\nWe can do that.\n\n[ihub:key-1]"
    )
    assert [r.outcome for r in push(desk, letter(1, remote_id=receipts[0].remote_id))] == ["unchanged"]


def test_nothing_the_hub_sends_is_ever_public(desk: Stand) -> None:
    """Zendesk takes a comment for public unless told otherwise, also on a public ticket."""
    ada = desk.user("Ada")
    ticket = desk.ticket({"body": "Hi.", "author_id": ada}, requester_id=ada)
    link = Link("ticket", "t", str(ticket))
    task = Change(key="task-1", kind="task", op="upsert", entity=Task(external_id="t1", title="Call", text="Ring Ada."))
    push(desk, letter(1), letter(2, links=(link,)))
    push(desk, task)
    push(desk, letter(2, text="Other words.", links=(link,)))
    ours = [c for rows in desk.desk.comments.values() for c in rows if "[ihub:" in c["body"]]
    assert len(ours) == 3
    assert not any(c["public"] for c in ours)


def test_a_linked_ticket_and_a_linked_person_come_before_an_address(desk: Stand) -> None:
    ada = desk.user("Ada", "other@example.org")
    ticket = desk.ticket({"body": "Hi."}, requester_id=ada, tags=["vip"])
    person = Link("person", "person-1", str(ada))
    push(desk, letter(1, links=(person, Link("ticket", "t", str(ticket)))), letter(2, links=(person,)))
    assert "[ihub:key-1]" in bodies(desk, ticket)[1]
    assert desk.desk.tickets[ticket]["tags"] == ["interaction_hub", "vip"]  # ours added, none lost
    assert the_profile(desk)["requester_id"] == ada
    assert the_profile(desk)["external_id"] == "ihub:profile:person-1"
    nobody = Interaction(external_id="x", kind="note", channel="system", text="Hm.")
    (failed,) = push(desk, Change(key="k", kind="interaction", op="upsert", entity=nobody))
    assert failed.outcome == "failed"
    assert "nobody Zendesk could know" in failed.error


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_lost_answer_is_never_a_second_note(desk: Stand, method: str) -> None:
    if method == "PUT":
        push(desk, letter(1))
    desk.zendesk.faults.add("drop_answer", method=method, path="/tickets", times=1)
    (receipt,) = push(desk, letter(2))
    assert receipt.outcome == "created"
    assert [b.endswith("[ihub:key-2]") for b in bodies(desk, the_profile(desk)["id"])].count(True) == 1
    assert receipt.remote_id.endswith(f"-{desk.desk.comments[the_profile(desk)['id']][-1]['id']}")


def test_an_idempotency_key_is_good_for_two_hours_and_one_body(desk: Stand) -> None:
    def post(subject: str) -> tuple[int, str]:
        body = {"ticket": {"subject": subject, "comment": {"body": "x", "public": False}}}

        async def call(connector: Any) -> tuple[int, str]:
            headers = {"idempotency-key": "k1"}
            try:
                answer = await connector.http.request("POST", "api/v2/tickets", json=body, headers=headers)
            except Exception as exc:
                return getattr(exc, "status", 0), str(exc)
            return answer.status, answer.headers["x-idempotency-lookup"]

        found: tuple[int, str] = desk.call(call)
        return found

    assert post("A") == (201, "miss")
    assert post("A") == (201, "hit")
    status, said = post("B")
    assert status == 400
    assert "IdempotentRequestError" in said
    assert len(desk.desk.tickets) == 1
    desk.wait(2 * 3600 + 1)
    assert post("B") == (201, "miss")


def test_somebody_was_faster_the_ticket_is_read_again(desk: Stand) -> None:
    push(desk, letter(1))
    ticket = the_profile(desk)["id"]
    update = desk.zendesk.writes.update_ticket
    turns: list[int] = []

    def faster(ticket_id: int, body: Any, user: int) -> Any:
        if not turns:
            turns.append(1)
            desk.clock.advance(5)
            desk.desk.change_ticket(ticket_id, {"priority": "high"}, ADMIN)
        return update(ticket_id, body, user)

    desk.zendesk.writes.update_ticket = faster  # type: ignore[method-assign]
    (receipt,) = push(desk, letter(2))
    assert receipt.outcome == "created"
    assert (409 in [s for m, _, s in desk.zendesk.requests if m == "PUT"]) is True
    assert len(bodies(desk, ticket)) == 2
    assert desk.desk.tickets[ticket]["priority"] == "high"


def test_a_closed_profile_ticket_is_followed_by_another(desk: Stand) -> None:
    (first,) = push(desk, letter(1))
    closed = the_profile(desk)["id"]
    desk.desk.change_ticket(closed, {"status": "closed"}, ADMIN)
    (second,) = push(desk, letter(2))
    assert second.outcome == "created"
    assert second.remote_id.split("-")[0] != str(closed)
    assert desk.desk.tickets[closed]["followup_ids"] == [int(second.remote_id.split("-")[0])]
    assert push(desk, letter(1))[0].remote_id == first.remote_id  # still known by its marker


def test_other_words_replace_the_note_and_undo_brings_the_old_ones_back(desk: Stand) -> None:
    (made,) = push(desk, letter(1))
    ticket = the_profile(desk)["id"]
    change = letter(1, text="We cannot do that.", remote_id=made.remote_id)
    (changed,) = push(desk, change)
    assert changed.outcome == "updated"
    old, new = bodies(desk, ticket)
    assert set(old) == {"\u2587"}
    assert "We cannot" in new
    assert undo(desk, change, changed).outcome == "updated"
    assert undo(desk, change, changed).outcome == "unchanged"
    assert [b for b in bodies(desk, ticket) if "We can do" in b]


def test_undo_takes_the_note_and_the_empty_profile_ticket_away(desk: Stand) -> None:
    one, two = letter(1), letter(2)
    first, second = push(desk, one, two)
    ticket = the_profile(desk)["id"]
    assert undo(desk, one, first).outcome == "deleted"
    assert desk.desk.tickets[ticket]["status"] == "open"
    assert undo(desk, two, second).outcome == "deleted"
    assert desk.desk.tickets[ticket]["status"] == "deleted"
    assert undo(desk, two, second).outcome == "unchanged"


def test_what_we_wrote_comes_back_as_ours(desk: Stand) -> None:
    push(desk, letter(1))
    task = Task(external_id="t1", title="Call", text="Ring Ada.")
    push(desk, Change(key="task-1", kind="task", op="upsert", entity=task))
    desk.wait()
    desk.pull("comments")
    desk.pull("tickets")
    keys = {k for e in desk.entities("comments").values() if isinstance(e[0], Interaction) for k in e[0].dedup_keys}
    assert keys == {"hub-key:key-1", "hub-key:task-1"}
    assert {type(e[0]).__name__ for e in desk.entities("tickets").values()} == {"Unmapped"}


def test_find_does_not_use_the_search(desk: Stand) -> None:
    desk.zendesk.reads.search_lag_s = 10**9
    push(desk, *(letter(n) for n in range(3)))
    found = desk.call(lambda c: c.find("interaction", ["key-0", "key-2", "key-9"]))
    assert {f.key for f in found} == {"key-0", "key-2"}
    assert not [p for _, p, _ in desk.zendesk.requests if "search" in p]


def test_a_ticket_takes_thirty_updates_in_ten_minutes_and_nothing_is_lost_or_doubled(desk: Stand) -> None:
    changes = [letter(n) for n in range(40)]
    with pytest.raises(RateLimited) as caught:
        push(desk, *changes)
    assert caught.value.until is not None
    waits = (caught.value.until - desk.clock.now()).total_seconds()
    assert 90 < waits <= 600
    desk.wait(waits + 1)
    assert {r.outcome for r in push(desk, *changes)} == {"created"}
    assert sorted(b.rpartition("[ihub:")[2] for b in bodies(desk, the_profile(desk)["id"])) == sorted(
        f"key-{n}]" for n in range(40)
    )


def person(n: int = 1, **more: Any) -> Change:
    fields = more.pop("fields", {"phone": "+1 555 0100", "level": "gold"})
    identifiers = (Identifier("email", "ada@example.org"),)
    entity = Person(external_id=f"p{n}", name=more.pop("name", "Ada Bee"), identifiers=identifiers, fields=fields)
    return Change(key=f"person-{n}", kind="person", op="upsert", entity=entity, **more)


def test_a_person_is_made_once_and_changed_field_by_field(desk: Stand) -> None:
    settings = {"user_fields": {"level": "customer_level"}}
    desk.desk.custom["users"].append("customer_level")
    first = desk.call(lambda c: c.push([person()]), **settings)[0]
    again = desk.call(lambda c: c.push([person()]), **settings)[0]
    assert (first.outcome, again.outcome, first.remote_id) == ("created", "unchanged", again.remote_id)
    user = desk.desk.users[int(first.remote_id)]
    assert user["user_fields"] == {"customer_level": "gold"}
    assert user["external_id"] == "ihub:person-1"
    changed = desk.call(lambda c: c.push([person(fields={"level": "silver"})]), **settings)[0]
    assert changed.outcome == "updated"
    assert changed.before == {"user_fields": {"customer_level": "gold"}}
    assert user["phone"] == "+1 555 0100"
    entry = JournalEntry(change=person(), receipt=changed)
    assert desk.call(lambda c: c.undo([entry]), **settings)[0].outcome == "updated"
    assert user["user_fields"] == {"customer_level": "gold"}


def test_a_customer_zendesk_knows_by_address_gets_our_key_and_an_agent_is_left_alone(desk: Stand) -> None:
    ada = desk.user("Ada", "ADA@example.org", external_id="crm-7")
    (receipt,) = push(desk, person())
    assert (receipt.outcome, receipt.remote_id) == ("updated", str(ada))
    assert desk.desk.users[ada]["external_id"] == "crm-7"  # somebody else's key is not overwritten
    desk.desk.change_user(ada, {"role": "agent"})
    (refused,) = push(desk, person(remote_id=str(ada)))
    assert refused.outcome == "failed"
    assert "one of your own agents" in refused.error
    desk.desk.change_user(ada, {"active": False})
    (gone,) = push(desk, person(remote_id=str(ada)))
    assert gone.outcome == "failed"
    assert "gone" in gone.error


def test_an_organization_is_adopted_by_its_name_and_keeps_its_domains(desk: Stand) -> None:
    known = desk.desk.put_organization({"name": "Pine", "domain_names": ["pine.example"]})["id"]
    entity = Organization(external_id="o1", name="PINE", identifiers=(Identifier("domain", "pine.test"),))
    change = Change(key="org-1", kind="organization", op="upsert", entity=entity)
    (receipt,) = push(desk, change)
    assert receipt.remote_id == str(known)
    assert desk.desk.organizations[known]["domain_names"] == ["pine.example", "pine.test"]
    assert desk.desk.organizations[known]["external_id"] == "ihub:org-1"
    assert undo(desk, change, receipt).outcome == "updated"
    assert desk.desk.organizations[known]["domain_names"] == ["pine.example"]


def test_a_task_is_a_ticket_that_is_done_when_it_is_solved(desk: Stand) -> None:
    task = Task(external_id="t1", title="Call Ada", text="About the offer.", due_at=START)
    change = Change(key="task-1", kind="task", op="upsert", entity=task)
    (made,) = push(desk, change)
    ticket = desk.desk.tickets[int(made.remote_id)]
    assert (ticket["type"], ticket["status"], ticket["due_at"]) == ("task", "open", "2026-03-10T12:00:00Z")
    assert ticket["requester_id"] == ADMIN
    desk.desk.change_ticket(ticket["id"], {"status": "pending"}, ADMIN)
    assert push(desk, change)[0].outcome == "unchanged"  # an agent's choice stands
    done = replace(change, entity=replace(task, is_done=True))
    (receipt,) = push(desk, done)
    assert ticket["status"] == "solved"
    assert undo(desk, done, receipt).outcome == "updated"
    assert ticket["status"] == "pending"
    assert [f.remote_id for f in desk.call(lambda c: c.find("task", ["task-1", "task-2"]))] == [made.remote_id]
    assert undo(desk, change, made).outcome == "deleted"
    assert ticket["status"] == "deleted"


def test_deleting_takes_back_what_is_ours(desk: Stand) -> None:
    push(desk, letter(1))
    (made,) = push(desk, person(name="Somebody"))
    delete = Change(key="key-1", kind="interaction", op="delete")
    assert push(desk, delete)[0].outcome == "deleted"
    assert push(desk, delete)[0].outcome == "unchanged"
    gone = Change(key="person-1", kind="person", op="delete", remote_id=made.remote_id)
    assert push(desk, gone)[0].outcome == "deleted"


def test_a_dropped_field_is_told_in_the_log(desk: Stand, caplog: pytest.LogCaptureFixture) -> None:
    async def odd(connector: Any) -> None:
        body = {"ticket": {"subject": "x", "colour": "red", "comment": {"body": "x", "public": False}}}
        await connector.http.request("POST", "api/v2/tickets", json=body)

    desk.call(odd)
    assert "colour" in caplog.text


def test_without_the_write_scope_nothing_is_written(desk: Stand) -> None:
    desk.zendesk.faults.add("deny_scope", scope="tickets:write")
    with pytest.raises(ScopeError):
        push(desk, letter(1))
    assert not desk.desk.tickets


# Merging


def absorb(stays: int, other: int, email: str = "bo@example.org", kind: str = "person") -> Change:
    known = Person(external_id=str(other), identifiers=(Identifier("email", email),) if email else ())
    return Change(key="p1/2", kind=kind, op="merge", remote_id=str(stays), absorbs=str(other), entity=known)


def test_two_end_users_are_merged_once(desk: Stand) -> None:
    ada, bo = desk.user("Ada"), desk.user("Bo", phone="+49 30 1")
    ticket = desk.ticket(requester_id=bo)
    desk.desk.merge_delay_s = 30
    (receipt,) = push(desk, absorb(ada, bo))
    assert (receipt.outcome, receipt.remote_id) == ("merged", str(ada))
    assert (desk.desk.users[bo]["active"], desk.desk.users[ada]["phone"]) == (False, None)
    asked = desk.clock.now()
    (again,) = push(desk, absorb(ada, bo))  # the answer to the first was lost: its address is waited for
    assert (again.outcome, again.remote_id) == ("merged", str(ada))
    assert (desk.clock.now() - asked).total_seconds() == 30
    assert desk.desk.addresses(ada) == ["ada@example.org", "bo@example.org"]
    assert desk.desk.tickets[ticket]["requester_id"] == ada
    assert sum(path.endswith("/merge") for _, path, _ in desk.zendesk.requests) == 1
    assert desk.desk.user_by(email="bo@example.org") == desk.desk.users[ada]


@pytest.mark.parametrize("email", ["bo@example.org", ""])
def test_a_user_somebody_deleted_was_not_merged(desk: Stand, email: str) -> None:
    ada, bo = desk.user("Ada"), desk.user("Bo")
    desk.desk.change_user(bo, {"active": False})
    (receipt,) = push(desk, absorb(ada, bo, email))
    assert receipt.outcome == "failed"
    assert "nothing says that it went into" in receipt.error


def test_what_cannot_be_merged_is_refused(desk: Stand) -> None:
    ada, agent, shared = desk.user("Ada"), desk.user("Al", role="agent"), desk.user("Cy", shared=True)
    cases = {agent: "own agents", shared: "RecordInvalid", ada: "RecordInvalid", 999_999: "not at Zendesk"}
    for other, words in cases.items():
        (receipt,) = push(desk, absorb(ada, other))
        assert receipt.outcome == "failed"
        assert words in receipt.error
    (receipt,) = push(desk, absorb(ada, ada, kind="organization"))
    assert "organizations are not merged" in receipt.error
    assert desk.desk.users[ada]["active"]
    assert desk.desk.users[agent]["active"]
