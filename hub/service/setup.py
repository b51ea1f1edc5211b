"""Setting the hub up: which tools there are, connecting them, what they may do, what is captured, whose fields count.

hub.toml is the truth and is written by nobody but its admin. What is done here is what a file cannot: signing in at a tool, keeping
its keys, asking it what it allows, letting it go. Everything else is shown, and tried.
"""

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Any

from hub import outbox, parties
from hub import status as st
from hub.access import ledger, roles
from hub.access.errors import Invalid
from hub.access.roles import BODIES_READ, CONNECTIONS_MANAGE, CONNECTIONS_READ, CUSTOMERS_READ, POLICY_MANAGE
from hub.engine import catalogue as shelf
from hub.engine import connect, disconnect, keys, push, spoken, standing
from hub.engine import trial as trials
from hub.reports.mapping import mapping as beside_each_other
from hub.reports.people import party_id
from hub.service.desk import Desk, NotFound

Row = dict[str, Any]
EACH = (200, 1000)  # records of each connection that a policy is tried on
_EXAMPLES, _CONFLICTS = 20, 200


# --- where one stands -----------------------------------------------------------------------------------------------


def overview(desk: Desk) -> Row:
    """{"connections": worst first, "unconfigured": names, "own", "system_of_record", "file", "keeps_secrets", "steps": [{"is_done",
    "text", "why", "path"}]}"""
    desk.viewer.must(CONNECTIONS_READ)
    found = standing.standings(desk.engine)
    s = desk.engine.settings
    return {
        "connections": found, "unconfigured": standing.unconfigured(desk.engine), "file": s.source.file, "keeps_secrets": desk.engine.secrets.is_kept,
        "own": {"domains": list(s.own.domains), "addresses": list(s.own.addresses), "lists": list(s.own.lists)},
        "system_of_record": s.system_of_record.connection, "approve": s.system_of_record.approve,
        "steps": _steps(found, bool(s.own.domains or s.own.addresses), s.system_of_record.connection),
    }  # fmt: skip


def _steps(found: list[Row], has_own: bool, record: str) -> list[Row]:
    """What is to be done, in order; the first that is not done comes next."""
    waiting = [x for x in found if x["todo"] and x["state"] not in {"new", "disconnected"}]
    is_reading = any(x["last_good_at"] for x in found)
    steps: list[Row] = [
        {"is_done": has_own, "text": "Say who you are", "path": "/setup/policy",
         "why": "[own] domains in hub.toml: without it nobody can tell what you sent from what you received"},
        {"is_done": bool(found), "text": "Choose your tools", "path": "/setup/catalogue",
         "why": "One section of hub.toml for each account; the catalogue has it ready to be copied"},
    ]  # fmt: skip
    if found:
        first = waiting[0] if waiting else None
        steps.append({
            "is_done": first is None, "text": "Connect them",
            "why": f"{first['connection']}: {first['told']}; {first['todo']}" if first else "every connection is signed in",
            "path": f"/setup/connections/{first['connection']}" if first else "",
        })  # fmt: skip
        steps.append({
            "is_done": is_reading, "text": "Read what is there", "path": "/health",
            "why": "`ihub serve` reads by itself, the first time for a while; `ihub sync` reads now",
        })  # fmt: skip
        steps.append({
            "is_done": bool(record), "text": "Name the system of record, if you want one", "path": "/setup/mapping",
            "why": "[system_of_record] in hub.toml: where the one timeline is kept, by plans that you approve",
        })  # fmt: skip
    return steps


# --- the catalogue --------------------------------------------------------------------------------------------------


def catalogue(desk: Desk) -> list[Row]:
    """Every installed connector (`hub.engine.catalogue`)."""
    desk.viewer.must(CONNECTIONS_READ)
    used: dict[str, list[str]] = {}
    for name, connection in desk.engine.settings.connections.items():
        used.setdefault(connection.connector, []).append(name)
    return [row | {"connections": used.get(row["name"], [])} for row in shelf.rows(desk.engine)]


def connector(desk: Desk, name: str) -> Row:
    """One of them in full, with the TOML of a connection. Raises NotFound."""
    desk.viewer.must(CONNECTIONS_READ)
    found = shelf.entry(desk.engine, name)
    if found is None:
        raise NotFound(f"there is no connector {name!r}: the catalogue lists them")
    return found


# --- one connection -------------------------------------------------------------------------------------------------


