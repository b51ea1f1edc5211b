"""Weights without labels: strangers from the frequencies of each field, the same by expectation over candidate pairs."""

import math
from collections import Counter
from collections.abc import Sequence
from random import Random

from hub.identity.match.fields import COMPARE, PARTS, Reading
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.profile import Profile, score
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


def expect(model: Model, profiles: Sequence[Profile], pairs: Sequence[tuple[int, int]], of_all: float) -> None:
    """Expectation and maximisation over pairs (indexes into profiles), a share `of_all` candidate pairs.

    Learns how often the same agree on each level, how far an equal value may still mean strangers, and how many records
    an entity has. The shipped shares weigh as much as `prior_strength` pairs, so that few pairs change little.
    """
    settings, counts = model.settings, model.counts
    alive = list(pairs)
    for _ in range(settings.rounds):
        seen: dict[str, Counter[str]] = {p: Counter() for p in PARTS}
        matches, still, equal = 0.0, [], Counter[str]()
        for i, j in alive:
            a, b = profiles[i], profiles[j]
            weight = score(model, a, b, _HOPELESS)
            if weight < _HOPELESS:
                continue
            still.append((i, j))
            for part in _SHARED:
                equal[part] += not a.values.get(part, {}).keys().isdisjoint(b.values.get(part, {}))
            chance = 1 / (1 + 2.0 ** -min(weight, 60.0))
            if chance < 1e-3:
                continue
            matches += chance
            for name in a.values.keys() & b.values.keys():
                for part, level, _, _ in _reading(model, name, a, b):
                    seen[part][level] += chance
        alive = still
        for part, levels in seen.items():
            _update(model, part, levels)
            if part in _SHARED:
                shipped = PARTS[part].shared * 20
                model.shared[part] = max((equal[part] - levels["same"] + shipped) / (equal[part] + 20), _LEAST_SHARED)
        model.partners = min(max(2 * matches / of_all / max(counts.records, 1), 0.2), 30.0)
        model.forget()


def _reading(model: Model, name: str, a: Profile, b: Profile) -> Reading:
    return model.reading(name, next(iter(a.values[name])), next(iter(b.values[name])))[1]


def _update(model: Model, part: str, levels: Counter[str]) -> None:
    shipped, strength = PARTS[part].levels, model.settings.prior_strength
    total = sum(levels.values()) + strength
    model.m[part] = {lv: (levels[lv] + strength * share) / total for lv, share in shipped.items()}


def learn(
    settings: Settings, records: Sequence[Record], profiles: Sequence[Profile], pairs: Sequence[tuple[int, int]]
) -> Model:
    """A model for these records (sorted by id) from these candidate pairs."""
    counts = Counts()
    for record in records:
        counts.add(record)
    model = Model(settings, counts)
    strangers(model, records)
    share = min(1.0, settings.sample / max(len(pairs), 1))
    cut = math.ceil(share * 2**32)
    chosen = [(i, j) for i, j in pairs if (i * 2654435761 ^ j * 2246822519) * 3266489917 % 2**32 < cut]
    expect(model, profiles, chosen, share)
    return model
