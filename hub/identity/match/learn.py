"""Weights without labels: strangers from the frequencies of each field, the same by expectation over candidate pairs.

What people answered meanwhile is taken in where it is known: an answered pair is the same, or is not, whatever it weighs.
It counts as one pair and no more, and all answers together never more than the shipped shares do, so neither a handful
of answers nor one odd family swings anything. How strangers agree (u) is left alone: who was asked about is no stranger
drawn at random. That two are different says only that they tell nothing of how the same agree.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from hub.identity.match.fields import COMPARE, PARTS, Reading, Step
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.profile import Profile, common, weigh
from hub.identity.match.record import Record

_HOPELESS = -20.0  # bits: a pair that far off is not looked at again
_SHARED = ("email", "phone", "number", "born", "company")
_LEAST_SHARED = 0.004  # however seldom strangers shared it so far


def strangers(model: Model, records: Sequence[Record]) -> None:
    """Shares of the levels among strangers (u): values of the records that have the field, drawn by their frequency.

    Drawing pairs of records would never see a rare field filled in both; "same" is not drawn but counted.
    """
    drawn(model, ((name, sorted(v for r in records for v in r.fields.get(name, ()))) for name in COMPARE))


def drawn(model: Model, pools: Iterable[tuple[str, Sequence[str]]]) -> None:
    """As `strangers`, from (field, all values said of it in order)."""
    for name, pool in pools:
        compare = COMPARE[name]
        if len(pool) < 2:
            continue
        draw, seen = Random(7), dict[str, Counter[str]]()  # noqa: S311 - the same at each run
        for _ in range(min(model.settings.draws, len(pool) * 20)):
            a, b = draw.choice(pool), draw.choice(pool)
            for part, level, _, _ in compare(a, b)[0]:
                seen.setdefault(part, Counter())[level] += 1
        for part, levels in seen.items():
            total = sum(levels.values()) + len(PARTS[part].levels)
            model.u[part] = {lv: (levels[lv] + 0.5) / total for lv in PARTS[part].levels}
    model.forget()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said of two: what is known of either, and how much of an answer it is (1: a whole one, to itself)."""

    a: Profile
    b: Profile
    is_same: bool
    weight: float = 1.0


@dataclass(slots=True)
class _Pair:
    """A candidate pair as it is weighed again and again: how its fields can be read does not change from round to round.

    read: field -> the readings of its first values. several: fields with more than one value on a side.
    said: the chance that they are one where a person said it, 1 or 0. times: how many pairs it counts as.
    """

    a: Profile
    b: Profile
    read: dict[str, Sequence[Reading]]
    several: frozenset[str]
    equal: tuple[str, ...]
    said: float | None = None
    times: float = 1.0

    @classmethod
    def of(cls, a: Profile, b: Profile) -> "_Pair":
        read, several = {}, set()
        for name in common(a, b):
            mine, theirs = a.values[name], b.values[name]
            x, y = next(iter(mine)), next(iter(theirs))
            read[name] = COMPARE[name](min(x, y), max(x, y))
            if len(mine) > 1 or len(theirs) > 1:
                several.add(name)
        equal = tuple(p for p in _SHARED if p in read and not a.values[p].keys().isdisjoint(b.values[p]))
        return cls(a, b, read, frozenset(several), equal)


def _answered(answers: Sequence[Answer], settings: Settings) -> list[_Pair]:
    """In one order, whatever order they came in; together at most as much as the shipped shares."""
    most = settings.prior_strength / max(math.fsum(a.weight for a in answers), settings.prior_strength)
    found = []
    for each in sorted(answers, key=lambda a: (a.a.records, a.b.records, a.is_same, a.weight)):
        pair = _Pair.of(each.a, each.b)
        pair.said, pair.times = float(each.is_same), each.weight * most
        found.append(pair)
    return found


