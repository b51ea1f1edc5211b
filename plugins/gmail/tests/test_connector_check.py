"""Before the first pull: settings, the permission matrix, the estimate, signing in."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from hub.api import API_VERSION, AuthError, ConfigError, Window
from hub_gmail import Gmail, GmailSettings
from hub_gmail.settings import DRAFT_SCOPE, READ_SCOPE

SCOPES = "https://www.googleapis.com/auth/gmail."


@pytest.mark.anyio
async def test_a_sound_connection_grants_everything_and_names_its_own_addresses(rig: Any) -> None:
    rig.fill(2, ("INBOX", "Key accounts"))
    matrix = await rig.gmail(push_drafts=True).check()
    assert matrix.account_id == rig.address
    assert matrix.own_identities == tuple(sorted({rig.address, f"alias.{rig.address}"}))
    assert all(row.is_granted for row in matrix.permissions)
    assert {(r.stream, r.action) for r in matrix.permissions} == {
        ("messages", "read"), ("labels", "read"), ("sendAs", "read"), ("drafts", "write"),
    }  # fmt: skip
    assert matrix.capabilities == ("label:Label_1=Key accounts",)
    assert not rig.box.drafts


@pytest.mark.anyio
async def test_a_check_is_cheap_and_changes_nothing(rig: Any) -> None:
    rig.fill(2)
    before = rig.box.history.current
    await rig.gmail(push_drafts=True).check()
    assert rig.box.history.current == before
    assert rig.emulator.quota.spent[rig.address] < 60


MISSING = [
    (["readonly"], {"drafts"}, DRAFT_SCOPE),
    (["metadata", "compose"], {"messages", "sendAs"}, READ_SCOPE),
    (["compose"], {"messages", "labels", "sendAs"}, READ_SCOPE),
    (["labels"], {"messages", "sendAs", "drafts"}, ""),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("scopes", "lacking", "named"), MISSING, ids=["no drafts", "only headers", "no reading", "labels only"]
)
async def test_missing_scopes_are_rows_not_crashes(rig: Any, scopes: Any, lacking: set[str], named: str) -> None:
    rig.fill(1)
    rig.emulator.grant(rig.address, [SCOPES + s for s in scopes], "1//less")
    matrix = await rig.gmail(refresh_token="1//less", push_drafts=True).check()
    refused = [row for row in matrix.permissions if not row.is_granted]
    assert {row.stream for row in refused} == lacking
    assert {row.scope for row in refused} == ({named} if named else {READ_SCOPE, DRAFT_SCOPE})
    assert all("scope" in row.detail for row in refused if row.stream != "messages")


@pytest.mark.anyio
async def test_a_scope_taken_away_shows_in_the_matrix(rig: Any) -> None:
    rig.faults.add("deny_scope", path="/sendAs")
    matrix = await rig.gmail().check()
    assert [row.stream for row in matrix.permissions if not row.is_granted] == ["sendAs"]
    assert matrix.own_identities == (rig.address,)


@pytest.mark.anyio
async def test_a_dead_sign_in_is_an_error_for_a_person(rig: Any) -> None:
    with pytest.raises(AuthError, match="connect the account again"):
        await rig.gmail(refresh_token="1//unknown").check()
    rig.do("revoke")
    with pytest.raises(AuthError):
        await rig.gmail().check()


@pytest.mark.anyio
async def test_the_wrong_mailbox_is_noticed_before_anything_is_read(rig: Any) -> None:
    with pytest.raises(ConfigError, match="mailbox"):
        await rig.gmail(mailbox="somebody@example.net").check()


@pytest.mark.anyio
async def test_an_alias_of_the_mailbox_is_the_mailbox(rig: Any) -> None:
    matrix = await rig.gmail(mailbox=f"alias.{rig.address}").check()
    assert matrix.account_id == rig.address


@pytest.fixture(scope="module")
def key_pair() -> tuple[str, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public


@pytest.mark.anyio
async def test_a_service_account_acts_for_the_mailbox(rig: Any, key_pair: tuple[str, bytes]) -> None:
    private, public = key_pair
    email = "hub@project.example"
    rig.emulator.oauth.add_service_account(email, public, (READ_SCOPE,))
    key = json.dumps({"type": "service_account", "client_email": email, "private_key": private})
    account = {"client_id": "", "refresh_token": "", "service_account_key": key}
    matrix = await rig.gmail(**account).check()
    assert matrix.account_id == rig.address
    rig.tokens.put(f"gmail:{rig.address}", {})
    with pytest.raises(AuthError):
        await rig.gmail(**account, push_drafts=True).check()
    with pytest.raises(AuthError):
        await rig.gmail(**account, subject="nobody@example.net").check()


@pytest.mark.anyio
async def test_forgetting_a_connection_leaves_no_token(rig: Any) -> None:
    gmail = rig.gmail()
    await gmail.check()
    assert rig.tokens.get(gmail.token_name)
    await gmail.forget()
    assert not rig.tokens.get(gmail.token_name)


@pytest.mark.anyio
async def test_the_estimate_is_exact_for_small_windows_and_honest_for_large_ones(rig: Any, small_pages: None) -> None:
    rig.fill(30, days=20)
    rig.fill(20)
    gmail = rig.gmail()
    week = await gmail.estimate("messages", Window(since=rig.clock.now() - timedelta(days=7)))
    assert (week.records, week.is_exact) == (20, True)
    assert week.units == 1 + 5 + 20 * 20
    whole = await gmail.estimate("messages", Window())
    assert (whole.records, whole.is_exact) == (50, False)
    assert whole.seconds == pytest.approx(whole.units / 5700 * 60)
    older = await rig.gmail(project_created=date(2025, 11, 1)).estimate("messages", Window())
    assert older.seconds < whole.seconds / 5


@pytest.mark.parametrize(
    ("created", "units", "get"),
    [(None, 6_000, 20), (date(2026, 5, 1), 6_000, 20), (date(2026, 4, 30), 15_000, 5)],
)
def test_the_quota_hangs_on_the_age_of_the_project(created: date | None, units: int, get: int) -> None:
    budget = GmailSettings(mailbox="a@example.com", client_id="c", project_created=created).budget()
    assert budget.units_per_window == units
    assert budget.window == timedelta(minutes=1)
    assert budget.cost("messages.get") == get
    assert budget.cost("history.list") == 2
    assert budget.cost("messages.list") == 5


KEY = json.dumps({"client_email": "hub@project.example", "private_key": "-----BEGIN"})
REFUSED = [
    ({"mailbox": ""}, "mailbox"),
    ({"mailbox": "not an address"}, "mailbox"),
    ({"client_id": ""}, "client_id"),
    ({"service_account_key": KEY}, "not both"),
    ({"client_id": "", "service_account_key": "{}"}, "service_account_key"),
    ({"client_id": "", "service_account_key": "hush-hush"}, "service_account_key"),
    ({"token_url": "https://collector.example/token"}, "token_url"),
    ({"token_url": "http://oauth2.googleapis.com/token"}, "https"),
    ({"base_url": "http://gmail.googleapis.com/"}, "https"),
    ({"batch_size": 101}, "batch_size"),
    ({"colour": "red"}, "colour"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "named"), REFUSED)
def test_wrong_settings_are_named_without_repeating_secrets(change: dict[str, Any], named: str) -> None:
    given = {"mailbox": "a@example.com", "client_id": "c", "refresh_token": "hush-hush", **change}
    with pytest.raises(ValidationError) as caught:
        GmailSettings(**given)
    assert named in str(caught.value)
    assert "hush-hush" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)


def test_base_url_may_lack_its_slash_and_addresses_their_lower_case() -> None:
    settings = GmailSettings(mailbox=" Sales@Example.com ", client_id="c", base_url="https://gmail.googleapis.com")
    assert settings.base_url.endswith("/")
    assert settings.mailbox == "sales@example.com"


def test_reading_asks_for_no_right_to_write() -> None:
    settings = GmailSettings(mailbox="a@example.com", client_id="c")
    assert settings.scopes() == (READ_SCOPE,)
    assert GmailSettings(mailbox="a@example.com", client_id="c", push_drafts=True).scopes() == (READ_SCOPE, DRAFT_SCOPE)


def test_the_manifest_says_what_the_connector_does() -> None:
    manifest = Gmail.manifest
    assert manifest.api_version == API_VERSION
    assert manifest.stream("messages").deletes == "confirmed"
    assert manifest.stream("messages").census == "ids"
    assert manifest.hosts == ("gmail.googleapis.com", "oauth2.googleapis.com")
    assert [scope.is_required for scope in manifest.scopes] == [True, False]
