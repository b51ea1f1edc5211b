"""Acts on who is who, with all that follows from them: one transaction each, for every door.

An act changes what is derived: parties, their timelines and rollups, what the next plan will want at the destinations. A
refusal to be written to stays with every address it stood for. `dry_run` does it all, says what came of it, keeps nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import identity, reconcile
from hub.identity import Change
from hub.store import instant, micros, put, scalar
from hub.store import tables as t

if TYPE_CHECKING:
    from hub.engine.engine import Engine


AUDIT = "identity audit"  # its name among what is due; no connection can be called so
_AUDITED = "identity.audited_at"  # under this key in `meta`: microseconds
_LAST = sa.select(t.meta.c.value).where(t.meta.c.key == _AUDITED)
_FIRST_RUN = sa.select(sa.func.min(t.run.c.started_at))


class _NotKept(Exception):
    """Ends a dry run."""


class Identities:
    """Parties are named by their ids (`hub.reports.people.party_id`), identifiers by theirs. actor: who decides."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    @property
    def rules(self) -> identity.Rules:
        return self._engine.rules(self._engine.own())

    def merge(self, left: int, right: int, actor: str, why: str = "", *, dry_run: bool = False) -> Change:
        """Two parties are one. Raises NotPossible."""
        return self._act(lambda c, now: identity.merge(c, left, right, self.rules, now, actor, why), dry_run)

    def different(self, left: int, right: int, actor: str, why: str = "", *, dry_run: bool = False) -> Change:
        """Two parties are never one, whatever evidence comes. Raises NotPossible."""
        return self._act(lambda c, now: identity.different(c, left, right, self.rules, now, actor, why), dry_run)

    def split(self, identifier_ids: Sequence[int], actor: str, why: str = "", *, dry_run: bool = False) -> Change:
        """These identifiers of one party are somebody else's. Raises NotPossible."""
        return self._act(lambda c, now: identity.split(c, identifier_ids, self.rules, now, actor, why), dry_run)

    def undo(self, act: int, actor: str, why: str = "", *, dry_run: bool = False) -> Change:
        """Take an act back. Raises NotPossible."""
        return self._act(lambda c, now: identity.undo(c, act, self.rules, now, actor, why), dry_run)

    def accept(self, review: int, actor: str, why: str = "", *, dry_run: bool = False) -> Change:
        """The two of an open question are one. Raises NotPossible."""
        return self._act(lambda c, now: identity.answer(c, review, "same", self.rules, now, actor, why), dry_run)

    def reject(self, review: int, actor: str, why: str = "", *, dry_run: bool = False) -> Change:
        """The two of an open question are two, for ever or until undone. Raises NotPossible."""
        return self._act(lambda c, now: identity.answer(c, review, "different", self.rules, now, actor, why), dry_run)

    def audit(self) -> identity.Audit:
        """Look at everybody together; changes nothing."""
        with self._engine.store.read() as c:
            return identity.audit(c, self.rules)

    def apply(self, found: identity.Audit, actor: str, *, is_approved: bool = False) -> Change:
        """Make what an audit proposes so, all or nothing. Raises NotPossible for one that would change very many."""
        if found.is_large and not is_approved:
            raise identity.NotPossible(
                f"it would change {found.changed} of {found.parties} parties: look at `ihub identity audit` and approve it"
            )

        def work(c: Connection, now: datetime) -> Change:
            done = identity.apply_audit(c, found, self.rules, now, actor)
            return Change(0, done.parties, done.merged)

        return self._act(work, dry_run=False)

    def is_due(self, now: datetime) -> bool:
        """Whether the nightly audit's time has come: its schedule is [identity] audit_at, on the wall clock."""
        settings = self._engine.settings
        if settings.identity.audit == "off":
            return False
        with self._engine.store.read() as c:
            last = scalar(c, _LAST)
            begun = int(last) if last else scalar(c, _FIRST_RUN)
        if begun is None:
            return False
        return settings.identity.audit_schedule.next_after(instant(begun), settings.hub.zone) <= now

    def nightly(self) -> list[str]:
        """Audit, and apply what it proposes where the settings let it; returns lines for people."""
        found = self.audit()
        counts = ", ".join(f"{found.count(what)} to {what}" for what in ("join", "part", "ask"))
        lines = [f"{AUDIT}: {found.records} records of {found.parties} parties: {counts}"]
        if self._engine.settings.identity.audit == "propose" or found.is_large:
            lines.append(f"{AUDIT}: nothing was changed; `ihub identity audit --apply` does it")
        else:
            self.apply(found, "hub")
        with self._engine.store.write() as c:
            put(c, t.meta, [{"key": _AUDITED, "value": str(micros(self._engine.clock.now()))}])
        return lines

    def _act(self, decide: Callable[[Connection, datetime], Change], dry_run: bool) -> Change:
        now, change = self._engine.clock.now(), Change()
        try:
            with self._engine.store.write() as c:
                change = decide(c, now)
                change.entries = reconcile.follow(c, change.parties, now)
                if dry_run:
                    raise _NotKept
        except _NotKept:
            pass
        return change
