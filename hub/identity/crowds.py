"""Addresses that are many people's, whatever they look like: an office's, a family's, the one that somebody puts into every form.

Whether one is shared follows from who lists it today, and from nothing else: it is taken back when the claims go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub.identity.graph import conflict
from hub.identity.match.record import prepare

MOST_CLAIMS = 5  # records of other people that may list somebody's address before it is taken for a shared one


@dataclass(frozen=True, slots=True)
class Claim:
    """A record that lists the address today. ids: identifiers of its own. tools: those whose ids are one entity each."""

    ids: frozenset[int]
    tools: frozenset[str]
    names: frozenset[str]

    @property
    def order(self) -> tuple[list[str], list[str]]:
        return sorted(self.names), sorted(self.tools)


def is_crowd(claims: Sequence[Claim], ties: Iterable[tuple[int, int]], most: int) -> bool:
    """Whether so many claim an address that it is nobody's own.

    ties: pairs of identifiers that a tool or a person calls one. most: records that one entity may have.
    """
    if len(claims) > most + MOST_CLAIMS:
        return True
    if len(claims) <= MOST_CLAIMS:
        return False
    people = _tied(claims, ties)
    return len(people) - _one(people) > MOST_CLAIMS


def _tied(claims: Iterable[Claim], ties: Iterable[tuple[int, int]]) -> list[Claim]:
    """Claims that are one for sure, together."""
    of: dict[int, int] = {}

    def root(n: int) -> int:
        while (up := of.get(n, n)) != n:
            n = up
        return n

    lone, pairs = [], list(ties)
    for claim in claims:
        pairs += [(min(claim.ids), n) for n in claim.ids]
    for a, b in pairs:
        of[root(a)] = root(b)
    whole: dict[int, Claim] = {}
    for claim in claims:
        if not claim.ids:
            lone.append(claim)
            continue
        at = root(min(claim.ids))
        was = whole.get(at, claim)
        whole[at] = Claim(was.ids | claim.ids, was.tools | claim.tools, was.names | claim.names)
    return [*whole.values(), *lone]


def _one(claims: Iterable[Claim]) -> int:
    """How many of these may be one person: the commonest names, what does not contradict them, one id of each tool."""
    called: dict[frozenset[str], list[Claim]] = {}
    for claim in claims:
        called.setdefault(claim.names, []).append(claim)
    names, tools, found = set[str](), set[str](), 0
    for mine, those in sorted(called.items(), key=lambda x: (not x[0], -len(x[1]), sorted(x[0]))):
        if conflict(names, set(mine)):
            continue
        names |= mine
        for claim in sorted(those, key=lambda x: x.order):
            if not tools & claim.tools:
                tools |= claim.tools
                found += 1
    return found


Fields = Mapping[str, tuple[str, ...]]


def restated(
    fields: Fields, mailboxes: Iterable[str], shared: Iterable[str], own: Iterable[str] = ()
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """What a record says, (fields, mailboxes), with addresses it lists (their match values) for what they are.

    shared: mailboxes that it came from, nobody's own. own: the reverse. The same whatever turned first.
    """
    gone, back = set(shared), set(own)
    kept = ({*fields.get("email", ())} - gone) | back
    handles = ({*fields.get("handle", ())} - _handles(gone)) | _handles(kept)
    found = {**fields, "email": tuple(sorted(kept)), "handle": tuple(sorted(handles))}
    return {name: found[name] for name in sorted(found) if found[name]}, tuple(sorted(({*mailboxes} | gone) - back))


def _handles(addresses: Iterable[str]) -> set[str]:
    """What addresses by themselves say of a name."""
    return {h for address in addresses for h in prepare("", {"email": address}).fields.get("handle", ())}
