"""The weights: log2 of how much more often two records of one entity agree so than two of strangers.

`Model` is numbers only: shares among the same (m), among strangers (u), how often each value occurs, and how many records
there are. It is learnt without labels (`learn`), kept as JSON, and the same for one record and for a million.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from hub.identity.match.fields import (
    COMPARE,
    GROUPS,
    IMPLIED,
    LEVEL,
    PARTS,
    PARTS_OF,
    Reading,
    Step,
    handle_level,
    middle_level,
    name_parts,
)
from hub.identity.match.names import family_level, given_level
from hub.identity.match.record import Record


@dataclass(frozen=True, slots=True)
class Settings:
    """The one configuration. Weights in bits (log2 odds)."""

    auto: float = 4.0  # joined without asking, on grounds that are more than one
    review: float = 0.0  # more likely the same than not: shown to a person
    margin: float = 2.0  # the runner-up must be this much weaker
    block: int = 80  # records that may share a key before it says nothing
    fan_out: int = 25  # entities that may share a key before it is a hub
    agreeing_again: float = 0.5  # what a second agreement on the same matter still counts
    strangest: float = 1e-7  # no level is rarer among strangers than this
    rounds: int = 6  # of learning
    sample: int = 12_000  # pairs learnt from
    draws: int = 10_000  # pairs of values drawn to see how strangers agree
    prior_strength: float = 200.0  # pairs that the shipped shares weigh in learning
    most_records: int = 100  # in one entity
    most_emails: int = 10
    most_phones: int = 6
    neighbours: int = 50  # of one entity that are looked at in bulk: the likeliest
    few: int = 100  # records that do not tell yet which names are common
    ask_above: int = 20  # records of one entity above which a person is asked; in bulk, each further one costs a bit

    @property
    def hash(self) -> str:
        """Names this configuration and the rules it is used by, all of this package; printed beside every figure."""
        what = {s: getattr(self, s) for s in sorted(self.__slots__)}
        return hashlib.sha256((json.dumps(what, sort_keys=True) + _rules()).encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def _rules() -> str:
    """One hash of all modules and lists of this package."""
    found = hashlib.sha256()
    package = files("hub.identity.match")
    for each in sorted((*package.iterdir(), *(package / "data").iterdir()), key=lambda f: f.name):
        if each.is_file() and not each.name.endswith(".pyc"):
            found.update(each.read_bytes())
    return found.hexdigest()


@dataclass(slots=True)
class Counts:
    """Running counters: how often each value occurs, by part."""

    records: int = 0
    values: dict[str, Counter[str]] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record, times: int = 1) -> None:
        self.records += times
        for part, value in counted(record):
            self.values.setdefault(part, Counter())[value] += times
            self.totals[part] += times

    def share(self, part: str, value: str) -> float:
        """Of the records that have this part, the share with this value; a value never seen counts as seen once."""
        seen = self.values.get(part)
        return max(seen.get(value, 0) if seen else 0, 1) / max(self.totals[part], 1)


def implied(name: str, weights: Mapping[str, float]) -> bool:
    """Whether what this field says was said by another already (`fields.IMPLIED`)."""
    others = IMPLIED.get(name)
    return others is not None and any(o in weights and (always or weights[o] > 0) for o, always in others.items())


def counted(record: Record) -> Iterable[tuple[str, str]]:
    """What the running counters count: (part, value) of all fields, names by their parts."""
    for name, found in record.fields.items():
        for value in found:
            yield from parts(name, value)


def parts(field_name: str, value: str) -> tuple[tuple[str, str], ...]:
    """A value as it is counted: a name by its words."""
    return _words(value) if field_name == "name" else ((field_name, value),)


@lru_cache(maxsize=100_000)
def _words(name: str) -> tuple[tuple[str, str], ...]:
    given, middle, family = name_parts(name)
    return tuple((p, v) for p, v in (("given", given), *(("middle", m) for m in middle), ("family", family)) if v)


_BY_FREQUENCY = frozenset({"slip", "alike", "full", "national"})  # strangers with common values agree so more often
_LAST = frozenset({"beginning", "part", "other"})  # unless the other given names stand in
_REMEMBERED = 100_000  # pairs of values of a field
_WORD_LEVEL = {"given": given_level, "family": family_level}


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("hub.identity.match") / "data" / "model.json").read_text("utf-8"))
    return found


class Model:
    """Weights for pairs of values. m, u: shares by part and level; shared: by part (see `fields.Part`)."""

    def __init__(self, settings: Settings, counts: Counts) -> None:
        self.settings, self.counts = settings, counts
        self.m = {p: dict(part.levels) for p, part in PARTS.items()}
        self.u: dict[str, dict[str, float]] = {}
        self.shared = {p: part.shared for p, part in PARTS.items()}
        self.partners = 1.0  # other records that one record's entity is expected to have
        self._cache: dict[str, dict[tuple[str, str], float]] = {f: {} for f in COMPARE}
        self._words: dict[str, dict[tuple[str, str], str]] = {part: {} for part in _WORD_LEVEL}
        self._levels: dict[str, dict[str, tuple[float, float]]] = {}
        self._fixed: dict[str, dict[str, float]] = {}  # levels that weigh the same whatever the values are
        self._prior = (0.0, 0, 0.0)
        self.unequal: dict[str, float] = {}
        self.forget()

    @property
    def prior(self) -> float:
        """The weight that two records taken at random begin with; it falls as the base grows."""
        partners, records, found = self._prior
        if partners != self.partners or records != self.counts.records:
            found = math.log2(self.partners / max(self.counts.records, 2))
            self._prior = (self.partners, self.counts.records, found)
        return found

    def state(self) -> dict[str, object]:
        """What was learnt, for JSON; the counters are kept by whoever keeps the records."""
        return {
            "settings": self.settings.hash,
            "m": self.m,
            "u": self.u,
            "shared": self.shared,
            "partners": self.partners,
        }

    @classmethod
    def of(cls, state: Mapping[str, Any], settings: Settings, counts: Counts) -> "Model":
        """The model of a `state`. Raises ValueError when it was learnt under other settings."""
        if state["settings"] != settings.hash:
            raise ValueError(f"learnt under settings {state['settings']}, not {settings.hash}: learn again")
        model = cls(settings, counts)
        for part, levels in state["m"].items():
            model.m[part] = dict(levels)
        model.u = {part: dict(levels) for part, levels in state["u"].items()}
        model.shared |= state["shared"]
        model.partners = float(state["partners"])
        model.forget()
        return model

    @classmethod
    def shipped(cls, settings: Settings, counts: Counts) -> "Model":
        """The model to begin with, from data/model.json: what a base knows before it has learnt from its own records.

        `python -m benchmarks.identity.ship` writes that file: half `fields.PARTS`, half learnt without labels from 20,000
        records that five tools would hold of invented people. How strangers agree in fields these do not have (birth,
        street, number...) is drawn from values spread evenly.
        """
        return cls.of({**_shipped(), "settings": settings.hash}, settings, counts)

    def forget(self) -> None:
        """After m, u or shared changed."""
        for cache in self._cache.values():
            cache.clear()
        for part, levels in self.m.items():
            u = self.u.get(part, {})
            self._levels[part] = {level: (max(m, 1e-4), u.get(level, 0.0)) for level, m in levels.items()}
            fixed = (level for level in levels if level != "same" and level not in _BY_FREQUENCY)
            self._fixed[part] = {level: self.step((part, level, "", "")) for level in fixed}
        self.unequal = {f: max(0.0, sum(self._unequal(p) for p in PARTS_OF.get(f, (f,)))) for f in COMPARE}

    def _unequal(self, part: str) -> float:
        """The most that values which are not equal can say for it."""
        found = [math.log2(max(m, 1e-4) / max(self.u.get(part, {}).get(level, 0.0), self.settings.strangest))
                 for level, m in self.m[part].items() if level != "same" or part in ("given", "family", "middle")]  # fmt: skip
        return max(found)

    def step(self, step: Step) -> float:
        """The weight of one comparison, in bits."""
        part, level, a, b = step
        m, u = self._levels[part][level]
        if part == "order":
            return math.log2(m) if level == "swapped" else 0.0
        if level == "same":
            u = self._frequency(part, a, b) * self.shared[part]
        elif level in _BY_FREQUENCY:
            u = max(u, math.sqrt(self.counts.share(part, a) * self.counts.share(part, b)) * self.shared[part])
        return math.log2(m / max(u, self.settings.strangest))

    def _frequency(self, part: str, a: str, b: str) -> float:
        """How often a stranger has this value. Names may be swapped; of several words the commonest is the one they share."""
        if part in PARTS_OF["name"][:2]:
            return max(self.counts.share("given", a), self.counts.share("family", a))
        if a == b and part != "middle":
            return self.counts.share(part, a)
        return max(self.counts.share(part, w) for w in (*a.split(), *b.split()))

    def reading(self, field_name: str, a: str, b: str) -> tuple[float, Reading]:
        """The best way to read this pair of values, and its weight."""
        if b < a:
            a, b = b, a
        options = COMPARE[field_name](a, b)
        return max(((sum(map(self.step, r)), r) for r in options), key=lambda found: found[0])

    def pair(self, field_name: str, a: str, b: str) -> float:
        """`reading`'s weight, remembered."""
        key = (a, b) if a <= b else (b, a)
        cache = self._cache[field_name]
        found = cache.get(key)
        if found is None:
            if len(cache) > _REMEMBERED:
                cache.clear()
            found = cache[key] = self.fresh(field_name, *key)
        return found

    def fresh(self, field_name: str, a: str, b: str) -> float:
        """`reading`'s weight, a <= b, without the reading."""
        level = LEVEL.get(field_name)
        if level is not None:
            return self.of_level(field_name, level(a, b), a, b)
        if field_name == "name":
            return self._names(a, b)
        told = handle_level(a, b)
        return self.of_level("handle", told, a, b) if told else 0.0

    def of_level(self, part: str, level: str, a: str = "", b: str = "") -> float:
        """The weight of two values that agree on this level."""
        fixed = self._fixed[part].get(level)
        return self.step((part, level, a, b)) if fixed is None else fixed

    def _names(self, a: str, b: str) -> float:
        """The same as `fields.compare_names`, of words that mostly were compared before."""
        (given_a, middle_a, family_a), (given_b, middle_b, family_b) = name_parts(a), name_parts(b)
        straight, first, second, middle = 0.0, "", "", ""
        if given_a and given_b:
            first, weight = self._word("given", given_a, (*middle_a, family_a), given_b, (*middle_b, family_b))
            straight += weight
        if family_a and family_b:
            second, weight = self._word("family", family_a, middle_a, family_b, middle_b)
            straight += weight
        if middle_a and middle_b:
            middle = middle_level(middle_a, middle_b)
            in_middle = self.of_level("middle", middle, " ".join(middle_a), " ".join(middle_b))
            straight += in_middle
        told = [level for level in (first, second, middle) if level]
        if "same" in told[:2]:
            return straight
        swapped, levels = 0.0, [middle]
        if given_a and family_b:
            level, weight = self._word("given", given_a, (*middle_a, family_a), family_b, (*middle_b, given_b))
            levels.append(level)
            swapped += weight
        if family_a and given_b:
            level, weight = self._word("family", family_a, middle_a, given_b, middle_b)
            levels.append(level)
            swapped += weight
        if "same" not in levels and "slip" not in levels:
            return straight
        if middle:
            swapped += in_middle
        return max(straight, swapped + self._fixed["order"]["swapped"])

    def _word(
        self, part: str, a: str, others_a: tuple[str, ...], b: str, others_b: tuple[str, ...]
    ) -> tuple[str, float]:
        """Level and weight of two first or last names; the other given names may stand in for them."""
        cache, key = self._words[part], (a, b)
        found = cache.get(key)
        if found is None:
            if len(cache) > _REMEMBERED:
                cache.clear()
            found = cache[key] = _WORD_LEVEL[part](a, (), b, ())
        if found in _LAST and (a in others_b or b in others_a):
            found = "other name"
        return found, self.of_level(part, found, a, b)

    def word(self, part: str, a: str, b: str) -> tuple[str, float]:
        """Level and weight of two first ("given") or last names ("family"), whatever else stands in the names."""
        level = _WORD_LEVEL[part](a, (), b, ())
        return level, self.of_level(part, level, a, b)

    def total(self, weights: Mapping[str, float]) -> float:
        """The sum over fields, with the prior; what agrees again in the same group counts by `agreeing_again`."""
        single, groups = [self.prior], None
        for name, weight in weights.items():
            if name in IMPLIED and implied(name, weights):
                continue
            group = GROUPS.get(name)
            if group is None:
                single.append(weight)
            elif groups is None:
                groups = {group: [weight]}
            else:
                groups.setdefault(group, []).append(weight)
        for found in groups.values() if groups else ():
            found.sort(reverse=True)
            single.append(found[0])
            single += [w * self.settings.agreeing_again if w > 0 else w for w in found[1:]]
        return math.fsum(single)  # the same in whatever order the fields came
