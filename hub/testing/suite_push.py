"""Clauses about writing: exactly once, and quiet afterwards (W6, W7)."""

from collections.abc import Sequence

from msgspec.structs import replace

from hub.api import Change, HubError, Receipt
from hub.testing.suite_bench import Bench, Broken
from hub.testing.suite_driver import Journal, Landed
from hub.testing.suite_fields import fields, merges, opt_outs

AT_ONCE = 3


async def push(b: Bench) -> None:
    """W6."""
    b.rig.populate(5)
    await b.connect().check()  # as the hub does before anything is written
    total = 0
    for skip in range(3):  # each of three calls in a row is once the one whose answer is lost
        changes = [b.rig.wanted(n) for n in range(total, total + b.effort.writes)]
        total += len(changes)
        b.fault("drop_answer", method="POST", every=3, skip=skip)
        journal, connector = Journal(b.clock), b.connect()
        for start in range(0, len(changes), AT_ONCE):
            part = changes[start : start + AT_ONCE]
            _answered(b, part, await journal.push(connector, part))
        b.rig.restore()
        _exactly(b, range(total), f"one answer in three lost after the write ({skip + 1}. of three ways)")
    await _killed(b, range(total, total + 6))
    if b.manifest.can_undo:
        await _undone(b, range(total + 6, total + 12))
    if b.connect().writable(b.rig.push_kind):
        await fields(b)
    if "consent" in b.manifest.pushes and b.rig.push_kind == "person":
        await opt_outs(b)
    if b.declared.merge:
        await merges(b)


def _answered(b: Bench, changes: Sequence[Change], receipts: Sequence[Receipt]) -> None:
    b.need([r.key for r in receipts] == [c.key for c in changes], "receipts do not match the changes one by one")
    bad = [r for r in receipts if r.outcome not in {"created", "updated", "unchanged"}]
    b.need(not bad, f"a plain change ended as {bad[0].outcome if bad else ''}: {bad[0].error if bad else ''}")
    b.need(all(r.remote_id for r in receipts), "a receipt names no remote_id")


def _exactly(b: Bench, numbers: range, what: str) -> None:
    written = b.rig.written()
    keys = [b.rig.wanted(n).key for n in numbers]
    doubled = [k for k in keys if written.get(k, 0) > 1]
    lost = [k for k in keys if not written.get(k)]
    b.need(not doubled, f"{what}: {len(doubled)} of {len(keys)} changes were written more than once")
    b.need(not lost, f"{what}: {len(lost)} of {len(keys)} changes were not written")


async def _killed(b: Bench, numbers: range) -> None:
    """We die between the write and the note of it; the next one looks up at once, before any index can have moved."""
    changes = [b.rig.wanted(n) for n in numbers]
    await b.connect().push(changes[:4])
    again = b.connect()
    found = await again.find(changes[0].kind, [*(c.key for c in changes), "hub-never-written"])
    b.same({f.key for f in found}, {c.key for c in changes[:4]}, "find right after a write")
    ids = {f.key: f.remote_id for f in found}
    known = [replace(c, remote_id=ids.get(c.key, "")) for c in changes]
    _answered(b, known, await again.push(known))
    _exactly(b, numbers, "sent again after a look-up")


async def _undone(b: Bench, numbers: range) -> None:
    changes = [b.rig.wanted(n) for n in numbers]
    journal, connector = Journal(b.clock), b.connect()
    await journal.push(connector, changes)
    for turn in ("first", "second"):
        receipts = await connector.undo(list(journal.done.values()))
        bad = [r for r in receipts if r.outcome == "failed"]
        b.need(not bad, f"the {turn} undo failed: {bad[0].error if bad else ''}")
        left = set(b.rig.written()) & {c.key for c in changes}
        b.need(not left, f"{len(left)} objects are still there after the {turn} undo")


async def echo(b: Bench) -> None:
    """W7."""
    mine = set(b.rig.populate(6))
    connector = b.connect()
    landed = Landed(b.stream)
    await connector.check()  # as the hub does before anything is written
    await landed.pull(connector)
    changes = [b.rig.wanted(n) for n in range(3)]
    receipts = await Journal(b.clock).push(connector, changes)
    ids = {r.key: r.remote_id for r in receipts}
    known = [replace(c, remote_id=ids[c.key]) for c in changes]
    for _ in range(2):  # what the vendor does to a new object on its own may take a while to settle
        b.sweep()
        await landed.pull(connector)
        await connector.push(known)
    timeline = landed.timeline(connector)
    strangers = timeline.live - mine - timeline.ours(ids)
    b.need(not strangers, f"{len(strangers)} of {len(changes)} objects we wrote came back without our key")
    state, bodies = b.rig.remote_state(), dict(landed.bodies)
    for cycle in range(1, b.effort.cycles + 1):
        b.wait()
        await landed.pull(connector)
        if landed.bodies != bodies:
            raise Broken(f"cycle {cycle}: records changed although nobody changed anything")
        try:
            outcomes = {r.outcome for r in await connector.push(known)}
        except HubError as exc:
            raise Broken(f"cycle {cycle}: {type(exc).__name__} ({exc})") from exc
        b.need(outcomes == {"unchanged"}, f"cycle {cycle}: an unchanged object was {'/'.join(sorted(outcomes))}")
    b.need(b.rig.remote_state() == state, f"{b.effort.cycles} cycles without news wrote something at the vendor")
