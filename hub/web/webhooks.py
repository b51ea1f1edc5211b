"""Webhooks out: who is told of what, how that goes, and what is sent again."""

import asyncio
from typing import Any

from starlette.responses import Response

from hub.access import Invalid
from hub.api import ConfigError
from hub.service import hooks
from hub.web.page import Ask, act, show
from hub.web.words import url_of

_PAGE = 25


def endpoints(ask: Ask) -> Response:
    return _endpoints(ask)


def _endpoints(ask: Ask, problem: Exception | None = None, made: dict[str, Any] | None = None) -> Response:
    return ask.page(
        "webhooks.html", title="Webhooks", status=422 if problem else 200, problem=problem, made=made,
        endpoints=hooks.endpoints(ask.desk), groups=_groups(hooks.event_types(ask.desk)),
    )  # fmt: skip


def _groups(types: dict[str, str]) -> dict[str, str]:
    """Resource -> what may become of it, of the types there are."""
    found: dict[str, list[str]] = {}
    for name in types:
        _, resource, action, _ = name.split(".")
        found.setdefault(resource, []).append(action)
    return {resource: ", ".join(actions) for resource, actions in found.items()}


def add(ask: Ask) -> Response:
    """The answer is the page itself: the secret is shown once, and belongs into no address and no cookie."""
    events = [f"{resource}.*" for resource in ask.form_all("resource")]
    try:
        made = hooks.add(ask.desk, ask.form("url"), events, ask.form("description"), is_own=bool(ask.form("own")))
    except (ConfigError, Invalid) as exc:
        return _endpoints(ask, exc)
    return _endpoints(ask, made=made)


def endpoint(ask: Ask) -> Response:
    return _endpoint(ask)


def _endpoint(ask: Ask, **more: Any) -> Response:
    public_id, state = ask.path["endpoint"], ask.query("state")
    found = hooks.endpoint(ask.desk, public_id)
    states = (state,) if state in found["deliveries"] else ()
    rows = hooks.deliveries(ask.desk, public_id, states, ask.cursor(), _PAGE + 1)
    after = url_of(f"/webhooks/{public_id}", state=state, before=rows[_PAGE - 1]["cursor"]) if len(rows) > _PAGE else ""
    values = {"tried": None, "secret": "", "problem": None, **more}
    return ask.page(
        "webhook.html", title=f"Webhook {found['description'] or public_id}", endpoint=found, rows=rows[:_PAGE], more=after,
        states=list(found["deliveries"]), state=state, **values,
    )  # fmt: skip


async def change(ask: Ask) -> Response:
    """One of: pause, resume, rotate, test, remove, resend, replay."""
    what, public_id = ask.form("act"), ask.path["endpoint"]
    if what == "test":
        tried = await hooks.test(ask.desk, public_id)
        return await asyncio.to_thread(_endpoint, ask, tried=tried)
    return await asyncio.to_thread(_change, ask, what, public_id)


def _change(ask: Ask, what: str, public_id: str) -> Response:
    said = ""
    if what == "rotate":
        return _endpoint(ask, secret=hooks.rotate(ask.desk, public_id)["secret"])
    if what == "remove":
        hooks.remove(ask.desk, public_id)
        return ask.back("/webhooks", "The endpoint is gone, with its line and its log.")
    if what == "pause":
        hooks.pause(ask.desk, public_id, f"by {ask.desk.viewer.name}")
        said = "Nothing is sent until it goes on; what happens meanwhile waits in line."
    elif what == "resume":
        hooks.resume(ask.desk, public_id)
        said = "It goes on with what is first in line."
    elif what == "resend":
        hooks.resend(ask.desk, public_id, ask.form("event"))
        said = "It is sent again, at its old place in line."
    elif what == "replay":
        after = ask.form("after")
        if not (after.isascii() and after.isdecimal() and len(after) < 16):
            fix = "a whole number: the sequence of the last event that is not to be sent"
            return _endpoint(ask, problem=Invalid(f"is {after!r}", field="after", fix=fix))
        told = hooks.replay(ask.desk, public_id, int(after))["events"]
        said = f"{told} {'event is' if told == 1 else 'events are'} sent again."
    else:
        return _endpoint(ask, problem=Invalid(f"is {what!r}", field="act", fix="use the buttons of the page"))
    return ask.back(f"/webhooks/{public_id}", said)


routes = [
    show("/webhooks", endpoints),
    act("/webhooks", add, proof=True),
    show("/webhooks/{endpoint}", endpoint),
    act("/webhooks/{endpoint}", change, proof=True),
]
