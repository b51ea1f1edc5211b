"""OAuth at Zendesk: the client-credentials grant, and refresh tokens that rotate.

Source: Zendesk "OAuth tokens for grant types". A token is handed out even for a scope that does not exist and then
meets 403 everywhere: `check` compares what was granted with what was asked for.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hub.api import OAuthRefresh

if TYPE_CHECKING:
    from hub.api import Services

ACCESS_S = 2 * 3600
REFRESH_S = 90 * 86_400


class ClientCredentials(OAuthRefresh):
    """A confidential client signs in as itself: no refresh token, nobody has to click again."""

    def __init__(self, name: str, token_url: str, client_id: str, client_secret: str, scopes: Sequence[str]) -> None:
        super().__init__(name, token_url, client_id, client_secret, "")
        self._form_of_grant = {
            "grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret,
            "scope": " ".join(scopes), "expires_in": str(ACCESS_S),
        }  # fmt: skip

    def _form(self, stored: dict[str, Any], services: "Services") -> dict[str, str]:
        return dict(self._form_of_grant)


class Rotating(OAuthRefresh):
    """The refresh grant. Each refresh kills the old pair; without `refresh_token_expires_in` the new one dies in 30 days."""

    def _form(self, stored: dict[str, Any], services: "Services") -> dict[str, str]:
        lives = {"expires_in": str(ACCESS_S), "refresh_token_expires_in": str(REFRESH_S)}
        return {**super()._form(stored, services), **lives}
