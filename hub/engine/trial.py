"""What a capture policy would do, tried on records that are here: nothing is written, nothing is fetched.

In: the text of a policy as it would stand in hub.toml. Out: counts by connection and rule, and examples. It judges what a sync
under that policy would judge; of what was left out before nothing is here to be judged.
"""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, ValidationError
from sqlalchemy.engine import Connection

from hub import settings as config
from hub.access import Invalid
from hub.api import (
    Connector,
    Consent,
    HubError,
    Interaction,
    Organization,
    Person,
    RawRecord,
    Redirect,
    Tombstone,
    Unmapped,
)
from hub.engine.engine import Engine
from hub.landing import CAPTURE, CapturePolicy, Verdict, judge, judge_names
from hub.own import Own
from hub.reports import Seen
from hub.settings.locate import KeyPath, locate
from hub.settings.problems import Problem, Source, explain
from hub.settings.resolve import Resolver
from hub.settings.shape import Shape
from hub.settings.syntax import syntax_problem
from hub.settings.words import literal
from hub.store import instant_or_none, unpack
from hub.store import tables as t

Row = dict[str, Any]
M = TypeVar("M", bound=BaseModel)
SECTIONS: dict[str, type[BaseModel]] = {"capture": config.Capture, "own": config.Own}
_FILE = "what you typed"


@dataclass(frozen=True)
class Typed:
    """A policy as somebody typed it. own: None where the text says nothing of it."""

    capture: config.Capture
    own: config.Own | None = None


@dataclass(slots=True)
class _Tally:
    looked: int = 0
    stays: int = 0
    unreadable: int = 0
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)  # (action, rule)


# --- the text -------------------------------------------------------------------------------------------------------


def read(text: str) -> Typed:
    """A [capture] section, with or without its heading, and perhaps [own]. Raises Invalid naming the field, its line and the fix."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise _invalid(syntax_problem(_FILE, text, exc)) from None
    places = locate(text)
    if not SECTIONS.keys() & data.keys() and not any(isinstance(value, dict) for value in data.values()):
        data, places = (
            {"capture": data},
            {("capture", *path): place for path, place in places.items()},
        )  # without its heading
    source = Source(file=_FILE, places=places)
    for name in data:
        if name not in SECTIONS:
            fix = "write [capture], and [own] if you like, and nothing else"
            raise _invalid(source.problem((name,), "is not a part of the policy", fix))
    own = _section(config.Own, data["own"], ("own",), source) if "own" in data else None
    return Typed(_section(config.Capture, data.get("capture", {}), ("capture",), source), own)


def toml(capture: config.Capture) -> str:
    """The policy as a section of hub.toml, every key written out."""
    lines = ["[capture]"]
    for key, value in capture.model_dump(mode="json").items():
        told = f"[{', '.join(literal(v) for v in value)}]" if isinstance(value, list) else literal(value)
        lines.append(f"{key} = {told}")
    return "\n".join(lines) + "\n"


class _WrittenOut(Resolver):
    """What is typed on a page points at no variable and at no file of the machine."""

    def _reference(self, value: Mapping[str, Any], path: KeyPath, shape: Shape) -> Any:
        self._refuse(path, "is a reference", "write the value itself here")
        return None


def _section(model: type[M], data: Any, path: KeyPath, source: Source) -> M:
    if not isinstance(data, dict):
        raise _invalid(source.problem(path, "must be a section", f"write it as [{'.'.join(map(str, path))}]"))
    resolver = _WrittenOut(source)
    plain = resolver.table(model, data, path)
    problems = resolver.problems
    try:
        found = model.model_validate(plain)
    except ValidationError as exc:
        refused = {p.field for p in problems}
        problems += [p for p in explain(exc, model, plain, path, source, resolver.hidden) if p.field not in refused]
    if problems:
        raise _invalid(min(problems, key=lambda p: (p.line, p.column)))
    return found


def _invalid(problem: Problem) -> Invalid:
    line = f"in line {problem.line} " if problem.line else ""
    message = problem.message.removeprefix(problem.field).strip()
    return Invalid(f"{line}{message}", field=problem.field or "the text", fix=problem.fix)


# --- the trial ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """A policy, and what maps the records it is tried on. connectors: by connection, or why there is none."""

    policy: CapturePolicy
    connectors: Mapping[str, Connector[Any] | str]


def ready(engine: Engine, typed: Typed) -> Ready:
    """The policy as a sync would have it: with the accounts' own addresses, and the people the tools call their users."""
    own = engine.own()
    if typed.own is not None:
        addresses = frozenset(typed.own.addresses) | (own.addresses - frozenset(engine.settings.own.addresses))
        own = Own(frozenset(typed.own.domains), addresses, frozenset(typed.own.lists))
    values: dict[str, Any] = {k: frozenset(v) if isinstance(v, tuple) else v for k, v in dict(typed.capture).items()}
    connectors: dict[str, Connector[Any] | str] = {}
    for name in engine.settings.connections:
        try:
            connectors[name] = engine.connector(name)
        except HubError as exc:  # the settings cannot be read: the others can be tried all the same
            connectors[name] = exc.message
    return Ready(CapturePolicy(own=own, **values), connectors)


