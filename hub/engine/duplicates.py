"""A tool's own duplicates, merged there where a connection lets us: found by identity, planned, approved, read back.

Off unless [connections.<name>] merge_duplicates is true, and never done without a person: `approve = "auto"` stops here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from hub import inbox, outbox
from hub.api import ConfigError, Manifest, Notice
from hub.engine import push
from hub.engine.doorbell import answer
from hub.engine.engine import Engine
from hub.engine.push import PushResult
from hub.identity.duplicates import Twins, between, duplicates
from hub.outbox import Plan


@dataclass
class Found:
    """plan: id 0 where nothing is to be merged. left: pairs that are not proposed, `Twins.reason` says why. waiting: how many
    more records of the same parties come after these. calls: requests that applying takes at most, but for reading back.
    notes: what the tool does with what is merged, by stream."""

    plan: Plan
    left: list[Twins] = field(default_factory=list)
    waiting: int = 0
    calls: int = 0
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def refuse(engine: Engine, name: str) -> Manifest:
    """The manifest of a connection whose duplicates may be merged there.

    Raises ConfigError for one that is not there, does not allow it, or whose tool cannot.
    """
    connection = engine._configured(name)
    push.refuse_disconnected(engine, name)
    manifest = engine.registry.get(connection.connector).manifest
    if not any(s.merge for s in manifest.streams):
        raise ConfigError(f"{name}: the hub merges nothing in {manifest.title}; merge there, and it is followed here")
    if not connection.merge_duplicates:
        raise connection.error(
            "merge_duplicates", f"is off: {manifest.title} cannot take a merge back, so {name} has to allow it",
            f"set merge_duplicates = true under [connections.{name}]; each plan is then shown and asked about",
        )  # fmt: skip
    return manifest


def plan(engine: Engine, name: str) -> Found:
    """What could be merged at a connection now, stored as a plan; one that is approved and not finished is returned."""
    rules = {s.name: s.merge for s in refuse(engine, name).streams if s.merge}
    row_id = engine._row(name)["id"]
    with engine.store.write() as c:
        twins, waiting = duplicates(c, row_id, rules, engine.rules(engine.own()))
        wanted = [_row(x) for x in twins if not x.reason]
        s = engine.settings.system_of_record
        made = outbox.make_merges(c, row_id, wanted, rules, engine.clock.now(), s.brake_percent, s.brake_count)
        calls = sum(p["calls"] for p in outbox.pairs(c, made.id)) if made.id else 0
    used = {x.stream for x in twins}
    notes = {stream: rule.notes for stream, rule in rules.items() if stream in used}
    return Found(made, [x for x in twins if x.reason], waiting, calls, notes)


def _row(x: Twins) -> dict[str, Any]:
    return {
        "stream": x.stream, "kind": x.stays["kind"], "name": x.stays["name"], "stays": x.stays, "absorbs": x.absorbs,
        "why": x.why, "because": x.because,
    }  # fmt: skip


async def apply(engine: Engine, plan_id: int, progress: Callable[[int, int], None] | None = None) -> PushResult:
    """Apply an approved plan of merges, then read back what became of them; safe to call again after anything."""
    name = push.destination_of(engine, plan_id)
    refuse(engine, name)
    rules = engine.rules(engine.own())

    def still(c: Connection, record_ids: Sequence[int]) -> str:
        return between(c, record_ids, rules)

    result = await push.carry_out(engine, plan_id, partial(outbox.merge, still=still), progress)
    if _ring(engine, name, plan_id):
        await answer(engine, name)  # else the next poll looks: the receipts have said where the ids lead
    return result


def _ring(engine: Engine, name: str, plan_id: int) -> bool:
    """Look again at every record that a merge of this plan touched, or found otherwise than it was read; whether there are any.

    A tool's change feed does not tell of every difference (an association, a field that is read since), so a pair that is
    found changed would stay so for ever if it were left to the next sync.
    """
    with engine.store.write() as c:
        ended = [p for p in outbox.pairs(c, plan_id) if p["state"] in {"done", "failed"}]
        notices = [
            Notice(p["stream"], external_id, f"merge/{plan_id}/{external_id}")
            for p in ended
            for external_id in dict.fromkeys(filter(None, (p["became"], p["stays"], p["absorbs"])))
        ]
        inbox.keep(c, inbox.rows_of(name, notices, {n.stream for n in notices}, engine.clock.now()))
    return bool(notices)
