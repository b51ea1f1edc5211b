"""Settings of a Google Calendar connection: which account, which calendars, what may be read and written.

Source: developers.google.com/workspace/calendar/api/auth and .../guides/quota.
"""

import hashlib
from datetime import timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from hub.api import Budget, SecretStr
from hub.api.google import SCOPE_ROOT, GoogleSettings

READ_SCOPE = SCOPE_ROOT + "calendar.events.readonly"
WRITE_SCOPE = SCOPE_ROOT + "calendar.events"

API_HOST = "www.googleapis.com"

PER_MINUTE = 600
SLICES = 20


def budget(per_minute: int) -> Budget:
    """Queries of one user. Google's minute slides, so it is spent in slices of three seconds: no sixty seconds,
    wherever they begin, hold more than 21 slices, and 21 of them stay below the minute's queries.
    """
    units = {"events.patch": 3}
    return Budget("user", max(per_minute // SLICES, 4), timedelta(seconds=60 / SLICES), units)


class CalendarSettings(GoogleSettings):
    """One account's calendars.

    calendars: "primary" or calendar ids. private: what becomes of private events: "drop" keeps them off the timeline,
    "busy" leaves a block of time without any content. horizon_days: how far ahead occurrences of series are kept.
    push_calendar: where meetings are written ("primary", an id, or "" for nowhere). invitations: whom Google mails about
    what we write. webhook_url, webhook_secret: where Google rings, and what proves it; channels renew themselves.
    """

    api_host: ClassVar[str] = API_HOST

    account: str
    calendars: tuple[str, ...] = ("primary",)

    private: Literal["drop", "busy"] = "drop"
    horizon_days: int = Field(default=365, ge=1, le=3650)

    push_calendar: str = ""
    invitations: Literal["none", "externalOnly", "all"] = "none"
    default_minutes: int = Field(default=30, ge=1, le=1440)

    webhook_url: str = ""
    webhook_secret: SecretStr = SecretStr("")

    queries_per_minute: int = Field(default=PER_MINUTE, ge=80)
    page_size: int = Field(default=250, ge=1, le=2500)
    base_url: str = f"https://{API_HOST}/"

    @field_validator("account")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip().lower()
        if value.count("@") != 1 or any(c.isspace() for c in value):
            raise ValueError("must be one e-mail address, such as sales@example.com")
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.calendars or any("/" in name or not name.strip() for name in self.calendars):
            raise ValueError('calendars: name at least one, "primary" or the id from the calendar\'s settings')
        if self.webhook_url and not self.webhook_url.startswith("https://"):
            raise ValueError("webhook_url: Google rings at https addresses only")
        if self.webhook_url and len(self.webhook_secret.get_secret_value()) < 16:
            raise ValueError("webhook_secret: needs at least 16 characters when webhook_url is set")
        return self

    @property
    def login(self) -> str:
        return self.account

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
