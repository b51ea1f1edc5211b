"""A whole base at once: candidates by keys, weighed on all cores, and joined group by group of what hangs together.

Results are the same whatever the number of processes: tasks are spans of records in the order of their ids, and groups
that nothing ties to each other cannot change each other's joins.
"""

import math
from array import array
from collections.abc import Iterator, Sequence

from hub.identity.match.crew import Crew, cores
from hub.identity.match.joining import Clustering
from hub.identity.match.learn import drawn, expect, lots
from hub.identity.match.model import Model, Settings
from hub.identity.match.table import HOLDER, NOTHING, Blocks, Table
from hub.identity.match.vetoes import Different
from hub.identity.match.weigher import Weigher

_ALONE = 20_000  # records that one process works through before others would have started
_SPAN = 2_000  # records, or likely pairs, of a task

_Span = tuple[int, int]
_Edges = tuple["array[float]", "array[int]", "array[int]"]
_Lots = list[tuple[int, int, int]]
_Groups = list[list[str]]


class Pairs(Sequence[tuple[float, int, int]]):
    """(weight, i, j), i < j, ascending by i and j."""

    def __init__(self) -> None:
        self.weights, self.left, self.right = array("d"), array("i"), array("i")

    def extend(self, edges: _Edges) -> None:
        self.weights.extend(edges[0])
        self.left.extend(edges[1])
        self.right.extend(edges[2])

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, at: int) -> tuple[float, int, int]:  # type: ignore[override]  # no slices
        return self.weights[at], self.left[at], self.right[at]

    def __iter__(self) -> Iterator[tuple[float, int, int]]:
        return zip(self.weights, self.left, self.right, strict=True)


def bulk(
    table: Table, settings: Settings, model: Model | None = None, workers: int = 0
) -> tuple[_Groups, Model, Pairs]:
    """Clusters of record ids, the model (learnt from these records unless given), and the pairs likelier than not.

    table: sorted; its keys are used up. workers: processes; 0 for as many as are worth it.
    """
    workers = _workers(table, workers)
    blocks = Blocks(table.keys, table.ends, settings.block)
    table.keys, table.ends = array("q"), array("q")
    if model is None:
        with Crew((blocks, settings.sample), workers) as crew:
            model = _learnt(table, settings, *_sampled(crew, table, settings.sample))
    pairs = Pairs()
    with Crew((Weigher(table, model, settings.review), blocks), workers) as crew:
        for edges in crew.map(_likely, _spans(table)):
            pairs.extend(edges)
    del blocks
    return clustered(table, model, pairs, settings.review, workers=workers), model, pairs


def _workers(table: Table, workers: int) -> int:
    return workers or (cores() if len(table) >= _ALONE else 1)


def _spans(table: Table) -> Iterator[_Span]:
    return ((begin, min(begin + _SPAN, len(table))) for begin in range(0, len(table), _SPAN))


# --- the work of a task: what the processes share, and its part -------------------------------------------------------


def _drawn(state: tuple[Blocks, int], task: tuple[_Span, int]) -> tuple[int, _Lots]:
    """How many candidate pairs there are, and (lot, i, j) of more of them than a sample of all needs: where so many were seen
    before, of few.
    """
    (blocks, sample), (span, before) = state, task
    count, kept = 0, []
    for i in range(*span):
        if others := blocks.after(i):
            count += len(others)
            cut, found = _cut(sample, before + count), lots(i, others)
            if min(found) < cut:
                kept += [(lot, i, j) for lot, j in zip(found, others, strict=True) if lot < cut]
    return count, kept


def _likely(state: tuple[Weigher, Blocks], span: _Span) -> _Edges:
    weigher, blocks = state
    weights, left, right = array("d"), array("i"), array("i")
    for i in range(*span):
        for weight, j in weigher.likely(i, blocks.after(i)):
            weights.append(weight)
            left.append(i)
            right.append(j)
    return weights, left, right


def _joined(state: tuple[Table, Model, float, Different], groups: list[_Edges]) -> _Groups:
    table, model, at, different = state
    found = []
    for weights, left, right in groups:
        members = sorted({*left, *right})
        place = {i: n for n, i in enumerate(members)}
        work = Clustering(model, [table[i] for i in members], at, different)
        for weight, i, j in zip(weights, left, right, strict=True):
            work.edge(place[i], place[j], weight)
        found += work.run()
    return found


# --- the whole --------------------------------------------------------------------------------------------------------


def _cut(sample: int, count: int) -> int:
    return math.ceil(min(1.0, sample / max(count, 1)) * 2**32)


def _sampled(crew: Crew[tuple[Blocks, int]], table: Table, sample: int) -> tuple[int, _Lots]:
    """How many candidate pairs there are, and the (lot, i, j) of those that are learnt from; few more are held at any time."""
    count, kept = 0, _Lots()
    for found, more in crew.map(_drawn, ((span, count) for span in _spans(table))):
        count += found
        kept += more
        if len(kept) > 4 * sample:
            kept = _below(_cut(sample, count), kept)
    return count, _below(_cut(sample, count), kept)


def _below(cut: int, kept: _Lots) -> _Lots:
    return [each for each in kept if each[0] < cut]


def _learnt(table: Table, settings: Settings, count: int, kept: _Lots) -> Model:
    """As `learn` does, of the same pairs."""
    holder = table.columns[HOLDER].of
    chosen = [(i, j) for _, i, j in kept if holder[i] == NOTHING or holder[i] != holder[j]]
    model = Model(settings, table.counts())
    drawn(model, table.pools())
    expect(model, table, chosen, min(1.0, settings.sample / max(count, 1)))
    return model


def clustered(
    table: Table, model: Model, pairs: Pairs, at: float, different: Different = frozenset(), workers: int = 0
) -> _Groups:
    """Clusters of record ids, all sorted: joined by falling weight down to `at`."""
    tied = _tied(len(table), pairs)
    found = [[ident] for ident, root in zip(table.ids, tied, strict=True) if root == NOTHING]
    with Crew((table, model, at, different), _workers(table, workers)) as crew:
        for groups in crew.map(_joined, _tasks(tied, pairs)):
            found += groups
    return sorted(found)


def _tied(n: int, pairs: Pairs) -> "array[int]":
    """By record, the first one of those that pairs tie it to; NOTHING for who is in none."""
    root = array("i", range(n))

    def top(i: int) -> int:
        while (up := root[i]) != i:
            root[i] = i = root[up]
        return i

    for i, j in zip(pairs.left, pairs.right, strict=True):
        a, b = top(i), top(j)
        if a != b:
            root[max(a, b)] = min(a, b)
    paired = bytearray(n)
    for side in (pairs.left, pairs.right):
        for i in side:
            paired[i] = 1
    return array("i", (top(i) if paired[i] else NOTHING for i in range(n)))


def _tasks(tied: "array[int]", pairs: Pairs) -> Iterator[list[_Edges]]:
    """The pairs of each group of what hangs together, some groups at a time."""
    of: dict[int, array[int]] = {}
    for at, i in enumerate(pairs.left):
        of.setdefault(tied[i], array("i")).append(at)
    task: list[_Edges] = []
    size = 0
    for edges in of.values():
        left, right = (array("i", map(side.__getitem__, edges)) for side in (pairs.left, pairs.right))
        task.append((array("d", map(pairs.weights.__getitem__, edges)), left, right))
        size += len(edges)
        if size >= _SPAN:
            yield task
            task, size = [], 0
    yield task
