"""A stand-in for a CalDAV server: one account, its calendars, over real HTTP on loopback.

Written from RFC 4791, 6578, 6638 and what two servers (Radicale 3.9, Xandikos 0.4) were seen to answer; `style` picks
whose hand it writes: namespaces, tokens, the status of a refused token. "plain" knows no sync-collection at all. It
shares no code with the connector.
"""

import base64
import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator
from hub_caldav.emulator.answers import document, element, q, refused, response
from hub_caldav.emulator.control import COMMANDS
from hub_caldav.emulator.store import Calendar, Object, crlf, split, uid_of
from hub_caldav.emulator.times import holds_events, instant, overlaps

METHODS = ["OPTIONS", "GET", "HEAD", "PUT", "DELETE", "PROPFIND", "REPORT"]
ALLOW = ", ".join(METHODS)
REPORTS = ("calendar-multiget", "calendar-query", "sync-collection")
PRIVILEGES = {"read": ("read",), "write": ("write", "write-content", "bind", "unbind")}
# How each server refuses a sync token it does not know (both seen): the body is the same DAV error.
BAD_TOKEN = {"radicale": 403, "xandikos": 412}


def _spelled(path: str) -> str:
    """The spelling addresses are kept in here, whichever a request used."""
    return quote(unquote(path), safe="/!$&'()*+,;=:@~-._")


