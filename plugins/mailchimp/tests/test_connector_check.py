"""Letting in, and being refused: keys, tokens, roles, connections."""

import asyncio
import base64
import re
from typing import Any

import pytest
from pydantic import ValidationError

from hub.api import AuthError, ConnectorSettings, ContractBroken, RateLimited, RecordRejected, Response, ScopeError
from hub_mailchimp import MailchimpSettings
from hub_mailchimp.client import PLACE
from hub_mailchimp.errors import explain
from hub_mailchimp.settings import API

pytestmark = pytest.mark.anyio


def settings(**given: Any) -> ConnectorSettings:
    return MailchimpSettings.model_validate(given)


def test_the_key_names_its_data_centre() -> None:
    found = MailchimpSettings.model_validate({"api_key": "0123-ab-us19"})
    assert found.api_url() == "https://us19.api.mailchimp.com/3.0/"


@pytest.mark.parametrize(
    "given",
    [{}, {"api_key": "a-us1", "oauth_token": "b"}, {"api_key": "no data centre"}, {"api_key": "key-us1.evil.example"}, {"api_key": "key-"},
     {"api_key": "a-us1", "key_field": "LONGERTHANTEN"}, {"api_key": "a-us1", "connections": 11}],
)  # fmt: skip
def test_settings_that_cannot_work(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    assert given.get("api_key", "-") not in str(caught.value).replace("api_key", ""), "an error must not tell the key"


async def test_a_key_signs_in_by_basic(account: Any) -> None:
    matrix = await account.connect().check()
    assert matrix.account_id
    assert matrix.own_identities == ("news@pinewharf.example",)
    sent = account.transport.exchanges[0][0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == f"hub:{account.emulator.api_key}"


async def test_a_token_finds_its_data_centre_once(account: Any) -> None:
    oauth = {
        "api_key": "",
        "oauth_token": account.emulator.oauth_token,
        "base_url": API,
        "login_url": f"{account.url}/",
    }
    connector = account.connect(**oauth)
    await asyncio.gather(*(connector.check() for _ in range(3)))
    await account.connect(**oauth).check()
    assert len(account.calls(path="/oauth2/metadata")) == 1
    assert account.calls(path="/3.0/")[0][0].headers["authorization"] == f"Bearer {account.emulator.oauth_token}"
    await connector.forget()
    await account.connect(**oauth).check()
    assert len(account.calls(path="/oauth2/metadata")) == 2


async def test_a_dead_token_is_told_by_its_metadata(account: Any) -> None:
    """Mailchimp answers 200 to a dead token."""
    connector = account.connect(api_key="", oauth_token="dead", base_url=API, login_url=f"{account.url}/")
    with pytest.raises(AuthError):
        await connector.check()


@pytest.mark.parametrize(
    "endpoint",
    ["https://us1.api.mailchimp.com.evil.example", "http://us1.api.mailchimp.com", "https://api.mailchimp.com", "https://a.us1.api.mailchimp.com"],
)  # fmt: skip
async def test_a_token_is_not_carried_to_a_stranger(account: Any, endpoint: str) -> None:
    account.emulator.endpoint = endpoint
    oauth = {"oauth_token": account.emulator.oauth_token, "login_url": f"{account.url}/"}
    connector = account.connect(api_key="", base_url=API, **oauth)
    with pytest.raises(ContractBroken, match=re.escape(endpoint)):
        await connector.check()
    assert [request.url.path for request, _, _ in account.transport.exchanges] == ["/oauth2/metadata"]
    assert account.services.tokens.get(PLACE) is None, "nor kept for the next time"


async def test_a_role_that_may_not_read_reports_costs_three_streams(account: Any) -> None:
    account.emulator.audiences.add("Newsletter")
    account.emulator.faults.add("deny_scope", part="/reports")
    rows = (await account.connect().check()).permissions
    assert {p.stream for p in rows if not p.is_granted} == {"sends", "activity", "unsubscribes"}
    with pytest.raises(ScopeError, match="role or the plan"):
        await account.read(account.connect(), "sends")
    assert (await account.read(account.connect(), "audiences"))[0]


async def test_check_makes_our_field_once_and_says_where(account: Any) -> None:
    for name in ("One", "Two"):
        account.emulator.audiences.add(name)
    connector = account.connect()
    for _ in range(2):
        assert all(p.is_granted for p in (await connector.check()).permissions)
    assert len(account.writes()) == 2
    rows = (await account.connect(key_field="OTHER", create_key_field=False).check()).permissions
    assert [p.detail for p in rows if not p.is_granted] == [
        "audience One: make a text field with the tag OTHER", "audience Two: make a text field with the tag OTHER",
    ]  # fmt: skip


async def test_never_more_connections_than_allowed(account: Any) -> None:
    """Forty calls at once: with five connections no refusal; with more than ten the stand-in would refuse."""
    audience = account.emulator.audiences.add("Newsletter")
    key = account.emulator.audiences.join(audience, "ada@example.org")
    account.emulator.delay_s = 0.01
    connector = account.connect(connections=5)
    found = await asyncio.gather(*(connector.fetch("members", [key]) for _ in range(40)))
    assert all(len(records) == 1 for records in found)
    assert account.emulator.most_open == 5
    assert account.emulator.refusals == 0
    account.emulator.delay_s = 0.1
    others = [account.connect(connections=10) for _ in range(3)]  # other programs with the same key
    # The clock stands still, so that a call's tries may all meet a full house: whether it got through is chance.
    await asyncio.gather(*(c.fetch("members", [key] * 10) for c in others), return_exceptions=True)
    assert account.emulator.refusals > 0, "the stand-in lets more than ten in"


@pytest.mark.parametrize("status", [403, 429])
async def test_a_bare_refusal_is_the_edge_and_no_missing_permission(account: Any, status: int) -> None:
    account.emulator.faults.add("quota", status=status)
    with pytest.raises(RateLimited) as caught:
        await account.read(account.connect(), "audiences")
    assert (caught.value.until - account.clock.now()).total_seconds() == 300
    assert len(account.transport.exchanges) == 1, "a stopped key is not pressed"


async def test_a_call_that_fails_leaves_none_of_its_kind_running(account: Any) -> None:
    """They would go on calling for nobody, and end with the loop in the middle of a connection."""
    audience = account.emulator.audiences.add("Newsletter")
    key = account.emulator.audiences.join(audience, "ada@example.org")
    account.emulator.faults.add("quota", status=403)
    running = asyncio.all_tasks()
    with pytest.raises(RateLimited):
        await account.connect().fetch("members", [key] * 20)
    assert asyncio.all_tasks() == running


@pytest.mark.parametrize(
    ("status", "title", "kind"),
    [(400, "Member In Compliance State", RecordRejected), (400, "Forgotten Email Not Subscribed", RecordRejected),
     (400, "Invalid Resource", RecordRejected), (403, "Forbidden", ScopeError), (414, "Resource Nesting Too Deep", RecordRejected),
     (429, "Too Many Requests", RateLimited)],
)  # fmt: skip
async def test_refusals_by_their_title(account: Any, status: int, title: str, kind: type[Exception]) -> None:
    body = f'{{"title": "{title}", "detail": "ada@example.org", "errors": [{{"field": "status"}}]}}'.encode()
    error = explain(Response(status, {}, body), account.clock)
    assert isinstance(error, kind)
    assert "ada@" not in str(error)
    if kind is RecordRejected:
        assert title in str(error)
        assert "status" in str(error)
