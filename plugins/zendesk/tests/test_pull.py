"""Reading, and the traps of Zendesk's exports."""

import json
from typing import Any

import pytest

from hub.api import (
    ContractBroken,
    Interaction,
    RawRecord,
    RecordRejected,
    Redirect,
    Ticket,
    Tombstone,
    Transient,
    Unmapped,
    Window,
)
from hub_zendesk.emulator import ADMIN
from hub_zendesk.stand import Stand


def asked(desk: Stand, part: str) -> int:
    return sum(1 for _, path, _ in desk.zendesk.requests if part in path)


def test_a_poll_without_news_keeps_the_cursor_though_zendesk_answers_null(desk: Stand) -> None:
    desk.ticket()
    desk.pull("tickets")
    kept = json.loads(desk.cursors["tickets"])["after"]
    for _ in range(3):
        desk.wait()
        (page,) = desk.pull("tickets")
        assert not page.records
        assert json.loads(page.cursor) == {"after": kept}
    late = desk.ticket(ago=0)
    desk.wait()
    assert [r.external_id for p in desk.pull("tickets") for r in p.records] == [str(late)]


def test_start_time_is_sent_once_and_then_only_the_cursor(desk: Stand) -> None:
    for _ in range(5):
        desk.ticket()
    seen: list[dict[str, str]] = []
    by_cursor = desk.zendesk.reads.by_cursor
    desk.zendesk.reads.by_cursor = lambda what, query: (seen.append(query), by_cursor(what, query))[1]  # type: ignore[method-assign,func-returns-value]
    desk.pull("tickets", page_size=2)
    desk.pull("tickets", page_size=2)
    assert ["start_time" in q for q in seen] == [True, False, False, False]
    assert ["cursor" in q for q in seen] == [False, True, True, True]


def test_an_account_without_tickets_is_asked_from_the_same_start_again(desk: Stand) -> None:
    desk.pull("tickets")
    desk.wait()
    desk.pull("tickets")
    late = desk.ticket(ago=0)
    desk.wait()
    assert [r.external_id for p in desk.pull("tickets") for r in p.records] == [str(late)]


