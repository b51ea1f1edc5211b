"""Ways to sign in, as token sources: fixed tokens, OAuth refresh tokens, Google service accounts.

A token source is asked for a token before each call and told when the vendor refused one. Refreshing happens
under a lease, so that fifty calls meeting a 401 cause one refresh; a new refresh token is stored before
the access token is used; one left out of the answer keeps the old one.
"""

import base64
import json
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from hub.api.errors import AuthError, ContractBroken, Transient

if TYPE_CHECKING:
    import httpx

    from hub.api.http import Services


class TokenStore(Protocol):
    """Where tokens outlive a process. `get`/`put` hold small JSON objects, encrypted at rest by the hub."""

    def get(self, name: str) -> dict[str, Any] | None: ...
    def put(self, name: str, value: dict[str, Any]) -> None: ...
    def lease(self, name: str) -> AbstractAsyncContextManager[None]:
        """Held by one caller at a time, across processes."""
        ...


class TokenSource(Protocol):
    async def token(self, services: "Services", client: "httpx.AsyncClient") -> str:
        """A bearer token believed to be valid. Raises AuthError when only a person can help."""
        ...

    async def refused(self, token: str, services: "Services", client: "httpx.AsyncClient") -> bool:
        """The vendor answered 401 to `token`. True when a fresh one can be had: try again, once."""
        ...


class StaticToken:
    """A token that does not change: a service key, a private app's or static app's token."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, services: "Services", client: "httpx.AsyncClient") -> str:
        return self._token

    async def refused(self, token: str, services: "Services", client: "httpx.AsyncClient") -> bool:
        return False


class _Refreshing:
    """Shared part of sources that trade something for short-lived access tokens."""

    early = timedelta(seconds=90)

    def __init__(self, name: str, token_url: str) -> None:
        self.name = name
        self.token_url = token_url

    def _form(self, stored: dict[str, Any], services: "Services") -> dict[str, str]:
        raise NotImplementedError

    async def token(self, services: "Services", client: "httpx.AsyncClient") -> str:
        return await self._fresh(services, client, unlike=None)

    async def refused(self, token: str, services: "Services", client: "httpx.AsyncClient") -> bool:
        return await self._fresh(services, client, unlike=token) != token

    async def _fresh(self, services: "Services", client: "httpx.AsyncClient", unlike: str | None) -> str:
        stored = services.tokens.get(self.name) or {}
        if good := self._usable(stored, services, unlike):
            return good
        async with services.tokens.lease(self.name):
            stored = services.tokens.get(self.name) or {}
            if good := self._usable(stored, services, unlike):
                return good
            answer = await self._trade(self._form(stored, services), client)
            expires = services.clock.now() + timedelta(seconds=float(answer.get("expires_in") or 3600))
            kept = {
                "access_token": answer["access_token"],
                "expires_at": expires.timestamp(),
                "refresh_token": answer.get("refresh_token") or stored.get("refresh_token"),
                "scope": answer.get("scope") or stored.get("scope"),
            }
            services.tokens.put(self.name, {k: v for k, v in kept.items() if v is not None})
            return str(answer["access_token"])

    def _usable(self, stored: dict[str, Any], services: "Services", unlike: str | None) -> str | None:
        token = stored.get("access_token")
        if not token or token == unlike:
            return None
        if stored.get("expires_at", 0) < (services.clock.now() + self.early).timestamp():
            return None
        return str(token)

    async def _trade(self, form: dict[str, str], client: "httpx.AsyncClient") -> dict[str, Any]:
        import httpx

        try:
            response = await client.post(self.token_url, data=form)
        except httpx.HTTPError as exc:
            raise Transient(f"the token endpoint could not be reached: {type(exc).__name__}") from exc
        if response.status_code >= 500 or response.status_code == 429:
            raise Transient("the token endpoint is unavailable", status=response.status_code)
        try:
            answer = response.json()
        except ValueError as exc:
            raise Transient("the token endpoint did not answer with JSON", status=response.status_code) from exc
        if response.status_code >= 400 or not isinstance(answer, dict) or "access_token" not in answer:
            cause = answer.get("error") if isinstance(answer, dict) else None
            if response.status_code < 400:
                raise ContractBroken("the token endpoint answered without an access_token")
            raise AuthError(
                f"sign-in was refused ({cause or 'no reason given'}): connect the account again",
                status=response.status_code,
            )
        return answer


class OAuthRefresh(_Refreshing):
    """OAuth 2.0 refresh-token grant. `refresh_token` is the first one; rotated ones live in the token store."""

    def __init__(self, name: str, token_url: str, client_id: str, client_secret: str, refresh_token: str) -> None:
        super().__init__(name, token_url)
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token

    def _form(self, stored: dict[str, Any], services: "Services") -> dict[str, str]:
        refresh = stored.get("refresh_token") or self._refresh_token
        if not refresh:
            raise AuthError("no refresh token: connect the account first")
        form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": self._client_id}
        if self._client_secret:
            form["client_secret"] = self._client_secret
        return form


class ServiceAccount(_Refreshing):
    """Google service account with domain-wide delegation: a signed JWT per impersonated mailbox.

    key: the JSON key file's content (`client_email`, `private_key`); subject: the mailbox to act for.
    """

    def __init__(self, name: str, token_url: str, key: dict[str, str], subject: str, scopes: str) -> None:
        super().__init__(name, token_url)
        self._key = key
        self._subject = subject
        self._scopes = scopes

    def _form(self, stored: dict[str, Any], services: "Services") -> dict[str, str]:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        issued = int(services.clock.now().timestamp())
        claims = {
            "iss": self._key["client_email"],
            "sub": self._subject,
            "scope": self._scopes,
            "aud": self.token_url,
            "iat": issued,
            "exp": issued + 3600,
        }
        head = {"alg": "RS256", "typ": "JWT"}
        signed = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
        private = serialization.load_pem_private_key(self._key["private_key"].encode(), password=None)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise AuthError("the service account's private_key is not an RSA key")
        signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": f"{signed}.{_b64(signature)}",
        }


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
