"""Acorn, a made-up vendor in memory: a source with a change feed, and a destination that never forgets a create.

A record's body is JSON: {"entities": [[type name, fields], ...]} and so holds whatever canonical entity a test wants,
or {"reject": reason}, or {"bug": true}. The destination makes a new object for every create that is sent, also for the
second of the same key: whoever sends twice without looking up leaves two behind.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from hub.api import (
    Census,
    Change,
    Connector,
    ConnectorSettings,
    Consent,
    CursorExpired,
    Entity,
    Found,
    Interaction,
    JournalEntry,
    Link,
    Manifest,
    Page,
    Permission,
    PermissionMatrix,
    Person,
    Pull,
    RawRecord,
    Receipt,
    RecordRejected,
    Stream,
    Transient,
    Window,
    canonical,
)  # fmt: skip


class Killed(BaseException):
    """The process dies here: nothing of the hub may catch it."""


@dataclass
class Feed:
    """One stream at the vendor. log: (sequence number, id) of every change, of which `forgotten` are lost."""

    records: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    forgotten: int = 0
    hidden: set[str] = field(default_factory=set)

    def put(self, external_id: str, body: bytes) -> None:
        self.records[external_id] = body
        self.log.append(external_id)

    def delete(self, external_id: str) -> None:
        del self.records[external_id]
        self.log.append(external_id)


@dataclass
class Vendor:
    """What the vendor holds for one account, and how it misbehaves.

    page_size: records per page. trouble: raised (and used up) one per page asked for; None is a good page.
    fail_after: pages that still work before every further one raises `Killed`. own: send-as addresses.
    drop_every: of this many push calls, one is carried out and its answer lost (0: none).
    kill_push: "before" or "after" the destination acts, at the given number of push calls from now.
    writes: fields of people that can be written. spelling: how the vendor keeps them. is_deaf: it answers and does nothing.
    """

    feeds: dict[str, Feed] = field(default_factory=lambda: {"mail": Feed(), "parties": Feed()})
    page_size: int = 3
    trouble: list[BaseException | None] = field(default_factory=list)
    own: tuple[str, ...] = ()
    check_error: BaseException | None = None
    fetches: list[str] = field(default_factory=list)
    can_fetch: bool = True
    requests: int = 0
    objects: dict[str, tuple[str, str, Change]] = field(default_factory=dict)
    associations: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    pushes: int = 0
    drop_every: int = 0
    kill_push: tuple[str, int] | None = None
    refuse: dict[str, str] = field(default_factory=dict)
    push_trouble: list[BaseException | None] = field(default_factory=list)
    befores: list[Change] = field(default_factory=list)
    finds: list[list[str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    writes: frozenset[str] = frozenset({"phone", "job_title", "city", "last_meeting"})
    spelling: Callable[[str], str] = str
    is_deaf: bool = False

    def put(self, stream: str, external_id: str, *entities: Entity) -> None:
        """Create or change a record."""
        self.feeds[stream].put(external_id, body(*entities))

    def put_raw(self, stream: str, external_id: str, **content: Any) -> None:
        self.feeds[stream].put(external_id, json.dumps(content).encode())

    def delete(self, stream: str, external_id: str) -> None:
        self.feeds[stream].delete(external_id)

    def mail(self, interaction: Interaction) -> None:
        self.put("mail", interaction.external_id, interaction)

    def expire(self) -> None:
        """The change feed forgets everything before now."""
        for feed in self.feeds.values():
            feed.forgotten = len(feed.log)

    def held(self, kind: str = "") -> dict[str, str]:
        """Our key -> id of the living objects at the destination. Fails when a key stands there twice."""
        found: dict[str, str] = {}
        for remote_id, (of, key, _) in self.objects.items():
            if kind in {"", of}:
                assert key not in found, f"{key} exists twice: {found[key]} and {remote_id}"
                found[key] = remote_id
        return found

    def remember(self, before: tuple[str, str, Change] | None) -> dict[str, Any] | None:
        """A before-image as a receipt can carry it."""
        if before is None:
            return None
        self.befores.append(before[2])
        return {"ref": len(self.befores) - 1}

    def _kill(self, point: str) -> None:
        if self.kill_push and self.kill_push[0] == point:
            point, left = self.kill_push
            self.kill_push = (point, left - 1) if left > 1 else None
            if left <= 1:
                raise Killed(point)


VENDORS: dict[str, Vendor] = {}


class AcornSettings(ConnectorSettings):
    account: str


class Acorn(Connector[AcornSettings]):
    manifest: ClassVar[Manifest] = Manifest(
        name="acorn", title="Acorn", channels=("email",), can_undo=True, can_be_system_of_record=True,
        streams=(
            Stream("mail", deletes="confirmed", census="ids"),
            Stream("parties", deletes="confirmed", carries="parties"),
        ),
        pushes=("person", "organization", "interaction", "consent", "task"),
    )  # fmt: skip
    settings_model = AcornSettings

    @property
    def vendor(self) -> Vendor:
        return VENDORS[self.settings.account]

    async def check(self) -> PermissionMatrix:
        if self.vendor.check_error:
            raise self.vendor.check_error
        granted = tuple(Permission(s.name, "read", True) for s in self.manifest.streams)
        return PermissionMatrix(self.settings.account, self.settings.account, granted, self.vendor.own)

    # --- source ---------------------------------------------------------------------------------------------------

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        feed = self.vendor.feeds[pull.stream]
        cursor: dict[str, Any] = json.loads(pull.cursor) if pull.cursor else {"after": "", "log": len(feed.log)}
        if cursor["log"] < feed.forgotten:
            raise CursorExpired("the feed does not reach back that far")
        while "after" in cursor:
            self._answer()
            listed = sorted(x for x in feed.records if x > cursor["after"] and self._wanted(feed, x, pull.window))
            part = listed[: self.vendor.page_size]
            is_last = len(listed) <= self.vendor.page_size
            cursor = {"log": cursor["log"]} if is_last else {"after": part[-1], "log": cursor["log"]}
            yield Page(self._records(feed, part), json.dumps(cursor), is_full=True, is_last=is_last)
        while True:
            self._answer()
            part = feed.log[cursor["log"] : cursor["log"] + self.vendor.page_size]
            cursor = {"log": cursor["log"] + len(part)}
            ids = [x for x in dict.fromkeys(part) if x not in feed.hidden]
            alive = [x for x in ids if x in feed.records and self._wanted(feed, x, pull.window)]
            gone = [x for x in ids if x not in feed.records]
            yield Page(self._records(feed, alive), json.dumps(cursor), gone=gone)
            if cursor["log"] >= len(feed.log):
                return

    def _answer(self) -> None:
        self.vendor.requests += 1
        error = self.vendor.trouble.pop(0) if self.vendor.trouble else None
        if error is not None:
            raise error

    def _wanted(self, feed: Feed, external_id: str, window: Window) -> bool:
        return external_id not in feed.hidden and self._in(feed, external_id, window)

    def _in(self, feed: Feed, external_id: str, window: Window) -> bool:
        if window.since is None:
            return True
        times = [e.occurred_at for e in entities(feed.records[external_id]) if isinstance(e, Interaction)]
        return all(at is None or at >= window.since for at in times)

    def _records(self, feed: Feed, ids: Sequence[str]) -> list[RawRecord]:
        return [RawRecord(x, feed.records[x]) for x in ids]

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        if not self.vendor.can_fetch:
            raise NotImplementedError
        self.vendor.fetches += external_ids
        feed = self.vendor.feeds[stream]
        return self._records(feed, [x for x in external_ids if x in feed.records])

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterable[Entity]:
        content = json.loads(raw.body)
        if "reject" in content:
            raise RecordRejected(content["reject"])
        if "bug" in content:
            raise ZeroDivisionError("a bug of the connector's author")
        return entities(raw.body)

    async def census(self, stream: str, period: Window) -> Census | None:
        feed = self.vendor.feeds[stream]
        window = Window(period.since)
        return Census(stream, period, ids=frozenset(x for x in feed.records if self._in(feed, x, window)))

    def writable(self, kind: str) -> frozenset[str]:
        return self.vendor.writes if kind == "person" else frozenset()

    # --- destination ----------------------------------------------------------------------------------------------

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        self.vendor.pushes += 1
        self.vendor._kill("before")
        if self.vendor.push_trouble and (error := self.vendor.push_trouble.pop(0)) is not None:
            raise error
        receipts = [self._write(change) for change in changes]
        self.vendor._kill("after")
        if self.vendor.drop_every and self.vendor.pushes % self.vendor.drop_every == 0:
            raise Transient("the answer was lost", is_unknown=True)
        return receipts

    def _write(self, change: Change) -> Receipt:
        vendor = self.vendor
        vendor.log.append(f"{change.op} {change.kind} {change.key}")
        if change.key in vendor.refuse:
            return Receipt(key=change.key, outcome="failed", error=vendor.refuse[change.key])
        if isinstance(change.entity, Consent):
            return self._refuse(change, change.entity)
        if isinstance(change.entity, Person) and change.remote_id in vendor.feeds["parties"].records:
            return self._set(change, change.entity)
        there = vendor.objects.keys() | vendor.feeds["parties"].records.keys()
        for link in change.links:
            assert link.remote_id in there, f"{change.kind} {change.key} hangs on {link}, which is not there"
        if change.op == "delete":
            before = vendor.objects.pop(change.remote_id, None)
            return Receipt(
                key=change.key, outcome="deleted", remote_id=change.remote_id, before=vendor.remember(before)
            )
        if change.remote_id:
            before = vendor.objects[change.remote_id]
            vendor.objects[change.remote_id] = (change.kind, change.key, change)
            return Receipt(
                key=change.key, outcome="updated", remote_id=change.remote_id, before=vendor.remember(before),
                **self._associate(change.remote_id, change),
            )  # fmt: skip
        remote_id = f"o{len(vendor.log)}"
        vendor.objects[remote_id] = (change.kind, change.key, change)
        return Receipt(key=change.key, outcome="created", remote_id=remote_id, **self._associate(remote_id, change))

    def _associate(self, remote_id: str, change: Change) -> dict[str, tuple[Link, ...]]:
        """What is missing comes, what is named as over goes, all else stays; returns what came and what went."""
        held = self.vendor.associations.setdefault(remote_id, set())
        links = tuple(x for x in change.links if (x.kind, x.remote_id) not in held)
        unlinked = tuple(x for x in change.unlinks if (x.kind, x.remote_id) in held)
        held |= {(x.kind, x.remote_id) for x in links}
        held -= {(x.kind, x.remote_id) for x in unlinked}
        return {"links": links, "unlinked": unlinked}

    def _set(self, change: Change, wanted: Person) -> Receipt:
        """Fields of a record that is there; "" empties one."""
        assert not wanted.identifiers and not wanted.name, "a write-back names nothing but fields"
        feed, key = self.vendor.feeds["parties"], change.remote_id
        before = feed.records[key]
        found = entities(before)
        person = next(e for e in found if isinstance(e, Person))
        fields = {k: v for k, v in {**person.fields, **_spelled(self.vendor, wanted.fields)}.items() if v}
        if not self.vendor.is_deaf:
            now = msgspec.structs.replace(person, fields=fields, changed_at=self.services.clock.now())
            feed.put(key, body(*(now if e is person else e for e in found)))
        return Receipt(key=change.key, outcome="updated", remote_id=key, before={"was": before.decode()})

    def _refuse(self, change: Change, consent: Consent) -> Receipt:
        """Every record with the address says from now on that its person is opted out."""
        assert consent.state == "opted_out", "only refusals are ever written"
        feed, outcome = self.vendor.feeds["parties"], "unchanged"
        for key, data in list(feed.records.items()):
            found = entities(data)
            if any(isinstance(e, Person) and consent.identifier in e.identifiers for e in found):
                kept = [e for e in found if not isinstance(e, Consent)]
                feed.put(key, body(*kept, msgspec.structs.replace(consent, external_id=key)))
                outcome = "updated"
        return Receipt(key=change.key, outcome=outcome)  # type: ignore[arg-type]

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        self.vendor.finds.append(list(keys))
        self.vendor._kill("find")
        wanted = set(keys)
        return [
            Found(key=key, remote_id=i)
            for i, (of, key, _) in self.vendor.objects.items()
            if of == kind and key in wanted
        ]

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        receipts = []
        for entry in entries:
            key, was = entry.change.key, entry.receipt
            if key in self.vendor.refuse:
                receipts.append(Receipt(key=key, outcome="failed", error=self.vendor.refuse[key]))
                continue
            if was.outcome == "created":
                self.vendor.objects.pop(was.remote_id, None)
            elif was.before is not None and "was" in was.before:
                self.vendor.feeds["parties"].put(was.remote_id, was.before["was"].encode())
            elif was.before is not None:
                before = self.vendor.befores[was.before["ref"]]
                self.vendor.objects[was.remote_id] = (entry.change.kind, key, before)
                held = self.vendor.associations.setdefault(was.remote_id, set())
                held -= {(x.kind, x.remote_id) for x in was.links}
                held |= {(x.kind, x.remote_id) for x in was.unlinked}
            self.vendor.log.append(f"undo {entry.change.kind} {key}")
            receipts.append(Receipt(key=key, outcome="deleted" if was.outcome == "created" else "updated"))
        self.vendor._kill("undo")
        return receipts


def _spelled(vendor: Vendor, fields: dict[str, str]) -> dict[str, str]:
    return {name: vendor.spelling(value) if value else "" for name, value in fields.items()}


def body(*found: Entity) -> bytes:
    return msgspec.json.encode({"entities": [[type(e).__name__, e] for e in found]})


def entities(data: bytes) -> list[Entity]:
    plain = msgspec.json.decode(data).get("entities", [])
    return [msgspec.convert(fields, getattr(canonical, name)) for name, fields in plain]
