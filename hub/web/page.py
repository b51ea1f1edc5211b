"""One request for a page: who asks, what they typed, and the page they get.

`show` makes a route that answers GET, `act` one that takes a form. Who is not signed in is sent to sign in first; a form is taken
only from a page of the same session (a token in the form, and the Origin that the browser names).
"""

import inspect
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hub.access import Door, Invalid, SignInRefused, Viewer, Visit
from hub.access.oidc import Oidc
from hub.access.signing import inside
from hub.engine import Engine
from hub.service import Desk, NotFound
from hub.service.refusals import REFUSALS, status_of
from hub.web import words

MOST_BYTES, MOST_FIELDS = 1 << 20, 5000
_WEEK = 7 * 24 * 3600
_SAID, _LONGEST_SAID = "said", 1000
Handler = Callable[["Ask"], Response | Awaitable[Response]]


@dataclass(frozen=True)
class House:
    """What all requests share. providers: ways to sign in besides a password, by name."""

    engine: Engine
    door: Door
    public_url: str = ""
    providers: Mapping[str, Oidc] = field(default_factory=dict)

    def base(self, request: Request) -> str:
        """Scheme and host under which the browser knows us."""
        return self.public_url or f"{request.url.scheme}://{request.url.netloc}"


class Ask:
    """cookie: the session's id, as the browser brought it or as it is from now on; given back with the answer if it changed."""

    def __init__(self, request: Request, house: House, visit: Visit | None, cookie: str) -> None:
        self.request = request
        self.house = house
        self.visit = visit
        self.cookie = cookie
        self.path: Mapping[str, Any] = request.path_params
        self._brought = cookie
        self._fields: list[tuple[str, str]] = []
        self._is_said = False

    # --- who asks ---------------------------------------------------------------------------------------------------

    @property
    def viewer(self) -> Viewer | None:
        return self.visit.viewer if self.visit else None

    @property
    def desk(self) -> Desk:
        """Raises SignInRefused for a stranger; a page made with `show` has none."""
        if (viewer := self.viewer) is None:
            raise SignInRefused("sign in first")
        return Desk(self.house.engine, viewer)

    def may(self, permission: str) -> bool:
        viewer = self.viewer
        return viewer is not None and viewer.may(permission)

    @property
    def address(self) -> str:
        return self.request.client.host if self.request.client else ""

    @property
    def agent(self) -> str:
        return self.request.headers.get("user-agent", "")

    @property
    def is_secure(self) -> bool:
        return self.house.base(self.request).startswith("https:")

    # --- what they typed --------------------------------------------------------------------------------------------

    def number(self, name: str) -> int:
        """A number in the path. Raises NotFound for one no database holds."""
        found = int(self.path[name])
        if not 0 <= found < 2**53:
            raise NotFound(f"there is no {name} {found}")
        return found

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default).strip() or default

    def cursor(self, name: str = "before") -> int | None:
        """Where a page of a list begins; None for the first, and for what no list gave."""
        found = self.query(name)
        return int(found) if found.isascii() and found.isdecimal() and len(found) <= 15 else None

    def query_all(self, name: str) -> list[str]:
        return [v for v in self.request.query_params.getlist(name) if v]

    def form(self, name: str, default: str = "") -> str:
        """Text of a field as typed, with line ends as "\\n"."""
        found = next((v for k, v in self._fields if k == name), default)
        return found.replace("\r\n", "\n")

    def form_all(self, name: str) -> list[str]:
        return [v for k, v in self._fields if k == name and v]

    # --- what they get ----------------------------------------------------------------------------------------------

    def page(self, template: str, *, title: str, status: int = 200, **values: Any) -> Response:
        """The template with `values` and what every page knows; one block of it alone if the header `hub-part` names it."""
        found = words.ENVIRONMENT.get_template(template)
        said, self._is_said = self._said(), True
        known = {
            "ask": self, "title": title, "csrf": self.visit.session.csrf if self.visit else "", "viewer": self.viewer,
            "now": self.house.engine.clock.now(), "zone": self.house.engine.settings.hub.zone, "may": self.may,
            "just_said": said, "base": self.house.base(self.request), **values,
        }  # fmt: skip
        part = self.request.headers.get("hub-part", "")
        with words.scene(known["zone"], known["now"]):
            text = (
                "".join(found.blocks[part](found.new_context(known))) if part in found.blocks else found.render(known)
            )
        return Response(text, status, media_type="text/html")

    def back(self, path: str, said: str = "") -> Response:
        """On to a page of ours, which shows `said` once."""
        answer = RedirectResponse(inside(path), 303)
        if said:
            kept = urlsafe_b64encode(said[:_LONGEST_SAID].encode()).decode()
            answer.set_cookie(_SAID, kept, max_age=60, secure=self.is_secure, httponly=True, samesite="lax")
            self._is_said = False
        return answer

    def file(self, body: bytes, name: str, media_type: str) -> Response:
        return Response(body, 200, {"content-disposition": f'attachment; filename="{name}"'}, media_type)

    def refused(self, exc: Exception) -> Response:
        """The error page of one of ours."""
        return self.page("problem.html", title="That did not work", status=status_of(exc), problem=exc)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _said(self) -> str:
        try:
            return urlsafe_b64decode(self.request.cookies.get(_SAID, "")).decode()[:_LONGEST_SAID]
        except ValueError:
            return ""

    async def read_form(self) -> None:
        """Raises Invalid for what is no form, or too much of one."""
        body = bytearray()
        async for part in self.request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise Invalid("is too large", field="form", fix=f"at most {MOST_BYTES >> 10} kB")
        try:
            typed = body.decode().replace("%00", "").replace("\0", "")
            self._fields = parse_qsl(typed, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        except ValueError as exc:
            raise Invalid("cannot be read", field="form", fix="load the page again") from exc

    def fields(self, *but: str) -> list[tuple[str, str]]:
        return [(k, v) for k, v in self._fields if k not in but]

    def is_ours(self) -> bool:
        """Whether the form comes from a page of this session."""
        origin = self.request.headers.get("origin")
        site = self.request.headers.get("sec-fetch-site", "same-origin")
        if (origin is not None and origin != _origin(self.house.base(self.request))) or site not in {
            "same-origin",
            "none",
        }:
            return False
        return self.visit is not None and self.visit.session.has_csrf(self.form("csrf"))

    def dressed(self, answer: Response) -> Response:
        """The answer with the cookies that changed."""
        if self._is_said and _SAID in self.request.cookies:
            answer.delete_cookie(_SAID, secure=self.is_secure, httponly=True, samesite="lax")
        if self.cookie != self._brought:
            name = cookie_name(self.is_secure)
            if self.cookie:
                answer.set_cookie(
                    name, self.cookie, max_age=_WEEK, secure=self.is_secure, httponly=True, samesite="lax", path="/"
                )
            else:
                answer.delete_cookie(name, secure=self.is_secure, httponly=True, samesite="lax")
        return answer


def cookie_name(is_secure: bool) -> str:
    """With the prefix browsers hold to be ours alone, where there is TLS."""
    return "__Host-hub" if is_secure else "hub"


def show(path: str, handler: Handler, *, is_open: bool = False) -> Route:
    """A page. is_open: to whoever comes; then there is a session all the same, for its forms."""

    async def endpoint(request: Request) -> Response:
        ask = await _asked(request)
        if ask.viewer is None and not is_open:
            target = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
            return RedirectResponse(f"/sign-in?{urlencode({'next': target})}" if target != "/" else "/sign-in", 303)
        if ask.visit is None:
            ask.cookie = await run_in_threadpool(ask.house.door.stranger, ask.address, ask.agent)
            ask.visit = await run_in_threadpool(ask.house.door.visit, ask.cookie)
        return ask.dressed(await _answered(handler, ask))

    return Route(path, endpoint, methods=["GET"])


def act(path: str, handler: Handler, *, is_open: bool = False, proof: bool = False) -> Route:
    """What a form does. proof: only by somebody who signed in, or proved to be it, within ten minutes."""

    async def endpoint(request: Request) -> Response:
        ask = await _asked(request)
        if ask.viewer is None and not is_open:
            return RedirectResponse("/sign-in", 303)
        try:
            await ask.read_form()
        except Invalid as exc:
            return ask.refused(exc)
        if not ask.is_ours():
            return ask.page("stale.html", title="Load the page again", status=403)
        if proof and (asked := await run_in_threadpool(_proof, ask)):
            return ask.dressed(asked)
        return ask.dressed(await _answered(handler, ask))

    return Route(path, endpoint, methods=["POST"])


async def nowhere(request: Request, _: Exception) -> Response:
    """No such page, for whoever is signed in and whoever is not."""
    ask = await _asked(request)
    found = ask.page("problem.html", title="No such page", status=404, problem=NotFound("there is no such page"))
    return ask.dressed(found)


async def _asked(request: Request) -> Ask:
    house: House = request.app.state.house
    _without_nul(request)
    is_secure = house.base(request).startswith("https:")
    cookie = request.cookies.get(cookie_name(is_secure), "")
    visit = await run_in_threadpool(house.door.visit, cookie) if cookie else None
    return Ask(request, house, visit, cookie)


def _without_nul(request: Request) -> None:
    """No database takes a NUL, and nobody means one: it is dropped wherever it was typed."""
    scope = request.scope
    scope["path_params"] = {
        k: v.replace("\0", "") if isinstance(v, str) else v for k, v in scope.get("path_params", {}).items()
    }
    if b"%00" in scope["query_string"]:
        scope["query_string"] = scope["query_string"].replace(b"%00", b"")


async def _answered(handler: Handler, ask: Ask) -> Response:
    try:
        if inspect.iscoroutinefunction(handler):
            found: Response = await handler(ask)
            return found
        return await run_in_threadpool(handler, ask)  # type: ignore[arg-type]
    except REFUSALS as exc:
        return await run_in_threadpool(ask.refused, exc)


def _proof(ask: Ask) -> Response | None:
    """None when the person proved lately, or does so with this form, to be it; else the page that asks."""
    assert ask.visit is not None
    if ask.visit.session.is_fresh(ask.house.engine.clock.now()):
        return None
    problem: SignInRefused | None = None
    if typed := ask.form("proof"):
        try:
            ask.cookie = ask.house.door.prove(ask.cookie, typed, address=ask.address)
            ask.visit = ask.house.door.visit(ask.cookie)
            return None
        except SignInRefused as exc:
            problem = exc
    account = ask.visit.account if ask.visit else None
    ways = () if account and account.has_password else ask.house.providers.values()
    came_from = urlsplit(ask.request.headers.get("referer", ""))
    return ask.page(
        "proof.html", title="Is it still you?", status=403, problem=problem, kept=ask.fields("csrf", "proof"),
        ways=[w.provider for w in ways], came_from=inside(came_from.path or "/"),
    )  # fmt: skip


def _origin(base: str) -> str:
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}"