def test_rows_at_the_edge_of_a_page_come_twice_and_count_once(desk: Stand) -> None:
    tickets = [desk.ticket(ago=600 - n // 3) for n in range(12)]
    pages = desk.pull("comments", page_size=5)
    given = [r.external_id for p in pages for r in p.records]
    assert len(given) > len(set(given)) == len(tickets)
    assert len({r.body for p in pages for r in p.records}) == len(tickets)  # the same bytes both times


def test_a_second_with_more_rows_than_a_page_is_read_whole(desk: Stand) -> None:
    for _ in range(25):
        desk.ticket(ago=600)
    desk.ticket(ago=300)
    desk.pull("comments", page_size=4)
    assert len(desk.held["comments"]) == 26


@pytest.mark.parametrize("stream", ["tickets", "comments"])
def test_a_page_that_leads_to_itself_stops_the_stream(desk: Stand, stream: str) -> None:
    for n in range(9):
        desk.ticket(ago=600 - n)
    desk.pull(stream, stop=1, page_size=2)
    before = desk.cursors[stream]
    desk.zendesk.faults.add("page_loop")
    with pytest.raises(ContractBroken, match="the page it stands on"):
        desk.pull(stream, page_size=2)
    assert desk.cursors[stream] == before


def test_a_start_in_the_last_minute_is_no_error(desk: Stand) -> None:
    desk.ticket(ago=30)
    for stream in ("tickets", "comments"):
        (page,) = desk.pull(stream, Window(since=desk.clock.now()))
        assert page.is_last
        assert not page.records


def test_a_row_changed_by_zendesk_itself_is_taken_though_its_updated_at_is_old(desk: Stand) -> None:
    ticket = desk.ticket()
    desk.pull("tickets")
    desk.wait(3600)
    desk.desk.tickets[ticket]["tags"] = ["swept"]
    desk.desk.touch_ticket(ticket, is_system=True)
    desk.wait()
    (record,) = [r for p in desk.pull("tickets") for r in p.records]
    row = json.loads(record.body)["ticket"]
    assert row["tags"] == ["swept"]
    assert row["generated_timestamp"] > desk.desk.moment(row["updated_at"])
    assert record.version == str(row["generated_timestamp"])


def test_deleted_and_scrubbed_tickets_are_gone(desk: Stand) -> None:
    first, second, kept = desk.ticket(), desk.ticket(), desk.ticket()
    desk.pull("tickets")
    desk.wait()
    desk.desk.delete_ticket(first)
    desk.desk.delete_ticket(second)
    desk.desk.scrub_ticket(second)
    desk.wait()
    desk.pull("tickets")
    found = desk.entities("tickets")
    assert [type(found[str(i)][0]) for i in (first, second, kept)] == [Tombstone, Tombstone, Ticket]


def test_comments_of_a_deleted_ticket_are_not_named_by_a_full_reading(desk: Stand) -> None:
    gone, kept = desk.ticket(), desk.ticket()
    desk.desk.delete_ticket(gone)
    desk.wait()
    desk.pull("comments")
    assert {i.split("-")[0] for i in desk.held["comments"]} == {str(kept)}


def test_a_merge_is_given_with_the_ticket_that_is_left(desk: Stand) -> None:
    target, one, two = desk.ticket(), desk.ticket(), desk.ticket()
    desk.pull("tickets")
    desk.desk.merge_delay_s = 30
    desk.desk.merge_tickets(target, [one], ADMIN)
    desk.wait()
    desk.desk.settle()
    desk.wait()
    desk.pull("tickets")
    assert desk.entities("tickets")[str(target)][1:] == [Redirect(external_id=str(one), into=str(target))]
    desk.desk.merge_tickets(target, [two], ADMIN)
    desk.wait(40)
    desk.desk.settle()
    desk.desk.change_ticket(target, {"subject": "Changed since"}, ADMIN)
    desk.wait()
    desk.pull("tickets")
    expected = [Redirect(external_id=str(i), into=str(target)) for i in (one, two)]
    assert desk.entities("tickets")[str(target)][1:] == expected
    desk.cursors.clear()
    desk.held.clear()
    desk.pull("tickets")  # a reading from scratch finds out the same
    assert desk.entities("tickets")[str(target)][1:] == expected
    (record,) = desk.call(lambda c: c.fetch("tickets", [str(target)]))  # and so does one by itself
    assert json.loads(record.body)["merged"] == [one, two]


def test_a_merged_ticket_whose_target_is_on_no_page_of_its_own_brings_it_along(desk: Stand) -> None:
    target = desk.ticket()
    source = desk.ticket()
    desk.pull("tickets")
    desk.wait()
    desk.desk.merge_tickets(target, [source], ADMIN)
    desk.zendesk.faults.add("hide", type="tickets", ids=[target])
    desk.wait()
    desk.pull("tickets")
    assert Redirect(external_id=str(source), into=str(target)) in desk.entities("tickets")[str(target)]


def test_a_ticket_short_of_comments_by_its_own_count_is_read_as_a_whole(desk: Stand) -> None:
    full = desk.ticket({"body": "One."}, {"body": "Two."})
    short = desk.ticket({"body": "One."}, {"body": "Two."}, {"body": "Three."})
    lost = desk.desk.comments[short][1]["id"]
    desk.zendesk.faults.add("hide", type="comments", ids=[lost])
    desk.pull("comments")
    assert f"{short}-{lost}" in desk.held["comments"]
    assert len(desk.held["comments"]) == 5
    assert asked(desk, f"tickets/{short}/comments") == 1
    assert asked(desk, f"tickets/{full}/comments") == 0  # nobody is asked whose count is right


def test_the_census_of_comments_names_what_the_export_hides_and_holds_lists_against_counts(
    desk: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = desk.zendesk.reads.comments

    def cut_short(ticket_id: int, query: dict[str, str]) -> dict[str, Any]:
        answer = whole(ticket_id, query)
        return {**answer, "comments": answer["comments"][1:]}

    ticket = desk.ticket({"body": "One."}, {"body": "Two."})
    census = desk.call(lambda c: c.census("comments", Window()))
    assert census.ids == {f"{ticket}-{c['id']}" for c in desk.desk.comments[ticket]}
    monkeypatch.setattr(desk.zendesk.reads, "comments", cut_short)
    with pytest.raises(Transient, match="counts 2 comments and gives 1"):
        desk.call(lambda c: c.census("comments", Window()))


def test_a_change_of_privacy_and_a_redaction_reach_the_comment(desk: Stand) -> None:
    ticket = desk.ticket({"body": "The number is 4711."}, {"body": "Thanks."})
    number = desk.desk.comments[ticket][0]["id"]
    desk.pull("comments")
    desk.wait()
    desk.desk.rewrite_comment(ticket, number, "comment_made_private", public=False)
    desk.wait()
    desk.pull("comments")
    (note,) = desk.entities("comments")[f"{ticket}-{number}"]
    assert isinstance(note, Interaction)
    assert (note.kind, note.direction, note.status) == ("note", "internal", "internal")
    desk.desk.rewrite_comment(ticket, number, "comment_redacted", body="\u2587" * 19)
    desk.wait()
    desk.pull("comments")
    assert isinstance(desk.entities("comments")[f"{ticket}-{number}"][0], Unmapped)


def test_a_ticket_that_changes_hands_takes_its_comments_along(desk: Stand) -> None:
    ada, bob = desk.user("Ada"), desk.user("Bob")
    ticket = desk.ticket({"body": "Hi.", "author_id": ada}, requester_id=ada)
    desk.pull("comments")
    desk.wait()
    desk.desk.change_ticket(ticket, {"requester_id": bob, "tags": ["private"]}, ADMIN)
    desk.wait()
    desk.pull("comments")
    (found,) = next(iter(desk.entities("comments").values()))
    assert isinstance(found, Interaction)
    assert found.labels == ("private",)
    assert ("to", str(bob)) in {(p.role, p.identifier.value) for p in found.participants}


def test_the_message_id_of_a_mail_is_read_from_the_ticket_where_the_export_leaves_it_out(desk: Stand) -> None:
    ada = desk.user("Ada")
    via = {
        "channel": "email",
        "source": {
            "from": {"address": "ada@example.org", "name": "Ada"},
            "to": {"address": "help@team.example.com", "name": "Help"},
            "rel": None,
        },
    }
    said = {"body": "It does not work.", "author_id": ada, "via": via, "message_id": "<m1@example.org>"}
    ticket = desk.ticket(said, {"body": "An agent's note.", "public": False}, requester_id=ada, channel="email")
    desk.pull("comments")
    mail, note = (desk.entities("comments")[f"{ticket}-{c['id']}"][0] for c in desk.desk.comments[ticket])
    assert isinstance(mail, Interaction)
    assert isinstance(note, Interaction)
    assert (mail.kind, mail.channel, mail.direction) == ("message", "email", "inbound")
    assert mail.dedup_keys == ("message-id:m1@example.org",)
    assert mail.thread_refs == (f"zendesk-ticket:{ticket}", "message-id:m1@example.org")
    assert {(p.role, p.identifier.value) for p in mail.participants if p.identifier.scheme == "email"} == {
        ("from", "ada@example.org"),
        ("to", "help@team.example.com"),
    }
    assert note.dedup_keys == ()
    assert note.thread_refs == (f"zendesk-ticket:{ticket}",)
    desk.cursors.clear()
    desk.held.clear()
    desk.pull("comments", message_ids=False)
    assert not any(e[0].dedup_keys for e in desk.entities("comments").values() if isinstance(e[0], Interaction))


@pytest.mark.parametrize("odd", [{"author_id": "x"}, {"body": 7}, {"via": []}, {"attachments": "x"}, {"public": "no"}])
def test_one_odd_comment_costs_one_comment(desk: Stand, odd: dict[str, Any]) -> None:
    ticket = desk.ticket({"body": "One."}, {"body": "Two."})
    number = desk.desk.comments[ticket][0]["id"]
    for _, _, event in desk.desk.events:
        for child in event["child_events"]:
            child.update(odd if child["id"] == number else {})
    desk.pull("comments")
    assert len(desk.held["comments"]) == 2

    async def judge(connector: Any) -> list[str]:
        rejected = []
        for name, body in desk.held["comments"].items():
            try:
                list(connector.to_canonical("comments", RawRecord(name, body)))
            except RecordRejected:
                rejected.append(name)
        return rejected

    assert desk.call(judge) == [f"{ticket}-{number}"]


def test_an_idle_account_costs_one_call_per_stream(desk: Stand) -> None:
    for stream in ("tickets", "users", "organizations"):
        desk.pull(stream)
        desk.zendesk.requests.clear()
        desk.wait()
        desk.pull(stream)
        assert len(desk.zendesk.requests) == 1, stream


def test_the_users_export_has_a_limit_of_its_own(desk: Stand) -> None:
    for n in range(15):
        desk.user(f"P{n}")
    before = len(desk.clock.slept)
    desk.pull("users", page_size=1)  # sixteen pages: more than ten, fewer than twenty
    assert len(desk.clock.slept) == before
    assert desk.zendesk.gate.refusals == 0


def test_an_export_that_is_used_up_is_waited_for_before_zendesk_refuses(desk: Stand) -> None:
    desk.clock.advance(37)  # Zendesk's minute does not begin with ours
    for n in range(35):
        desk.ticket(ago=600 - n)
    desk.pull("tickets", page_size=1)
    assert len(desk.held["tickets"]) == 35
    assert desk.zendesk.gate.refusals == 0
    assert desk.clock.slept


def test_ratings_and_metric_events(desk: Stand) -> None:
    ticket = desk.ticket()
    good = desk.desk.put_rating({"ticket_id": ticket, "score": "good", "comment": "Quick!"}, desk.desk.back(300))["id"]
    offered = desk.desk.put_rating({"ticket_id": ticket, "score": "offered"}, desk.desk.back(200))["id"]
    late = desk.desk.metric(ticket, "reply_time", "breach", desk.desk.back(100))
    desk.pull("satisfaction_ratings")
    desk.pull("metric_events")
    ratings, events = desk.entities("satisfaction_ratings"), desk.entities("metric_events")
    (rating,) = ratings[str(good)]
    assert isinstance(rating, Interaction)
    assert (rating.kind, rating.status, rating.text) == ("survey_response", "good", "Quick!")
    assert rating.thread_refs == (f"zendesk-ticket:{ticket}",)
    assert isinstance(ratings[str(offered)][0], Unmapped)
    (breach,) = events[str(late)]
    assert isinstance(breach, Interaction)
    assert breach.subject == "Service level broken: reply time"
    assert sum(isinstance(e[0], Unmapped) for e in events.values()) == len(events) - 1
    desk.wait()
    assert desk.pull("satisfaction_ratings")[-1].is_last is False
    census = desk.call(lambda c: c.census("satisfaction_ratings", Window()))
    assert census.ids == {str(good), str(offered)}
