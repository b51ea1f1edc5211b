"""Settings of one Google account: an OAuth client with a refresh token, or a service account that acts for it.

Source: developers.google.com/identity/protocols/oauth2 ("installed applications", "service accounts").
"""

import json
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, SecretStr, field_validator, model_validator

from hub.api.auth import OAuthRefresh, ServiceAccount, TokenSource
from hub.api.connector import ConnectorSettings
from hub.api.consent import Consent

SCOPE_ROOT = "https://www.googleapis.com/auth/"
SIGN_IN_HOST = "oauth2.googleapis.com"
ISSUER = "https://accounts.google.com"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class GoogleSettings(ConnectorSettings):
    """One account and one way to sign in. A connector adds its own settings, `api_host`, `scopes` and `login`.

    refresh_token may stay empty once `ihub connect` has put one into the hub's token store.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    api_host: ClassVar[str]

    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    service_account_key: SecretStr | None = None

    base_url: str
    auth_url: str = f"{ISSUER}/o/oauth2/v2/auth"
    token_url: str = f"https://{SIGN_IN_HOST}/token"

    @field_validator("base_url")
    @classmethod
    def _ends_in_slash(cls, value: str) -> str:
        return value if value.endswith("/") else value + "/"

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        if bool(self.client_id) == bool(self.service_account_key):
            raise ValueError("set either client_id (OAuth) or service_account_key, not both and not neither")
        if self.service_account_key:
            self.key()
        token, base = urlsplit(self.token_url), urlsplit(self.base_url)
        if token.hostname not in {self.api_host, SIGN_IN_HOST, base.hostname}:
            raise ValueError("token_url: must be at Google or on the host of base_url; secrets go nowhere else")
        for url, name in ((token, "token_url"), (base, "base_url")):
            if url.scheme != "https" and url.hostname not in LOOPBACK:
                raise ValueError(f"{name}: must begin with https://")
        return self

    @property
    def login(self) -> str:
        """The address a person signs in with."""
        raise NotImplementedError

    def scopes(self) -> tuple[str, ...]:
        """What this connection asks for: no more than its settings need."""
        raise NotImplementedError

    def consent(self) -> Consent | None:
        """How a person allows access in the browser; None for a service account, which nobody has to sign in."""
        if not self.client_id:
            return None
        return Consent(
            "Google", self.auth_url, self.token_url, self.client_id, self.client_secret.get_secret_value(), self.scopes(),
            {
                "access_type": "offline",  # a refresh token, not only an access token
                "prompt": "consent",  # Google gives the refresh token again only when consent is given again
                "login_hint": self.login,
            },
            issuer=ISSUER, no_refresh="remove the app at myaccount.google.com and connect again",
        )  # fmt: skip

    def sign_in(self, name: str, subject: str) -> TokenSource:
        """name: where the hub's token store keeps the tokens. subject: whom a service account acts for."""
        if self.service_account_key:
            return ServiceAccount(name, self.token_url, self.key(), subject, " ".join(self.scopes()))
        secret, refresh = self.client_secret.get_secret_value(), self.refresh_token.get_secret_value()
        return OAuthRefresh(name, self.token_url, self.client_id, secret, refresh)

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
