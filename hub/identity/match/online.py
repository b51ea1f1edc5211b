"""One record: which known entity it belongs to, how sure that is, and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hub.identity.match import keys
from hub.identity.match.model import Model
from hub.identity.match.profile import Profile, at_most, joined, likely, score, weights
from hub.identity.match.record import Record
from hub.identity.match.vetoes import TWO_IDS, Different, grounds, over_limit, veto

LINK, REVIEW, NEW = "link", "review", "new"


class Index(Protocol):
    """Where known entities are found. The store keeps the same by tables."""

    def entities(self, key: str, most: int) -> list[str]:
        """Ids of the entities under a key, sorted; of more than `most`, any most + 1."""

    def profile(self, entity: str) -> Profile:
        """What is known of an entity."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the waterfall. level: in words, by part ("given same, family slip"); weight: bits."""

    field: str
    left: str
    right: str
    level: str
    weight: float


@dataclass(frozen=True, slots=True)
class Decision:
    """entity: the one to link with or to review ("" for new). why: what kept it from being automatic.

    without: field -> what the verdict were had the record not had it (only where it is another one).
    hubs: keys that too many entities share. vetoed: entity -> why it cannot be.
    also: entities that turn out to be the same one, now that the record belongs to it.
    """

    verdict: str
    entity: str = ""
    weight: float = 0.0
    runner_up: float | None = None
    why: str = ""
    lines: tuple[Line, ...] = ()
    without: dict[str, str] = field(default_factory=dict)
    hubs: tuple[str, ...] = ()
    vetoed: dict[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """is_barred: two ids of one tool, and nothing else, stand against it: shown at most, never linked."""

    entity: str
    profile: Profile
    weights: dict[str, float]
    is_barred: bool = False


def decide(
    record: Record,
    model: Model,
    index: Index,
    different: Different = frozenset(),
    explain: bool = True,
    mine: Profile | None = None,
    own: str = "",
    thorough: bool = True,
) -> Decision:
    """What to do with a record. explain: with the waterfall and the counterfactuals. thorough: also of entities that it cannot
    be whatever were left out; without that `vetoed` and `runner_up` know only the others, and NEW may have no weight.

    mine: what is known of the whole entity that the record belongs to already (the record's own values among it), where it
    belongs to one; own: that entity's id, which is no candidate. LINK then joins two entities.
    """
    mine = mine or Profile.of(record)
    found, hubs, vetoed = list[_Candidate](), list[str](), dict[str, str]()
    for entity in _candidates(record, model, index, hubs):
        if entity == own:
            continue
        known = index.profile(entity)
        weighed = weights(model, mine, known) if thorough else likely(model, mine, known, model.settings.review)
        if weighed is None:
            continue
        if reason := veto(mine, known, different):
            vetoed[entity] = reason
        if reason in ("", TWO_IDS):
            found.append(_Candidate(entity, known, weighed, bool(reason)))
    verdict, best, weight, second, why = _judge(model, mine, found)
    if best is None:
        return Decision(NEW, why=why, hubs=tuple(hubs), vetoed=vetoed)
    lines = tuple(waterfall(model, mine, best.profile, best.weights)) if explain else ()
    without = {}
    if explain and verdict != NEW:
        may_be = [c for c in found if at_most(model, c.weights) >= model.settings.review]
        without = dict(_counterfactuals(model, mine, may_be, verdict))
    entity = best.entity if verdict != NEW else ""
    also = tuple(_also(model, joined(best.profile, mine), best, found, different)) if verdict == LINK else ()
    return Decision(verdict, entity, weight, second, why, lines, without, tuple(hubs), vetoed, also)


def _also(
    model: Model, whole: Profile, best: _Candidate, found: list[_Candidate], different: Different
) -> Iterator[str]:
    """Entities that the record ties to its own: each is weighed against all that is known by then."""
    left = [c for c in found if c is not best and not c.is_barred]
    while left:
        weighed = [(score(model, whole, c.profile), c) for c in left]
        weight, other = max(weighed, key=lambda w: (w[0], w[1].entity))
        if weight < model.settings.auto:
            return
        left.remove(other)
        if not refusal(model, whole, other.profile, different):
            whole = joined(whole, other.profile)
            yield other.entity


def refusal(model: Model, a: Profile, b: Profile, different: Different = frozenset()) -> str:
    """Why two entities that weigh enough are not joined without asking; "" if nothing stands against it."""
    if reason := veto(a, b, different) or over_limit(a, b, model.settings):
        return reason
    if len(a.records) + len(b.records) > model.settings.ask_above:
        return f"more than {model.settings.ask_above} records"
    return grounds(model, weights(model, a, b), a, b)


def _candidates(record: Record, model: Model, index: Index, hubs: list[str]) -> list[str]:
    most, found = model.settings.fan_out, set[str]()
    for key in keys.of(record):
        entities = index.entities(key, most)
        if len(entities) > most:
            hubs.append(key)
        else:
            found.update(entities)
    return sorted(found)


_Judged = tuple[str, _Candidate | None, float, float | None, str]  # verdict, best, weight, runner-up's weight, why


def _judge(model: Model, mine: Profile, found: Iterable[_Candidate], without: str = "") -> _Judged:
    """A barred one that would have been linked is shown where no lawful one is linked or as likely."""
    ranked = sorted(
        ((model.total({f: w for f, w in c.weights.items() if f != without}), c) for c in found),
        key=lambda r: (-r[0], r[1].entity),
    )
    judged = _best(model, mine, [r for r in ranked if not r[1].is_barred], without)
    verdict, best, weight = judged[:3]
    barred = next((r for r in ranked if r[1].is_barred and r[0] >= model.settings.auto), None)
    if barred and verdict != LINK and (verdict == NEW or barred[0] > weight):
        return REVIEW, barred[1], barred[0], weight if best else None, TWO_IDS
    return judged


def _best(model: Model, mine: Profile, ranked: list[tuple[float, _Candidate]], without: str) -> _Judged:
    settings = model.settings
    if not ranked:
        return NEW, None, 0.0, None, "nobody like this is known"
    weight, best = ranked[0]
    second = ranked[1][0] if len(ranked) > 1 else None
    if weight < settings.review:
        return NEW, best, weight, second, "too weak"
    agree = {f: w for f, w in best.weights.items() if f != without}
    if weight < settings.auto:
        why = "not sure enough"
    elif (
        second is not None and second > max(weight - settings.margin, settings.review) and _rivals(model, mine, ranked)
    ):
        why = "another entity is as likely"
    else:
        seen = Profile({f: v for f, v in mine.values.items() if f != without}, mine.records, mine.holders)
        why = grounds(model, agree, seen, best.profile) or over_limit(mine, best.profile, settings)
        if not why and len(mine.records) + len(best.profile.records) > settings.ask_above:
            why = f"more than {settings.ask_above} records"
    return (REVIEW if why else LINK), best, weight, second, why


def _rivals(model: Model, mine: Profile, ranked: list[tuple[float, _Candidate]]) -> bool:
    """Whether the best two are two: not where the record holds them together as one entity."""
    whole, other = joined(ranked[0][1].profile, mine), ranked[1][1].profile
    return score(model, whole, other) < model.settings.auto or bool(refusal(model, whole, other))


def waterfall(model: Model, mine: Profile, theirs: Profile, found: Mapping[str, float]) -> Iterator[Line]:
    """Field by field, the pair of values that agrees best; the weight (of `found`) is that of all values together."""
    yield Line("prior", "", "", f"one in {model.counts.records} records", model.prior)
    for name, weight in sorted(found.items(), key=lambda i: (-i[1], i[0])):
        pairs = ((model.pair(name, x, y), x, y) for x in mine.values[name] for y in theirs.values[name])
        _, x, y = max(pairs)
        steps = model.reading(name, x, y)[1]
        level = ", ".join(f"{part} {level}" if part != name else level for part, level, _, _ in steps)
        yield Line(name, x, y, level, weight)


def _counterfactuals(model: Model, mine: Profile, found: list[_Candidate], verdict: str) -> Iterator[tuple[str, str]]:
    for name in mine.values:
        changed = _judge(model, mine, found, name)[0]
        if changed != verdict:
            yield name, changed


class Memory:
    """An index in memory, with the running counters; for tests, measurements and bases that fit."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._of_key: dict[str, dict[str, None]] = {}
        self._keys: dict[str, set[str]] = {}
        self._profiles: dict[str, Profile] = {}
        self.entity_of: dict[str, str] = {}
        self._fresh_until = 0

    def entities(self, key: str, most: int) -> list[str]:
        held = self._of_key.get(key, {})
        return sorted(held) if len(held) <= most else list(held)[: most + 1]

    def profile(self, entity: str) -> Profile:
        return self._profiles[entity]

    def add(self, record: Record, entity: str) -> None:
        """Take the record in as one of `entity`'s, which may be new."""
        mine = Profile.of(record)
        known = self._profiles.get(entity)
        self._profiles[entity] = joined(known, mine) if known else mine
        self.entity_of[record.id] = entity
        for key in keys.of(record):
            self._of_key.setdefault(key, {})[entity] = None
            self._keys.setdefault(entity, set()).add(key)
        self.model.counts.add(record)
        if self.model.counts.records >= self._fresh_until:  # remembered weights are of older counts
            self.model.forget()
            self._fresh_until = int(self.model.counts.records * 1.02) + 10

    def merge(self, winner: str, loser: str) -> None:
        """All records of `loser` are `winner`'s from now on."""
        gone = self._profiles.pop(loser)
        self._profiles[winner] = joined(self._profiles[winner], gone)
        for ident in gone.records:
            self.entity_of[ident] = winner
        for key in self._keys.pop(loser):
            held = self._of_key[key]
            held.pop(loser, None)
            held[winner] = None
            self._keys[winner].add(key)

    def take(self, record: Record, explain: bool = False) -> Decision:
        """Decide, and act on it: linked when sure, an entity of its own otherwise."""
        decision = decide(record, self.model, self, explain=explain)
        self.add(record, decision.entity if decision.verdict == LINK else record.id)
        for other in decision.also:
            self.merge(decision.entity, other)
        return decision
