"""What the approval of a proposal takes: proof that whoever approves was shown the very content that they approve.

A nonce is made from the hub's seal, which never leaves the database, from what the plan holds, who asks, and the time. So it
cannot be guessed, fits no other plan, person or content, and ends by itself; a plan that waits no longer takes none, which
makes each good for one approval. Nothing that reads strangers' words is ever given one.
"""

import base64
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import ConfigError
from hub.store import fetch, insert
from hub.store import tables as t

_SEAL = "approvals"
WINDOW = timedelta(minutes=15)  # a nonce lasts for what is left of the window it was made in, and the next
_CONTENT = (
    sa.select(t.change.c.kind, t.change.c.key, t.change.c.op, t.change.c.effect, t.change.c.payload)
    .where(t.change.c.plan_id == sa.bindparam("plan"))
    .order_by(t.change.c.id)
)


def begin(c: Connection) -> None:
    """Have a seal, made of chance once for each hub."""
    row = {"key": _SEAL, "value": secrets.token_urlsafe(32)}
    c.execute(insert(c, t.meta).values(row).on_conflict_do_nothing())


def nonce(c: Connection, plan_id: int, actor: str, now: datetime) -> tuple[str, datetime]:
    """(what `actor` approves this plan with as it is now, until when)."""
    window = _window(now)
    return _made(c, plan_id, actor, window), datetime.fromtimestamp(0, UTC) + WINDOW * (window + 2)


def must_fit(c: Connection, plan_id: int, actor: str, given: str, now: datetime) -> None:
    """Raises ConfigError for a nonce that is not there, or of other content, of somebody else, or over."""
    window = _window(now)
    asked = given.encode("utf-8", "replace")
    if not any(hmac.compare_digest(_made(c, plan_id, actor, w).encode(), asked) for w in (window, window - 1)):
        what = "the nonce does not fit, or is over" if given else "it takes the nonce that is shown with it"
        raise ConfigError(f"plan {plan_id} was proposed by an assistant, and {what}: look at the plan once more")


def _window(now: datetime) -> int:
    return int((now - datetime.fromtimestamp(0, UTC)) / WINDOW)


def _made(c: Connection, plan_id: int, actor: str, window: int) -> str:
    seal = c.execute(sa.select(t.meta.c.value).where(t.meta.c.key == _SEAL)).scalar_one()
    mac = blake2b(key=seal.encode(), digest_size=20, person=b"hub.nonce")
    parts = [str(plan_id).encode(), actor.encode(), str(window).encode()]
    for row in fetch(c, _CONTENT, plan=plan_id):
        parts += [part if isinstance(part, bytes) else str(part).encode() for part in (*row[:4], bytes(row.payload))]
    for part in parts:
        mac.update(len(part).to_bytes(8) + part)
    return base64.b32encode(mac.digest()).decode().lower()
