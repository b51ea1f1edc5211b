"""What people answered, as labelled pairs of records that the weights are learnt by.

An answer is any word of a person that stands: accepted and rejected questions, `merge`, `different`, `split`, and a join of
the model's that somebody took back, which is a split. One that was taken back, or that a newer one contradicts, is none.
"""

from collections import Counter
from collections.abc import Mapping

from hub.identity.evidence import Evidence, subject
from hub.identity.graph import HUMAN, Parts, Word
from hub.identity.match.learn import Answer
from hub.identity.match.profile import Profile
from hub.identity.match.record import Record

_Pair = tuple[tuple[str, ...], tuple[str, ...]]  # names of the records on either side


def answers(found: Evidence, made: Parts, records: Mapping[int, Record]) -> list[Answer]:
    """All that stand; whatever order they came in, the same.

    made: what `graph.parts` makes of people's words. records: identifier -> what is compared of it. A word between addresses
    that have no record of their own is one about the records that list them. One act is one answer, into however many
    words it was put: each weighs its share of it.
    """
    group = {n: at for at, members in enumerate(made.groups) for n in members}
    said = [w for w in made.used if w.kind == HUMAN]
    said += [w for w in found.words if w.kind == HUMAN and w.verdict == "different" and _are_two(w, group)]
    of = _records_of({end for w in said for end in (w.left, w.right)}, found, records)
    newest: dict[_Pair, Word] = {}
    for w in sorted(said, key=lambda w: (w.at, w.decision)):
        a, b = of[w.left], of[w.right]
        mine = tuple(sorted(a if w.left in records else a.keys() - b.keys()))  # who lists both speaks for neither
        theirs = tuple(sorted(b if w.right in records else b.keys() - a.keys()))
        kinds = {r.kind for side in (a, b) for r in side.values()}
        if mine and theirs and len(kinds) == 1:
            newest[min(mine, theirs), max(mine, theirs)] = w
    acts = Counter((w.at, w.rule) for w in newest.values())
    by_name = {name: r for side in of.values() for name, r in side.items()}
    return [
        Answer(_known(a, by_name), _known(b, by_name), w.verdict == "same", 1 / acts[w.at, w.rule])
        for (a, b), w in sorted(newest.items(), key=lambda pair: pair[0])
    ]


def _are_two(word: Word, group: Mapping[int, int]) -> bool:
    """Whether it still parts anybody: both ends are there, and no newer word made them one."""
    return word.left in group and word.right in group and group[word.left] != group[word.right]


def _records_of(ends: set[int], found: Evidence, records: Mapping[int, Record]) -> dict[int, dict[str, Record]]:
    """Each end -> its own record, else those that list it, by their names."""
    of = {end: {records[end].id: records[end]} if end in records else {} for end in ends}
    bare = {end for end in ends if end not in records}
    for listed in found.listed.values() if bare else ():
        here = bare.intersection(listed)
        own = subject(found, listed) if here else None
        if own is not None and own in records:
            for end in here:
                of[end][records[own].id] = records[own]
    return of


def _known(names: tuple[str, ...], records: Mapping[str, Record]) -> Profile:
    return Profile.whole(records[name] for name in names)
