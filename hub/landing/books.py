"""The books of a run: every record seen ends in exactly one disposition, or the run is red."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

Disposition = Literal[
    "new", "updated", "unchanged", "duplicate", "excluded", "private", "held", "failed", "deleted"
]  # fmt: skip
DISPOSITIONS: tuple[str, ...] = get_args(Disposition)


@dataclass
class Books:
    """Counts of one run and stream. `rules` breaks excluded, private, duplicate, held and deleted down."""

    seen: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def enter(self, disposition: Disposition, rule: str = "", n: int = 1) -> None:
        self.counts[disposition] += n
        if rule:
            self.rules[f"{disposition}:{rule}"] += n

    @property
    def is_balanced(self) -> bool:
        return self.seen == sum(self.counts.values())

    def plus(self, other: "Books") -> "Books":
        return Books(self.seen + other.seen, self.counts + other.counts, self.rules + other.rules)

    def to_dict(self) -> dict[str, object]:
        return {
            "seen": self.seen,
            **{d: self.counts[d] for d in DISPOSITIONS},
            "rules": dict(sorted(self.rules.items())),
            "is_balanced": self.is_balanced,
        }

    @classmethod
    def of(cls, seen: int, stored: dict[str, object]) -> "Books":
        counts = {d: stored.get(d, 0) for d in DISPOSITIONS}
        rules = stored.get("rules") or {}
        return cls(seen, Counter(counts), Counter(rules if isinstance(rules, dict) else {}))
