"""What was noted of one thing, read together: what became of it between two looks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hub.hooks import kinds


class Mark(NamedTuple):
    id: int
    kind: str
    row_id: int
    op: str
    fields: str
    other: int | None
    text: str


@dataclass
class Change:
    """One event to be. customers: public ids of the people and companies it concerns. kind: of the thing, finer than the type.

    at: microseconds, None for now. more: what else its data says. links: where REST has it, or what it is about.
    """

    resource: str
    action: str
    subject: str
    kind: str
    customers: list[str]
    fields: list[str] = field(default_factory=list)
    at: int | None = None
    more: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


class Told:
    """The marks of one thing, read together."""

    def __init__(self, found: Iterable[Mark]) -> None:
        self.marks = list(found)
        ends = [m for m in self.marks if m.op in ("c", "d")]
        self.came = bool(ends) and ends[0].op == "c"  # it was not there before
        self.went = bool(ends) and ends[-1].op == "d"
        self.is_back = bool(ends) and not self.came and not self.went
        self.text = next((m.text for m in reversed(self.marks) if m.text and m.op in ("c", "u", "d")), "")

    def fields(self) -> list[str]:
        return sorted({name for m in self.marks for name in m.fields.split(",") if name})

    def others(self, *ops: str) -> list[int]:
        return [m.other for m in self.marks if m.op in ops and m.other is not None]

    def new_records(self) -> set[int]:
        """Records that show it now and did not before: what a record says anew was there already."""
        return set(self.others("s+")) - {int(m.text) for m in self.marks if m.op == "s" and m.text}

    def gain(self, plus: str, minus: str) -> tuple[set[int], set[int]]:
        """What it has more now, and less."""
        count: dict[int, int] = {}
        for m in self.marks:
            if m.other is not None and m.op in (plus, minus):
                count[m.other] = count.get(m.other, 0) + (1 if m.op == plus else -1)
        return {k for k, n in count.items() if n > 0}, {k for k, n in count.items() if n < 0}


def action(x: Told, is_live: bool, has_news: bool, was_seen: bool, is_known: bool = True) -> str | None:
    """is_live: it is there, and seen. was_seen: so was something of it that is gone now. is_known: it was seen before."""
    if is_live:
        return "created" if x.came or not is_known else "updated" if has_news or x.is_back else None
    return "deleted" if was_seen and not x.came else None


def classes(x: Told, now: Any, held: int) -> tuple[str | None, str | None]:
    """What the party was before, and is now: contact, organization, or None for neither, or nobody.

    A party that stands for nobody (it was joined into another) has no identifiers. held: how many it has now.
    """
    more, less = x.gain("i+", "i-")
    after = kinds.PARTIES.get(now.kind) if now is not None and held else None
    if x.came or held - len(more) + len(less) <= 0:
        return None, after
    first = next((m.text for m in x.marks if m.op in ("u", "d") and m.text), "")
    kind = first.partition(" ")[0] or (now.kind if now is not None else "")
    return kinds.PARTIES.get(kind), after
