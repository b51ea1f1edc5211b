"""Who is told, and of what: endpoints, their secrets, their state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Clock, ConfigError, HubError
from hub.hooks import kinds, line, signature
from hub.hooks.guard import Refused, check_url
from hub.store import Secrets, Store, add, add_ids, change, fetch, instant_or_none, marks, micros
from hub.store import tables as t
from hub.store import tables_hooks as h

BOTH_LIVE = timedelta(hours=24)
VAULT = "signing"  # the field of a secret; its connection is "hook:<public id>", which no connection can be called
MOST = 50
_e = h.endpoint.c


class NoSuchEndpoint(HubError):
    """There is no endpoint, delivery or event of that id."""


@dataclass(frozen=True)
class Endpoint:
    """state: active; paused by somebody; disabled by the hub, which says why in `reason`. Its line is kept in all three."""

    id: int
    public_id: str
    url: str
    description: str
    events: tuple[str, ...]
    owner: str
    state: str
    reason: str
    created_at: datetime | None
    changed_at: datetime | None
    last_ok_at: datetime | None
    failing_since: datetime | None
    in_a_row: int
    held_until: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """As doors show it."""
        return {
            "endpoint": self.public_id, "url": self.url, "description": self.description, "events": list(self.events),
            "owner": self.owner, "state": self.state, "reason": self.reason, "created_at": self.created_at,
            "last_ok_at": self.last_ok_at, "failing_since": self.failing_since, "held_until": self.held_until,
        }  # fmt: skip


_ALL = sa.select(h.endpoint).order_by(_e.id)


def endpoints(c: Connection) -> list[Endpoint]:
    """All, oldest first."""
    return [_made(row._asdict()) for row in fetch(c, _ALL)]


def endpoint(c: Connection, public_id: str) -> Endpoint:
    """By its id, or the beginning of it that no other has. Raises NoSuchEndpoint."""
    found = [e for e in endpoints(c) if e.public_id.startswith(public_id.strip())] if public_id.strip() else []
    exact = [e for e in found if e.public_id == public_id.strip()]
    if len(exact or found) != 1:
        raise NoSuchEndpoint(
            f"{'more than one endpoint begins' if found else 'there is no endpoint'} {public_id!r}: see `ihub hook list`"
        )
    return (exact or found)[0]


def _made(row: dict[str, Any]) -> Endpoint:
    for name in ("created_at", "changed_at", "last_ok_at", "failing_since", "held_until"):
        row[name] = instant_or_none(row[name])
    return Endpoint(**{**row, "events": tuple(row["events"].split())})


class Endpoints:
    """What may be done to endpoints, for every door; who may is the door's to ask."""

    def __init__(self, store: Store, secrets: Secrets, clock: Clock, *, allow_loopback: bool = False) -> None:
        self._store, self._secrets, self._clock = store, secrets, clock
        self._allow_loopback = allow_loopback

    def add(self, url: str, events: Sequence[str], *, description: str = "", owner: str = "") -> tuple[Endpoint, str]:
        """The endpoint and its secret, which is not shown again.

        events: patterns (`hub.hooks.kinds.patterns`). owner: the e-mail address of an account whose private mailbox it may
        hear of, as well as of what is the team's; "" for the team's alone.
        Raises ConfigError for an address no webhook may go to, a pattern that chooses nothing, or no key to keep secrets.
        """
        if not self._secrets.is_kept:
            raise ConfigError(
                "webhooks are signed, and there is no key to keep their secrets: make one with `ihub init --key`"
            )
        wanted = kinds.patterns(events)
        self._check(url)
        with self._store.read() as c:
            others = endpoints(c)
        if len(others) >= MOST:
            raise ConfigError(f"there are {MOST} endpoints already, and no more are kept")
        public_id, secret, now = f"ep_{uuid4().hex[:16]}", signature.new_secret(), self._clock.now()
        self._secrets.put(f"hook:{public_id}", VAULT, {"secrets": [{"is": secret, "until": None}]}, now)
        self._arm([*others, wanted])  # before it is there: whatever changes from here on is noted
        with self._store.write() as c:
            add_ids(c, h.endpoint, [{
                "public_id": public_id, "url": url, "description": description[:256], "events": " ".join(wanted),
                "owner": owner.strip().lower(), "state": "active", "created_at": micros(now), "changed_at": micros(now),
            }])  # fmt: skip
            return endpoint(c, public_id), secret

    def edit(
        self,
        public_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
    ) -> Endpoint:
        """What is None stays. Raises as `add`, and NoSuchEndpoint."""
        values: dict[str, Any] = {}
        if url is not None:
            self._check(url)
            values["url"] = url
        if events is not None:
            values["events"] = " ".join(kinds.patterns(events))
        if description is not None:
            values["description"] = description[:256]
        with self._store.read() as c:
            endpoint(c, public_id)
            there = endpoints(c)
        if events is not None:  # what it listened to, and what it will: nothing is missed in between
            self._arm([*there, tuple(values["events"].split())])
        found = self._change(public_id, values)
        self.arm()
        return found

    def pause(self, public_id: str, reason: str = "") -> Endpoint:
        """Nothing is sent until `resume`; what happens meanwhile waits in line."""
        return self._change(public_id, {"state": "paused", "reason": reason[:256]})

    def resume(self, public_id: str) -> Endpoint:
        """Go on, with what is first in line and due: of a disabled endpoint too, whose receiver was mended."""
        with self._store.write() as c:
            found = endpoint(c, public_id)
            values = {"state": "active", "reason": "", "failing_since": None, "in_a_row": 0, "held_until": None}
            _write(c, found.id, values, self._clock.now())
            mine = (h.delivery.c.endpoint_id == found.id, h.delivery.c.state.in_(("due", "waiting")))
            c.execute(sa.update(h.delivery).where(*mine).values(next_at=micros(self._clock.now()), tries=0))
            close_issues(c, found, self._clock.now())
            return endpoint(c, found.public_id)

    def rotate(self, public_id: str) -> str:
        """A new secret; the one before signs beside it for a day."""
        with self._store.read() as c:
            found = endpoint(c, public_id)
        now, last = self._clock.now(), micros(self._clock.now() + BOTH_LIVE)
        secret = signature.new_secret()
        before = [
            {**s, "until": last if s["until"] is None else s["until"]} for s in self._kept(found) if _is_live(s, now)
        ]
        kept = [{"is": secret, "until": None}, *before]
        self._secrets.put(f"hook:{found.public_id}", VAULT, {"secrets": kept[:3]}, now)
        return secret

    def remove(self, public_id: str) -> Endpoint:
        """The endpoint, its line, its log and its secrets go."""
        with self._store.write() as c:
            found = endpoint(c, public_id)
            line.lock(c, [found.id])
            mine = sa.select(h.delivery.c.id).where(h.delivery.c.endpoint_id == found.id)
            c.execute(sa.delete(h.attempt).where(h.attempt.c.delivery_id.in_(mine)))
            for table in (h.turn, h.delivery):
                c.execute(sa.delete(table).where(table.c.endpoint_id == found.id))
            c.execute(sa.delete(h.endpoint).where(_e.id == found.id))
            close_issues(c, found, self._clock.now())
        self._secrets.forget(f"hook:{found.public_id}")
        self.arm()
        return found

    def secrets(self, found: Endpoint) -> list[str]:
        """Those that sign now, newest first. Raises AuthError when they cannot be decrypted, ConfigError when lost."""
        live = [str(s["is"]) for s in self._kept(found) if _is_live(s, self._clock.now())]
        if not live:
            raise ConfigError(f"the secret of {found.public_id} is lost: make a new one with `ihub hook rotate`")
        return live

    def arm(self) -> None:
        """Have noted what somebody wants to know, and nothing else. Costs a look at the list of triggers."""
        with self._store.read() as c:
            there = endpoints(c)
        self._arm(there)

    def _arm(self, wanted: Sequence[Endpoint | tuple[str, ...]]) -> None:
        given = [w.events if isinstance(w, Endpoint) else w for w in wanted]
        marks.arm(self._store, {group for events in given for group in kinds.groups(events)})

    def _kept(self, found: Endpoint) -> list[dict[str, Any]]:
        held = self._secrets.get(f"hook:{found.public_id}", VAULT)
        return list(held["secrets"]) if held else []

    def _check(self, url: str) -> None:
        try:
            check_url(url, self._allow_loopback)
        except Refused as exc:
            raise ConfigError(f"no webhook may go there: {exc}") from exc

    def _change(self, public_id: str, values: dict[str, Any]) -> Endpoint:
        with self._store.write() as c:
            found = endpoint(c, public_id)
            _write(c, found.id, values, self._clock.now())
            return endpoint(c, found.public_id)


