"""Who is who: sides, evidence, questions, acts."""

from datetime import datetime
from typing import Any

from pydantic import Field

from hub.rest.models import Count, Model, Named

Row = dict[str, Any]


class Side(Model):
    """An address or id, as text and with the party it belongs to."""

    text: str
    scheme: str = ""
    value: str = ""
    sharing: str = ""
    party: str | None = None
    name: str | None = None


class Edges(Model):
    """edges: from one to the other, the evidence of each."""

    is_same: bool
    left: Side
    right: Side
    edges: list[Row]


class Between(Model):
    """verdict: same, different, refused, review or apart. Weights are bits; `needed` joins without asking."""

    verdict: str
    because: list[Row]
    weight: float | None
    needed: float
    asked_from: float
    lines: list[Row]
    without: Row
    only_left: list[Any]
    only_right: list[Any]
    shared: list[Any]
    hubs: list[Any]
    review: int | None
    left: Row
    right: Row


class Question(Model):
    """Two that may be one. review: its number, to accept or reject it by. weight: bits for it."""

    review: int
    rule: str
    why: str
    weight: float | None
    rank: float | None
    records: Count
    at: datetime
    left: Row
    right: Row
    lines: list[Row]
    notes: list[str]


class Questions(Model):
    questions: list[Question]
    total: Count
    withheld: Count = Field(description="of this page: about somebody of whom private connections of others tell")


class Pair(Model):
    left: Side
    right: Side


class ActDone(Model):
    """act: its number, to undo it by. revokes, answers: the act it takes back, the question it answers."""

    act: int
    actor: str
    at: datetime
    kind: str
    verdict: str
    rule: str
    why: str
    pairs: list[Pair]
    decisions: Count
    revoked_at: datetime | None
    revokes: int | None
    answers: int | None
    can_undo: bool
    kept: str = Field(description="why it cannot be undone")


class Acts(Model):
    acts: list[ActDone]


class Hub(Model):
    """A key that too many share to say anything. skipped: times it was of no use."""

    key: str
    what: str
    value: str
    skipped: Count


class _Whom(Model):
    public_id: str
    kind: str
    name: str | None
    organization: Named | None


class MadeOf(Model):
    """Everything a party is made of. decisions: newest first, revoked ones too."""

    party: _Whom
    records: list[Row]
    addresses: list[Row]
    mailboxes: list[Row]
    employment: list[Row]
    part_of: list[Row]
    parts: list[Row]
    decisions: list[Row]
    reviews: list[Row]