def connection(desk: Desk, name: str) -> Row:
    """One connection: how far it is, what it may do, and how it is connected. Raises NotFound.

    {..., "permissions", "settings": without secrets, "secrets": {setting: "file", "hub" or ""}, "signs_in_here", "keeps_secrets"}
    """
    desk.viewer.must(CONNECTIONS_READ)
    _known(desk, name)
    found = _standing(desk, name)
    allowed = standing.permissions(desk.engine, name)
    shown = desk.engine.settings.redacted()["connections"][name]
    has_connector = found["state"] != "unknown"
    return found | {
        "allowed": allowed, "settings": shown, "keeps_secrets": desk.engine.secrets.is_kept,
        "secrets": keys.places(desk.engine, name) if has_connector else {},
        "signs_in_here": connect.offers(desk.engine, name),
    }  # fmt: skip


def begin(desk: Desk, name: str, redirect_uri: str, browser: str) -> Row:
    """{"address": of the vendor's page, "title", "scopes"}. browser: the session that may bring the answer back, within ten minutes.

    Raises NotFound, and ConfigError where nobody has to sign in or there is no key to keep the answer with.
    """
    desk.viewer.must(CONNECTIONS_MANAGE)
    _known(desk, name)
    asked = connect.consent(desk.engine, name)
    return {
        "address": connect.begin(desk.engine, name, redirect_uri, browser), "title": asked.title, "scopes": list(asked.scopes)
    }  # fmt: skip


async def finish(desk: Desk, answer: Mapping[str, str], browser: str, arrived_at: str) -> Row:
    """Keep the sign-in that the vendor's answer gives, and prove it: {"connection", "exit_code", "error", "permissions", ...}.

    arrived_at: the address the answer came to. Raises AuthError for a no, and for an answer to a question that this browser did not ask.
    """
    desk.viewer.must(CONNECTIONS_MANAGE)
    name = await connect.finish(desk.engine, answer, browser, arrived_at)
    await asyncio.to_thread(_note, desk, "connection-signed-in", name)
    return await connect.check(desk.engine, name)


async def keep_keys(desk: Desk, name: str, given: Mapping[str, str]) -> Row:
    """Keep keys of a connection, encrypted, and prove them; what the tool refuses is not kept. An answer as `finish`'s.

    Where nobody has signed in yet there is nothing to prove: then it has "awaits_sign_in".
    Raises NotFound, Invalid, and ConfigError without a key to encrypt with.
    """
    desk.viewer.must(CONNECTIONS_MANAGE)
    _known(desk, name)
    before = await asyncio.to_thread(keys.keep, desk.engine, name, given)
    if (await asyncio.to_thread(_standing, desk, name))["state"] == "sign-in":
        await asyncio.to_thread(_note, desk, "connection-key", name, fields=sorted(given))
        return connect.unasked(desk.engine, name) | {"awaits_sign_in": True}
    found = await connect.check(desk.engine, name)
    if found["exit_code"] == st.REAUTH:
        await asyncio.to_thread(keys.put, desk.engine, name, before)
        raise Invalid("was refused there", field=next(iter(given)), fix=found["error"])
    await asyncio.to_thread(_note, desk, "connection-key", name, fields=sorted(given))
    return found


async def check(desk: Desk, name: str) -> Row:
    """Ask the tool what the connection may do. An answer as `finish`'s. Raises NotFound."""
    desk.viewer.must(CONNECTIONS_MANAGE)
    _known(desk, name)
    return await connect.check(desk.engine, name)


async def let_go(desk: Desk, name: str) -> Row:
    """Disconnect: end what lives on at the vendor, forget its secrets; what it brought stays. Raises NotFound, Transient.

    {"connection", "problem": why the vendor was not told, "section": whether hub.toml still names it, ...}
    """
    desk.viewer.must(CONNECTIONS_MANAGE)
    _known(desk, name)
    found = (await disconnect.disconnect(desk.engine, name)).to_dict()
    await asyncio.to_thread(_note, desk, "connection-let-go", name)
    return found


def _standing(desk: Desk, name: str) -> Row:
    return next(x for x in standing.standings(desk.engine) if x["connection"] == name)


def _known(desk: Desk, name: str) -> None:
    if name not in desk.engine.settings.connections:
        raise NotFound(f"there is no connection {name!r} in hub.toml")


def _note(desk: Desk, act: str, name: str, **more: Any) -> None:
    with desk.engine.store.write() as c:
        ledger.note(c, desk.now, act, desk.viewer.actor, desk.viewer.account_id, connection=name, **more)


# --- permissions ----------------------------------------------------------------------------------------------------


def permissions(desk: Desk) -> Row:
    """{"connections": [{"connection", "title", "state", "checked_at", "permissions", "scopes"}], "roles", "table"}: what the hub may do
    at the tools, as each said when it was last asked, and what people may do in the hub."""
    desk.viewer.must(CONNECTIONS_READ)
    found = [
        {k: x[k] for k in ("connection", "connector", "title", "state", "told")}
        | standing.permissions(desk.engine, x["connection"])
        for x in standing.standings(desk.engine)
    ]
    table = [{"permission": p.name, "may": p.what, "roles": list(p.roles)} for p in roles.PERMISSIONS.values()]
    return {"connections": found, "roles": dict(roles.ROLES), "table": table}


