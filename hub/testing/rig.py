"""The suite's hands at a vendor: what a connector author writes once, so that the suite can move the source.

A `Rig` owns one made-up account. Its verbs do at the vendor what people, other programs and bad days do there: records
appear, change, vanish, scopes are taken away. The clauses that need a verb say so when it is missing.
"""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import Change, FakeClock, Identifier, Interaction, Participation, WebhookRequest
from hub.testing.emulator import Emulator


class Missing(Exception):
    """A clause needs a verb this rig does not have."""

    def __init__(self, verb: str) -> None:
        super().__init__(f"the rig has no `{verb}`: write it, or say in the quality file why this cannot apply")
        self.verb = verb


class Rig:
    """Subclass per connector (and per stream worth testing). Built anew for every clause.

    stream: the stream the suite reads. emulator: the vendor's stand-in, made in `__init__` with `now=clock.now`; the
        suite serves it over HTTP. None for sources that are no service; `folder` is a folder of the rig's own.
    many: enough records for three pages or more. burst: more than the change feed gives in one page.
    interval_s: time between two pulls. sweep_s: time after which everything slow (deletions, merges) has shown.
    push_kind: which of `Manifest.pushes` the suite writes. field: a field it writes back to records of `stream`, where
        the connector's `writable` names any, and a value of it.
    cannot: parts of a clause the vendor makes impossible, and why: "newest-first", "estimate", "window",
        "tampered-body", "replay", "downgrade", "expire-cursor", "refresh". They are printed with the result.
    """

    stream: ClassVar[str] = ""
    many: ClassVar[int] = 250
    burst: ClassVar[int] = 230
    interval_s: ClassVar[float] = 60
    sweep_s: ClassVar[float] = 60
    push_kind: ClassVar[str] = "interaction"
    field: ClassVar[tuple[str, str]] = ("phone", "+44 1632 960777")
    cannot: ClassVar[dict[str, str]] = {}

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        self.clock = clock
        self.folder = folder
        self.emulator: Emulator | None = None

    def settings(self, url: str) -> dict[str, Any]:
        """The connector's settings for this account; `url` is where the emulator is served ("" without one)."""
        raise Missing("settings")

    def close(self) -> None:
        """Called after each clause."""

    # What is there

    def existing(self) -> set[str]:
        """External ids that a complete reading of the stream must give now, hidden ones included."""
        raise Missing("existing")

    def remote_state(self) -> Any:
        """Everything the vendor holds, as a value that differs after any write."""
        raise Missing("remote_state")

    def written(self) -> dict[str, int]:
        """Our key -> how many objects at the vendor carry it."""
        raise Missing("written")

    # What people do there

    def populate(self, n: int) -> list[str]:
        """n records that were there before, a minute apart, the newest a minute ago. Ids, oldest first."""
        raise Missing("populate")

    def add(self) -> str:
        """One more record, this very moment; its id."""
        raise Missing("add")

    def add_late(self) -> str:
        """A record the vendor shows only now although its time is a few minutes back; its id."""
        return self.add()

    def change(self, external_id: str) -> None:
        """Somebody edits the record; what it maps to differs afterwards."""
        raise Missing("change")

    def delete(self, external_id: str) -> None:
        """Somebody deletes the record for good."""
        raise Missing("delete")

    def merge(self, winner: str, loser: str) -> str:
        """Somebody merges two records; the id of the one that is left."""
        raise Missing("merge")

    def private(self, text: str, domain: str) -> list[str]:
        """Records that hold `text` wherever a person could write it, and that no policy may let in.

        One carries the tool's mark for private things, named "Private" (where the tool has marks); one is with
        somebody at `domain`. Returns their ids.
        """
        raise Missing("private")

    # What goes wrong there

    def add_hidden(self, n: int) -> list[str]:
        """n new records that exist and can be read, and that the change feed never names; their ids."""
        raise Missing("add_hidden")

    def vanish(self, external_ids: Collection[str]) -> None:
        """Nobody deleted them, and yet nothing names or gives them any more."""
        raise Missing("vanish")

    def poison(self, external_id: str) -> str | None:
        """From now on this record comes in a shape the connector cannot understand; its id, where that changes it."""
        raise Missing("poison")

    def expire_cursor(self) -> None:
        """The vendor forgets the cursors it gave out."""
        raise Missing("expire_cursor")

    def deny_scope(self) -> str:
        """The admin takes away one permission `stream` needs, without a word; its name."""
        raise Missing("deny_scope")

    def revoke(self) -> None:
        """Access is withdrawn altogether. For a source without sign-in: it cannot be reached or read any more."""
        raise Missing("revoke")

    def expire_token(self) -> None:
        """Every access token given out so far is dead from now on; a refresh helps."""
        raise Missing("expire_token")

    def refreshes(self) -> int:
        """How many access tokens the vendor has given out so far."""
        raise Missing("refreshes")

    def spend_day(self) -> None:
        """The account's daily quota is used up."""
        raise Missing("spend_day")

    def limit(self) -> None:
        """The vendor enforces its published limits from now on."""
        raise Missing("limit")

    def refusals(self) -> int:
        """How many calls the vendor has refused for being too many."""
        raise Missing("refusals")

    def restore(self) -> None:
        """Everything that went wrong is right again."""
        if self.emulator is not None:
            self.emulator.faults.clear()

    # What the vendor calls out

    def webhooks(self) -> list[WebhookRequest]:
        """The calls the vendor would make now about what happened since the last asking, correctly signed."""
        raise Missing("webhooks")

    def forged(self) -> list[WebhookRequest]:
        """Calls somebody else makes: signed with another key, unsigned, in another form. All must be rejected."""
        raise Missing("forged")

    # What we write

    def wanted(self, n: int) -> Change:
        """The n-th change the suite pushes: always the same for the same number."""
        to, sender = Identifier("email", f"person{n}@example.org"), Identifier("email", "team@example.com")
        entity = Interaction(
            external_id=f"i-{n}", kind="message", channel="email", direction="outbound", subject=f"Offer {n}",
            text=f"Words of offer {n}.", occurred_at=self.clock.now().replace(microsecond=0) - timedelta(days=n + 1),
            participants=(Participation(identifier=sender, role="from"), Participation(identifier=to, role="to")),
        )  # fmt: skip
        return Change(key=f"hub-i-{n}", kind=self.push_kind, op="upsert", entity=entity)
