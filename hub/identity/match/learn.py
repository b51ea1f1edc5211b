"""Weights without labels: strangers from the frequencies of each field, the same by expectation over candidate pairs."""

import math
from collections import Counter
from collections.abc import Sequence
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
    for name, compare in COMPARE.items():
        pool = sorted(v for r in records for v in r.fields.get(name, ()))
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


@dataclass(slots=True)
class _Pair:
    """A candidate pair as it is weighed again and again: how its fields can be read does not change from round to round.

    read: field -> the readings of its first values. several: fields with more than one value on a side.
    """

    a: Profile
    b: Profile
    read: dict[str, Sequence[Reading]]
    several: frozenset[str]
    equal: tuple[str, ...]

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


def expect(model: Model, profiles: Sequence[Profile], pairs: Sequence[tuple[int, int]], of_all: float) -> None:
    """Expectation and maximisation over pairs (indexes into profiles), a share `of_all` of the candidate pairs.

    Learns how often the same agree on each level, how far an equal value may still mean strangers, and how many records
    an entity has. The shipped shares weigh as much as `prior_strength` pairs, so that few pairs change little.
    """
    settings, counts = model.settings, model.counts
    alive = [_Pair.of(profiles[i], profiles[j]) for i, j in pairs]
    for _ in range(settings.rounds):
        seen: dict[str, Counter[str]] = {p: Counter() for p in PARTS}
        matches, still, equal, steps = 0.0, list[_Pair](), Counter[str](), dict[Step, float]()
        for pair in alive:
            weight, best = _weigh(model, pair, steps)
            if weight < _HOPELESS:
                continue
            still.append(pair)
            equal.update(pair.equal)
            chance = 1 / (1 + 2.0 ** -min(weight, 60.0))
            if chance < 1e-3:
                continue
            matches += chance
            for reading in best:
                for part, level, _, _ in reading:
                    seen[part][level] += chance
        alive = still
        for part, levels in seen.items():
            _update(model, part, levels)
            if part in _SHARED:
                shipped = PARTS[part].shared * 20
                model.shared[part] = max((equal[part] - levels["same"] + shipped) / (equal[part] + 20), _LEAST_SHARED)
        model.partners = min(max(2 * matches / of_all / max(counts.records, 1), 0.2), 30.0)
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


def _update(model: Model, part: str, levels: Counter[str]) -> None:
    shipped, strength = PARTS[part].levels, model.settings.prior_strength
    total = sum(levels.values()) + strength
    model.m[part] = {lv: (levels[lv] + strength * share) / total for lv, share in shipped.items()}


def learn(settings: Settings, records: Sequence[Record], profiles: Sequence[Profile], pairs: Sequence[int]) -> Model:
    """A model for these records (sorted by id) from these candidate pairs (i * count + j, as `batch.candidates` finds them)."""
    counts = Counts()
    for record in records:
        counts.add(record)
    model = Model(settings, counts)
    strangers(model, records)
    share = min(1.0, settings.sample / max(len(pairs), 1))
    cut = math.ceil(share * 2**32)
    found = (divmod(code, len(records)) for code in pairs)
    chosen = [(i, j) for i, j in found if (i * 2654435761 ^ j * 2246822519) * 3266489917 % 2**32 < cut]
    expect(model, profiles, [p for p in chosen if not profiles[p[0]].holders & profiles[p[1]].holders], share)
    return model