def trial(c: Connection, seen: Seen, tried: Ready, each: int = 200, examples: int = 20) -> Row:
    """The newest `each` records of every connection under another policy.

    {"looked", "stays", "excluded", "metadata", "unreadable", "connections": [{"connection", "looked", "stays", "unreadable", "rules":
    [{"action", "rule", "records"}], "problem"}], "examples": [{"connection", "stream", "at", "action", "rule", "subject", "what"}],
    newest first}
    """
    shown: list[Row] = []
    found: list[Row] = []
    for name, connector in tried.connectors.items():
        tally = _Tally()
        if not isinstance(connector, str):
            found += [e | {"connection": name} for e in _judged(c, seen, connector, name, tried.policy, each, tally)]
        rules = [{"action": a, "rule": r, "records": n} for (a, r), n in tally.rules.most_common()]
        shown.append({
            "connection": name, "looked": tally.looked, "stays": tally.stays, "unreadable": tally.unreadable,
            "rules": rules, "problem": connector if isinstance(connector, str) else "",
        })  # fmt: skip
    found.sort(key=lambda e: -e["order"])
    counts: Counter[str] = Counter()
    for one in shown:
        for rule in one["rules"]:
            counts["metadata" if rule["action"] == "metadata" else "excluded"] += rule["records"]
    return {
        **{key: sum(s[key] for s in shown) for key in ("looked", "stays", "unreadable")},
        "excluded": counts["excluded"], "metadata": counts["metadata"], "connections": shown,
        "examples": [{k: v for k, v in e.items() if k != "order"} for e in found[:examples]],
    }  # fmt: skip


def _judged(
    c: Connection, seen: Seen, connector: Connector[Any], name: str, policy: CapturePolicy, each: int, tally: _Tally
) -> list[Row]:
    found = []
    for row in c.execute(_newest(seen, name, each)):
        tally.looked += 1
        try:
            verdict, about = _verdict(
                connector, row.stream, policy, RawRecord(row.external_id, unpack(row.codec, row.body))
            )
        except Exception:  # a mapper's bug is one record that cannot be judged, as it is when it is taken in
            tally.unreadable += 1
            continue
        if verdict.action == "capture":
            tally.stays += 1
            continue
        tally.rules[verdict.action, verdict.rule] += 1
        found.append({
            "order": row.occurred_at or row.first_seen_at, "stream": row.stream, "at": instant_or_none(row.occurred_at),
            "action": verdict.action, "rule": verdict.rule, **about,
        })  # fmt: skip
    return found


def _newest(seen: Seen, name: str, each: int) -> Any:
    r = t.record.c
    streams = sa.select(t.stream.c.id).join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    return (
        sa.select(r.external_id, r.occurred_at, r.first_seen_at, t.raw.c.codec, t.raw.c.body, t.stream.c.name.label("stream"))
        .join(t.raw, t.raw.c.record_id == r.id)
        .join(t.stream, t.stream.c.id == r.stream_id)
        .where(r.stream_id.in_(streams.where(t.connection.c.name == name)), r.gone_at.is_(None), seen(t.record))
        .order_by(r.id.desc())
        .limit(each)
    )  # fmt: skip


def _verdict(connector: Connector[Any], stream: str, policy: CapturePolicy, raw: RawRecord) -> tuple[Verdict, Row]:
    """What decides over a record, as when it is taken in: its interaction, or whom else it names."""
    verdict, about = CAPTURE, {"subject": "", "what": ""}
    for entity in connector.to_canonical(stream, raw):
        if isinstance(entity, (Tombstone, Unmapped, Redirect)):
            continue
        about["what"] = about["what"] or type(entity).__name__.lower()
        if isinstance(entity, Interaction):
            about = {"subject": entity.subject, "what": entity.kind}
            one = judge(policy, entity)
        elif isinstance(entity, (Person, Organization)):
            about["subject"] = about["subject"] or entity.name
            one = judge_names(policy, entity.identifiers)
        elif isinstance(entity, Consent):
            one = judge_names(policy, (entity.identifier,))
        else:
            about["subject"] = about["subject"] or str(getattr(entity, "title", ""))
            one = judge_names(policy, entity.about)
        if one.action in {"exclude", "private"}:
            return one, about
        verdict = one if one.action == "metadata" else verdict
    return verdict, about


def left_out(c: Connection, seen: Seen) -> list[Row]:
    """What today's policy has left out, by connection and rule: [{"connection", "action", "rule", "records"}], most first."""
    r, n = t.record.c, sa.func.count().label("records")
    query = (
        sa.select(t.connection.c.name.label("connection"), r.disposition.label("action"), r.rule, n)
        .join(t.stream, t.stream.c.id == r.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(r.disposition.in_(("excluded", "private")), seen(t.record))
        .group_by(t.connection.c.name, r.disposition, r.rule)
        .order_by(n.desc(), t.connection.c.name, r.rule)
    )
    return [dict(row) for row in c.execute(query).mappings()]
