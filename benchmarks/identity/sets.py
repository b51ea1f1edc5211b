"""The labelled sets: which column is which of our fields. A mapping is data; nothing here changes how records compare."""

import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hub.identity.match.record import Record, prepare

Row = dict[str, str]


@dataclass(frozen=True)
class Labelled:
    """truth: record id -> entity. hazards: record id -> what in it misleads, where the set says so."""

    name: str
    records: list[Record]
    truth: dict[str, str]
    hazards: dict[str, frozenset[str]] = field(default_factory=dict)


def folder() -> Path:
    """Where the sets are: the environment variable HUB_IDENTITY_DATA."""
    return Path(_setting("HUB_IDENTITY_DATA"))


def _setting(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise RuntimeError(f"{name} is not set: see benchmarks/identity/sets.py")
    return value


def _rows(path: Path) -> Iterator[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, skipinitialspace=True)


def _person(row: Row, ident: str, columns: dict[str, str], holder: str = "") -> Record:
    return prepare(ident, {ours: row[theirs] for ours, theirs in columns.items()}, holder=holder, region="US")


_FEBRL = {
    "first_name": "given_name", "last_name": "surname", "city": "suburb", "postcode": "postcode", "region": "state",
    "born": "date_of_birth", "number": "soc_sec_id",
}  # fmt: skip


def febrl(*files: str) -> Labelled:
    records, truth = [], {}
    for name in files:
        for row in _rows(folder() / "febrl" / name):
            given: dict[str, str | list[str]] = {ours: row[theirs] for ours, theirs in _FEBRL.items()}
            given["address"] = " ".join((row["street_number"], row["address_1"], row["address_2"]))
            records.append(prepare(row["rec_id"], given, holder=name if len(files) > 1 else ""))
            truth[row["rec_id"]] = row["rec_id"].split("-")[1]
    return Labelled("febrl4" if len(files) > 1 else "febrl" + files[0][7], records, truth)


def fake_1000() -> Labelled:
    columns = {"first_name": "first_name", "last_name": "surname", "born": "dob", "city": "city", "email": "email"}
    rows = list(_rows(folder() / "people" / "fake_1000.csv"))
    return Labelled(
        "fake_1000", [_person(r, r["unique_id"], columns) for r in rows], {r["unique_id"]: r["cluster"] for r in rows}
    )


def historical() -> Labelled:
    columns = {
        "full_name": "full_name", "born": "dob", "city": "birth_place", "postcode": "postcode_fake", "gender": "gender",
        "occupation": "occupation",
    }  # fmt: skip
    rows = list(_rows(folder() / "people" / "historical_50k.csv.gz"))
    return Labelled(
        "historical_50k",
        [_person(r, r["unique_id"], columns) for r in rows],
        {r["unique_id"]: r["cluster"] for r in rows},
    )


def restaurants() -> Labelled:
    columns = {"company": "name", "address": "addr", "city": "city", "phone": "phone", "occupation": "type"}
    records, truth = [], {}
    for table, tag in (("fodors", "f"), ("zagats", "z")):
        for row in _rows(folder() / "orgs" / f"{table}.csv"):
            given = {ours: row[theirs] for ours, theirs in columns.items()}
            ident = tag + row["id"]
            records.append(prepare(ident, given, kind="organization", holder=table, region="US"))
            truth[ident] = ident
    for row in _rows(folder() / "orgs" / "fodors_zagats_matches.csv"):
        truth["z" + row["zagats_id"]] = "f" + row["fodors_id"]
    return Labelled("Fodors-Zagats", records, truth)


def generated(n: int, organizations: bool = False) -> Labelled:
    """`n` records of the generator (HUB_IDENTITY_GENERATOR: its path), scored on the people in it; or the companies named."""
    columns = {
        "first_name": "first_name", "last_name": "last_name", "full_name": "display_name", "email": "email", "phone": "phone",
        "company": "company", "city": "city", "occupation": "title",
    }  # fmt: skip
    command = [sys.executable, _setting("HUB_IDENTITY_GENERATOR"), "--records", str(n)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    if organizations:
        named = [r for r in rows if r["company"]]
        return Labelled(
            f"companies {n // 1000}k",
            [prepare(r["rid"], {"company": r["company"], "city": r["city"]}, kind="organization") for r in named],
            {r["rid"]: r["truth_org"] for r in named},
        )
    return Labelled(
        f"generated {n // 1000}k",
        [_person(r, r["rid"], columns) for r in rows],
        {r["rid"]: r["truth_person"] or r["rid"] for r in rows},
        {r["rid"]: frozenset(r["trap"].split("+")) for r in rows if r["trap"]},
    )


SETS: dict[str, Callable[[], Labelled]] = {
    "febrl1": lambda: febrl("dataset1.csv"),
    "febrl2": lambda: febrl("dataset2.csv"),
    "febrl3": lambda: febrl("dataset3.csv"),
    "febrl4": lambda: febrl("dataset4a.csv", "dataset4b.csv"),
    "fake_1000": fake_1000,
    "Fodors-Zagats": restaurants,
    "historical_50k": historical,
    "generated_10k": lambda: generated(10_000),
    "generated_100k": lambda: generated(100_000),
    "generated_1m": lambda: generated(1_000_000),
}
