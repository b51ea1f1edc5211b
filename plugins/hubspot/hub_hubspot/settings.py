"""Settings of a HubSpot connection, and the call budgets that follow from them."""

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, field_validator, model_validator

from hub.api import Budget, ConnectorSettings, OAuthRefresh, SecretStr, StaticToken, TokenSource

HOST = "api.hubapi.com"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=64)]
PropertyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
# What tells one object from another, or who may be written to, is no field.
RESERVED = frozenset({
    "email", "hs_additional_emails", "domain", "hs_additional_domains", "hs_object_id", "hs_merged_object_ids",
    "hubspot_owner_id", "associatedcompanyid", "hs_parent_company_id", "lifecyclestage", "hs_email_optout",
})  # fmt: skip


class HubSpotSettings(ConnectorSettings):
    """One portal and one way to sign in.

    token: a service key, or the token of a static-auth or private app; sent as a bearer token. Instead of it,
    client_id + client_secret + refresh_token sign in by OAuth; refresh_token may stay empty once the account is
    connected. tier: calls per 10 s the account allows this app (100 Free and Starter, 190 Professional and
    Enterprise, 250 with the limit increase, 110 OAuth). daily: calls a day, 0 for none (OAuth has none).
    lookback_minutes: how far every incremental read reaches back, because HubSpot's search index lags.
    sweep_minutes: how often archived records, merges and changed associations are looked for (search does not show
    them); link_days: how far back associations are read again. key_property: our unique property.
    person_fields, organization_fields: our field -> property, for your own properties; read, and written back. `check`
    says which of them the portal lacks; none is ever created.
    time_zone: the portal's, for the hour its daily limit starts anew and the days of all-day meetings; `check` finds it
    out. `check` prints portal_id and time_zone.
    webhook_secret: the app's client secret where that is not client_secret. webhook_versions: signatures taken; v1
    and v2 carry no time and are open to replays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    oauth_version: Literal["v1", "v3", "2026-03"] = "v3"

    base_url: str = f"https://{HOST}/"
    api_version: Literal["v3", "2026-03", "2026-09"] = "v3"
    portal_id: str = ""
    ui_domain: str = "app.hubspot.com"
    time_zone: str = ""

    tier: Literal[100, 110, 190, 250] = 100
    daily: int = Field(default=250_000, ge=0)
    searches_per_second: int = Field(default=4, ge=1, le=5)

    lookback_minutes: int = Field(default=15, ge=1, le=1440)
    sweep_minutes: int = Field(default=60, ge=1, le=10_080)
    link_days: int = Field(default=2, ge=0, le=365)

    key_property: str = Field(default="ihub_key", pattern=r"^[a-z][a-z0-9_]{0,99}$")
    create_key_property: bool = True
    person_fields: dict[FieldName, PropertyName] = Field(default_factory=dict)
    organization_fields: dict[FieldName, PropertyName] = Field(default_factory=dict)
    webhook_secret: SecretStr = SecretStr("")
    webhook_versions: tuple[Literal["v1", "v2", "v3"], ...] = ("v3",)

    @field_validator("base_url")
    @classmethod
    def _ends_in_slash(cls, value: str) -> str:
        value = value if value.endswith("/") else value + "/"
        url = urlsplit(value)
        if url.scheme != "https" and url.hostname not in LOOPBACK:
            raise ValueError("must begin with https://")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            if value:
                ZoneInfo(value)
        except (KeyError, ValueError, OSError) as exc:
            raise ValueError("must be a time zone name such as Europe/Berlin") from exc
        return value

    @model_validator(mode="after")
    def _fields_are_free(self) -> Self:
        for setting in ("person_fields", "organization_fields"):
            named = list(getattr(self, setting).values())
            if bad := sorted({p for p in named if p in RESERVED | {self.key_property} or named.count(p) > 1}):
                raise ValueError(f"{setting}: {bad[0]} is kept for the hub itself, or named twice")
        return self

    @model_validator(mode="after")
    def _has_one_sign_in(self) -> Self:
        if bool(self.token.get_secret_value()) == bool(self.client_id):
            raise ValueError("set either token or client_id (OAuth), not both and not neither")
        if self.client_id and not self.client_secret.get_secret_value():
            raise ValueError("client_secret: OAuth needs it")
        return self

    def token_source(self) -> TokenSource:
        if not self.client_id:
            return StaticToken(self.token.get_secret_value())
        return OAuthRefresh(
            "oauth",
            f"{self.base_url}oauth/{self.oauth_version}/token",
            self.client_id,
            self.client_secret.get_secret_value(),
            self.refresh_token.get_secret_value(),
        )

    def signing_secret(self) -> str:
        """The client secret webhooks are signed with; "" when there is none."""
        return self.webhook_secret.get_secret_value() or self.client_secret.get_secret_value()

    def budgets(self, zone: str = "") -> tuple[Budget, ...]:
        """Searches have a limit of their own and do not count against the 10 s one.

        HubSpot's 10 s slide, our windows do not: so much a second that any 10 s, with a second more at the edge, stay below.
        zone: the portal's, whose midnight ends the daily limit; "" where it is not known yet.
        """
        burst = Budget("burst", self.tier // 11, timedelta(seconds=1), {"search": 0}, reserve=0)
        search = Budget(
            "search", self.searches_per_second, timedelta(seconds=1), {"search": 1}, default_units=0, reserve=0
        )
        if not self.daily or self.client_id:
            return (burst, search)
        return (burst, search, Budget("daily", self.daily, timedelta(days=1), zone=zone))