# --- the capture policy ---------------------------------------------------------------------------------------------


def policy(desk: Desk) -> Row:
    """{"words", "toml", "own", "left_out": by connection and rule, of what the viewer sees}: the policy of today."""
    with desk.reading(CONNECTIONS_READ) as (c, seen):
        left_out = trials.left_out(c, seen)
    s = desk.engine.settings
    return {
        "words": spoken.in_words(s.capture, s.own), "toml": trials.toml(s.capture), "own": list(s.own.domains),
        "left_out": [row | {"says": spoken.rule(row["rule"])} for row in left_out],
    }  # fmt: skip


def trial(desk: Desk, text: str, each: int = EACH[0]) -> Row:
    """What a policy would do to the newest `each` records of every connection (`hub.engine.trial`), and what it says in words.

    Subjects are told to whoever may read messages. Raises Invalid naming the field and the fix.
    """
    if each not in EACH:
        raise Invalid(f"is {each}", field="each", fix=f"one of {', '.join(map(str, EACH))}")
    desk.viewer.must(POLICY_MANAGE)
    typed = trials.read(text)
    tried = trials.ready(desk.engine, typed)
    with desk.reading(POLICY_MANAGE) as (c, seen):
        found = trials.trial(c, seen, tried, each, _EXAMPLES)
    may_read = desk.viewer.may(BODIES_READ)
    for row in found["examples"]:
        row["says"] = spoken.rule(row["rule"])
        row["subject"] = row["subject"] if may_read else None
    for row in (rule for one in found["connections"] for rule in one["rules"]):
        row["says"] = spoken.rule(row["rule"])
    own = typed.own or desk.engine.settings.own
    blocks = bool(typed.capture.block_addresses or typed.capture.block_domains)
    return found | {
        "blocks_people": blocks,
        "each": each,
        "words": spoken.in_words(typed.capture, own),
        "toml": trials.toml(typed.capture),
    }


# --- fields ---------------------------------------------------------------------------------------------------------


def fields(desk: Desk) -> Row:
    """{"rules": [{"kind", "field", "owner", "precedence", "write_to"}], "system_of_record", "pushes", "destinations"}"""
    desk.viewer.must(CONNECTIONS_READ)
    s = desk.engine.settings
    rules = [
        {"kind": kind, "field": field, "owner": r.owner, "precedence": list(r.precedence), "write_to": list(r.write_to)}
        for kind, of in (("person", s.fields.person), ("organization", s.fields.organization))
        for field, r in of.items()
    ]
    return {
        "rules": rules, "system_of_record": s.system_of_record.connection, "pushes": list(s.system_of_record.push),
        "create": s.contacts.create, "opt_outs_to": list(s.consent.write_to), "meetings_to": list(s.meetings.write_to),
        "destinations": push.destinations(desk.engine),
    }  # fmt: skip


def mapping(desk: Desk, customer: str) -> Row:
    """One customer's fields beside each other (`hub.reports.mapping`). customer: a public id. Raises NotFound."""
    s = desk.engine.settings.fields
    rules = {
        kind: {f: parties.Rule(r.owner, r.precedence) for f, r in of.items()}
        for kind, of in (("person", s.person), ("organization", s.organization))
    }
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        try:
            return beside_each_other(c, customer, rules, desk.now, seen)
        except KeyError:
            raise NotFound(f"there is no person or organization {customer!r}: search gives their ids") from None


def conflicts(desk: Desk) -> Row:
    """Fields that wait for a person's choice, and why: {"total", "is_all", "conflicts": [{"destination", "party", "name", "kind",
    "field"}]}, of parties that the viewer sees. Goes through every record that is written to: seconds on a large base."""
    desk.viewer.must(CUSTOMERS_READ)
    scopes = [(n, push.scope(desk.engine, n)) for n in push.destinations(desk.engine)]
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        waiting = ((n, x) for n, scope in scopes for x in outbox.conflicts(c, scope, desk.now))
        found = list(islice(waiting, _CONFLICTS + 1))
        rows = [
            {"destination": n, "party": x.public_id, "name": x.name, "kind": x.kind, "field": x.field}
            for n, x in found[:_CONFLICTS]
            if party_id(c, x.public_id, seen) is not None
        ]
    return {"total": len(rows), "is_all": len(found) <= _CONFLICTS, "conflicts": rows}
