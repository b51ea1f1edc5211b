"""Set-up as pages: where one stands, the catalogue, connecting an account, permissions, the capture policy, fields.

hub.toml is never written from here: a page says what belongs there.
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from hub.access import Invalid, ProofNeeded
from hub.api import AuthError, ConfigError, Transient
from hub.service import customers, setup
from hub.web.page import Ask, act, show

Row = dict[str, Any]
STATES = {  # state of a connection: its tone
    "connected": "good", "new": "info", "sign-in": "warn", "incomplete": "warn", "stale": "warn", "again": "bad", "failing": "bad",
    "unknown": "bad", "disconnected": "plain", "off": "plain",
}  # fmt: skip
CARRIES = {
    "interactions": "messages, calls and meetings", "parties": "people and companies", "objects": "deals, tasks and tickets",
    "reference": "who works there",
}  # fmt: skip
DELETES = {
    "confirmed": "told by the tool", "suspected": "asked for one by one", "undetectable": "cannot be known",
}  # fmt: skip
WRITES = {
    "person": "people", "organization": "companies", "interaction": "interactions", "task": "tasks", "consent": "opt-outs",
}  # fmt: skip
WHY = {
    "choice": "a person chose it", "owner": "the owner says so", "emptied by its owner": "its owner emptied it",
    "precedence": "first in the order of precedence", "newest": "the newest", "nobody says": "nobody has a value",
}  # fmt: skip
_MOST_TEXT = 64_000
_FOUND = 12


def overview(ask: Ask) -> Response:
    return ask.page("setup.html", title="Set-up", found=setup.overview(ask.desk), tones=STATES)


def catalogue(ask: Ask) -> Response:
    return ask.page(
        "catalogue.html", title="Connectors", rows=setup.catalogue(ask.desk), kind=ask.query("channel"), writes=WRITES
    )


def connector(ask: Ask) -> Response:
    found = setup.connector(ask.desk, ask.path["name"])
    return ask.page(
        "catalogue_entry.html", title=found["title"], found=found, carries=CARRIES, deletes=DELETES, writes=WRITES,
        back_to=_back_to(ask, found["name"]),
    )  # fmt: skip


# --- one connection -------------------------------------------------------------------------------------------------


def connection(ask: Ask) -> Response:
    return _connection(ask)


def _connection(ask: Ask, problem: Exception | None = None, checked: Row | None = None, status: int = 200) -> Response:
    found = setup.connection(ask.desk, ask.path["name"])
    return ask.page(
        "connect.html", title=found["connection"], status=status, found=found, tones=STATES, problem=problem, checked=checked,
        back_to=_back_to(ask, found["connector"]), is_fresh=_is_fresh(ask),
    )  # fmt: skip


def prove(ask: Ask) -> Response:
    """Whoever gets here has proved to be it: the form for keys is open for ten minutes."""
    return ask.back(f"/setup/connections/{ask.path['name']}#keys")


def _is_fresh(ask: Ask) -> bool:
    return ask.visit is not None and ask.visit.session.is_fresh(ask.desk.now)


def begin(ask: Ask) -> Response:
    """A page with a link, for a form of ours may be answered by nobody else."""
    name = ask.path["name"]
    try:
        connector = setup.connection(ask.desk, name)["connector"]
        asked = setup.begin(ask.desk, name, _back_to(ask, connector), ask.cookie)
    except ConfigError as exc:
        return _connection(ask, exc, status=409)
    return ask.page("connect_go.html", title=f"Sign in at {asked['title']}", name=name, asked=asked)


async def connected(ask: Ask) -> Response:
    """Back from the vendor."""
    try:
        arrived_at = _back_to(ask, ask.path["connector"])
        found = await setup.finish(ask.desk, dict(ask.request.query_params), ask.cookie, arrived_at)
    except (AuthError, ConfigError) as exc:
        return ask.page("connect_failed.html", title="Not connected", status=409, problem=exc)
    return ask.back(f"/setup/connections/{found['connection']}", _said("Signed in.", found))


async def keep_keys(ask: Ask) -> Response:
    """Asked for a proof before the form and not after it, for the page that asks brings a form's fields back: here, keys."""
    if not _is_fresh(ask):
        raise ProofNeeded("you signed in more than ten minutes ago: go back, prove that it is you, and type it again")
    given = {
        k.removeprefix("key."): v.strip() for k, v in ask.fields("csrf", "proof") if k.startswith("key.") and v.strip()
    }
    try:
        found = await setup.keep_keys(ask.desk, ask.path["name"], given)
    except (Invalid, ConfigError) as exc:
        return _connection(ask, exc, status=422 if isinstance(exc, Invalid) else 409)
    return ask.back(f"/setup/connections/{found['connection']}", _said("Kept, encrypted.", found))


