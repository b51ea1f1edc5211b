"""What the connectors of Google's APIs share: one way to sign in, one reading of refusals."""

from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from hub.api import AuthError, ConfigError, OAuthRefresh, Response, ScopeError, ServiceAccount
from hub.api.google import GoogleSettings, connect, needs_a_person, refusal

KEY = '{"client_email": "robot@x.iam.gserviceaccount.com", "private_key": "-----BEGIN"}'


class Sheets(GoogleSettings):
    """A connector of another API needs no more than this."""

    api_host: ClassVar[str] = "sheets.googleapis.com"
    base_url: str = "https://sheets.googleapis.com/"
    account: str = "sam@ourco.example"

    @property
    def login(self) -> str:
        return self.account

    def scopes(self) -> tuple[str, ...]:
        return ("https://www.googleapis.com/auth/spreadsheets.readonly",)


def test_both_ways_to_sign_in() -> None:
    assert isinstance(Sheets(client_id="c").sign_in("sheets:sam", "sam@ourco.example"), OAuthRefresh)
    assert isinstance(Sheets(service_account_key=KEY).sign_in("sheets:sam", "sam@ourco.example"), ServiceAccount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "client_id"), ({"client_id": "c", "service_account_key": KEY}, "not both"),
        ({"service_account_key": '{"client_email": "very secret"}'}, "service_account_key"),
        ({"client_id": "c", "token_url": "https://oauth2.googleapis.com.evil.example/token"}, "token_url"),
        ({"client_id": "c", "token_url": "https://oauth2.googleapis.com@evil.example/token"}, "token_url"),
        ({"client_id": "c", "base_url": "http://sheets.googleapis.com"}, "base_url"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named_and_no_secret_is(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        Sheets(**given)
    assert "very secret" not in str(caught.value)


def test_the_consent_page_is_asked_for_this_account_and_no_more_than_it_needs() -> None:
    asked: list[str] = []
    with pytest.raises(AuthError, match="nobody allowed access"):
        connect(Sheets(client_id="c"), show=asked.append, timeout_s=0.01)
    question = {name: values[0] for name, values in parse_qs(urlsplit(asked[0]).query).items()}
    assert (question["login_hint"], question["scope"]) == ("sam@ourco.example", Sheets(client_id="c").scopes()[0])
    with pytest.raises(ConfigError, match="by itself"):
        connect(Sheets(service_account_key=KEY), show=asked.append)  # type: ignore[arg-type]


def answer(**error: Any) -> Response:
    return Response(403, {}, msgspec.json.encode({"error": error}))


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({"errors": [{"reason": "insufficientPermissions"}]}, ScopeError, "lacks a scope"),
        ({"details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}, ScopeError, "lacks a scope"),
        ({"errors": [{"reason": "domainPolicy"}]}, AuthError, "admin blocks"),
        ({"details": [{"reason": "SERVICE_DISABLED"}]}, AuthError, "the Sheets API is not enabled"),
    ],
)
def test_what_only_a_person_can_mend(said: dict[str, Any], kind: type, words: str) -> None:
    refused = refusal(answer(**said))
    assert refused is not None
    error = needs_a_person(refused, "Sheets API")
    assert isinstance(error, kind)
    assert words in str(error)


def test_other_refusals_are_left_to_the_connector() -> None:
    refused = refusal(answer(errors=[{"reason": "rateLimitExceeded"}], message="m" * 300, status="RESOURCE_EXHAUSTED"))
    assert refused is not None
    assert (refused.reasons, len(refused.message)) == ({"rateLimitExceeded"}, 200)
    assert needs_a_person(refused, "Sheets API") is None
    for body in (b"<html>", b'{"error": "text"}', b'{"error": ' + b"[" * 2000, b"\xff"):
        assert refusal(Response(403, {}, body)) is None
