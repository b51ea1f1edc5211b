"""The calls this connector makes: WebDAV methods over the hub's own HTTP client, and what refusals mean.

Source: RFC 4918, RFC 4791, RFC 6578, RFC 6638; how servers differ from them: README.md, "What servers do".
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hub.api import (
    Clock,
    Conflict,
    ContractBroken,
    CursorExpired,
    Gone,
    Http,
    HubError,
    RateLimited,
    Response,
    ScopeError,
    retry_after,
)
from hub_caldav import xml
from hub_caldav.xml import Multistatus, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

READ, WRITE = "DAV:read", "DAV:write"
XML_BODY = {"content-type": "application/xml; charset=utf-8"}
# What servers answer to a sync token they no longer know, or to sync-collection they only claim to support.
SYNC_REFUSED = {400, 403, 405, 409, 412, 415, 422, 501, 507}


def explain(response: Response, clock: Clock) -> HubError | None:
    """CalDAV's own refusals. The DAV condition counts, not the status: servers differ in that."""
    conditions = xml.conditions(response.body)
    if tag("d:valid-sync-token") in conditions:
        return CursorExpired("the server no longer knows the sync token")
    if tag("d:number-of-matches-within-limits") in conditions:
        return CursorExpired("the answer would be larger than the server gives")
    if tag("d:supported-report") in conditions:
        return ContractBroken("the server does not offer this report")
    if tag("d:need-privileges") in conditions:
        return ScopeError("the account has not the right to do this on the calendar")
    if response.status in {412, 423}:
        return Conflict("the object changed at the server in the meantime")
    if response.status in {429, 503} and (response.status == 429 or "retry-after" in response.headers):
        return RateLimited("the server asks to slow down", retry_after_s=retry_after(response, clock))
    return None


@dataclass(frozen=True)
class Object:
    """One calendar object resource: its address, its bytes (None where they were not given) and their version.

    status: 200 with bytes, 404 not there, another where the server refused it; 0 where it said nothing.
    """

    href: str
    body: bytes | None
    etag: str = ""
    status: int = 200


class Dav:
    """Calls of one account."""

    def __init__(self, http: Http, batch_size: int) -> None:
        self.http = http
        self.batch_size = batch_size

    async def propfind(self, url: str, depth: int, *names: str) -> Multistatus:
        """Properties of `url`, or of where the server sends us on the same host."""
        headers = {**XML_BODY, "depth": str(depth)}
        answer = await self.http.request("PROPFIND", url, content=xml.propfind(*names), headers=headers, safe=True)
        return xml.multistatus(answer.body)

    async def report(self, url: str, body: bytes, depth: int = 1) -> Multistatus:
        headers = {**XML_BODY, "depth": str(depth)}
        answer = await self.http.request("REPORT", url, content=body, headers=headers, safe=True)
        return xml.multistatus(answer.body)

    async def listing(self, calendar: str) -> dict[str, str]:
        """Address -> etag of everything in the calendar."""
        found = await self.propfind(calendar, 1, "d:getetag", "d:resourcetype", "d:getcontenttype")
        collection = tag("d:collection")
        listed = {}
        for node in found.nodes:
            if node.href.rstrip("/") == calendar.rstrip("/") or collection in node.names("d:resourcetype"):
                continue
            if node.status in {0, 200} and "component=vtodo" not in node.text("d:getcontenttype").lower():
                listed[node.href] = node.text("d:getetag")
        return listed

    async def changes(self, calendar: str, token: str) -> tuple[list[str], list[str], str, bool]:
        """(changed, deleted, next token, whether more follows) since `token`. Raises CursorExpired."""
        try:
            answer = await self.report(calendar, xml.sync_collection(token), 0)
        except (ScopeError, RateLimited, CursorExpired):
            raise
        except HubError as exc:
            if exc.status in SYNC_REFUSED:
                raise CursorExpired(f"sync-collection was refused (HTTP {exc.status})") from exc
            raise
        if not answer.sync_token:
            raise ContractBroken("sync-collection answered without a sync-token")
        changed, deleted, is_more = [], [], False
        for node in answer.nodes:
            if node.href.rstrip("/") == calendar.rstrip("/"):
                is_more = is_more or node.status == 507
            elif node.href.endswith("/"):
                continue
            elif node.status in {404, 410}:
                deleted.append(node.href)
            else:
                changed.append(node.href)
        return changed, deleted, answer.sync_token, is_more

    async def read(self, calendar: str, hrefs: "Sequence[str]") -> list[Object]:
        """These objects, in order, as many at a time as the server is asked for at once."""
        found: list[Object] = []
        for start in range(0, len(hrefs), self.batch_size):
            found += await self._read(calendar, hrefs[start : start + self.batch_size])
        return found

    async def _read(self, calendar: str, hrefs: "Sequence[str]") -> list[Object]:
        try:
            answer = await self.report(calendar, xml.multiget(hrefs))
        except Gone:
            return [Object(href, None, status=404) for href in hrefs]
        except ContractBroken as exc:
            if exc.status is not None:
                raise
            # One object with a character XML does not allow spoils the answer for all: read them one by one.
            return [await self.get(href) for href in hrefs]
        given = {o.href: o for node in answer.nodes if (o := _object(node))}
        return [given.get(href) or Object(href, None, status=0) for href in hrefs]

    async def query(self, calendar: str, span: dict[str, str]) -> tuple[list[Object], bool]:
        """(events that overlap the span, whether the server left some out)."""
        try:
            answer = await self.report(calendar, xml.calendar_query(span))
        except CursorExpired:
            return [], True
        is_cut = any(n.status == 507 for n in answer.nodes)
        return [o for n in answer.nodes if (o := _object(n)) and o.body is not None], is_cut

    async def get(self, href: str) -> Object:
        try:
            answer = await self.http.request("GET", href)
        except Gone:
            return Object(href, None, status=404)
        if not answer.body.lstrip()[:15].upper().startswith(b"BEGIN:VCALENDAR"):
            raise ContractBroken(f"expected a calendar object, got {answer.headers.get('content-type', 'no type')}")
        return Object(href, crlf(answer.body), answer.headers.get("etag", ""))

    async def put(self, href: str, body: bytes, etag: str = "") -> str:
        """Create (no etag) or replace exactly that version; the new etag, "" where the server rewrote the object.

        Raises Conflict when it exists already, or is another version.
        """
        condition = {"if-match": etag} if etag else {"if-none-match": "*"}
        headers = {"content-type": "text/calendar; charset=utf-8", "schedule-reply": "F", **condition}
        answer = await self.http.request("PUT", href, content=body, headers=headers)
        return str(answer.headers.get("etag", ""))

    async def delete(self, href: str, etag: str = "") -> None:
        """Raises Gone when it is not there, Conflict when it is another version."""
        headers = {"schedule-reply": "F", **({"if-match": etag} if etag else {})}
        await self.http.request("DELETE", href, headers=headers)


def _object(node: xml.Node) -> Object | None:
    """The object a response tells of; None for the collection itself."""
    if node.href.endswith("/"):
        return None
    data = node.props.get(tag("c:calendar-data"))
    if data is not None and (data.text or "").strip():
        return Object(node.href, crlf((data.text or "").encode()), node.text("d:getetag"))
    status = node.status or node.refused.get(tag("c:calendar-data"), 0)
    return Object(node.href, None, status=status)


def crlf(body: bytes) -> bytes:
    """With iCalendar's line ends: XML loses them, so that the same object would differ from one reading to the next."""
    return body.replace(b"\r\n", b"\n").strip(b"\n").replace(b"\n", b"\r\n") + b"\r\n"


def utc_stamp(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%SZ")
