"""Sign-in at the Gmail emulator: grants, expiry, revocation, PKCE, service accounts, scopes."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hub.testing import Running
from hub_gmail.emulator import GmailEmulator

ADA = "ada@example.com"
START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
GMAIL = "https://www.googleapis.com/auth/gmail."
REDIRECT = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 50


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


CHALLENGE = b64(hashlib.sha256(VERIFIER.encode()).digest())


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with GmailEmulator().serve() as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


class Site:
    def __init__(self, emulator: GmailEmulator, url: str, client: httpx.Client) -> None:
        self.emulator = emulator
        self.url = url
        self.client = client

    def trade(self, **form: str) -> httpx.Response:
        return self.client.post(f"{self.url}/token", data={"client_id": "app", **form})

    def token(self, **form: str) -> Any:
        answer = self.trade(**form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refusal(self, **form: str) -> tuple[int, str]:
        answer = self.trade(**form)
        assert set(answer.json()) == {"error", "error_description"}
        return answer.status_code, answer.json()["error"]

    def call(self, token: str, path: str = "profile", method: str = "GET", **params: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"}
        return self.client.request(
            method, f"{self.url}/gmail/v1/users/me/{path}", params=params, headers=headers
        )  # fmt: skip

    def denied(self, token: str, path: str = "profile", method: str = "GET", **params: Any) -> tuple[int, str, str]:
        answer = self.call(token, path, method, **params)
        error = answer.json()["error"]
        assert error["code"] == answer.status_code
        return answer.status_code, error["errors"][0]["reason"], error["message"]

    def consent(self, **query: str) -> dict[str, str]:
        """What the browser is redirected with."""
        asked = {
            "client_id": "app",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": GMAIL + "readonly",
            "state": "s-1",
            "access_type": "offline",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **query,
        }
        answer = self.client.get(f"{self.url}/o/oauth2/v2/auth", params=asked)
        assert answer.status_code == 302, answer.text
        target = answer.headers["location"]
        assert target.startswith(REDIRECT + "?")
        return {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}


@pytest.fixture
def site(running: Running, client: httpx.Client) -> Site:
    emulator = running.emulator
    # One server for all tests, since starting one takes longer than a test; each test finds it as new.
    emulator.__init__(now=lambda: START)  # type: ignore[misc]
    assert isinstance(emulator, GmailEmulator)
    emulator.add_mailbox(ADA)
    emulator.add_message(ADA, b"From: bob@example.org\nSubject: hello\n\nhi", ("INBOX",))
    return Site(emulator, running.url, client)


def refresh(site: Site, token: str = f"1//refresh-{ADA}") -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token}


# -- refresh tokens


def test_refresh_gives_a_bearer_token_and_no_new_refresh_token(site: Site) -> None:
    answer = site.token(**refresh(site))
    assert set(answer) == {"access_token", "expires_in", "scope", "token_type"}
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == GMAIL + "modify"
    assert site.call(answer["access_token"]).json()["emailAddress"] == ADA


def test_access_tokens_expire(site: Site) -> None:
    token = site.token(**refresh(site))["access_token"]
    site.emulator.control("now", {"advance_s": 3600})
    assert site.denied(token)[:2] == (401, "authError")
    assert site.call(site.token(**refresh(site))["access_token"]).status_code == 200


def test_no_token_unknown_token_and_another_mailbox(site: Site) -> None:
    answer = site.client.get(f"{site.url}/gmail/v1/users/me/profile")
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert site.denied("nonsense")[0] == 401
    site.emulator.add_mailbox("eve@example.com")
    token = site.emulator.access_token(ADA)
    url = f"{site.url}/gmail/v1/users/eve%40example.com/profile"
    answer = site.client.get(url, headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, f"Delegation denied for {ADA}")
    url = f"{site.url}/gmail/v1/users/{ADA}/profile"
    assert site.client.get(url, headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_revoked_means_401_and_invalid_grant_until_granted_again(site: Site) -> None:
    token = site.token(**refresh(site))["access_token"]
    site.emulator.control("revoke", {"address": ADA})
    assert site.denied(token)[0] == 401
    assert site.refusal(**refresh(site)) == (400, "invalid_grant")
    assert site.refusal(**refresh(site, "1//unknown")) == (400, "invalid_grant")
    fresh = site.emulator.control("grant", {"address": ADA, "scopes": ["readonly"]})["refresh_token"]
    assert site.token(**refresh(site, fresh))["scope"] == GMAIL + "readonly"


def test_sign_in_faults(site: Site) -> None:
    faults = site.emulator.faults
    token = site.token(**refresh(site))["access_token"]
    faults.add("expire_token", times=1)
    assert site.denied(token)[0] == 401
    assert site.denied(token)[0] == 401
    token = site.token(**refresh(site))["access_token"]
    assert site.call(token).status_code == 200
    faults.add("revoke_token", address=ADA)
    assert site.denied(token)[0] == 401
    assert site.refusal(**refresh(site)) == (400, "invalid_grant")
    faults.clear()
    assert site.call(token).status_code == 200


def test_clients_are_checked_when_registered(site: Site) -> None:
    site.emulator.oauth.clients["app"] = "hush"
    assert site.refusal(**refresh(site)) == (401, "invalid_client")
    assert "access_token" in site.token(**refresh(site), client_secret="hush")
    assert site.refusal(grant_type="password") == (400, "unsupported_grant_type")


# -- authorization code with PKCE


def exchange(code: str, **form: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **form,
    }


def test_installed_app_sign_in(site: Site) -> None:
    back = site.consent()
    assert back["state"] == "s-1"
    answer = site.token(**exchange(back["code"]))
    assert answer["scope"] == GMAIL + "readonly"
    assert site.call(answer["access_token"]).status_code == 200
    assert site.token(**refresh(site, answer["refresh_token"]))["scope"] == GMAIL + "readonly"
    # A code is good once.
    assert site.refusal(**exchange(back["code"])) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"code_verifier": "w" * 50}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:10/callback"}, "redirect_uri_mismatch"),
        ({"client_id": "other"}, "invalid_grant"),
        ({"code": "4/0made-up"}, "invalid_grant"),
    ],
)
def test_wrong_exchanges_are_refused(site: Site, form: dict[str, str], error: str) -> None:
    code = site.consent()["code"]
    assert site.refusal(**{**exchange(code), **form}) == (400, error)


def test_codes_expire_and_online_access_gives_no_refresh_token(site: Site) -> None:
    code = site.consent(access_type="online")["code"]
    assert "refresh_token" not in site.token(**exchange(code))
    code = site.consent()["code"]
    site.emulator.control("now", {"advance_s": 601})
    assert site.refusal(**exchange(code)) == (400, "invalid_grant")


def test_the_person_may_refuse_or_untick_scopes(site: Site) -> None:
    site.emulator.control("consent", {"scopes": ["readonly"]})
    back = site.consent(scope=f"{GMAIL}readonly {GMAIL}compose")
    assert site.token(**exchange(back["code"]))["scope"] == GMAIL + "readonly"
    site.emulator.control("consent", {"allow": False})
    assert site.consent() == {"error": "access_denied", "state": "s-1"}


def test_only_loopback_redirects(site: Site) -> None:
    query = {"client_id": "app", "response_type": "code", "scope": "x", "redirect_uri": "https://example.com/cb"}
    answer = site.client.get(f"{site.url}/o/oauth2/v2/auth", params=query)
    assert (answer.status_code, answer.json()["error"]) == (400, "redirect_uri_mismatch")


# -- service accounts


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def assertion(key: rsa.RSAPrivateKey, **claims: Any) -> dict[str, str]:
    now = int(START.timestamp())
    body = {
        "iss": "robot@project.example",
        "sub": ADA,
        "scope": GMAIL + "readonly",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    signed = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, body))
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": f"{signed}.{b64(signature)}",
    }


def register(site: Site, key: rsa.RSAPrivateKey, scopes: tuple[str, ...] | None = None) -> None:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    site.emulator.oauth.add_service_account("robot@project.example", pem, scopes)


def test_service_account_acts_for_a_mailbox(site: Site, key: rsa.RSAPrivateKey) -> None:
    register(site, key)
    answer = site.token(**assertion(key))
    assert site.call(answer["access_token"]).json()["emailAddress"] == ADA
    assert site.denied(answer["access_token"], "messages/x/trash", "POST")[:2] == (403, "insufficientPermissions")


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"iss": "stranger@project.example"}, (400, "invalid_grant")),
        ({"sub": "nobody@example.com"}, (400, "invalid_grant")),
        ({"exp": int(START.timestamp()) + 7200}, (400, "invalid_grant")),
        ({"iat": 1, "exp": 3600}, (400, "invalid_grant")),
        ({"exp": None}, (400, "invalid_grant")),
        ({"aud": "https://example.com/elsewhere"}, (400, "invalid_grant")),
        ({"scope": ""}, (400, "invalid_scope")),
        ({"scope": GMAIL + "modify"}, (401, "unauthorized_client")),
    ],
)
def test_wrong_assertions_are_refused(
    site: Site, key: rsa.RSAPrivateKey, claims: dict[str, Any], error: tuple[int, str]
) -> None:
    register(site, key, ("readonly",))
    assert site.refusal(**assertion(key, **claims)) == error


def test_signatures_are_verified_and_revocation_counts(site: Site, key: rsa.RSAPrivateKey) -> None:
    register(site, key)
    form = assertion(key)
    head, body, _ = form["assertion"].split(".")
    forged = {**form, "assertion": f"{head}.{body}.{b64(b'x' * 256)}"}
    assert site.refusal(**forged) == (400, "invalid_grant")
    assert site.refusal(**{**form, "assertion": "not.a.jwt"}) == (400, "invalid_grant")
    assert site.refusal(**{**form, "assertion": "one"}) == (400, "invalid_grant")
    site.emulator.control("revoke", {"address": ADA})
    assert site.refusal(**form) == (401, "unauthorized_client")


# -- scopes


@pytest.mark.parametrize("scopes", [("metadata",), ("metadata", "readonly", "modify")])
def test_metadata_scope_refuses_q_and_bodies_even_beside_wider_ones(site: Site, scopes: tuple[str, ...]) -> None:
    token = site.emulator.access_token(ADA, scopes)
    message_id = site.call(token, "messages").json()["messages"][0]["id"]
    assert site.denied(token, "messages", q="in:inbox") == (
        403,
        "forbidden",
        "Metadata scope does not support 'q' parameter",
    )
    for form in ("full", "raw"):
        expected = f"Metadata scope doesn't allow format {form.upper()}"
        assert site.denied(token, f"messages/{message_id}", format=form) == (403, "forbidden", expected)
    assert site.denied(token, f"messages/{message_id}")[0] == 403
    assert site.call(token, f"messages/{message_id}", format="metadata").status_code == 200


def test_missing_scopes_are_refused_with_the_documented_body(site: Site) -> None:
    read, send = site.emulator.access_token(ADA, ("readonly",)), site.emulator.access_token(ADA, ("send",))
    message_id = site.call(read, "messages").json()["messages"][0]["id"]
    expected = (403, "insufficientPermissions", "Request had insufficient authentication scopes.")
    assert site.denied(send) == expected
    assert site.denied(read, f"messages/{message_id}/trash", "POST") == expected
    modify = site.emulator.access_token(ADA, ("modify",))
    assert site.denied(modify, f"messages/{message_id}", "DELETE") == expected
    assert site.denied(modify, "messages/batchDelete", "POST") == expected
    assert site.call(site.emulator.access_token(ADA, ("full",)), f"messages/{message_id}", "DELETE").status_code == 204


def test_deny_scope_fault(site: Site) -> None:
    token = site.emulator.access_token(ADA, ("readonly", "modify"))
    site.emulator.faults.add("deny_scope", path="/settings/sendAs")
    assert site.denied(token, "settings/sendAs")[:2] == (403, "insufficientPermissions")
    assert site.call(token).status_code == 200
    site.emulator.faults.clear()
    site.emulator.faults.add("deny_scope", scope="gmail.modify")
    assert site.call(token).status_code == 200
    assert site.denied(token, "messages/x/trash", "POST")[:2] == (403, "insufficientPermissions")
