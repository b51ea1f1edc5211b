"""Calls to one account: where its data centre is, pages of rows.

Source: Mailchimp Marketing API 3.0, "Fundamentals" and "Access data on behalf of other users with OAuth 2".
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from hub.api import AuthError, ContractBroken, HttpProfile, Response

if TYPE_CHECKING:
    from hub.api import Connector
    from hub_mailchimp.settings import MailchimpSettings

Row = dict[str, Any]
PLACE = "mailchimp-data-centre"


class Client:
    """Everything goes through `request`: it finds the data centre first."""

    def __init__(self, connector: "Connector[MailchimpSettings]") -> None:
        self._connector = connector
        self.settings = connector.settings
        self.clock = connector.services.clock
        self._home = self.settings.api_url()
        self._finding = asyncio.Lock()

    async def request(self, method: str, path: str, **kwargs: Any) -> Response:
        """As `Http.request`, relative to the account's API. A PATCH names values: twice is the same as once."""
        await self._find_home()
        if method == "PATCH":
            kwargs.setdefault("safe", True)
        return await self._connector.http.request(method, f"{self._home}{path}", **kwargs)

    async def get(self, path: str, **params: Any) -> Row:
        """One object. Raises ContractBroken when the answer is anything else, and what `Http.request` raises."""
        answer = (await self.request("GET", path, params=params)).json()
        if not isinstance(answer, dict):
            raise ContractBroken(f"{path} did not answer with an object")
        return answer

    async def rows(self, path: str, key: str, **params: Any) -> tuple[list[Any], int]:
        """One page of a collection: its rows, and how many there are in all."""
        answer = await self.get(path, **params)
        found, total = answer.get(key), answer.get("total_items")
        if not isinstance(found, list) or not isinstance(total, int):
            raise ContractBroken(f"{path} answered without {key} or total_items")
        return found, total

    async def all_rows(self, path: str, key: str, **params: Any) -> AsyncIterator[list[Any]]:
        """Page after page, by offset, to the end."""
        offset = 0
        while True:
            found, total = await self.rows(path, key, count=self.settings.page_size, offset=offset, **params)
            yield found
            offset += len(found)
            if not found or offset >= total:
                return

    async def audiences(self) -> list[Row]:
        """The audiences the settings allow, oldest first."""
        params = {"sort_field": "date_created", "sort_dir": "ASC", "exclude_fields": "_links,lists._links"}
        found: list[Row] = []
        async for part in self.all_rows("lists", "lists", include_total_contacts="true", **params):
            found += part
        wanted = self.settings.audiences
        return [row for row in found if not wanted or row.get("id") in wanted]

    async def audience_ids(self) -> list[str]:
        """Those the settings name, without asking; else all there are."""
        return list(self.settings.audiences) or [str(row["id"]) for row in await self.audiences()]

    # Where the account is

    async def _find_home(self) -> None:
        """With an OAuth token the data centre is asked for, once: it is kept in the token store."""
        if self._home:
            return
        async with self._finding:
            tokens = self._connector.services.tokens
            endpoint = (tokens.get(PLACE) or {}).get("api_endpoint")
            if not endpoint:
                endpoint = await self._metadata()
                tokens.put(PLACE, {"api_endpoint": endpoint})
            self._home = f"{endpoint.rstrip('/')}/3.0/"

    async def _metadata(self) -> str:
        """The account's API address. A dead token answers 200 too, without `api_endpoint`.

        The address comes from outside and the token goes there: one that may not be called is not kept either.
        """
        headers = {"authorization": f"OAuth {self.settings.oauth_token.get_secret_value()}"}
        answer = (await self._connector.http.request("GET", "oauth2/metadata", headers=headers)).json()
        endpoint = answer.get("api_endpoint") if isinstance(answer, dict) else None
        if not endpoint or not isinstance(endpoint, str):
            raise AuthError("the OAuth token is no longer accepted: connect the account again")
        url, login = httpx.URL(endpoint), httpx.URL(self.settings.login_url)
        is_stand_in = url.host == login.host and login.host in {"127.0.0.1", "localhost"}
        if not is_stand_in and not (self._connector.manifest.allows(url.host) and url.scheme == "https"):
            raise ContractBroken(f"the token's metadata names {endpoint!r}, which is no API address of Mailchimp")
        return endpoint


def profile_of(settings: "MailchimpSettings", **more: Any) -> HttpProfile:
    """How to call: with a key by Basic, where any user name will do, else with the token."""
    key, token = settings.api_key.get_secret_value(), settings.oauth_token.get_secret_value()
    sign_in = f"Basic {base64.b64encode(f'hub:{key}'.encode()).decode()}" if key else f"Bearer {token}"
    return HttpProfile(
        base_url=settings.api_url() or settings.login_url, headers={"authorization": sign_in},
        connections=settings.connections, **more,
    )  # fmt: skip


def text(row: Mapping[str, Any], name: str) -> str:
    """A text field; Mailchimp leaves fields out, or gives "" or null, where there is nothing."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def named_by(value: Any) -> str:
    """A name for something that came without one: it is set aside under it, and the rest goes on."""
    return f"unreadable-{hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:16]}"


def fields(*names: str) -> str:
    return ",".join(names)


__all__ = ["PLACE", "Client", "Row", "fields", "named_by", "profile_of", "text"]
