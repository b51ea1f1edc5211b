"""Clauses about reading: check, backfill, incremental, deletes, merges, census, poison (W1-W5, W9, W11)."""

from datetime import datetime
from itertools import pairwise

from hub.api import ContractBroken, HubError, Page, Permission, Person, Redirect, ScopeError, Window
from hub.testing.suite_bench import Bench, Broken
from hub.testing.suite_driver import Landed


async def check(b: Bench) -> None:
    """W1."""
    b.rig.populate(3)
    matrix = await b.connect().check()
    b.need(matrix.account_id, "check gives no account_id: budgets and leases need one")
    rows = matrix.permissions
    for stream in b.manifest.streams:
        proven = [p for p in rows if p.stream == stream.name and p.action == "read"]
        b.need(proven, f"check says nothing about reading {stream.name}")
        b.need(all(p.is_granted for p in proven), f"check denies {stream.name} although nothing is missing: {proven}")
    if b.manifest.pushes:
        b.need(any(p.action == "write" and p.is_granted for p in rows), "check does not prove that writing is allowed")
    if not b.manifest.scopes:
        b.rig.revoke()
        await b.refused(b.connect().check(), HubError, "check of a source that cannot be read")
        return
    landed = Landed(b.stream)
    await landed.pull(b.connect())
    held = dict(landed.bodies)
    scope = b.rig.deny_scope()
    denied = [p for p in (await b.connect().check()).permissions if not p.is_granted]
    b.need(denied, f"{scope} was taken away and check still grants everything")
    b.need(any(_names(p, scope) for p in denied), f"check denies {denied[0].stream} without naming {scope}")
    b.need(any(p.stream == b.stream for p in denied), f"check does not show {b.stream} as the gap {scope} leaves")
    b.rig.add()
    b.wait()
    await b.refused(landed.pull(b.connect()), ScopeError, f"reading {b.stream} without {scope}")
    b.need(landed.bodies == held, f"what is held changed when {scope} was taken away")
    for stream in b.manifest.streams:
        if scope not in stream.needs and stream.name != b.stream:
            await Landed(stream.name).pull(b.connect())


def _names(row: Permission, scope: str) -> bool:
    short = scope.rpartition("/")[2]
    return short in row.scope or short in row.detail


async def backfill(b: Bench) -> None:
    """W2."""
    n = len(b.rig.populate(b.rig.many))
    connector = b.connect()
    estimate = await connector.estimate(b.stream, Window())
    if estimate is None:
        b.concede("estimate", "no estimate before the backfill")
    else:
        low, high = (n, n) if estimate.is_exact else (n / 3, n * 3)
        b.need(low <= estimate.records <= high, f"the estimate says {estimate.records} records; there are {n}")
    whole = Landed(b.stream)
    pages = await whole.pull(connector)
    b.need(len(pages) > 2, f"{n} records come in {len(pages)} pages: the rig's `many` is too small to resume anywhere")
    timeline = b.agree(whole, connector, "backfill")
    times = timeline.times()
    b.need(all(p.is_full for p in pages), "a page of the backfill does not say is_full: deletions can never be told")
    b.need([p.is_last for p in pages].count(True) == 1 and pages[-1].is_last, "is_last must be said once, at the end")
    _newest_first(b, [[times[r.external_id] for r in p.records if r.external_id in times] for p in pages])
    await _windows(b, times)
    await _interrupted(b, len(pages))


def _newest_first(b: Bench, pages: list[list[datetime]]) -> None:
    filled = [p for p in pages if p]
    for earlier, later in pairwise(filled):
        if max(later) > min(earlier):
            b.concede("newest-first", "the backfill does not begin with the newest records")
            return


async def _interrupted(b: Bench, pages: int) -> None:
    """Die at every page, before it is stored and after, while the source goes on: in the end everything is there."""
    landed = Landed(b.stream)
    for turn in range(2 * pages + 4):
        await landed.pull(b.connect(), stop=1, is_lost=True)
        got = await landed.pull(b.connect(), stop=1)
        if not got or got[-1].is_last:
            break
        if turn == 0:
            b.wait()
            _both_sides(b, got[0])
    else:
        raise Broken("a backfill that is interrupted at every page never ends")
    connector = b.connect()
    b.wait()
    await landed.pull(connector)
    await b.agree_with_fresh(landed, "a backfill interrupted at every page, and one pull after it")


