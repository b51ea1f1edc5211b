"""messages.list: which messages there are, newest first, by a search that holds window and settings."""

from collections.abc import AsyncIterator
from math import ceil, floor
from typing import Any
from urllib.parse import urlencode

from hub.api import ContractBroken, Http, Window
from hub_gmail.settings import GmailSettings
from hub_gmail.wire import LISTING, Listing, read

LIST_SIZE = 500  # the most messages.list and history.list give at once


def search(settings: GmailSettings, window: Window) -> str:
    """The window and the settings as Gmail search text; after: and before: take epoch seconds."""
    words = ["-in:chats", "-in:drafts"]
    if window.since:
        words.append(f"after:{floor(window.since.timestamp())}")
    if window.until:
        words.append(f"before:{ceil(window.until.timestamp())}")
    if settings.query:
        words.append(grouped(settings.query))
    return " ".join(words)


def grouped(query: str) -> str:
    """In parentheses where alternatives would otherwise take in the words around them."""
    return f"({query})" if " OR " in query or "|" in query else query


async def list_page(http: Http, settings: GmailSettings, q: str, page: str) -> Listing:
    params: dict[str, Any] = {"maxResults": LIST_SIZE, "q": q}
    if settings.include_spam_trash:
        params["includeSpamTrash"] = "true"
    if page:
        params["pageToken"] = page
    listing = await read(http, "messages", LISTING, cost="messages.list", params=params)
    if not page and not listing.messages and listing.resultSizeEstimate is None:
        raise ContractBroken("messages.list answered without messages and without a count")
    return listing


async def list_ids(http: Http, settings: GmailSettings, q: str) -> AsyncIterator[list[str]]:
    """All ids that match `q`, page by page."""
    turns, page = Turns(""), ""
    while True:
        listing = await list_page(http, settings, q, page)
        yield [m.id for m in listing.messages]
        page = turns.next(listing.nextPageToken)
        if not page:
            return


class Turns:
    """Notices a vendor that turns in circles: no page token may come twice."""

    def __init__(self, first: str) -> None:
        self._seen = {first}

    def next(self, token: str) -> str:
        if token and token in self._seen:
            raise ContractBroken("the vendor gave the same page token twice: stopped before a loop")
        self._seen.add(token)
        return token


def path_of(name: str, **params: Any) -> str:
    """A path with its query, as it stands in a batch part."""
    given = {k: str(v).lower() if isinstance(v, bool) else v for k, v in params.items()}
    return f"{name}?{urlencode(given)}"
