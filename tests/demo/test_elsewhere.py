"""What the company's other tools hold fits its mail."""

from datetime import UTC, datetime

import pytest

from hub.demo import Company

END = datetime(2026, 11, 20, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def company() -> Company:
    return Company.build(end=END)


def test_cases_hold_the_mails_that_the_mailboxes_hold(company: Company) -> None:
    seed = company.zendesk_seed()
    letters = {x.message_id: x for x in company.letters if x.message_id}
    users = {u["id"]: u for u in seed["users"]}
    assert len(seed["tickets"]) > 15
    for ticket in seed["tickets"]:
        assert users[ticket["requester_id"]]["role"] == "end-user"
        mails = [c for c in ticket["comments"] if "message_id" in c]
        assert len(mails) == len(ticket["comments"]) - 1
        for comment in mails:
            letter = letters[comment["message_id"]]
            assert comment["body"] == letter.text
            assert users[comment["author_id"]]["email"] == letter.sender.address
        [note] = [c for c in ticket["comments"] if "message_id" not in c]
        assert note["public"] is False
    addresses = [u["email"] for u in seed["users"]]
    assert len(addresses) == len(set(addresses))


def test_meetings_are_with_customers_but_for_ours_and_a_private_one(company: Company) -> None:
    events = company.calendar_seed()
    guests = [{a["email"] for a in e["attendees"]} for _, e in events]
    outside = [any(not g.endswith(f"@{company.domain}") for g in who) for who in guests]
    assert outside == [True, True, True, True, False, False]
    assert [e.get("visibility", "") for _, e in events][-1] == "private"
    assert all(owner in {p.address for p in company.own} for owner, _ in events)
    assert any(datetime.fromisoformat(e["start"]["dateTime"]) > END for _, e in events)


def test_newsletters_went_to_everybody_and_one_has_left(company: Company) -> None:
    seed = company.mailchimp_seed()
    readers = {p.address for p in company.contacts}
    assert {m["email"] for m in seed["members"]} == readers
    assert [m["status"] for m in seed["members"]].count("unsubscribed") == 1
    for issue in seed["campaigns"]:
        assert set(issue["to"]) == readers
        assert {e["action"] for e in issue["events"]} == {"open", "click"}
        assert all(e["timestamp"] > issue["send_time"] for e in issue["events"])


def test_the_same_seed_and_end_give_the_same(company: Company) -> None:
    again = Company.build(end=END)
    assert again.zendesk_seed() == company.zendesk_seed()
    assert again.calendar_seed() == company.calendar_seed()
    assert again.mailchimp_seed() == company.mailchimp_seed()
