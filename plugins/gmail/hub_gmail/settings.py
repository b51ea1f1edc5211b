"""Settings of a Gmail connection, and the quota that belongs to its Google Cloud project.

Source: developers.google.com/workspace/gmail/api/reference/quota (the form in force since 1 May 2026).
"""

import json
from datetime import date, timedelta
from typing import Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from hub.api import Budget, ConnectorSettings, SecretStr

SCOPE_ROOT = "https://www.googleapis.com/auth/"
READ_SCOPE = SCOPE_ROOT + "gmail.readonly"
DRAFT_SCOPE = SCOPE_ROOT + "gmail.compose"

GOOGLE_HOSTS = ("gmail.googleapis.com", "oauth2.googleapis.com")
LOOPBACK = ("127.0.0.1", "localhost", "::1")

NEW_QUOTA_FROM = date(2026, 5, 1)
MINUTE = timedelta(minutes=1)

# fmt: off
UNITS = {  # units per call, projects created on or after 1 May 2026
    "getProfile": 1,    "labels.list": 1,     "sendAs.list": 1,    "history.list": 2,
    "messages.list": 5, "messages.get": 20,   "drafts.list": 5,    "drafts.get": 20,
    "drafts.create": 10, "drafts.delete": 10,
}
# fmt: on
OLDER_UNITS = {**UNITS, "messages.get": 5, "drafts.get": 5}

NEW_BUDGET = Budget("user-minute", 6_000, MINUTE, UNITS)
OLDER_BUDGET = Budget("user-minute", 15_000, MINUTE, OLDER_UNITS)


class GmailSettings(ConnectorSettings):
    """One mailbox and one way to sign in: an OAuth client with a refresh token, or a service account.

    refresh_token may stay empty once `ihub connect gmail` has put one into the hub's token store.
    query narrows what is read, in Gmail's search syntax ("-label:private").
    project_created decides the quota; left out, the lower one (2026-05-01 and later) is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    mailbox: str
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    service_account_key: SecretStr | None = None
    subject: str = ""

    query: str = ""
    include_spam_trash: bool = False
    push_drafts: bool = False

    project_created: date | None = None
    batch_size: int = Field(default=50, ge=1, le=100)
    base_url: str = "https://gmail.googleapis.com/"
    auth_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a secret

    pubsub_audience: str = ""
    pubsub_service_account: str = ""
    pubsub_jwks: str = ""

    @field_validator("mailbox", "subject")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip().lower()
        if value and (value.count("@") != 1 or any(c.isspace() for c in value)):
            raise ValueError("must be one e-mail address, such as sales@example.com")
        return value

    @field_validator("base_url")
    @classmethod
    def _ends_in_slash(cls, value: str) -> str:
        return value if value.endswith("/") else value + "/"

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.mailbox:
            raise ValueError("mailbox: name the address to read")
        if bool(self.client_id) == bool(self.service_account_key):
            raise ValueError("set either client_id (OAuth) or service_account_key, not both and not neither")
        if self.service_account_key:
            self.key()
        token, base = urlsplit(self.token_url), urlsplit(self.base_url)
        if token.hostname not in {*GOOGLE_HOSTS, base.hostname}:
            raise ValueError("token_url: must be at Google or on the host of base_url; secrets go nowhere else")
        for url, name in ((token, "token_url"), (base, "base_url")):
            if url.scheme != "https" and url.hostname not in LOOPBACK:
                raise ValueError(f"{name}: must begin with https://")
        return self

    def key(self) -> dict[str, str]:
        """The service account's key file as an object. Raises ValueError without repeating any of it."""
        text = self.service_account_key.get_secret_value() if self.service_account_key else ""
        try:
            key = json.loads(text)
        except ValueError:
            key = None
        if not isinstance(key, dict) or not key.get("client_email") or not key.get("private_key"):
            raise ValueError(
                "service_account_key: must be the whole JSON key file, with client_email and private_key"
            ) from None
        return {str(k): str(v) for k, v in key.items()}

    def scopes(self) -> tuple[str, ...]:
        """What this connection asks for: reading, and drafts only when it may write them."""
        return (READ_SCOPE, DRAFT_SCOPE) if self.push_drafts else (READ_SCOPE,)

    def budget(self) -> Budget:
        """Units per user and minute of the project behind the credentials."""
        older = self.project_created is not None and self.project_created < NEW_QUOTA_FROM
        return OLDER_BUDGET if older else NEW_BUDGET
