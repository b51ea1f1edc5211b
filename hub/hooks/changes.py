"""From marks to changes: what became of each thing, as somebody with these eyes may hear it.

Marks say which rows were touched; what came of it is read from the store as it stands now, under the same rule of who sees
what as every other door (`hub.access.seeing`). What is no longer there was seen if a connection it came from is.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import parties
from hub.access import Sees, Viewer, sees_all, visible
from hub.hooks import kinds
from hub.hooks.told import Change, Mark, Told, classes
from hub.hooks.told import action as action_of
from hub.store import among
from hub.store import tables as t

MOST_CUSTOMERS = 100  # of one event; a letter to thousands is told of with the first of them
_CUSTOMERS = tuple(kinds.PARTIES)


def eyes(c: Connection, owner: str) -> Viewer:
    """Those of an endpoint: the team's, and with an owner those of that account's private mailbox."""
    viewer = Viewer(None, "webhook", frozenset(), Sees(owner), "webhook")
    return (
        Viewer(None, "webhook", frozenset(), Sees(owner, everything=True), "webhook") if sees_all(c, viewer) else viewer
    )


def changes(c: Connection, found: Sequence[Mark], owner: str) -> list[Change]:
    """In the order in which they were first noted."""
    things: dict[tuple[str, int], list[Mark]] = {}
    for m in found:
        things.setdefault((m.kind, m.row_id), []).append(m)
    told = {place: Told(of) for place, of in things.items()}
    reader = _Reader(c, eyes(c, owner), owner)
    made: dict[tuple[str, int], list[Change]] = {}
    for kind, read in (
        ("party", reader.parties), ("item", reader.items), ("interaction", reader.interactions),
        ("conversation", reader.conversations), ("issue", reader.issues),
    ):  # fmt: skip
        of = {row: told[kind, row] for k, row in told if k == kind}
        if of or kind == "conversation":
            made |= {(kind, row): [change] for row, change in read(of, told).items()}
    made |= {("consent", row): of for row, of in reader.consents(told).items()}
    made |= {("move", row): of for row, of in reader.moves(told).items()}
    order = {place: of[0].id for place, of in things.items()}
    return [change for place in sorted(made, key=lambda p: order.get(p, 0)) for change in made[place]]


class _Reader:
    """Everything of one batch, with one pair of eyes."""

    def __init__(self, c: Connection, viewer: Viewer, owner: str) -> None:
        self.c, self.viewer = c, viewer
        mine = sa.and_(t.connection.c.owner == owner, t.connection.c.owner != "")
        private = sa.select(t.connection.c.id).where(t.connection.c.is_private, sa.not_(mine))
        self._hidden = set(c.execute(private).scalars())

    def _rows(self, query: Any, ids: Collection[int]) -> list[Any]:
        return list(self.c.execute(query, {"values": sorted(ids)})) if ids else []

    def _seen(self, table: sa.Table, column: Any, ids: Collection[int]) -> set[int]:
        query = sa.select(column).where(among(column), visible(self.viewer, table)).distinct()
        return {row[0] for row in self._rows(query, ids)}

    def _seen_before(self, query: Any, ids: Collection[int], told: Iterable[Told]) -> set[int]:
        """Of these, what was seen already before this batch. query: (id, id or None), but for what new records show."""
        if not self._hidden:
            return set(ids)
        records = sorted({n for x in told for n in x.new_records()})
        rows = self.c.execute(query.distinct(), {"values": sorted(ids), "records": records}) if ids else ()
        return {n for row in rows for n in row if n is not None}

    def _entries_before(self, ids: Collection[int], told: dict[tuple[str, int], Told]) -> set[int]:
        s = t.source.c
        query = sa.select(s.interaction_id).where(
            among(s.interaction_id), sa.not_(among(s.record_id, "records")), s.is_echo.is_(sa.false()),
            visible(self.viewer, t.source),
        )  # fmt: skip
        return self._seen_before(query, ids, [told["interaction", n] for n in ids if ("interaction", n) in told])

    def _parties_before(self, of: dict[int, Told]) -> set[int]:
        i, p = t.identifier.c, t.party.c
        found: set[int] = set()
        for table in (t.observation, t.participation):
            query = (
                sa.select(p.id, p.organization_id)
                .join(t.identifier, i.party_id == p.id)
                .join(table, table.c.identifier_id == i.id)
                .where(
                    sa.or_(among(p.id), among(p.organization_id)), sa.not_(among(table.c.record_id, "records")),
                    visible(self.viewer, table),
                )
            )  # fmt: skip
            found |= self._seen_before(query, of, of.values())
        return found

    def _was_seen(self, connections: Iterable[int]) -> bool:
        """Whether something came from a connection that is seen."""
        return not self._hidden or any(number not in self._hidden for number in connections)

    def _public(self, party_ids: Collection[int]) -> dict[int, str]:
        """Public ids of people and companies that are seen."""
        query = sa.select(t.party.c.id, t.party.c.public_id).where(
            among(t.party.c.id), t.party.c.kind.in_(_CUSTOMERS), visible(self.viewer, t.party)
        )
        return {row[0]: row[1] for row in self._rows(query, party_ids)}

    # --- entries ------------------------------------------------------------------------------------------------------

    def interactions(self, of: dict[int, Told], told: dict[tuple[str, int], Told]) -> dict[int, Change]:
        i = t.interaction.c
        query = sa.select(i.id, i.public_id, i.kind, i.channel, i.direction, i.changed_at, i.gone_at)
        there = {r.id: r for r in self._rows(query.where(among(i.id)), of)}
        seen = self._seen(t.interaction, i.id, of)
        customers = self._customers_of(of)
        former = self._public({p for x in of.values() for p in x.others("l-")})
        people = self._seen(t.party, t.party.c.id, {p for x in of.values() for p in x.others("l+", "l-")})
        before = self._entries_before(of, told)
        made = {}
        for row, x in of.items():
            now = there.get(row)
            is_live = now is not None and now.gone_at is None and row in seen
            more, less = x.gain("l+", "l-")
            fields = sorted({*x.fields(), *(["participants"] if (more | less) & people else [])})
            action = action_of(x, is_live, bool(fields), self._was_seen(x.others("s")), row in before)
            if action is None:
                continue
            left = [former[p] for p in sorted(less) if p in former]
            made[row] = Change(
                "interaction", action, now.public_id if now else x.text, now.kind if now else "",
                customers.get(row, []) if action != "deleted" else left, fields, now.changed_at if now else None,
                {"channel": now.channel, "direction": now.direction} if now and is_live else {},
                {"self": f"interactions/{now.public_id}"} if now and is_live else {},
            )  # fmt: skip
        return made

    def _customers_of(self, interaction_ids: Collection[int]) -> dict[int, list[str]]:
        query = (
            sa.select(t.link.c.interaction_id, t.party.c.public_id)
            .join(t.party, t.party.c.id == t.link.c.party_id)
            .where(among(t.link.c.interaction_id), t.party.c.kind.in_(_CUSTOMERS), visible(self.viewer, t.link))
            .order_by(t.party.c.id)
        )
        found: dict[int, list[str]] = {}
        for interaction_id, public_id in self._rows(query, interaction_ids):
            found.setdefault(interaction_id, []).append(public_id)
        return found

    def conversations(self, of: dict[int, Told], told: dict[tuple[str, int], Told]) -> dict[int, Change]:
        i = t.interaction.c
        newly = (
            {row for (kind, row), x in told.items() if kind == "interaction" and x.others("s+")}
            if self._hidden
            else set()
        )
        newly &= self._seen(t.interaction, i.id, newly)
        newly -= self._entries_before(newly, told)
        for r in self._rows(
            sa.select(i.id, i.conversation_id).where(among(i.id), i.conversation_id.is_not(None)), newly
        ):
            of[r.conversation_id] = Told([
                *(of[r.conversation_id].marks if r.conversation_id in of else ()),
                Mark(0, "conversation", r.conversation_id, "u", "", r.id, ""),
            ])  # fmt: skip
        there = {r.id for r in self._rows(sa.select(t.conversation.c.id).where(among(t.conversation.c.id)), of)}
        members = sa.select(i.conversation_id).where(
            among(i.conversation_id), i.gone_at.is_(None), visible(self.viewer, t.interaction)
        )
        seen = {r[0] for r in self._rows(members.distinct(), of)}
        before = seen
        if newly:
            before = {r[0] for r in self.c.execute(
                members.where(sa.not_(among(i.id, "newly"))).distinct(), {"values": sorted(of), "newly": sorted(newly)}
            )}  # fmt: skip
        inside = {m for x in of.values() for m in x.others("u")}
        where = self._rows(
            sa.select(i.id, i.conversation_id, i.public_id).where(among(i.id), i.gone_at.is_(None)), inside
        )
        seen_members = self._seen(t.interaction, i.id, inside)
        homes = {r.id: r.conversation_id for r in where if r.id in seen_members}
        names = {r.conversation_id: r.public_id for r in reversed(where) if r.id in seen_members}
        customers = self._customers_of(inside)
        gone = {m: told["interaction", m].others("l-") for m in inside if ("interaction", m) in told}
        former = self._public({p for of_entry in gone.values() for p in of_entry})
        left = {m: [former[p] for p in of_entry if p in former] for m, of_entry in gone.items()}
        made = {}
        for row, x in of.items():
            mine = x.others("u")
            lost = [n for m in mine if ("interaction", m) in told for n in told["interaction", m].others("s")]
            was_seen = self._was_seen(lost) or any(m in seen_members for m in mine)
            action = action_of(x, row in there and row in seen, bool(mine), was_seen, row in before)
            if action is None:
                continue
            into = next((homes[m] for m in mine if homes.get(m) not in (None, row)), None)
            more = {"merged_into": kinds.conversation_id(into)} if action == "deleted" and into else {}
            who = list(dict.fromkeys(p for m in mine for p in [*customers.get(m, []), *left.get(m, [])]))
            made[row] = Change(
                "conversation", action, kinds.conversation_id(row), "conversation", who, ["interactions"], None, more,
                {"self": f"interactions/{names[row]}/conversation"} if row in names else {},
            )  # fmt: skip
        return made

    # --- people and companies -----------------------------------------------------------------------------------------

    def parties(self, of: dict[int, Told], told: dict[tuple[str, int], Told]) -> dict[int, Change]:
        p, i = t.party.c, t.identifier.c
        query = sa.select(p.id, p.public_id, p.kind, p.changed_at, p.organization_id).where(among(p.id))
        there = {r.id: r for r in self._rows(query, of)}
        above: dict[int, list[Mark]] = {}  # with their people, companies come into sight, and go out of it
        for r in there.values():
            if r.organization_id is not None:
                above.setdefault(r.organization_id, []).extend(m for m in of[r.id].marks if m.op in ("s", "s+"))
        of.update({n: Told([*(of[n].marks if n in of else ()), *found]) for n, found in above.items() if found})
        there |= {r.id: r for r in self._rows(query, of.keys() - there.keys())}
        held_now = sa.select(i.party_id, sa.func.count()).where(among(i.party_id)).group_by(i.party_id)
        held = {r[0]: r[1] for r in self._rows(held_now, of)}
        seen = self._seen(t.party, p.id, of)
        moved = [m for (kind, _), x in told.items() if kind == "move" for m in x.marks]
        shown = self._shown({m.row_id for m in moved})
        known = self._parties_before(of)
        into = {int(m.text): m.other for m in moved if m.other is not None}
        public = self._public({n for n in into.values() if n is not None})
        made = {}
        for row, x in of.items():
            now = there.get(row)
            before, after = classes(x, now, held.get(row, 0))
            is_live = after is not None and row in seen
            is_same = before == after
            fields = x.fields()
            if any(m.op in ("i+", "i-") for m in x.marks):
                fields = sorted({*fields, "identifiers"})
            was_seen = row in seen or self._was_seen(x.others("s"))
            was_seen = was_seen or any(m.row_id in shown for m in moved if int(m.text) == row)
            action: str | None
            if is_live and (before is None or not is_same or row not in known):
                action = "created"
            elif is_live:
                action = "updated" if fields else None
            else:
                action = "deleted" if before is not None and was_seen else None
            if action is None:
                continue
            subject = now.public_id if now else x.text.rpartition(" ")[2]
            resource = (before if action == "deleted" else after) or "contact"
            winner = public.get(into.get(row) or 0) if action == "deleted" else None
            made[row] = Change(
                resource, action, subject, now.kind if now else "", [subject], fields,
                now.changed_at if now else None, {"merged_into": winner} if winner else {},
                {} if action == "deleted" and not winner else {"party": f"parties/{winner or subject}"},
            )  # fmt: skip
        return made

    def _shown(self, identifier_ids: set[int]) -> set[int]:
        """Identifiers that something seen names."""
        found = self._seen(t.observation, t.observation.c.identifier_id, identifier_ids)
        return found | self._seen(t.participation, t.participation.c.identifier_id, identifier_ids - found)

    def moves(self, told: dict[tuple[str, int], Told]) -> dict[int, list[Change]]:
        """Who became one, and who was parted: identifiers that stand for another party than before."""
        ways: dict[tuple[int, int], list[int]] = {}
        for (kind, row), x in told.items():
            if kind == "move":
                first, last = int(x.marks[0].text), x.marks[-1].other
                if last is not None and first != last:
                    ways.setdefault((first, last), []).append(row)
        if not ways:
            return {}
        new = {row for (kind, row), x in told.items() if kind == "party" and x.came}
        p, i = t.party.c, t.identifier.c
        ends = {n for way in ways for n in way}
        query = sa.select(p.id, p.public_id, p.kind).where(among(p.id), p.kind.in_(_CUSTOMERS))
        there = {r.id: r for r in self._rows(query, ends)}
        left = {r[0] for r in self._rows(sa.select(i.party_id).where(among(i.party_id)).distinct(), ends)}
        shown = self._shown({n for of in ways.values() for n in of})
        made: dict[int, list[Change]] = {}
        for (a, b), of in ways.items():
            if a not in there or b not in there or a in new or shown.isdisjoint(of):
                continue
            former, now = there[a], there[b]
            made.setdefault(of[0], []).append(Change(
                "identity", "split" if a in left else "merged", former.public_id, kinds.PARTIES[now.kind],
                [former.public_id, now.public_id], [], None, {"from": former.public_id, "into": now.public_id},
                {"party": f"parties/{now.public_id}"},
            ))  # fmt: skip
        return made

    def consents(self, told: dict[tuple[str, int], Told]) -> dict[int, list[Change]]:
        """Where somebody stands on a channel, when something was said of it, or what was said went."""
        of = {row: x for (kind, row), x in told.items() if kind == "consent"}
        if not of:
            return {}
        i, s = t.identifier.c, t.consent.c
        owners = {r[0]: r[1] for r in self._rows(sa.select(i.id, i.party_id).where(among(i.id)), of)}
        whole = {r[0]: r[1] for r in self._rows(
            sa.select(i.id, i.party_id).where(among(i.party_id)), {pid for pid in owners.values() if pid}
        )}  # fmt: skip
        seen = sa.select(s.identifier_id, s.channel, sa.func.count()).where(
            among(s.identifier_id), visible(self.viewer, t.consent)
        )
        said: dict[tuple[int, str], int] = {}
        for ident, channel, n in self._rows(seen.group_by(s.identifier_id, s.channel), whole):
            said[whole[ident], channel] = said.get((whole[ident], channel), 0) + n
        public = self._public({pid for pid in owners.values() if pid})
        stands = parties.standing(self.c, sorted(public))
        told_by = {m.other for x in of.values() for m in x.marks if m.op == "c" and m.other is not None}
        heard = self._seen(t.record, t.record.c.id, told_by)
        fresh: dict[tuple[int, str], int] = {}
        first: dict[tuple[int, str], int] = {}
        lost: dict[tuple[int, str], list[int]] = {}
        for row, x in of.items():
            for m in x.marks:
                place = (owners.get(row) or 0, m.text)
                first.setdefault(place, row)
                fresh[place] = fresh.get(place, 0) + (m.op == "c" and m.other in heard)
                if m.op == "d" and m.other is not None:
                    lost.setdefault(place, []).append(m.other)
        made: dict[int, list[Change]] = {}
        for (pid, channel), row in first.items():
            count = said.get((pid, channel), 0)
            gone = lost.get((pid, channel), [])
            was_told = count > fresh[pid, channel] or (bool(gone) and self._was_seen(gone))
            action = ("updated" if was_told else "created") if count else "deleted" if was_told else None
            is_news = fresh[pid, channel] or (gone and self._was_seen(gone))
            if pid not in public or action is None or not is_news:
                continue
            standing = stands.get((pid, channel))
            more = {"channel": channel, "state": standing.state if standing else "unknown"}
            made.setdefault(row, []).append(Change(
                "consent", action, public[pid], "consent", [public[pid]], ["state"], None,
                more if count else {"channel": channel}, {"party": f"parties/{public[pid]}"},
            ))  # fmt: skip
        return made

    # --- deals, services, tasks; issues -------------------------------------------------------------------------------

    def items(self, of: dict[int, Told], told: dict[tuple[str, int], Told]) -> dict[int, Change]:
        query = sa.select(t.item.c.record_id, t.item.c.kind, t.item.c.gone_at).where(among(t.item.c.record_id))
        there = {r.record_id: r for r in self._rows(query, of)}
        seen = self._seen(t.item, t.item.c.record_id, of)
        about = (
            sa.select(t.item_party.c.record_id, t.identifier.c.party_id, t.party.c.organization_id)
            .join(t.identifier, t.identifier.c.id == t.item_party.c.identifier_id)
            .join(t.party, t.party.c.id == t.identifier.c.party_id)
            .where(among(t.item_party.c.record_id))
        )
        whom: dict[int, set[int]] = {row: set(x.others("p")) if x.went else set() for row, x in of.items()}
        for row, *ids in self._rows(about, of):
            whom[row].update(n for n in ids if n is not None)
        public = self._public({n for ids in whom.values() for n in ids})
        made = {}
        for row, x in of.items():
            now = there.get(row)
            kind = now.kind if now else x.text
            if kind not in kinds.ITEMS:
                continue
            is_live = now is not None and now.gone_at is None and row in seen
            fields = x.fields()
            action = action_of(x, is_live, bool(fields), self._was_seen(x.others("d")))
            if action is not None:
                who = [public[n] for n in sorted(whom[row]) if n in public]
                links = {"party": f"parties/{who[0]}"} if who else {}
                made[row] = Change(kind, action, kinds.item_id(row), kind, who, fields, None, {}, links)
        return made

    def issues(self, of: dict[int, Told], told: dict[tuple[str, int], Told]) -> dict[int, Change]:
        s = t.issue.c
        query = sa.select(s.id, s.connection_id, s.cause, s.closed_at).where(among(s.id))
        made = {}
        for r in self._rows(query, of):
            if r.connection_id in self._hidden:
                continue
            x, state = of[r.id], "open" if r.closed_at is None else "closed"
            action = "created" if x.came else "updated"
            more, links = {"state": state}, {"health": "health"}
            made[r.id] = Change("issue", action, kinds.issue_id(r.id), r.cause, [], x.fields(), None, more, links)
        return made
