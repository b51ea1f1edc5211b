"""Settings of a Zendesk connection, the ways to sign in, and the call budgets that follow from them."""

import base64
from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from hub.api import Budget, ConnectorSettings, OAuthRefresh, SecretStr, TokenSource
from hub_zendesk.signin import ClientCredentials, Rotating

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MINUTE = timedelta(minutes=1)
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=64)]
PER_MINUTE = {
    "essential": 10, "support-team": 200, "support-professional": 400, "support-enterprise": 700, "suite-team": 200,
    "suite-growth": 400, "suite-professional": 400, "suite-enterprise": 700, "suite-enterprise-plus": 2500,
}  # fmt: skip
READ_SCOPES = ("tickets:read", "users:read", "organizations:read", "satisfaction_ratings:read")
WRITE_SCOPES = ("tickets:write", "users:write", "organizations:write")
Plan = Literal[
    "essential", "support-team", "support-professional", "support-enterprise", "suite-team", "suite-growth",
    "suite-professional", "suite-enterprise", "suite-enterprise-plus",
]  # fmt: skip


class ZendeskSettings(ConnectorSettings):
    """One Zendesk account and one way to sign in.

    subdomain: the part before .zendesk.com. Sign-in: client_id + client_secret alone use the client-credentials grant;
    with refresh_token the refresh grant (tokens rotate); email + api_token is the old way, which ends on 2027-04-30.
    scopes: asked for at sign-in. plan and high_volume: decide how many calls a minute are allowed.
    page_size: rows per export page; lower it after time-outs. message_ids: read the Message-ID of e-mails from their
    ticket where the export leaves it out (one call per ticket), so that the same mail in a mailbox is recognised.
    ai_agent_tickets: also read tickets only AI agents worked on, which Zendesk leaves out unless asked.
    private_tags: a ticket bearing one is not taken over at all; its comments are left to the capture policy.
    tag: put on every ticket the hub makes or writes to. user_fields, organization_fields: our field -> Zendesk's
    custom field key, read and written back. find_hours: how far back a note of unknown outcome is looked for. webhook_secret: the webhook's
    signing secret.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    subdomain: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    email: str = ""
    api_token: SecretStr = SecretStr("")
    scopes: tuple[str, ...] = READ_SCOPES + WRITE_SCOPES

    base_url: str = ""
    plan: Plan = "suite-team"
    high_volume: bool = False
    page_size: int = Field(default=1000, ge=1, le=1000)
    message_ids: bool = True
    ai_agent_tickets: bool = False
    private_tags: tuple[str, ...] = ("private",)

    tag: str = Field(default="interaction_hub", pattern=r"^[a-z0-9_\-/]{1,64}$")
    user_fields: dict[FieldName, str] = Field(default_factory=dict)
    organization_fields: dict[FieldName, str] = Field(default_factory=dict)
    find_hours: int = Field(default=48, ge=1, le=720)
    webhook_secret: SecretStr = SecretStr("")

    @field_validator("base_url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if not value:
            return value
        value = value if value.endswith("/") else value + "/"
        url = urlsplit(value)
        if url.scheme != "https" and url.hostname not in LOOPBACK:
            raise ValueError("must begin with https://")
        return value

    @model_validator(mode="after")
    def _has_one_sign_in(self) -> Self:
        has_token = bool(self.api_token.get_secret_value())
        if has_token == bool(self.client_id):
            raise ValueError("set either client_id (OAuth) or api_token, not both and not neither")
        if has_token and not self.email:
            raise ValueError("email: an API token needs the address of the admin it belongs to")
        if self.client_id and not self.client_secret.get_secret_value():
            raise ValueError("client_secret: OAuth needs it")
        return self

    @property
    def root(self) -> str:
        """Where the account answers, ending in a slash."""
        return self.base_url or f"https://{self.subdomain}.zendesk.com/"

    @property
    def host(self) -> str:
        return urlsplit(self.root).hostname or ""

    @property
    def token_name(self) -> str:
        """Where the hub's token store keeps this account's tokens."""
        return f"zendesk:{self.subdomain}"

    def token_source(self) -> TokenSource | None:
        """OAuth; None for an API token, which goes into a header."""
        if not self.client_id:
            return None
        url, secret = f"{self.root}oauth/tokens", self.client_secret.get_secret_value()
        if refresh := self.refresh_token.get_secret_value():
            return Rotating(self.token_name, url, self.client_id, secret, refresh)
        source: OAuthRefresh = ClientCredentials(self.token_name, url, self.client_id, secret, self.scopes)
        return source

    def headers(self) -> dict[str, str]:
        """Sent with each call. Without `accept` Zendesk may answer an error as plain text."""
        found = {"accept": "application/json"}
        if token := self.api_token.get_secret_value():
            pair = base64.b64encode(f"{self.email}/token:{token}".encode()).decode()
            found["authorization"] = f"Basic {pair}"
        return found

    def budgets(self) -> tuple[Budget, ...]:
        """What Zendesk allows a minute. The exports' own limits are counted beside the account's."""
        per_minute = 2500 if self.high_volume else PER_MINUTE[self.plan]
        times = 3 if self.high_volume else 1
        return (
            Budget("minute", per_minute, MINUTE),
            _own("exports", 10 * times, "export"),
            _own("user-exports", 20 * times, "user-export"),
            _own("search-exports", 100, "search-export"),
            _own("ticket-updates", 100 * times, "ticket-update"),
            _own("user-updates", 60, "user-update"),
        )


def _own(name: str, units: int, method: str) -> Budget:
    """The limit of some end points. No reserve: nobody reads them interactively, and the limit is small."""
    return Budget(name, units, MINUTE, {method: 1}, default_units=0, reserve=0.0)
