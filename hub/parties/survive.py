"""Which value of a field counts when tools differ, and whether a tool that holds another one is to be told. Pure.

The rules, in docs/fields.md for people:
- A person's choice between values counts over everything said before it.
- `owner`: what that connection says counts, an emptied field included. While it says nothing, as without rule.
- `precedence`: the first connection of the list that has a value.
- no rule: the newest value.
A blank never wins but by the owner's word. What we wrote and read back is an echo: it never counts as a statement.
Without owner and precedence, two sides that both changed a field since they last agreed, or that never agreed, are a
conflict: nothing is written, both values stay, a person chooses.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

CHOICE, HUB = "a person's choice", "the hub"
_PHONE = re.compile(r"\+?[\d\s()./-]{6,25}")
OUR_WRITE = 60_000_000  # microseconds within which a change there after our write is taken to be our write

Why = Literal["choice", "owner", "emptied by its owner", "precedence", "newest", "nobody says"]


@dataclass(frozen=True, slots=True)
class Said:
    """One value of one field as one record says it. source: a connection, or CHOICE, or HUB for what we count ourselves.

    at: since when, microseconds UTC. value "": it was emptied there. record_id: 0 where there is no record. echo_of:
    what we wrote, where it is only our own write read back, in whatever spelling.
    """

    value: str
    source: str
    at: int
    record_id: int = 0
    echo_of: str | None = None

    @property
    def means(self) -> str:
        return self.value if self.echo_of is None else self.echo_of


@dataclass(frozen=True, slots=True)
class Rule:
    """Which connection's value counts; neither set: the newest does."""

    owner: str = ""
    precedence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Base:
    """What both sides had last: our value, and how it reads there (None: not read since we wrote).

    before, written_at: what stood there when we wrote, and when; written_at None where both were found equal.
    """

    value: str
    theirs: str | None = None
    before: str | None = None
    written_at: int | None = None


@dataclass(frozen=True, slots=True)
class Survivor:
    """The value that counts, who says it and by which rule; said None where nobody has one."""

    value: str
    why: Why
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to happen at one tool's record.

    same: nothing, and `base` is what both hold now. write: `value` goes there. conflict: a person chooses.
    pending: written, not read back yet. ahead: the tool has the newer value. nothing: there is none to give.
    """

    what: Literal["same", "write", "conflict", "pending", "ahead", "nothing"]
    value: str = ""
    base: Base | None = None


def survive(said: Sequence[Said], rule: Rule) -> Survivor:
    """The value that counts among all that is said of one field."""
    told = [s for s in said if s.echo_of is None] or list(said)
    chosen = max((s for s in told if s.source == CHOICE), key=_order, default=None)
    if chosen:
        told = [s for s in told if s.at > chosen.at and s.source != CHOICE]
    by_owner = [s for s in told if s.source == rule.owner] if rule.owner else []
    if by_owner:
        said_last = _newest(by_owner) or max(by_owner, key=_order)
        return Survivor(said_last.means, "owner" if said_last.means else "emptied by its owner", said_last)
    for name in rule.precedence:
        if first := _newest([s for s in told if s.source == name]):
            return Survivor(first.means, "precedence", first)
    if newest := _newest(told):
        return Survivor(newest.means, "newest", newest)
    return Survivor(chosen.value, "choice", chosen) if chosen else Survivor("", "nobody says")


def decide(said: Sequence[Said], rule: Rule, mine: Said | None, base: Base | None) -> Verdict:
    """What becomes of the field at a tool's record. mine: what that record says (None: never said anything)."""
    base = read_back(mine, base)
    if mine:
        flagged = as_echo(mine, base)
        said, mine = [flagged if s == mine else s for s in said], flagged
    counts = survive(said, rule)
    held = mine.value if mine else ""
    if counts.why in {"choice", "owner", "emptied by its owner", "precedence"}:
        if counts.said is mine:
            return Verdict("ahead")
        return _toward(counts.value, held, base)
    other = survive([s for s in said if s is not mine], rule)
    if not other.value:
        return Verdict("ahead" if held else "nothing")
    if alike(other.value, held) or not held or (mine and mine.echo_of is not None):
        return _toward(other.value, held, base)
    if base is None:
        return Verdict("conflict", other.value)
    is_mine_new = held != (base.value if base.theirs is None else base.theirs)
    is_other_new = other.value != base.value
    if base.theirs is None and held == base.before:
        return _toward(other.value, held, base)
    if is_mine_new and is_other_new:
        return Verdict("conflict", other.value)
    return Verdict("ahead") if is_mine_new else _toward(other.value, held, base)


def alike(one: str, other: str) -> bool:
    """The same but for case and spaces, or the same digits of a phone number: tools spell values their own way."""
    return one == other or (bool(one and other) and _bare(one) == _bare(other))


def as_echo(said: Said, base: Base | None) -> Said:
    """The statement, marked where it is only what we wrote, read back."""
    is_echo = base is not None and base.written_at is not None and base.theirs == said.value
    return replace(said, echo_of=base.value if base and is_echo else None)


def _toward(value: str, held: str, base: Base | None) -> Verdict:
    if base and base.written_at is not None and base.value == value:
        if base.theirs is None and held == base.before:
            return Verdict("pending")
        if base.theirs == held:
            return Verdict("same", value, base)
    if held == value or (alike(value, held) and (base is None or base.value == value)):
        return Verdict("same", value, Base(value, held))
    return Verdict("write", value)


def read_back(mine: Said | None, base: Base | None) -> Base | None:
    """Our last write as it reads there by now; a change within a minute of it, or in spelling only, is our own."""
    if base is None or base.written_at is None or base.theirs is not None or mine is None:
        return base
    if mine.value == base.before and mine.value != base.value:
        return base
    if alike(mine.value, base.value) or mine.at <= base.written_at + OUR_WRITE:
        return Base(base.value, mine.value, base.before, base.written_at)
    return base


def _newest(said: Sequence[Said]) -> Said | None:
    return max((s for s in said if s.means), key=_order, default=None)


def _order(s: Said) -> tuple[int, str, str]:
    return (s.at, s.source, s.means)


def _bare(text: str) -> str:
    if _PHONE.fullmatch(text):
        return re.sub(r"\D", "", text).lstrip("0")
    return " ".join(text.split()).casefold()
