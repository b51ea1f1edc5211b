"""Signing in, what `check` says, refusals in their many forms, webhooks."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from hub.api import (
    AuthError,
    CursorExpired,
    Gone,
    Permission,
    PermissionMatrix,
    RateLimited,
    RecordRejected,
    Response,
    ScopeError,
    Transient,
    WebhookRejected,
    WebhookRequest,
)
from hub_zendesk import ZendeskSettings
from hub_zendesk.errors import explain
from hub_zendesk.settings import WRITE_SCOPES
from hub_zendesk.stand import Stand

LEGACY: dict[str, Any] = {
    "client_id": "",
    "client_secret": "",
    "email": "hub@team.example.com",
    "api_token": "token-of-desk",
}


def check(desk: Stand, **settings: Any) -> PermissionMatrix:
    found: PermissionMatrix = desk.call(lambda c: c.check(), **settings)
    return found


def rows(matrix: PermissionMatrix, stream: str) -> list[Permission]:
    return [p for p in matrix.permissions if p.stream == stream]


def test_client_credentials_sign_in_by_themselves(desk: Stand) -> None:
    matrix = check(desk)
    assert all(p.is_granted for p in matrix.permissions)
    assert matrix.account_id == "team"
    assert matrix.own_identities == ("hub@team.example.com",)
    assert desk.zendesk.gate.refreshes == 1
    check(desk)
    assert desk.zendesk.gate.refreshes == 1
    desk.wait(2 * 3600)
    check(desk)
    assert desk.zendesk.gate.refreshes == 2


def test_a_refresh_kills_the_old_pair_and_the_new_one_is_kept(desk: Stand) -> None:
    first = desk.zendesk.gate.refresh_token
    check(desk, refresh_token=first)
    second = desk.zendesk.gate.refresh_token
    assert second != first
    assert (desk.tokens.get("zendesk:team") or {})["refresh_token"] == second
    desk.wait(2 * 3600)
    check(desk, refresh_token=first)  # the settings still hold the dead one
    assert desk.zendesk.gate.refreshes == 2
    assert len(desk.zendesk.gate.tokens) == 1


def test_an_api_token_works_and_is_warned_of(desk: Stand) -> None:
    desk.zendesk.gate.api_tokens["token-of-desk"] = 1
    matrix = check(desk, **LEGACY)
    (warning,) = rows(matrix, "sign-in")
    assert warning.is_granted
    assert "2027-04-30" in warning.detail
    desk.ticket()
    desk.wait()
    desk.pull("tickets", **LEGACY)
    assert len(desk.held["tickets"]) == 1


def test_a_wrong_api_token_is_answered_with_200_and_is_still_no_sign_in(desk: Stand) -> None:
    with pytest.raises(AuthError, match="nobody were signed in"):
        check(desk, **LEGACY)


def test_an_agent_may_not_export(desk: Stand) -> None:
    agent = desk.user("Agent", "agent@team.example.com", role="agent")
    desk.zendesk.gate.api_tokens["token-of-desk"] = agent
    matrix = check(desk, **{**LEGACY, "email": "agent@team.example.com"})
    (row,) = [p for p in rows(matrix, "tickets") if p.action == "read"]
    assert not row.is_granted
    assert "admins only" in row.detail
    assert all(p.is_granted for p in rows(matrix, "satisfaction_ratings"))


def test_a_scope_that_does_not_exist_is_granted_and_good_for_nothing(desk: Stand) -> None:
    scopes = ("ticket:read", "users:read", "organizations:read")
    matrix = check(desk, scopes=scopes)
    assert not rows(matrix, "tickets")[0].is_granted
    assert rows(matrix, "users")[0].is_granted
    assert {p.scope for p in matrix.permissions if p.action == "write" and not p.is_granted} == set(WRITE_SCOPES)


def test_scopes_left_out_of_the_grant_are_named(desk: Stand) -> None:
    desk.zendesk.gate.scopes = {"tickets:read"}
    (row,) = rows(check(desk, refresh_token=desk.zendesk.gate.refresh_token), "sign-in")
    assert not row.is_granted
    assert "users:read" in row.detail
    assert "tickets:read" not in row.detail


def test_mail_zendesk_holds_back_is_counted(desk: Stand) -> None:
    desk.zendesk.control("load", {"suspended": [{"id": 1, "subject": "Hm", "cause": "Detected as spam"}]})
    (row,) = rows(check(desk), "suspended_tickets")
    assert row.detail.startswith("1 suspended mails wait")


def test_what_the_plan_lacks_is_one_streams_gap(desk: Stand) -> None:
    desk.zendesk.plan = "essential"
    matrix = check(desk)
    (row,) = rows(matrix, "satisfaction_ratings")
    assert not row.is_granted
    assert "plan" in row.detail
    assert rows(matrix, "tickets")[0].is_granted


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"error": "Couldn't authenticate you"}, AuthError, "Couldn't authenticate you"),
        (403, {"error": {"title": "Forbidden", "message": "No access"}}, ScopeError, "Forbidden: No access"),
        (404, {"error": "RecordNotFound", "description": "Not found"}, Gone, "RecordNotFound"),
        (404, {"error": {"title": "InvalidEndpoint", "message": "Not found"}}, ScopeError, "plan"),
        (404, None, Gone, "not found"),
        (409, {"error": "DatabaseConflict"}, Transient, "busy"),
        (400, {"error": "TooManyValues", "description": "101 values", "max_count": 100}, RecordRejected, "TooManyValues"),
        (
            400,
            {"errors": [{"code": "InvalidPaginationDepth", "title": "Deep", "detail": "Use cursor pagination"}]},
            RecordRejected, "InvalidPaginationDepth",
        ),
        (400, {"error": {"title": "Bad request", "message": "cursor and page exclude each other"}}, RecordRejected, "exclude"),
        (422, {"error": "InvalidValue", "description": "The cursor is invalid"}, CursorExpired, "cursor"),
        (400, {"errors": [{"code": "InvalidCursor", "title": "Expired"}]}, CursorExpired, "cursor"),
        (422, {"error": "InvalidValue", "description": "start_time and cursor: give one"}, RecordRejected, "give one"),
        (422, {"error": "TooManyJobs", "current_job_ids": []}, RateLimited, "jobs"),
        (
            422,
            {"error": "RecordInvalid", "description": "Record validation errors", "details": {"name": [{"error": "BlankValue"}]}},
            RecordRejected, "name: BlankValue",
        ),
        (500, "<html>", None, ""),
    ],
)  # fmt: skip
def test_every_form_of_refusal_is_understood(status: int, body: Any, kind: type[Exception] | None, said: str) -> None:
    error = explain(Response(status, {}, b"" if body is None else json.dumps(body).encode()))
    assert type(error) is (kind or type(None))
    assert said in str(error)


@pytest.mark.parametrize("status", [520, 524])
def test_odd_gateway_answers_are_tried_again(desk: Stand, status: int) -> None:
    desk.ticket()
    desk.wait()
    desk.zendesk.faults.add("status", path="/tickets/cursor", times=2, status=status)
    desk.pull("tickets")
    assert len(desk.held["tickets"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_token": "x"}, {"client_id": ""}, {"client_secret": ""}, {"base_url": "http://zendesk.example/"},
        {"subdomain": "team.zendesk.com"}, {"colour": "red"}, {"plan": "gold"},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    good = {"subdomain": "team", "client_id": "c", "client_secret": "s"}
    ZendeskSettings.model_validate(good)
    with pytest.raises(ValidationError) as caught:
        ZendeskSettings.model_validate({**good, **wrong})
    assert "input_value" not in str(caught.value)


def test_the_budget_follows_the_plan() -> None:
    base = {"subdomain": "team", "client_id": "c", "client_secret": "s"}
    given = {
        b.name: b.units_per_window for b in ZendeskSettings.model_validate({**base, "plan": "support-team"}).budgets()
    }
    assert (given["minute"], given["exports"], given["user-exports"]) == (200, 10, 20)
    more = {b.name: b.units_per_window for b in ZendeskSettings.model_validate({**base, "high_volume": True}).budgets()}
    assert (more["minute"], more["exports"], more["user-exports"]) == (2500, 30, 60)


def ring(desk: Stand) -> list[WebhookRequest]:
    return [WebhookRequest("POST", "https://hub.example/h", h, b) for h, b in desk.zendesk.pending_webhooks()]


def test_webhooks_name_the_ticket_and_the_comment(desk: Stand) -> None:
    ticket = desk.ticket()
    comment = desk.desk.comments[ticket][0]["id"]
    calls = ring(desk)

    async def heard(connector: Any) -> set[tuple[str, str]]:
        found = set()
        for call in calls:
            connector.verify_webhook(call)
            found |= {(n.stream, n.external_id) for n in connector.parse_webhook(call)}
        return found

    assert desk.call(heard) >= {("tickets", str(ticket)), ("comments", f"{ticket}-{comment}")}
    with pytest.raises(WebhookRejected, match="no webhook_secret"):
        desk.call(heard, webhook_secret="")
    desk.wait(301)
    with pytest.raises(WebhookRejected, match="five minutes"):
        desk.call(heard)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"type": 1}', b"\xff"])
def test_signed_nonsense_is_no_event(desk: Stand, body: bytes) -> None:
    headers, _ = desk.zendesk.signed(body)

    async def hear(connector: Any) -> None:
        call = WebhookRequest("POST", "https://hub.example/h", headers, body)
        connector.verify_webhook(call)
        list(connector.parse_webhook(call))

    with pytest.raises(WebhookRejected):
        desk.call(hear)
