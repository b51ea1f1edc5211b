"""What stands today beside what is to stand: the parties that an audit would join or part, and decisions that mislead."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hub.identity.evidence import Evidence, Held
from hub.identity.graph import HUMAN, MODEL, Word
from hub.identity.linker import WEIGHED


@dataclass(frozen=True, slots=True)
class Proposal:
    """what: "join" parties, "part" one, "ask" about two. parties: those of today. identifiers: all that they have.

    words: the decisions that are to stand between these identifiers: (left, right, weight, reasons).
    """

    what: Literal["join", "part", "ask"]
    parties: tuple[int, ...]
    identifiers: tuple[int, ...]
    words: tuple[tuple[int, int, float, str], ...] = ()
    weight: float = 0.0
    why: str = ""


def stray(words: Iterable[Word], used: Iterable[Word]) -> list[tuple[int, int, int]]:
    """Decisions of the model between what evidence, with all that the model is to join, does not make one."""
    root: dict[int, int] = {}

    def of(n: int) -> int:
        while (up := root.get(n, n)) != n:
            n = up
        return n

    for w in used:
        if w.kind != HUMAN:
            root[of(w.left)] = of(w.right)
    return [
        (w.decision, w.left, w.right) for w in words
        if w.kind == MODEL and w.rule == WEIGHED and w.verdict == "same" and of(w.left) != of(w.right)
    ]  # fmt: skip


def differences(
    found: Evidence, groups: list[list[int]], wanted: list[Word], reasons: dict[tuple[int, int], str]
) -> list[Proposal]:
    """One proposal for each set of parties whose members are not as they should be."""
    turned = {h.node.id: h for h in found.turned}
    groups = [*groups, *([n] for n in turned if n in found.shared)]
    held = found.held | turned
    target = {n: at for at, group in enumerate(groups) for n in group}
    members: dict[int, list[int]] = {}
    for n, one in held.items():
        members.setdefault(one.party_id, []).append(n)
    words: dict[int, list[Word]] = {}
    for w in wanted:
        words.setdefault(target[w.left], []).append(w)
    out, seen = [], set[int]()
    for party_id in sorted(members):
        if party_id in seen:
            continue
        parties, ends = _touched(party_id, held, members, target, groups)
        seen |= parties
        into = {target[n] for n in ends}
        if len(parties) == len(into) == 1 and turned.keys().isdisjoint(ends):
            continue
        told = [w for at in sorted(into) for w in words.get(at, ())]
        out.append(Proposal(
            "join" if len(into) < len(parties) else "part", tuple(sorted(parties)), tuple(sorted(ends)),
            tuple((w.left, w.right, w.weight, reasons[w.left, w.right]) for w in told),
            max((w.weight for w in told), default=0.0),
        ))  # fmt: skip
    return out


def _touched(
    party_id: int, held: dict[int, Held], members: dict[int, list[int]], target: dict[int, int], groups: list[list[int]]
) -> tuple[set[int], set[int]]:
    """The parties and identifiers that hang together by what is and by what should be."""
    parties, ends, todo = set[int](), set[int](), [party_id]
    while todo:
        one = todo.pop()
        if one in parties:
            continue
        parties.add(one)
        for n in members[one]:
            if n not in ends:
                ends.update(groups[target[n]])
        todo += [held[n].party_id for n in ends]
    return parties, ends
