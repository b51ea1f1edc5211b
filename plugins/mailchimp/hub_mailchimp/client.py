"""Calls to one account: where its data centre is, few connections at a time, pages of rows.

Source: Mailchimp Marketing API 3.0, "Fundamentals" and "Access data on behalf of other users with OAuth 2".
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from hub.api import AuthError, ContractBroken, Http, HttpProfile, Response, StaticToken

if TYPE_CHECKING:
    from hub.api import Connector
    from hub_mailchimp.settings import MailchimpSettings

Row = dict[str, Any]
PLACE = "mailchimp-data-centre"
_API_HOST = re.compile(r"[a-z]{2}[0-9]{1,3}\.api\.mailchimp\.com")


class Client:
    """Everything goes through `request`: it waits for a free connection, and finds the data centre first."""

    def __init__(self, connector: "Connector[MailchimpSettings]") -> None:
        self._connector = connector
        self.settings = connector.settings
        self.clock = connector.services.clock
        self._gate = asyncio.Semaphore(self.settings.connections)
        self._is_home = bool(self.settings.api_url())
        self._finding = asyncio.Lock()

    async def request(self, method: str, path: str, **kwargs: Any) -> Response:
        """As `Http.request`, relative to the account's API. A PATCH names values: twice is the same as once."""
        await self._find_home()
        if method == "PATCH":
            kwargs.setdefault("safe", True)
        async with self._gate:
            return await self._connector.http.request(method, path, **kwargs)

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
        if self._is_home:
            return
        async with self._finding:
            if self._is_home:
                return
            c, tokens = self._connector, self._connector.services.tokens
            endpoint = (tokens.get(PLACE) or {}).get("api_endpoint")
            if not endpoint:
                endpoint = await self._metadata()
                tokens.put(PLACE, {"api_endpoint": endpoint})
            await c.http.aclose()
            token = StaticToken(self.settings.oauth_token.get_secret_value())
            profile = HttpProfile(
                base_url=f"{endpoint.rstrip('/')}/3.0/", token=token, explain=c.http.profile.explain,
                attempts=c.http.profile.attempts, deadline_s=c.http.profile.deadline_s,
            )  # fmt: skip
            c.http = Http(profile, c.manifest, c.services, c.budgets())
            self._is_home = True

    async def _metadata(self) -> str:
        """The account's API address. A dead token answers 200 too, without `api_endpoint`.

        The address comes from outside and the token goes there: only Mailchimp's own hosts are taken.
        """
        answer = (await self._connector.http.request("GET", "oauth2/metadata")).json()
        endpoint = answer.get("api_endpoint") if isinstance(answer, dict) else None
        if not endpoint or not isinstance(endpoint, str):
            raise AuthError("the OAuth token is no longer accepted: connect the account again")
        url, login = httpx.URL(endpoint), httpx.URL(self.settings.login_url)
        is_stand_in = url.host == login.host and login.host in {"127.0.0.1", "localhost"}
        if not is_stand_in and not (_API_HOST.fullmatch(url.host) and url.scheme == "https"):
            raise ContractBroken(f"the token's metadata names {url.host!r}, which is not an API host of Mailchimp")
        return endpoint


def profile_of(settings: "MailchimpSettings", **more: Any) -> HttpProfile:
    """How to call before anything is known: the API with a key, the metadata address with a token."""
    base, headers = settings.api_url(), dict[str, str]()
    if key := settings.api_key.get_secret_value():
        headers["authorization"] = f"Basic {base64.b64encode(f'hub:{key}'.encode()).decode()}"  # any user name will do
        return HttpProfile(base_url=base, headers=headers, **more)
    token = settings.oauth_token.get_secret_value()
    if base:
        return HttpProfile(base_url=base, token=StaticToken(token), **more)
    return HttpProfile(base_url=settings.login_url, headers={"authorization": f"OAuth {token}"}, **more)


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