def _is_live(secret: dict[str, Any], now: datetime) -> bool:
    return secret["until"] is None or secret["until"] > micros(now)


def _write(c: Connection, number: int, values: dict[str, Any], now: datetime) -> None:
    change(c, h.endpoint, [{"id": number, **values, "changed_at": micros(now)}])


def disable(c: Connection, found: Endpoint, cause: str, reason: str, now: datetime) -> Endpoint:
    """Nothing is sent until somebody resumes it; the issue says so, among those of the connections."""
    _write(c, found.id, {"state": "disabled", "reason": reason[:256]}, now)
    add_ids(c, t.issue, [{
        "connection_id": None, "about": f"webhook {found.public_id}", "cause": cause,
        "detail": f"{reason}; what changes waits in line: mend the receiver, then `ihub hook resume {found.public_id}`",
        "opened_at": micros(now), "last_seen_at": micros(now),
    }])  # fmt: skip
    return replace(found, state="disabled", reason=reason[:256])


def close_issues(c: Connection, found: Endpoint, now: datetime) -> None:
    mine = (t.issue.c.about == f"webhook {found.public_id}", t.issue.c.closed_at.is_(None))
    c.execute(sa.update(t.issue).where(*mine).values(closed_at=micros(now)))


def source(store: Store) -> str:
    """What events say they come from: this installation, as a URN made once."""
    with store.read() as c:
        known = c.execute(sa.select(t.meta.c.value).where(t.meta.c.key == "hooks.source")).scalar()
    if known is None:
        with store.write() as c:
            add(c, t.meta, [{"key": "hooks.source", "value": f"urn:uuid:{uuid4()}"}])
        return source(store)
    return str(known)