def _both_sides(b: Bench, page: Page) -> None:
    """Change records this page has given and records still to come; add one."""
    read = {r.external_id for r in page.records}
    for external_id in (*sorted(read)[:2], *sorted(b.rig.existing() - read)[:2]):
        b.rig.change(external_id)
    b.rig.add()


async def _windows(b: Bench, times: dict[str, datetime]) -> None:
    if not times or b.skips("window"):
        return
    middle = sorted(times.values())[len(times) // 2]
    connector = b.connect()
    for window, expected in (
        (Window(since=middle), {i for i, at in times.items() if at >= middle}),
        (Window(until=middle), {i for i, at in times.items() if at < middle}),
    ):
        part = Landed(b.stream, window)
        await part.pull(connector)
        b.same(part.timeline(connector).live, expected, f"backfill of the window {window}")


async def incremental(b: Bench) -> None:
    """W3."""
    ids = b.rig.populate(60)
    connector = b.connect()
    landed = Landed(b.stream)
    await landed.pull(connector)
    for _ in range(4):  # the clock stands still: all of one instant, some before and some after a pull
        b.rig.add()
        await landed.pull(connector)
    b.wait()
    await landed.pull(connector)
    b.agree(landed, connector, "rows of one instant on both sides of a pull")
    for _ in range(b.rig.burst):
        b.rig.add()
    await landed.pull(connector)
    b.wait()
    await landed.pull(connector)
    b.agree(landed, connector, f"{b.rig.burst} rows of one instant")
    b.rig.add_late()
    b.wait()
    await landed.pull(connector)
    b.agree(landed, connector, "a row that shows up late")
    b.rig.change(ids[7])
    await landed.pull(connector)
    b.rig.change(ids[7])
    b.rig.change(ids[20])
    b.wait()
    await landed.pull(connector)
    await b.agree_with_fresh(landed, "changed rows")
    await _changed_mid_page(b)
    for _ in range(2):
        b.sweep()
        await landed.pull(connector)
    b.sweep()
    await landed.pull(connector)
    b.need(not landed.rewritten, f"nothing changed, and {len(landed.rewritten)} records came back different")
    b.agree(landed, connector, "after a rest")


async def _changed_mid_page(b: Bench) -> None:
    """A backfill during which records change on both sides of where it stands, and new ones come."""
    landed, connector = Landed(b.stream), b.connect()
    await landed.pull(connector, then=lambda page: _both_sides(b, page))
    b.wait()
    await landed.pull(connector)
    await b.agree_with_fresh(landed, "rows changed in the middle of a backfill")


async def deletes(b: Bench) -> None:
    """W4."""
    ids = b.rig.populate(40)
    connector = b.connect()
    landed = Landed(b.stream)
    await landed.pull(connector)
    b.agree(landed, connector, "backfill")
    if b.declared.deletes != "undetectable":
        b.wait()
        b.rig.delete(ids[5])
        b.rig.delete(ids[-1])
        b.sweep()
        if b.declared.deletes == "suspected":
            landed.restart()
        await landed.pull(connector)
        b.agree(landed, connector, f"two deletions ({b.declared.deletes})")
    await _vanished(b, landed, set(sorted(b.rig.existing())[:12]), "30 % of the records vanish")
    await _vanished(b, landed, b.rig.existing(), "all records vanish")
    if b.fault("html"):
        before = (dict(landed.bodies), landed.cursor)
        b.sweep()
        await b.refused(landed.pull(connector), HubError, "a page for people with status 200")
        b.need((landed.bodies, landed.cursor) == before, "a page for people with status 200 changed what is held")
        b.rig.restore()
    if b.skips("expire-cursor"):
        return
    b.wait()
    b.rig.delete(ids[7])
    b.rig.expire_cursor()
    b.sweep()
    await landed.pull(connector)
    b.rig.restore()
    await landed.pull(connector)
    b.agree(landed, connector, "a deletion while the cursor had expired")


async def _vanished(b: Bench, landed: Landed, lost: set[str], what: str) -> None:
    """Records that are only not named must stay: first by the change feed, then by a whole enumeration."""
    connector = b.connect()
    before = landed.timeline(connector).live
    b.rig.vanish(lost)
    for is_whole in (False, True):
        b.sweep()
        if is_whole:
            landed.restart()
        try:
            await landed.pull(connector)
            b.need(not is_whole or lost <= landed.held, f"{what}: a complete reading does not end in is_last")
        except ContractBroken:
            pass  # an empty answer taken for a broken one is as good: nothing moves
        except HubError as exc:
            b.need(b.rig.emulator is None, f"{what}: {type(exc).__name__} ({exc})")
        b.same(landed.timeline(connector).live, before, what)
    b.rig.restore()
    b.sweep()
    landed.restart()
    await landed.pull(connector)
    b.agree(landed, connector, f"{what} and are back")


async def merges(b: Bench) -> None:
    """W5."""
    ids = b.rig.populate(8)
    connector = b.connect()
    landed = Landed(b.stream)
    await landed.pull(connector)
    before = landed.timeline(connector)
    b.wait()
    one, two = ids[2], ids[5]
    known = _handles(before.entities[one]) | _handles(before.entities[two])
    survivor = b.rig.merge(one, two)
    b.sweep()
    await landed.pull(connector)
    timeline = landed.timeline(connector)
    b.same(timeline.live, b.rig.existing(), "after a merge at the source")
    b.need(survivor in timeline.entities, "the record that is left was not given again")
    left = _handles(timeline.entities[survivor])
    is_silent = connector.manifest.stream(b.stream).merges == "silent"
    for absorbed in {one, two} - {survivor}:
        own = timeline.entities.get(absorbed, ())
        says_itself = any(isinstance(e, Redirect) and (e.external_id, e.into) == (absorbed, survivor) for e in own)
        said = {e.external_id for e in timeline.entities[survivor] if isinstance(e, Redirect)}
        b.need(
            is_silent or says_itself or absorbed in said,
            f"{absorbed} was merged into {survivor}, and the record of neither gives a Redirect for it",
        )
        left |= _handles(own) if says_itself else set()
    lost = known - left
    b.need(not lost, f"the record that is left no longer carries {min(lost, default='')}: a history is cut off")
    fresh = Landed(b.stream)
    await fresh.pull(connector)
    b.same(fresh.timeline(connector).live, b.rig.existing(), "a backfill after the merge")


def _handles(entities: tuple[object, ...]) -> set[str]:
    people = [e for e in entities if isinstance(e, Person)]
    return {i.value for p in people for i in p.identifiers if i.scheme in {"email", "phone"}}


async def census(b: Bench) -> None:
    """W9."""
    b.rig.populate(40)
    connector = b.connect()
    landed = Landed(b.stream)
    await landed.pull(connector)
    b.wait()
    b.rig.add()
    hidden = set(b.rig.add_hidden(3))
    b.sweep()
    await landed.pull(connector)
    b.same(landed.timeline(connector).live & hidden, set(), "the rig's hidden records came through the change feed")
    counted = await connector.census(b.stream, Window())
    if counted is None:
        raise Broken(f"the manifest promises a census of {b.stream}, and there is none")
    if counted.ids is None:
        b.need(b.declared.census == "counts", "the manifest promises ids, and the census gives a count")
        b.need(counted.count == len(b.rig.existing()), f"the census counts {counted.count} of {len(b.rig.existing())}")
        return
    b.same(set(counted.ids), b.rig.existing(), "census")
    b.same(set(counted.ids) - landed.timeline(connector).live, hidden, "what the census finds missing")
    await landed.refetch(connector, sorted(hidden))
    b.agree(landed, connector, "after fetching what the census named")
    middle = b.clock.now()
    b.wait()
    b.rig.add()
    b.wait()
    parts = [await connector.census(b.stream, w) for w in (Window(until=middle), Window(since=middle))]
    halves = [set(p.ids) for p in parts if p is not None and p.ids is not None]
    b.need(len(halves) == 2 and not halves[0] & halves[1], "the same record is counted in two periods")
    b.same(halves[0] | halves[1], b.rig.existing(), "census of two periods")
    b.need(len(halves[1]) >= 1 and len(halves[0]) > len(halves[1]), "the census does not keep to its period")


async def poison(b: Bench) -> None:
    """W11."""
    ids = b.rig.populate(100)
    bad = b.rig.poison(ids[41]) or ids[41]
    connector = b.connect()
    landed = Landed(b.stream)
    await landed.pull(connector)
    timeline = landed.timeline(connector)
    good = {i for i, entities in timeline.entities.items() if entities}
    b.same(good, b.rig.existing() - {bad}, "records beside a broken one")
    reason = timeline.rejected.get(bad) or landed.gaps.get(bad)
    b.need(reason is not None, f"the broken record {bad} is neither rejected nor named as a gap: it is lost in silence")
    b.need(reason, "the broken record is rejected without a word")
    b.rig.restore()
    landed.restart()
    await landed.pull(connector)
    await landed.refetch(connector, [bad])
    b.same(set(landed.timeline(connector).rejected), set(), "after the vendor mended the record: still rejected")