class Refused(Exception):
    """An answer other than success. condition: the element inside the DAV error body."""

    def __init__(self, status: int, condition: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.status, self.condition, self.headers = status, condition, dict(headers or {})


class CalDavEmulator(Emulator):
    """now: the clock. per_minute: calls let in per minute, None for no limit. most_changes: a sync-collection page.

    rewrites: PUT stores the object with a property of the server's own and gives no ETag, as servers that rewrite do.
    """

    name = "caldav"

    def __init__(
        self, now: Callable[[], datetime] = lambda: datetime.now(UTC), seed: int = 1, style: str = "radicale",
        user: str = "anna", password: str = "pass-of-anna",  # noqa: S107 - a made-up account's
    ) -> None:  # fmt: skip
        super().__init__(seed)
        self.now = now
        self.style = style
        self.user, self.password = user, password
        self.address = f"{user}@example.com"
        self.calendars: dict[str, Calendar] = {}
        self.per_minute: int | None = None
        self.most_changes: int | None = None
        self.most_matches: int | None = None
        self.rewrites = False
        self.is_revoked = False
        self.refusals = 0
        self.refreshes = 0
        self.tokens: set[str] = set()
        self.refresh_token = "refresh-of-anna"  # noqa: S105 - a made-up account's
        self._minute = (0, 0)
        self.add_calendar("work", "Work")

    # What people do

    def add_calendar(self, name: str, title: str = "", components: Sequence[str] = ("VEVENT",)) -> Calendar:
        made = self.calendars[name] = Calendar(name, title or name, tuple(components))
        return made

    def put(self, text: str, name: str = "", calendar: str = "work") -> str:
        """Store an object, as another calendar program would; its href."""
        name = _spelled(
            name or f"{uid_of(text).replace('/', '_') or hashlib.sha256(text.encode()).hexdigest()[:20]}.ics"
        )
        with self.lock:
            self.calendars[calendar].put(name, crlf(text))
        return self.href(calendar, name)

    def remove(self, href: str) -> None:
        with self.lock:
            calendar, name = self._parts(href)
            self.calendars[calendar].remove(name)

    def load(self, path: str | Path, calendar: str = "work", is_whole: bool = False) -> list[str]:
        """Objects out of an .ics file, or every .ics file of a folder; hrefs.

        Each UID becomes an object. is_whole: objects the files do not name are removed, so that a feed's next state
        replaces its last. A file without a UID stays whole, as one object.
        """
        given = Path(path)
        files = sorted(given.rglob("*.ics")) if given.is_dir() else [given]
        hrefs = []
        for file in files:
            text = file.read_bytes().decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
            hrefs += [self.put(part, calendar=calendar) for part in split(text).values() or [text]]
        if is_whole:
            with self.lock:
                kept = {self._parts(h)[1] for h in hrefs}
                for name in [n for n in self.calendars[calendar].objects if n not in kept]:
                    self.calendars[calendar].remove(name)
        return hrefs

    def forget_tokens(self) -> None:
        """Every sync token given out so far is unknown from now on."""
        for calendar in self.calendars.values():
            calendar.note("")  # the next token is another one even where nothing changed
            calendar.forgotten = calendar.revision - 1

    def state(self) -> dict[str, Any]:
        return {c.name: {o.name: o.etag for o in c.objects.values()} for c in self.calendars.values()}

    def control(self, command: str, args: dict[str, Any]) -> Any:
        return COMMANDS[command](self, args)

    # Addresses: Radicale keeps calendars below the user, Xandikos below a collection of their own.

    @property
    def principal(self) -> str:
        return f"/{self.user}/"

    @property
    def home(self) -> str:
        return f"/{self.user}/calendars/" if self.style == "xandikos" else self.principal

    def href(self, calendar: str, name: str = "") -> str:
        return f"{self.home}{calendar}/{name}"

    def _parts(self, href: str) -> tuple[str, str]:
        """(calendar, object name) of a path; raises KeyError for paths that are neither."""
        rest = href.removeprefix(self.home)
        calendar, _, name = rest.partition("/")
        if rest == href or calendar not in self.calendars:
            raise KeyError(href)
        return calendar, name

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/token", self._token, methods=["POST"]),
            Route("/.well-known/caldav", self._well_known, methods=METHODS),
            Route("/{path:path}", self._guarded(self._answer), methods=METHODS),
        ]

    async def _well_known(self, request: Request) -> Response:
        return Response(status_code=301, headers={"location": "/"})

    async def _token(self, request: Request) -> Response:
        """OAuth's refresh grant, for servers that take no password."""
        form = {k: v[-1] for k, v in parse_qs((await request.body()).decode()).items()}
        with self.lock:
            if self.is_revoked or form.get("refresh_token") != self.refresh_token:
                return JSONResponse({"error": "invalid_grant"}, 400)
            self.refreshes += 1
            token = f"access-{self.refreshes}-of-{self.user}"
            self.tokens.add(token)
            return JSONResponse({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _guarded(self, answer: Callable[[Request, str, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            raw = await request.body()
            path = _spelled(request.scope["raw_path"].decode().partition("?")[0])
            with self.lock:
                try:
                    self._let_in(request)
                    return answer(request, path, raw)
                except Refused as no:
                    body = self._xml(element("d:error", element(no.condition))) if no.condition else b""
                    kind = {"content-type": "application/xml; charset=utf-8"} if body else {}
                    return Response(body, no.status, {**no.headers, **kind})

        return handle

    def _let_in(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        is_known = given in self.tokens if scheme == "Bearer" else scheme == "Basic" and given == pair
        if self.is_revoked or not is_known:
            raise Refused(401, headers={"www-authenticate": 'Basic realm="CalDAV", charset="UTF-8"'})
        if self.faults.args("quota") is not None:
            tomorrow = (self.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            raise Refused(503, headers={"retry-after": f"{tomorrow:%a, %d %b %Y %H:%M:%S} GMT"})
        seconds = math.floor(self.now().timestamp())
        used = self._minute[1] + 1 if self._minute[0] == seconds // 60 else 1
        if self.per_minute is not None and used > self.per_minute:
            self.refusals += 1
            raise Refused(429, headers={"retry-after": str(60 - seconds % 60)})
        self._minute = (seconds // 60, used)

    def _may(self, calendar: Calendar, privilege: str) -> None:
        if privilege not in self._privileges(calendar):
            raise Refused(403, "d:need-privileges")

    def _privileges(self, calendar: Calendar) -> list[str]:
        denied = (self.faults.args("deny_scope") or {}).get("scope", "")
        lost = PRIVILEGES.get(denied.removeprefix("DAV:"), ())
        return [p for p in calendar.privileges if p not in lost]

    def _xml(self, root: ET.Element) -> bytes:
        return document(self.style, root)

    def _multistatus(self, *children: ET.Element) -> Response:
        body = self._xml(element("d:multistatus", *children))
        return Response(body, 207, media_type="application/xml")

    # Methods

    def _answer(self, request: Request, path: str, raw: bytes) -> Response:
        method = request.method
        if method == "OPTIONS":
            return Response(b"", 200, {"allow": ALLOW, "dav": "1, 2, 3, calendar-access, addressbook"})
        if method == "PROPFIND":
            return self._propfind(path, self._root(raw, "propfind"), request.headers.get("depth", "infinity"))
        if method == "REPORT" and path in {"/", self.principal, self.home}:
            raise Refused(403, "d:supported-report")
        try:
            name, object_name = self._parts(path)
        except KeyError:
            raise Refused(404) from None
        calendar = self.calendars[name]
        if method == "REPORT":
            return self._report(calendar, self._root(raw, ""))
        if not object_name:
            raise Refused(405)
        if method in {"GET", "HEAD"}:
            self._may(calendar, "read")
            found = self._shown(calendar).get(object_name)
            if found is None:
                raise Refused(404)
            text = "" if method == "HEAD" else self._given(found)
            return Response(text, 200, {"etag": f'"{found.etag}"'}, "text/calendar; charset=utf-8")
        return self._put(calendar, object_name, request, raw) if method == "PUT" else self._delete(
            calendar, object_name, request
        )  # fmt: skip

    def _root(self, raw: bytes, name: str) -> ET.Element:
        try:
            root = ET.fromstring(raw)  # noqa: S314 - a test's own request
        except ET.ParseError:
            raise Refused(400) from None
        if name and root.tag != q(f"d:{name}"):
            raise Refused(400)
        return root

    def _conditions(self, calendar: Calendar, name: str, request: Request) -> Object | None:
        held = calendar.objects.get(name)
        is_match, no_match = request.headers.get("if-match"), request.headers.get("if-none-match")
        if no_match == "*" and held is not None:
            raise Refused(412)
        if is_match is not None and (held is None or is_match not in {"*", f'"{held.etag}"'}):
            raise Refused(412)
        return held

    def _put(self, calendar: Calendar, name: str, request: Request, raw: bytes) -> Response:
        self._may(calendar, "write")
        held = self._conditions(calendar, name, request)
        try:
            text = crlf(raw.decode())
        except UnicodeDecodeError:
            raise Refused(403, "c:valid-calendar-data") from None
        uid = uid_of(text)
        if not uid or not text.startswith("BEGIN:VCALENDAR") or not text.rstrip().endswith("END:VCALENDAR"):
            raise Refused(403, "c:valid-calendar-data")
        if "\nMETHOD:" in text:
            raise Refused(403, "c:valid-calendar-object-resource")
        if any(o.name != name and uid_of(o.text) == uid for o in calendar.objects.values()):
            raise Refused(409, "c:no-uid-conflict")
        if self.rewrites:
            text = text.replace("\r\nEND:VEVENT", "\r\nX-SERVER-SEEN:yes\r\nEND:VEVENT", 1)
        stored = calendar.put(name, text)
        headers = {} if self.rewrites else {"etag": f'"{stored.etag}"'}
        return Response(b"", 201 if held is None else 204, headers)

    def _delete(self, calendar: Calendar, name: str, request: Request) -> Response:
        self._may(calendar, "write")
        if name not in calendar.objects:
            raise Refused(404)
        self._conditions(calendar, name, request)
        calendar.remove(name)
        return Response(b"", 204)

    # Properties

    def _propfind(self, path: str, root: ET.Element, depth: str) -> Response:
        if depth not in {"0", "1"}:
            raise Refused(403, "d:propfind-finite-depth")
        prop = root.find(q("d:prop"))
        wanted = [one.tag for one in prop] if prop is not None else []
        children: list[ET.Element] = []
        if path in {"/", self.principal, self.home}:
            children.append(self._described(path, wanted, self._of_collection(path)))
            if path == self.home and depth == "1":
                for calendar in self.calendars.values():
                    if (self.faults.args("vanish") or {}).get("calendar") != calendar.name:
                        href = self.href(calendar.name)
                        children.append(self._described(href, wanted, self._of_calendar(calendar)))
            return self._multistatus(*children)
        try:
            name, object_name = self._parts(path)
        except KeyError:
            raise Refused(404) from None
        calendar = self.calendars[name]
        self._may(calendar, "read")
        shown = self._shown(calendar)
        if object_name:
            if object_name not in shown:
                raise Refused(404)
            return self._multistatus(self._described(path, wanted, self._of_object(shown[object_name])))
        children.append(self._described(self.href(name), wanted, self._of_calendar(calendar)))
        if depth == "1":
            hidden = self._hidden() if self.style == "plain" else set()  # there the listing is what tells of changes
            listed = [o for o in shown.values() if o.name not in hidden]
            children += [self._described(self.href(name, o.name), wanted, self._of_object(o)) for o in listed]
        return self._multistatus(*children)

    def _described(self, href: str, wanted: Sequence[str], known: Mapping[str, ET.Element]) -> ET.Element:
        found = [known[name] for name in wanted if name in known]
        # Xandikos and others write "@" as %40 in addresses, Radicale as it is: both are the same address.
        shown = href.replace("@", "%40") if self.style == "xandikos" else href
        return response(shown, found, [name for name in wanted if name not in known])

    def _of_collection(self, path: str) -> dict[str, ET.Element]:
        return {
            q("d:resourcetype"): element("d:resourcetype", element("d:collection")),
            q("d:displayname"): element("d:displayname", self.user),
            q("d:current-user-principal"): element("d:current-user-principal", element("d:href", self.principal)),
            q("c:calendar-home-set"): element("c:calendar-home-set", element("d:href", self.home)),
            q("c:calendar-user-address-set"): element(
                "c:calendar-user-address-set",
                element("d:href", f"mailto:{self.address}"),
                element("d:href", self.principal),
            ),
        }

    def _of_calendar(self, calendar: Calendar) -> dict[str, ET.Element]:
        rights = [element("d:privilege", element(f"d:{p}")) for p in self._privileges(calendar)]
        known = {
            "d:resourcetype": element("d:resourcetype", element("d:collection"), element("c:calendar")),
            "d:displayname": element("d:displayname", calendar.title),
            "c:supported-calendar-component-set": element(
                "c:supported-calendar-component-set", *(element("c:comp", name=c) for c in calendar.components)
            ),
            "cs:getctag": element("cs:getctag", f'"{calendar.name}-{calendar.revision}"'),
            "d:current-user-privilege-set": element("d:current-user-privilege-set", *rights),
            "d:getetag": element("d:getetag", f'"{calendar.name}-{calendar.revision}"'),
        }
        if self.style != "plain":
            known["d:sync-token"] = element("d:sync-token", self._sync_token(calendar, calendar.revision))
        return {q(name): value for name, value in known.items()}

    def _of_object(self, held: Object) -> dict[str, ET.Element]:
        kind = "vevent" if holds_events(held.text) else "vtodo"
        return {
            q("d:resourcetype"): element("d:resourcetype"),
            q("d:getetag"): element("d:getetag", f'"{held.etag}"'),
            q("d:getcontenttype"): element("d:getcontenttype", f"text/calendar; charset=utf-8; component={kind}"),
        }

    # Reports

    def _shown(self, calendar: Calendar) -> dict[str, Object]:
        vanished = set((self.faults.args("vanish") or {}).get("ids", ()))
        return {n: o for n, o in calendar.objects.items() if self.href(calendar.name, n) not in vanished}

    def _hidden(self) -> set[str]:
        """Names that exist, and that nothing which tells of changes names."""
        return {i.rpartition("/")[2] for i in (self.faults.args("hide") or {}).get("ids", ())}

    def _given(self, held: Object) -> str:
        """The object's text, spoilt where a test asks for it."""
        fault = self.faults.args("poison") or {}
        if not any(i.endswith(f"/{held.name}") for i in fault.get("ids", ())):
            return held.text
        if fault.get("how") == "control":  # XML allows no such character; the whole answer becomes unreadable
            return held.text.replace("SUMMARY:", "SUMMARY:\x0b", 1)
        return held.text.replace("DTSTART", "DTSTART;VALUE=DATE-TIME;X-BAD=1:yesterday\r\nX-WAS", 1)

    def _report(self, calendar: Calendar, root: ET.Element) -> Response:
        self._may(calendar, "read")
        kind = root.tag.partition("}")[2]
        is_known = root.tag in {q("c:calendar-multiget"), q("c:calendar-query"), q("d:sync-collection")}
        if not is_known or (kind == "sync-collection" and self.style == "plain"):
            raise Refused(403, "d:supported-report")
        if kind == "sync-collection":
            return self._sync(calendar, root)
        return self._multiget(calendar, root) if kind == "calendar-multiget" else self._query(calendar, root)

    def _with_data(self, calendar: Calendar, held: Object) -> ET.Element:
        data = element("c:calendar-data", self._given(held))
        return self._described(
            self.href(calendar.name, held.name),
            [q("d:getetag"), q("c:calendar-data")],
            {**self._of_object(held), q("c:calendar-data"): data},
        )

    def _multiget(self, calendar: Calendar, root: ET.Element) -> Response:
        shown, children = self._shown(calendar), []
        for node in root.findall(q("d:href")):
            href = (node.text or "").strip()
            held = shown.get(_spelled(href).rpartition("/")[2])
            children.append(refused(href, 404) if held is None else self._with_data(calendar, held))
        return self._multistatus(*children)

    def _query(self, calendar: Calendar, root: ET.Element) -> Response:
        """calendar-query with a VEVENT filter; without one the request is refused, as iCloud does."""
        inner = root.find(f"{q('c:filter')}/{q('c:comp-filter')}/{q('c:comp-filter')}")
        if inner is None or inner.get("name") != "VEVENT":
            raise Refused(403, "c:supported-filter")
        span = inner.find(q("c:time-range"))
        start, end = (instant(span.get(k)) for k in ("start", "end")) if span is not None else (None, None)
        found = [o for o in self._shown(calendar).values() if holds_events(o.text)]
        if start or end:
            found = [o for o in found if overlaps(o.text, start, end)]
        children = [self._with_data(calendar, o) for o in found]
        if self.most_matches is not None and len(found) > self.most_matches:
            limit = refused(self.href(calendar.name), 507, "d:number-of-matches-within-limits")
            children = [limit, *children[: self.most_matches]]
        return self._multistatus(*children)

    def _sync_token(self, calendar: Calendar, revision: int) -> str:
        digest = hashlib.sha256(f"{calendar.name}/{revision}".encode()).hexdigest()
        return digest[:40] if self.style == "xandikos" else f"http://radicale.org/ns/sync/{digest}"

    def _sync(self, calendar: Calendar, root: ET.Element) -> Response:
        token = (root.findtext(q("d:sync-token")) or "").strip()
        known = {self._sync_token(calendar, n): n for n in range(calendar.forgotten + 1, calendar.revision + 1)}
        if token and (token not in known or self.faults.args("expire_cursor") is not None):
            raise Refused(BAD_TOKEN[self.style], "d:valid-sync-token")
        since = known[token] if token else -1
        shown = self._shown(calendar)
        hidden = self._hidden()
        vanished = set(calendar.objects) - set(shown)
        changes = calendar.since(since) if token else [(calendar.revision, n) for n in shown]
        page, is_cut = changes, False
        if self.most_changes is not None and len(changes) > self.most_changes:
            page, is_cut = changes[: self.most_changes], True
        children = []
        for _, name in page:
            href = self.href(calendar.name, name)
            if not name or name in hidden | vanished:
                continue
            if name in shown:
                children.append(self._described(href, [q("d:getetag")], self._of_object(shown[name])))
            else:
                children.append(refused(href, 404))
        if is_cut:
            children.append(refused(self.href(calendar.name), 507, "d:number-of-matches-within-limits"))
        reached = page[-1][0] if is_cut else calendar.revision
        next_token = element("d:sync-token", self._sync_token(calendar, reached))
        # Radicale gives the token first, Xandikos last.
        return self._multistatus(*([*children, next_token] if self.style == "xandikos" else [next_token, *children]))
