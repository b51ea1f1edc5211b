"""`python -m benchmarks.identity.orders SET [--records N] [--times N]`: one set through the sync path in several orders.

The records of a set arrive as records of tools, in pages; what comes out is compared, before and after a nightly audit.
What no tool's record holds (a national number, a gender) is left out: the same for every order, and less to go by than the
rows of the table that weigh a set as a whole.
"""

import argparse
import json
from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.identity import score
from benchmarks.identity.sets import Row, folder, read
from benchmarks.identity.stored import NOW, RULES, base, rows
from hub import identity
from hub.api import Identifier, Organization, Person
from hub.identity.match.model import Settings

Entity = Person | Organization


def _record(ident: str, scheme: str, row: Row, columns: dict[str, str], *also: tuple[str, str]) -> Person:
    """One record of a tool; columns: our field -> theirs. also: (scheme, value) of what it lists beside."""
    fields = {ours: row[theirs] for ours, theirs in columns.items() if row[theirs]}
    name = fields.pop("name", "") or f"{fields.get('first_name', '')} {fields.get('last_name', '')}".strip()
    listed = (Identifier(kind, value) for kind, value in also if value)
    return Person(ident, (Identifier(scheme, ident), *listed), name, fields)


def _febrl(*files: str) -> dict[str, tuple[Entity, str]]:
    columns = {
        "first_name": "given_name", "last_name": "surname", "city": "suburb", "zip": "postcode", "state": "state",
        "birthday": "date_of_birth", "address": "address",
    }  # fmt: skip
    found = {}
    for n, name in enumerate(files):
        for row in read(folder() / "febrl" / name):
            row["address"] = " ".join((row["street_number"], row["address_1"], row["address_2"])).strip()
            # One list's own duplicates are found; of two lists, each is without.
            scheme = "set:people" if len(files) == 1 else f"set{n}:people"
            found[row["rec_id"]] = (_record(row["rec_id"], scheme, row, columns), row["rec_id"].split("-")[1])
    return found


def _fake() -> dict[str, tuple[Entity, str]]:
    columns = {"first_name": "first_name", "last_name": "surname", "birthday": "dob", "city": "city"}
    return {
        row["unique_id"]: (
            _record(row["unique_id"], "set:people", row, columns, ("email", row["email"])), row["cluster"]
        )
        for row in read(folder() / "people" / "fake_1000.csv")
    }  # fmt: skip


def _historical() -> dict[str, tuple[Entity, str]]:
    columns = {
        "name": "full_name", "birthday": "dob", "city": "birth_place", "zip": "postcode_fake", "job_title": "occupation",
    }  # fmt: skip
    return {
        row["unique_id"]: (_record(row["unique_id"], "set:people", row, columns), row["cluster"])
        for row in read(folder() / "people" / "historical_50k.csv.gz")
    }


def _restaurants() -> dict[str, tuple[Entity, str]]:
    columns = {"city": "city", "address": "addr", "job_title": "type"}
    same = {f"z{r['zagats_id']}": f"f{r['fodors_id']}" for r in read(folder() / "orgs" / "fodors_zagats_matches.csv")}
    found: dict[str, tuple[Entity, str]] = {}
    for table, tag in (("fodors", "f"), ("zagats", "z")):
        for row in read(folder() / "orgs" / f"{table}.csv"):
            ident = tag + row["id"]
            fields = {ours: row[theirs] for ours, theirs in columns.items() if row[theirs]}
            listed = [Identifier("phone", row["phone"])] if row["phone"] else []
            firm = Organization(ident, (Identifier(f"{table}:companies", ident), *listed), row["name"], fields)
            found[ident] = (firm, same.get(ident, ident))
    return found


SETS: dict[str, Callable[[], dict[str, tuple[Entity, str]]]] = {
    "fake_1000": _fake, "Fodors-Zagats": _restaurants, "febrl3": lambda: _febrl("dataset3.csv"),
    "febrl4": lambda: _febrl("dataset4a.csv", "dataset4b.csv"), "historical_50k": _historical,
}  # fmt: skip


def orders(name: str, n: int, times: int) -> dict[str, Any]:
    """Agreement before the nightly audit, and after it; "generated": n made-up records."""
    made = {r["rid"]: r for r in rows(n)} if name == "generated" else {}
    told = SETS[name]() if not made else {}
    truth = {i: r["truth_person"] or i for i, r in made.items()} | {i: entity for i, (_, entity) in told.items()}
    before, after, f1 = list[dict[str, int]](), list[dict[str, int]](), list[float]()
    for turn in range(times):
        order = sorted(truth)
        Random(turn).shuffle(order)
        with base() as b:
            if made:
                b.fill([made[i] for i in order])
            else:
                b.fill_records([told[i][0] for i in order])
            before.append(b.groups())
            with b.store.read() as c:
                found = identity.audit(c, RULES)
            with b.store.write() as c:
                identity.apply_audit(c, found, RULES, NOW, "audit")
            after.append(b.groups())
        f1.append(score.clusters(_clusters(after[-1]), truth).f1)
    partitions = {frozenset(map(frozenset, _clusters(a))) for a in after}
    return {
        "set": name, "records": len(truth), "orders": times, "settings": Settings().hash,
        "ari_before": min(score.rand(before[0], x) for x in before),
        "ari_after": min(score.rand(after[0], x) for x in after),
        "is_identical": len(partitions) == 1, "f1": min(f1), "f1_before": min(
            score.clusters(_clusters(x), truth).f1 for x in before
        ),
    }  # fmt: skip


def _clusters(groups: dict[str, int]) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for rid, party in groups.items():
        found.setdefault(party, []).append(rid)
    return [sorted(g) for g in found.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("generated", *SETS))
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(orders(options.name, options.records, options.times)))


if __name__ == "__main__":
    main()