async def check(ask: Ask) -> Response:
    return _connection(ask, checked=await setup.check(ask.desk, ask.path["name"]))


async def let_go(ask: Ask) -> Response:
    try:
        found = await setup.let_go(ask.desk, ask.path["name"])
    except Transient as exc:  # somebody is at work on it
        return _connection(ask, exc, status=409)
    problem = f" The tool was not told ({found['problem']}): end the access there by hand." if found["problem"] else ""
    return ask.back(
        f"/setup/connections/{found['connection']}", f"Disconnected. Its secrets are gone from here.{problem}"
    )


def _said(done: str, found: Mapping[str, Any]) -> str:
    if found.get("awaits_sign_in"):
        return f"{done} Now sign in."
    if found["error"]:
        return f"{done} But it does not work yet: {found['error']}"
    short = [p for p in found["permissions"] if not p["is_granted"] and p["is_required"]]
    if short:
        return f"{done} Something is missing there: see the permissions below."
    return f"{done} It works{', as ' + found['label'] if found['label'] else ''}: reading begins by itself."


def _back_to(ask: Ask, connector: str) -> str:
    """Where the vendor sends the browser back to: an address for each vendor, so that none can answer for another."""
    return f"{ask.house.base(ask.request)}/setup/connected/{connector}"


# --- what it may do, what is captured, whose fields count -----------------------------------------------------------


def permissions(ask: Ask) -> Response:
    return ask.page("matrix.html", title="Permissions", found=setup.permissions(ask.desk), tones=STATES)


def policy(ask: Ask) -> Response:
    found = setup.policy(ask.desk)
    return ask.page("policy.html", title="Capture policy", found=found, text=found["toml"], **_trial())


def try_policy(ask: Ask) -> Response:
    text, each = ask.form("policy"), ask.form("each", str(setup.EACH[0]))
    given: Row = {"text": text, "each": each, "tried": None, "problem": None}
    try:
        if len(text) > _MOST_TEXT:
            raise Invalid("is too long", field="the text", fix=f"at most {_MOST_TEXT:,} characters")
        given["tried"] = setup.trial(ask.desk, text, int(each) if each.isdecimal() else 0)
    except Invalid as exc:
        given["problem"] = exc
    status = 422 if given["problem"] else 200
    return ask.page(
        "policy.html", title="Capture policy", status=status, found=setup.policy(ask.desk), **_trial(**given)
    )


def _trial(**given: Any) -> Row:
    return {"each": str(setup.EACH[0]), "tried": None, "problem": None, "sizes": setup.EACH, **given}


def mapping(ask: Ask) -> Response:
    """Rules; beside them one customer's values, or who is meant; the fields that wait for a choice only when asked for."""
    text = ask.query("customer")
    found = customers.search(ask.desk, text, _FOUND) if text else []
    one = found[0] if len(found) == 1 else None
    return ask.page(
        "mapping.html", title="Fields", rules=setup.fields(ask.desk), customer=text, found=found, why=WHY, writes=WRITES,
        values=setup.mapping(ask.desk, one["public_id"]) if one else None,
        conflicts=setup.conflicts(ask.desk) if ask.query("conflicts") else None,
    )  # fmt: skip


_ONE = "/setup/connections/{name}"
routes = [
    show("/setup", overview),
    show("/setup/catalogue", catalogue),
    show("/setup/catalogue/{name}", connector),
    show(_ONE, connection),
    act(f"{_ONE}/connect", begin, proof=True),
    show("/setup/connected/{connector}", connected),
    act(f"{_ONE}/prove", prove, proof=True),
    act(f"{_ONE}/keys", keep_keys),
    act(f"{_ONE}/check", check),
    act(f"{_ONE}/disconnect", let_go, proof=True),
    show("/setup/permissions", permissions),
    show("/setup/policy", policy),
    act("/setup/policy", try_policy),
    show("/setup/mapping", mapping),
]
