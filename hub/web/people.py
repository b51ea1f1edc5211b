"""People and their ways in: one's own account, everybody's accounts for who manages them, and the ledger."""

from starlette.responses import Response

from hub.access import Invalid, SignInRefused, roles
from hub.service import people
from hub.web.page import Ask, act, show
from hub.web.words import url_of

_PAGE = 50
_DAYS = ("7", "30", "90", "180", "365")


# --- my account -------------------------------------------------------------------------------------------------------


def mine(ask: Ask) -> Response:
    return _mine(ask)


def _mine(ask: Ask, problem: Exception | None = None, made: dict[str, object] | None = None) -> Response:
    assert ask.visit is not None
    found = people.myself(ask.desk)
    return ask.page(
        "account.html", title="My account", status=422 if problem else 200, problem=problem, made=made, days=_DAYS,
        this_session=ask.visit.session.id, roles=roles.ROLES, **found,
    )  # fmt: skip


def change_password(ask: Ask) -> Response:
    if ask.form("new") != ask.form("again"):
        return _mine(ask, Invalid("differ", field="the two new passwords", fix="type the same one twice"))
    try:
        ask.cookie = ask.house.door.change_password(ask.cookie, ask.form("old"), ask.form("new"), address=ask.address)
    except Invalid as exc:
        return _mine(ask, exc)
    except SignInRefused:
        return _mine(ask, Invalid("is not the one you have", field="old password", fix="type it again"))
    return ask.back("/account", "Your password is changed; you are signed out everywhere else.")


def make_token(ask: Ask) -> Response:
    """The answer is the page itself: a token is shown once, and belongs into no address and no cookie."""
    try:
        days = int(ask.form("days")) if ask.form("days") in _DAYS else 90
        return _mine(ask, made=people.make_token(ask.desk, ask.form("name"), ask.form_all("scope"), days))
    except Invalid as exc:
        return _mine(ask, exc)


def revoke_token(ask: Ask) -> Response:
    people.revoke_token(ask.desk, ask.form("token"))
    return ask.back(ask.form("then", "/account"), "The token is worth nothing from now on.")


def end_session(ask: Ask) -> Response:
    one = ask.form("session")
    ended = people.end_sessions(ask.desk, only=one, but="" if one else ask.cookie)
    return ask.back("/account", f"Signed out of {ended} other {'place' if ended == 1 else 'places'}.")


# --- everybody --------------------------------------------------------------------------------------------------------


def everybody(ask: Ask) -> Response:
    return _everybody(ask)


def _everybody(ask: Ask, problem: Exception | None = None, made: dict[str, object] | None = None) -> Response:
    return ask.page(
        "people.html", title="People", status=422 if problem else 200, problem=problem, made=made, roles=roles.ROLES,
        accounts=people.listing(ask.desk),
    )  # fmt: skip


def add(ask: Ask) -> Response:
    try:
        return _everybody(ask, made=people.add(ask.desk, ask.form("email"), ask.form("name"), ask.form_all("role")))
    except Invalid as exc:
        return _everybody(ask, exc)


def person(ask: Ask) -> Response:
    return _person(ask)


def _person(ask: Ask, problem: Exception | None = None, made: dict[str, object] | None = None) -> Response:
    found = people.person(ask.desk, ask.path["public_id"])
    return ask.page(
        "person.html", title=found["account"]["name"], status=422 if problem else 200, problem=problem, made=made,
        roles=roles.ROLES, **found,
    )  # fmt: skip


def change(ask: Ask) -> Response:
    """One of: code, roles, disable, enable, end-sessions."""
    public_id, what = ask.path["public_id"], ask.form("act")
    said = ""
    try:
        if what == "code":
            return _person(ask, made=people.code(ask.desk, public_id))
        if what == "roles":
            found = people.set_roles(ask.desk, public_id, ask.form_all("role"))
            said = f"{found['email']} is {', '.join(found['roles'])} from now on."
        elif what in {"disable", "enable"}:
            found = people.enable(ask.desk, public_id, what == "enable")
            said = f"{found['email']} is {what}d."
        elif what == "end-sessions":
            said = f"{people.end_sessions(ask.desk, public_id)} sessions ended."
        else:
            raise Invalid(f"is {what!r}", field="act", fix="use the buttons of the page")
    except Invalid as exc:
        return _person(ask, exc)
    return ask.back(f"/people/{public_id}", said)


# --- the ledger -------------------------------------------------------------------------------------------------------


def ledger(ask: Ask) -> Response:
    found = people.events(ask.desk, _PAGE + 1, ask.cursor())
    more = url_of("/ledger", before=found[_PAGE - 1]["id"]) if len(found) > _PAGE else ""
    return ask.page("ledger.html", title="Ledger", events=found[:_PAGE], more=more)


routes = [
    show("/account", mine),
    act("/account/password", change_password),
    act("/account/tokens", make_token, proof=True),
    act("/account/tokens/revoke", revoke_token),
    act("/account/sessions", end_session),
    show("/people", everybody),
    act("/people", add, proof=True),
    show("/people/{public_id}", person),
    act("/people/{public_id}", change, proof=True),
    show("/ledger", ledger),
]
