"""Settings of a Google Calendar connection: which account, which calendars, what may be read and written.

Source: developers.google.com/workspace/calendar/api/auth and .../guides/quota.
"""

import hashlib
import json
from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from hub.api import Budget, ConnectorSettings, SecretStr

SCOPE_ROOT = "https://www.googleapis.com/auth/"
READ_SCOPE = SCOPE_ROOT + "calendar.events.readonly"
WRITE_SCOPE = SCOPE_ROOT + "calendar.events"

GOOGLE_HOSTS = ("www.googleapis.com", "oauth2.googleapis.com")
LOOPBACK = ("127.0.0.1", "localhost", "::1")

PER_MINUTE = 600
SLICES = 20


def budget(per_minute: int) -> Budget:
    """Queries of one user. Google's minute slides, so it is spent in slices of three seconds: no sixty seconds,
    wherever they begin, hold more than 21 slices, and 21 of them stay below the minute's queries.
    """
    units = {"events.patch": 3}
    return Budget("user", max(per_minute // SLICES, 4), timedelta(seconds=60 / SLICES), units)


class CalendarSettings(ConnectorSettings):
    """One account and one way to sign in: an OAuth client with a refresh token, or a service account.

    calendars: "primary" or calendar ids. private: what becomes of private events: "drop" keeps them off the timeline,
    "busy" leaves a block of time without any content. horizon_days: how far ahead occurrences of series are kept.
    push_calendar: where meetings are written ("primary", an id, or "" for nowhere). invitations: whom Google mails about
    what we write. webhook_url, webhook_secret: where Google rings, and what proves it; channels renew themselves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    account: str
    calendars: tuple[str, ...] = ("primary",)
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    service_account_key: SecretStr | None = None

    private: Literal["drop", "busy"] = "drop"
    horizon_days: int = Field(default=365, ge=1, le=3650)

    push_calendar: str = ""
    invitations: Literal["none", "externalOnly", "all"] = "none"
    default_minutes: int = Field(default=30, ge=1, le=1440)

    webhook_url: str = ""
    webhook_secret: SecretStr = SecretStr("")

    queries_per_minute: int = Field(default=PER_MINUTE, ge=80)
    page_size: int = Field(default=250, ge=1, le=2500)
    base_url: str = "https://www.googleapis.com/"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a secret

    @field_validator("account")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip().lower()
        if value.count("@") != 1 or any(c.isspace() for c in value):
            raise ValueError("must be one e-mail address, such as sales@example.com")
        return value

    @field_validator("base_url")
    @classmethod
    def _ends_in_slash(cls, value: str) -> str:
        return value if value.endswith("/") else value + "/"

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if bool(self.client_id) == bool(self.service_account_key):
            raise ValueError("set either client_id (OAuth) or service_account_key, not both and not neither")
        if self.service_account_key:
            self.key()
        elif not self.refresh_token.get_secret_value():
            raise ValueError("refresh_token: needed beside client_id")
        if not self.calendars or any("/" in name or not name.strip() for name in self.calendars):
            raise ValueError('calendars: name at least one, "primary" or the id from the calendar\'s settings')
        token, base = urlsplit(self.token_url), urlsplit(self.base_url)
        if token.hostname not in {*GOOGLE_HOSTS, base.hostname}:
            raise ValueError("token_url: must be at Google or on the host of base_url; secrets go nowhere else")
        for url, name in ((token, "token_url"), (base, "base_url")):
            if url.scheme != "https" and url.hostname not in LOOPBACK:
                raise ValueError(f"{name}: must begin with https://")
        if self.webhook_url and not self.webhook_url.startswith("https://"):
            raise ValueError("webhook_url: Google rings at https addresses only")
        if self.webhook_url and len(self.webhook_secret.get_secret_value()) < 16:
            raise ValueError("webhook_secret: needs at least 16 characters when webhook_url is set")
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

    def resolve(self, name: str) -> str:
        """A calendar's id: the account's own goes by its address, so that its records keep their names."""
        return self.account if name.strip().lower() == "primary" else name.strip().lower()

    @property
    def calendar_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.resolve(name) for name in self.calendars))

    @property
    def push_id(self) -> str:
        return self.resolve(self.push_calendar) if self.push_calendar else ""

    def scopes(self) -> tuple[str, ...]:
        """What this connection asks for: reading, or reading and writing in one."""
        return (WRITE_SCOPE,) if self.push_calendar else (READ_SCOPE,)

    def marks(self) -> str:
        """Names what a sync token depends on: under other settings everything must be read anew."""
        text = repr((self.calendar_ids, self.private, self.horizon_days))
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
