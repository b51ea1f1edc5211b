"""Customers: found, the four answers, one timeline, and why each entry of it is there."""

from base64 import b64encode
from datetime import date, datetime
from hashlib import sha256
from typing import Any, get_args

from starlette.responses import Response

from hub.access import Invalid
from hub.access.roles import BODIES_READ
from hub.api import Channel, Direction, Kind
from hub.api.canonical import Purpose
from hub.identity.showing import MEANS, text_of
from hub.service import customers
from hub.web.entries import days, outside, parties, reason, shown
from hub.web.page import Ask, show

PAGE, FOUND, MESSAGES = 30, 40, 20  # entries of a page, customers found, messages found
PEOPLE = 12  # of an organization, before they are folded
CONVERSATION = 60
FILTERS = ("channel", "kind", "direction", "purpose", "tool", "person", "since")
DIRECTIONS = {"inbound": "from the customer", "outbound": "to the customer", "internal": "among your people"}

# The text stands in a frame of its own, in which nothing runs and nothing is fetched. No stylesheet of ours can be either: the
# frame has no origin. So its few rules come with it, named in the policy by their hash.
STYLE = (
    ":root{color-scheme:light dark}body{margin:.75rem;font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "p{margin:0;white-space:pre-wrap}details{margin-top:1rem}summary{cursor:pointer;font-weight:600}"
    "details p{margin-top:.5rem;opacity:.85}"
)
_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"


def find(ask: Ask) -> Response:
    """What was asked for, or who was in touch last."""
    text, within = ask.query("q"), ask.query("in")
    if not text:
        return ask.page("find.html", title="Customers", text="", **_common(ask), **customers.recent(ask.desk, PEOPLE))
    found = [] if within else customers.search(ask.desk, text, FOUND)
    messages: dict[str, Any] = {"entries": [], "next": None}
    if ask.may(BODIES_READ):
        messages = customers.search_text(
            ask.desk, text, limit=MESSAGES, before=ask.query("before") or None, party=within or None
        )
    return ask.page(
        "found.html", title=f"Search: {text}", text=text, within=_named(ask, within), messages=messages, **_common(ask),
        people=[p for p in found if p["kind"] != "organization"], is_cut=len(found) == FOUND,
        organizations=[p for p in found if p["kind"] == "organization"],
    )  # fmt: skip


def customer(ask: Ask) -> Response:
    party, mark = str(ask.path["public_id"]), ask.query("before")
    asked = {name: value for name in FILTERS if (value := ask.query(name))}
    page = customers.timeline(
        ask.desk, party, limit=PAGE, before=mark or None, channel=asked.get("channel"), kind=asked.get("kind"),
        direction=asked.get("direction"), purpose=asked.get("purpose"), connection=asked.get("tool"),
        person=asked.get("person"), since=_since(ask, asked.get("since", "")),
    )  # fmt: skip
    common = {"party": page["party"], "asked": asked, "mark": mark, **_common(ask)}
    if ask.request.headers.get("hub-part") == "entries":  # the next ones, for a page that is there
        return ask.page("customer.html", title="", **common, **_blocks(ask, page, customers.gaps(ask.desk), asked))
    told = customers.brief(ask.desk, party)
    people = customers.members(ask.desk, party) if page["party"]["kind"] == "organization" else []
    fresh = {s["connection"]: s["as_of"] for s in told["sources"]}
    choices = _choices(ask, told, people, asked)
    return ask.page(
        "customer.html", title=page["party"]["name"] or party, **common, told=told, people=people, fresh=fresh,
        choices=choices, chips=_chips(asked, choices), first=PEOPLE,
        last=shown(told["last"], _zone(ask)) if told["last"] else None,
        **_blocks(ask, page, told["coverage"]["gaps"], asked),
    )  # fmt: skip


def entry(ask: Ask) -> Response:
    found = customers.entry(ask.desk, str(ask.path["public_id"]))
    return ask.page(
        "entry.html", title=found["subject"] or f"{found['kind'].capitalize()} without a subject", means=MEANS, reason=reason,
        text_of=text_of, e=shown(found, _zone(ask)), parties=parties(found), **_common(ask),
    )  # fmt: skip


