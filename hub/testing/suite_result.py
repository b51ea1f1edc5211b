"""What the suite finds: one result per clause, and what all results of a connector add up to."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["passed", "exempt", "open", "failed"]
LEVELS = ("bronze", "silver", "gold", "platinum")
_NAME = re.compile(r"W(\d+)")


@dataclass(frozen=True)
class Clause:
    """One promise every connector makes. level: the lowest level that needs it."""

    id: str
    name: str
    promise: str
    level: str


# fmt: off
CLAUSES = (
    Clause("W1", "check", "every permission is proven by a read; a missing one costs its stream only", "bronze"),
    Clause("W2", "backfill", "everything is read, resumable at any page, newest first, estimated before", "bronze"),
    Clause("W3", "incremental", "equal times, late rows and rows changed mid-page: none lost, none doubled", "bronze"),
    Clause("W4", "deletes", "deletions arrive as declared; what merely vanishes is not deleted", "silver"),
    Clause("W5", "merges", "what is merged at the source is followed: one record, both histories", "gold"),
    Clause("W6", "push", "N changes are exactly N objects, whatever answers get lost", "gold"),
    Clause("W7", "echo", "what we wrote comes back as ours, and settles", "gold"),
    Clause("W8", "webhooks", "only the vendor's own calls count, and polling repairs what they miss", "platinum"),
    Clause("W9", "census", "a count that shares nothing with the change feed names what the feed hides", "gold"),
    Clause("W10", "budget", "limits are kept, refusals waited out, a spent day is said with its end", "silver"),
    Clause("W11", "poison", "one bad record costs one record", "bronze"),
    Clause("W12", "privacy", "what must not be stored can be told before it is, and shows up nowhere", "bronze"),
    Clause("W13", "auth", "one refresh for all, and no storm when access is gone", "silver"),
)
# fmt: on
BY_ID = {clause.id: clause for clause in CLAUSES}


@dataclass(frozen=True)
class Result:
    """What became of one clause for one stream of a connector.

    detail: why it failed, is exempt or open. notes: parts that the vendor makes impossible, with the reason.
    """

    connector: str
    stream: str
    clause: str
    outcome: Outcome
    detail: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        return {
            "connector": self.connector, "stream": self.stream, "clause": self.clause, "outcome": self.outcome,
            "detail": self.detail, "notes": list(self.notes),
        }  # fmt: skip

    @classmethod
    def of(cls, stored: dict[str, object]) -> "Result":
        notes = stored.get("notes")
        outcome: Outcome = next(o for o in ("passed", "exempt", "open", "failed") if o == stored["outcome"])
        return cls(
            str(stored["connector"]), str(stored["stream"]), str(stored["clause"]), outcome,
            str(stored.get("detail", "")), tuple(str(n) for n in notes) if isinstance(notes, list) else (),
        )  # fmt: skip


def merged(connector: str, results: Iterable[Result]) -> list[Result]:
    """One result per clause for the connector as a whole: the worst of its streams.

    A clause that one stream passes and another is exempt from is passed; one that nobody ran has failed.
    """
    mine = [r for r in results if r.connector == connector]
    found = []
    for clause in CLAUSES:
        here = [r for r in mine if r.clause == clause.id]
        for outcome in ("failed", "open", "passed", "exempt"):
            if hits := [r for r in here if r.outcome == outcome]:
                notes = tuple(dict.fromkeys(n for r in here for n in r.notes))
                detail = "; ".join(
                    dict.fromkeys(f"{r.stream}: {r.detail}" if outcome == "failed" else r.detail for r in hits)
                )
                found.append(Result(connector, "", clause.id, hits[0].outcome, detail, notes))
                break
        else:
            found.append(Result(connector, "", clause.id, "failed", "no stream ran this clause"))
    return found


def level(results: Sequence[Result]) -> str:
    """The highest level all of whose clauses, and all of those below it, are passed or exempt; "" for none.

    Computed from results only; nobody types a level in.
    """
    reached = ""
    for name in LEVELS:
        needed = {clause.id for clause in CLAUSES if clause.level == name}
        kept = {r.clause for r in results if r.outcome in {"passed", "exempt"}}
        if not needed <= kept:
            return reached
        reached = name
    return reached


@dataclass(frozen=True)
class Claim:
    """What a quality file says of one clause: "done", "exempt" or "open", and the reason."""

    status: str
    reason: str = ""


def read_quality(path: Path) -> dict[str, Claim]:
    """Clause id -> claim, out of the `[contract]` table. Raises ValueError for a claim nobody can use."""
    table = tomllib.loads(path.read_text("utf-8")).get("contract", {})
    claims = {}
    for key, row in table.items():
        number = _NAME.match(key)
        if number is None or f"W{int(number[1])}" not in BY_ID:
            raise ValueError(f"{path}: {key} is not one of the clauses W1 to W{len(CLAUSES)}")
        status, reason = str(row.get("status", "")), str(row.get("reason", ""))
        if status not in {"done", "exempt", "open"}:
            raise ValueError(f"{path}: {key}: status is {status!r}, not done, exempt or open")
        if status != "done" and not reason:
            raise ValueError(f"{path}: {key}: {status} needs a reason")
        claims[f"W{int(number[1])}"] = Claim(status, reason)
    return claims
