"""The labelled sets: which column is which of our fields. A mapping is data; nothing here changes how records compare."""

import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from hub.identity.match.crew import Crew, cores
from hub.identity.match.record import Record, prepare
from hub.identity.match.table import Table

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


def read(path: Path) -> Iterator[Row]:
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
        for row in read(folder() / "febrl" / name):
            given: dict[str, str | list[str]] = {ours: row[theirs] for ours, theirs in _FEBRL.items()}
            given["address"] = " ".join((row["street_number"], row["address_1"], row["address_2"]))
            records.append(prepare(row["rec_id"], given, holder=name if len(files) > 1 else ""))
            truth[row["rec_id"]] = row["rec_id"].split("-")[1]
    return Labelled("febrl4" if len(files) > 1 else "febrl" + files[0][7], records, truth)


def fake_1000() -> Labelled:
    columns = {"first_name": "first_name", "last_name": "surname", "born": "dob", "city": "city", "email": "email"}
    rows = list(read(folder() / "people" / "fake_1000.csv"))
    return Labelled(
        "fake_1000", [_person(r, r["unique_id"], columns) for r in rows], {r["unique_id"]: r["cluster"] for r in rows}
    )


def historical() -> Labelled:
    columns = {
        "full_name": "full_name", "born": "dob", "city": "birth_place", "postcode": "postcode_fake", "gender": "gender",
        "occupation": "occupation",
    }  # fmt: skip
    rows = list(read(folder() / "people" / "historical_50k.csv.gz"))
    return Labelled(
        "historical_50k",
        [_person(r, r["unique_id"], columns) for r in rows],
        {r["unique_id"]: r["cluster"] for r in rows},
    )


def restaurants() -> Labelled:
    columns = {"company": "name", "address": "addr", "city": "city", "phone": "phone", "occupation": "type"}
    records, truth = [], {}
    for table, tag in (("fodors", "f"), ("zagats", "z")):
        for row in read(folder() / "orgs" / f"{table}.csv"):
            given = {ours: row[theirs] for ours, theirs in columns.items()}
            ident = tag + row["id"]
            records.append(prepare(ident, given, kind="organization", holder=table, region="US"))
            truth[ident] = ident
    for row in read(folder() / "orgs" / "fodors_zagats_matches.csv"):
        truth["z" + row["zagats_id"]] = "f" + row["fodors_id"]
    return Labelled("Fodors-Zagats", records, truth)


_GENERATED = {
    "first_name": "first_name", "last_name": "last_name", "full_name": "display_name", "email": "email", "phone": "phone",
    "company": "company", "city": "city", "occupation": "title",
}  # fmt: skip


@contextmanager
def written(n: int) -> Iterator[Path]:
    """A file with `n` records of the generator, for as long as it is looked at."""
    with TemporaryDirectory() as where:
        path = Path(where) / "people.csv"
        subprocess.run(
            [sys.executable, _setting("HUB_IDENTITY_GENERATOR"), "--records", str(n), "--out", path], check=True
        )
        yield path


def tabled(path: Path) -> Table:
    """The records of such a file, normalised on all cores, never all of them as they were given."""
    table = Table()
    with Crew(None, cores()) as crew:
        for part in crew.map(_prepared, _batches(path)):
            table.extend(part)
    table.sort()
    return table


def _batches(path: Path) -> Iterator[list[Row]]:
    rows = read(path)
    while batch := list(islice(rows, 5_000)):
        yield batch


def _prepared(_: None, rows: list[Row]) -> Table:
    return Table(_person(row, row["rid"], _GENERATED) for row in rows)


def labels(path: Path) -> Labelled:
    """What is true of such a file, without the records."""
    truth, hazards = {}, {}
    for row in read(path):
        truth[row["rid"]] = row["truth_person"] or row["rid"]
        if row["trap"]:
            hazards[row["rid"]] = frozenset(row["trap"].split("+"))
    return Labelled(f"generated {len(truth) // 1000}k", [], truth, hazards)


def generated(n: int, organizations: bool = False) -> Labelled:
    """`n` records of the generator (HUB_IDENTITY_GENERATOR: its path), scored on the people in it; or the companies named."""
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
        [_person(r, r["rid"], _GENERATED) for r in rows],
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
SIZES = {"generated_10k": 10_000, "generated_100k": 100_000, "generated_1m": 1_000_000}  # those that `written` writes