def conversation(ask: Ask) -> Response:
    interaction, after = str(ask.path["public_id"]), ask.query("after")
    rows = customers.conversation(ask.desk, interaction, limit=CONVERSATION + 1, after=after)
    entries = [shown(e, _zone(ask)) for e in rows[:CONVERSATION]]
    return ask.page(
        "conversation.html", title=next((e["subject"] for e in entries if e["subject"]), "Conversation"), entries=entries,
        interaction=interaction, after=after, behind=entries[-1]["public_id"] if len(rows) > CONVERSATION else "", **_common(ask),
    )  # fmt: skip


def text(ask: Ask) -> Response:
    """The words alone, as text: for a frame in which nothing runs and nothing is fetched."""
    found = customers.body(ask.desk, str(ask.path["public_id"]))
    answer = ask.page("text.html", title="Text", style=STYLE, **found)
    answer.headers["content-security-policy"] = POLICY
    answer.headers["x-frame-options"] = "SAMEORIGIN"
    return answer


# --- inside -----------------------------------------------------------------------------------------------------------


def _common(ask: Ask) -> dict[str, Any]:
    return {"reads": ask.may(BODIES_READ), "directions": DIRECTIONS, "outside": outside}


def _zone(ask: Ask) -> Any:
    return ask.house.engine.settings.hub.zone


def _since(ask: Ask, typed: str) -> datetime | None:
    if not typed:
        return None
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        raise Invalid("is no date", field="since", fix="like 2026-03-12") from None
    return datetime(day.year, day.month, day.day, tzinfo=_zone(ask))


def _blocks(ask: Ask, page: dict[str, Any], gaps: list[dict[str, Any]], asked: dict[str, str]) -> dict[str, Any]:
    drawn = [g for g in gaps if asked.get("tool") in (None, g["connection"])]
    engine, more = ask.house.engine, page["next"]
    return {
        "blocks": days(page["entries"], drawn, engine.clock.now(), _zone(ask), ask.query("before"), bool(more)),
        "next": more,
    }


def _choices(
    ask: Ask, told: dict[str, Any], people: list[dict[str, Any]], asked: dict[str, str]
) -> dict[str, dict[str, str]]:  # fmt: skip
    """What can be chosen for each filter: value -> words. What is asked for now is always among it."""
    ours = {p["public_id"]: p["name"] for p in told["relationship"]["people"]}
    found = {
        "channel": {c: c.replace("_", " ") for c in get_args(Channel) if c in told["relationship"]["by_channel"]},
        "kind": {k: k.replace("_", " ") for k in get_args(Kind)},
        "direction": {d: DIRECTIONS[d] for d in get_args(Direction)},
        "purpose": {p: p.replace("_", " ") for p in get_args(Purpose)},
        "tool": {s["connection"]: s["connection"] for s in told["sources"]},
        "person": {**{p["public_id"]: p["name"] or p["public_id"] for p in people}, **ours},
    }  # fmt: skip
    for name, value in asked.items():
        if name in found and value not in found[name]:
            found[name][value] = _named(ask, value)["name"] if name == "person" else value
    return found


def _chips(asked: dict[str, str], choices: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """What is asked for, each with the question that is left without it."""
    titles = {"person": "with", "since": "since", "tool": "in"}
    return [
        {
            "words": f"{titles.get(name, name)} {choices.get(name, {}).get(value, value)}",
            "without": {k: v for k, v in asked.items() if k != name},
        }
        for name, value in asked.items()
    ]  # fmt: skip


def _named(ask: Ask, party: str) -> dict[str, str]:
    """Somebody asked for by id: {"public_id", "name"}, both "" for nobody."""
    if not party:
        return {"public_id": "", "name": ""}
    found = customers.search(ask.desk, party, 1)
    return {"public_id": party, "name": found[0]["name"] if found else "somebody who is not here"}


routes = [
    show("/", find),
    show("/customers", find),
    show("/customers/{public_id}", customer),
    show("/entries/{public_id}", entry),
    show("/entries/{public_id}/conversation", conversation),
    show("/entries/{public_id}/text", text),
]
