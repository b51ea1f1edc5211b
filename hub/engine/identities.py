"""Acts on who is who, with all that follows from them: one transaction each, for every door.

An act changes what is derived: parties, their timelines and rollups, what the next plan will want at the destinations. A
refusal to be written to stays with every address it stood for. `dry_run` does it all, says what came of it, keeps nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from hub import identity, reconcile
from hub.identity import Change

if TYPE_CHECKING:
    from hub.engine.engine import Engine


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