def expect(
    model: Model, profiles: Sequence[Profile], pairs: Sequence[tuple[int, int]], of_all: float,
    answers: Sequence[Answer] = (),
) -> None:  # fmt: skip
    """Expectation and maximisation over pairs (indexes into profiles), a share `of_all` of the candidate pairs.

    Learns how often the same agree on each level, how far an equal value may still mean strangers, and how many records
    an entity has. The shipped shares weigh as much as `prior_strength` pairs, so that few pairs change little.
    answers: of pairs that are not among `pairs`.
    """
    settings, counts = model.settings, model.counts
    alive = [_Pair.of(profiles[i], profiles[j]) for i, j in pairs] + _answered(answers, settings)
    for _ in range(settings.rounds):
        seen, equal = _nothing(), defaultdict[str, float](float)
        matches, known, still, steps = 0.0, 0.0, list[_Pair](), dict[Step, float]()
        for pair in alive:
            weight, best = _weigh(model, pair, steps)
            if pair.said is None and weight < _HOPELESS:
                continue
            still.append(pair)
            for part in pair.equal:
                equal[part] += pair.times
            chance = 1 / (1 + 2.0 ** -min(weight, 60.0)) if pair.said is None else pair.said
            if chance < 1e-3:
                continue
            chance *= pair.times
            if pair.said is None:
                matches += chance
            else:
                known += chance
            _see(seen, best, chance)
        alive = still
        for part, levels in seen.items():
            _update(model, part, levels, PARTS[part].levels)
            if part in _SHARED:
                shipped = PARTS[part].shared * 20
                model.shared[part] = max((equal[part] - levels["same"] + shipped) / (equal[part] + 20), _LEAST_SHARED)
        model.partners = min(max(2 * (matches / of_all + known) / max(counts.records, 1), 0.2), 30.0)
        model.forget()


def _weigh(model: Model, pair: _Pair, steps: dict[Step, float]) -> tuple[float, list[Reading]]:
    """The weight of a pair, and the best reading of each field. steps: weights that were worked out this round."""
    found, best = {}, []
    for name, options in pair.read.items():
        most = -math.inf
        for reading in options:
            total = 0.0
            for step in reading:
                weight = steps.get(step)
                if weight is None:
                    weight = steps[step] = model.step(step)
                total += weight
            if total > most:
                most, chosen = total, reading
        best.append(chosen)
        found[name] = weigh(model, name, pair.a, pair.b) if name in pair.several else most
    return model.total(found), best


_Seen = dict[str, defaultdict[str, float]]  # part -> level -> pairs of the same that agree so


def _nothing() -> _Seen:
    return {part: defaultdict(float) for part in PARTS}


def _see(seen: _Seen, best: list[Reading], chance: float) -> None:
    for reading in best:
        for part, level, _, _ in reading:
            seen[part][level] += chance


def _update(model: Model, part: str, levels: Mapping[str, float], before: Mapping[str, float]) -> None:
    strength = model.settings.prior_strength
    total = sum(levels.values()) + strength
    model.m[part] = {lv: (levels.get(lv, 0.0) + strength * share) / total for lv, share in before.items()}


def teach(model: Model, answers: Sequence[Answer]) -> None:
    """Answers alone, for bases too small to learn from: the shares among the same (m) move from what the model has now.

    Nothing else does: the queue shows too few of the pairs that share an address or a number to say how many hold it.
    """
    seen, steps = _nothing(), dict[Step, float]()
    for pair in _answered(answers, model.settings):
        if pair.said:
            _see(seen, _weigh(model, pair, steps)[1], pair.times)
    for part, levels in seen.items():
        _update(model, part, levels, model.m[part])
    model.forget()


def lots(i: int, others: Iterable[int]) -> list[int]:
    """What the pairs of i with others draw, below 2**32: those with the lowest are learnt from."""
    mine = i * 2654435761
    return [((mine ^ j * 2246822519) & 0xFFFFFFFF) * 3266489917 & 0xFFFFFFFF for j in others]


def learn(
    settings: Settings, records: Sequence[Record], profiles: Sequence[Profile], pairs: Sequence[int],
    answers: Sequence[Answer] = (),
) -> Model:  # fmt: skip
    """A model for these records (sorted by id) from these candidate pairs (i * count + j, as `batch.candidates` finds them).

    answers: what people said of some of them.
    """
    counts = Counts()
    for record in records:
        counts.add(record)
    model = Model(settings, counts)
    strangers(model, records)
    share = min(1.0, settings.sample / max(len(pairs), 1))
    cut = math.ceil(share * 2**32)
    found = (divmod(code, len(records)) for code in pairs)
    chosen = [(i, j) for i, j in found if lots(i, (j,))[0] < cut]
    said = {frozenset((x, y)) for each in answers for x in each.a.records for y in each.b.records}
    unsaid = [p for p in chosen if not said or frozenset((records[p[0]].id, records[p[1]].id)) not in said]
    expect(model, profiles, [p for p in unsaid if not profiles[p[0]].holders & profiles[p[1]].holders], share, answers)
    return model
