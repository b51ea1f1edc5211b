"""Coming in and going out: passwords, one-time codes, the first account, providers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from hub.access import Door, Invalid, SignInRefused, accounts
from hub.access.oidc import Oidc, Provider
from hub.access.signing import SignedIn, inside
from hub.api import Services
from hub.engine import Engine
from hub.service import NotFound
from hub.web.page import Ask, act, show

if TYPE_CHECKING:
    from hub.settings.model import SignInProvider


def providers(engine: Engine, door: Door, services: Services | None = None) -> dict[str, Oidc]:
    """Ways to sign in through somebody else, as the settings name them."""
    given: Mapping[str, SignInProvider] = engine.settings.sign_in.providers
    return {name: Oidc(door, _provider(name, p), services) for name, p in given.items()}


def _provider(name: str, p: "SignInProvider") -> Provider:
    values = p.model_dump(exclude={"title", "client_secret"})
    return Provider(name=name, title=p.title or name, client_secret=p.client_secret.get_secret_value(), **values)


def sign_in(ask: Ask) -> Response:
    if ask.viewer is not None:
        return ask.back(inside(ask.query("next", "/")))
    return _form(ask, ask.query("next", "/"))


def try_sign_in(ask: Ask) -> Response:
    try:
        found = ask.house.door.sign_in(
            ask.form("email"), ask.form("password"), address=ask.address, agent=ask.agent, cookie=ask.cookie
        )
    except SignInRefused as exc:
        return _form(ask, ask.form("next", "/"), exc)
    return _come_in(ask, found, ask.form("next", "/"))


def _form(ask: Ask, then: str, problem: Exception | None = None) -> Response:
    ways = [w.provider for w in ask.house.providers.values()]
    return ask.page(
        "sign_in.html", title="Sign in", status=401 if problem else 200, problem=problem, then=inside(then), ways=ways,
        email=ask.form("email"), is_first=_is_first(ask),
    )  # fmt: skip


def _is_first(ask: Ask) -> bool:
    with ask.house.engine.store.read() as c:
        return not accounts.has_any(c)


def code(ask: Ask) -> Response:
    """Where a one-time code is typed; the very first one makes the first account."""
    return _code_form(ask)


def try_code(ask: Ask) -> Response:
    door, typed, password = ask.house.door, ask.form("code"), ask.form("password")
    if password != ask.form("again"):
        fix = "type the same password twice"
        return _code_form(ask, Invalid("differ", field="the two passwords", fix=fix))
    try:
        if _is_first(ask):
            found = door.set_up(
                typed,
                ask.form("email"),
                ask.form("name"),
                password,
                address=ask.address,
                agent=ask.agent,
                cookie=ask.cookie,
            )
        else:
            found = door.with_code(typed, password, address=ask.address, agent=ask.agent, cookie=ask.cookie)
    except Invalid as exc:
        return _code_form(ask, exc)
    return _come_in(ask, found, "/", "Welcome. Your password is set.")


def _code_form(ask: Ask, problem: Invalid | None = None) -> Response:
    first = _is_first(ask)
    return ask.page(
        "code.html", title="Set up the first account" if first else "Use a code", status=422 if problem else 200,
        problem=problem, is_first=first, email=ask.form("email"), name=ask.form("name"), code=ask.form("code") or ask.query("code"),
    )  # fmt: skip


async def start_with(ask: Ask) -> Response:
    """Off to a provider. A link and no form: pages may post to nobody but us, and the state belongs to this browser alone."""
    way = _way(ask)
    is_proof = ask.viewer is not None
    try:
        return RedirectResponse(
            await way.start(ask.cookie, _redirect_uri(ask, way), inside(ask.query("next", "/")), is_proof=is_proof), 303
        )
    except SignInRefused as exc:
        return _form(ask, ask.query("next", "/"), exc)


async def finish_with(ask: Ask) -> Response:
    """Back from a provider."""
    way = _way(ask)
    try:
        found, then = await way.finish(ask.cookie, dict(ask.request.query_params), address=ask.address, agent=ask.agent)
    except SignInRefused as exc:
        if ask.viewer is not None:
            return ask.refused(exc)
        return _form(ask, "/", exc)
    return _come_in(ask, found, then)


def _way(ask: Ask) -> Oidc:
    found = ask.house.providers.get(ask.path["provider"])
    if found is None:
        raise NotFound("there is no such way to sign in")
    return found


def _redirect_uri(ask: Ask, way: Oidc) -> str:
    return f"{ask.house.base(ask.request)}/sign-in/with/{way.provider.name}/back"


def _come_in(ask: Ask, found: SignedIn, then: str, said: str = "") -> Response:
    ask.cookie = found.cookie
    return ask.back(then, said)


def sign_out(ask: Ask) -> Response:
    ask.house.door.sign_out(ask.cookie, address=ask.address)
    ask.cookie = ""
    return RedirectResponse(f"/sign-in?{urlencode({'bye': '1'})}", 303)


routes = [
    show("/sign-in", sign_in, is_open=True),
    act("/sign-in", try_sign_in, is_open=True),
    show("/sign-in/code", code, is_open=True),
    act("/sign-in/code", try_code, is_open=True),
    show("/sign-in/with/{provider}", start_with, is_open=True),
    show("/sign-in/with/{provider}/back", finish_with, is_open=True),
    act("/sign-out", sign_out),
]
