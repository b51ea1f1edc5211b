"""The fault switchboard every emulator carries: what goes wrong, on which requests, how often.

Transport faults are carried out by the emulator base for any vendor; semantic ones are asked for by the emulator's
own code with `board.hits(kind, ...)` or `board.args(kind)`.
"""

import random
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

TRANSPORT = ("drop_answer", "reset", "truncate", "html", "status", "slow")
SEMANTIC = (
    "hide", "vanish", "expire_cursor", "page_loop", "deny_scope", "revoke_token", "expire_token", "quota", "poison",
)  # fmt: skip


@dataclass
class Fault:
    """One rule. kind: see TRANSPORT and SEMANTIC.

    path: only requests whose path contains this text; method: only this HTTP method; "" is any.
    every: of the matching requests, each n-th is hit (1: all); skip: let so many pass first;
    times: stop after so many hits (None: never). args: what the kind needs (status=503, ids=[...], seconds=2).
    drop_answer: the request is carried out, then the connection is cut before the first byte of the answer.
    reset: the connection is cut before the request is carried out. truncate: half of the body, then cut.
    """

    kind: str
    path: str = ""
    method: str = ""
    every: int = 1
    skip: int = 0
    times: int | None = None
    args: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    hit: int = 0

    def __post_init__(self) -> None:
        if self.kind not in TRANSPORT + SEMANTIC:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(TRANSPORT + SEMANTIC)}")


class FaultBoard:
    """Holds the rules in force. Thread-safe; `rng` is seeded, so that a run can be repeated."""

    def __init__(self, seed: int = 1) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()
        self.rng = random.Random(seed)  # noqa: S311 - repeatable faults, not secrets

    def add(self, kind: str, **rule: Any) -> Fault:
        """Put a rule in force; keywords that are not fields of Fault become its `args`."""
        known = {k: rule.pop(k) for k in ("path", "method", "every", "skip", "times") if k in rule}
        args = rule.pop("args", None) or rule
        fault = Fault(kind=kind, args=args, **known)
        with self._lock:
            self._rules.append(fault)
        return fault

    def clear(self, kind: str | None = None) -> None:
        with self._lock:
            self._rules = [] if kind is None else [r for r in self._rules if r.kind != kind]

    def hits(self, kind: str, path: str = "", method: str = "") -> Fault | None:
        """Count this request against the rules of `kind`; the rule that strikes now, or None."""
        with self._lock:
            for rule in self._rules:
                if rule.kind != kind or rule.path not in path or (rule.method and rule.method != method):
                    continue
                rule.seen += 1
                due = rule.seen > rule.skip and (rule.seen - rule.skip) % rule.every == 0
                if due and (rule.times is None or rule.hit < rule.times):
                    rule.hit += 1
                    return rule
        return None

    def args(self, kind: str) -> dict[str, Any] | None:
        """The arguments of the first rule of `kind` in force, without counting; None when there is none."""
        with self._lock:
            for rule in self._rules:
                if rule.kind == kind and (rule.times is None or rule.hit < rule.times):
                    return rule.args
        return None

    def state(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(r) for r in self._rules]
