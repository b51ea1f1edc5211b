"""Settings of a CalDAV connection: one account at one server."""

from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, field_validator, model_validator

from hub.api import Budget, ConnectorSettings, OAuthRefresh, SecretStr, TokenSource

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MINUTE = timedelta(minutes=1)
PER_MINUTE = 300  # no server states a limit; five calls a second is what a busy calendar program makes


class CalDavSettings(ConnectorSettings):
    """Where the server is, who signs in, which calendars are read, and where meetings may be written.

    base_url: the server's CalDAV address, its root, or the account's own principal address; discovery does the rest.
    calendars: display names or addresses of the calendars to read; empty reads every calendar that holds events.
    push_calendar: name or address of the calendar that meetings are written to; empty writes nothing.
    days_ahead, most_occurrences: how far a series is laid out, and how many of its meetings at most (the newest).
    floating_zone: the zone of events that name none. sync: "etags" for servers whose sync-collection loses changes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str
    username: str = ""
    password: SecretStr = SecretStr("")
    token_url: str = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")

    calendars: tuple[str, ...] = ()
    push_calendar: str = ""
    private_events: Literal["reduce", "drop"] = "reduce"
    days_ahead: int = Field(default=180, ge=0, le=3650)
    most_occurrences: int = Field(default=1000, ge=1, le=20_000)
    floating_zone: str = "UTC"

    sync: Literal["auto", "etags"] = "auto"
    batch_size: int = Field(default=50, ge=1, le=100)
    per_minute: int = Field(default=PER_MINUTE, ge=1)

    @field_validator("base_url")
    @classmethod
    def _ends_in_slash(cls, value: str) -> str:
        return value if value.endswith("/") else value + "/"

    @field_validator("floating_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError) as exc:
            raise ValueError("must be an IANA zone, such as Europe/Berlin") from exc
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if bool(self.username) == bool(self.client_id):
            raise ValueError("set either username and password, or client_id, token_url and refresh_token")
        if ":" in self.username:
            raise ValueError("username: must not hold a colon, which Basic sign-in cannot carry")
        base, token = urlsplit(self.base_url), urlsplit(self.token_url)
        for url, name in ((base, "base_url"), (token, "token_url")):
            if (name == "base_url" or self.token_url) and url.scheme != "https" and url.hostname not in LOOPBACK:
                raise ValueError(f"{name}: must begin with https://")
        if self.client_id and not self.token_url:
            raise ValueError("token_url: needed with client_id")
        return self

    def oauth(self) -> TokenSource | None:
        """The token source, where the server takes OAuth; None with Basic sign-in."""
        if not self.client_id:
            return None
        secret, refresh = self.client_secret.get_secret_value(), self.refresh_token.get_secret_value()
        return OAuthRefresh(self.token_name, self.token_url, self.client_id, secret, refresh)

    @property
    def token_name(self) -> str:
        """Where the hub's token store keeps this account's tokens."""
        return f"caldav:{urlsplit(self.base_url).hostname}:{self.client_id}"

    def budget(self) -> Budget:
        return Budget("minute", self.per_minute, MINUTE)
