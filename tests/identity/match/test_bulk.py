"""Many records as columns, on several processes: the same as one by one in one process."""

import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from random import Random

import pytest

from hub.identity.match import keys
from hub.identity.match.batch import candidates
from hub.identity.match.bulk import bulk, clustered
from hub.identity.match.crew import Crew
from hub.identity.match.learn import learn
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.profile import Profile, score
from hub.identity.match.record import Record, prepare
from hub.identity.match.table import Blocks, Table
from hub.identity.match.weigher import Weigher
from tests.identity.match.people import people

QUICK = Settings(sample=800, draws=400, rounds=2)
ODD = [
    prepare("o1", {"email": ["anna.berg@mail1.example", "aberg@other.example"], "phone": "+442070000137"}),
    prepare("o2", {"email": ["aberg@other.example"], "city": ["Lund", "Graz"]}, holder="crm"),
    prepare("o3", {"email": "anna.berg@mail2.example", "full_name": "Anna Maria Berg"}, holder="crm"),
    prepare("o4", {"email": "anna.brg@mail2.example", "full_name": "Berg Anna", "company": "Mail1"}),
    prepare("o5", {"full_name": "Anna", "city": "Lund", "phone": "02070000137"}),
    prepare("o6", {}),
]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return sorted([*people(30), *ODD], key=lambda r: r.id)


@pytest.fixture(scope="module")
def model(records: list[Record]) -> Model:
    profiles = [Profile.of(r) for r in records]
    n = len(records)
    return learn(QUICK, records, profiles, [i * n + j for i in range(n) for j in range(i + 1, n)])


@pytest.mark.parametrize("floor", [-8.0, 0.0, 6.0])
def test_what_is_likely_is_what_weighs_enough_one_by_one(records: list[Record], model: Model, floor: float) -> None:
    """Of all pairs, those with several values, no name, a middle name or a holder among them; bit by bit the same weight."""
    profiles, weigher = [Profile.of(r) for r in records], Weigher(_table(records), model, floor)
    likely = 0
    for i, one in enumerate(profiles):
        others = range(i + 1, len(profiles))
        wanted = []
        for j in others:
            weight = score(model, one, profiles[j], floor)
            if weight >= floor and not one.holders & profiles[j].holders:
                wanted.append((weight, j))
        assert weigher.likely(i, others) == wanted
        likely += len(wanted)
    assert 60 < likely < math.comb(len(records), 2)


def test_names_far_apart_and_swapped_weigh_what_they_weigh_one_by_one(model: Model) -> None:
    """Words told apart by their letters alone, and those that must not be: nicknames, sounds, first names behind last names."""
    called = (
        "Margaret Schmid", "Peggy Schmid", "Schmied Margaret", "Shmit Margret", "William Phipps", "Bill Fips", "Fipps William",
        "M. Schmid", "Peggy", "Schmid", "Margaret Ann Schmid", "Wong Jo", "Jo Schmidbauer", "Phipps",
    )  # fmt: skip
    records = [prepare(f"n{at:02}", {"full_name": name}) for at, name in enumerate(called)]
    records += [prepare(f"z{at}", {"last_name": name}) for at, name in enumerate(("Schmid", "Margaret", "Fipps"))]
    weigher, floor = Weigher(_table(records), model, -99.0), -99.0
    profiles = [Profile.of(r) for r in records]
    for i, one in enumerate(profiles):
        others = range(i + 1, len(profiles))
        assert weigher.likely(i, others) == [(score(model, one, profiles[j], floor), j) for j in others]


def test_columns_made_in_parts_say_what_the_records_say(records: list[Record]) -> None:
    shuffled = Random(3).sample(records, len(records))
    whole = Table(shuffled[:7])
    whole.extend(Table(shuffled[7:40]))
    whole.extend(Table(shuffled[40:]))
    whole.sort()
    alone = _table(records)
    assert [whole[i] for i in range(len(whole))] == [Profile.of(r) for r in records]
    assert (whole.ids, whole.keys, whole.ends) == (alone.ids, alone.keys, alone.ends)
    counts = Counts()
    for record in records:
        counts.add(record)
    assert whole.counts() == counts


def test_strangers_are_drawn_from_all_that_is_said(records: list[Record]) -> None:
    for name, pool in _table(records).pools():
        said = sorted(v for r in records for v in r.fields.get(name, ()))
        assert [pool[at] for at in range(len(pool))] == said


def test_who_shares_a_key_is_found_once_and_never_by_a_key_that_too_many_have(records: list[Record]) -> None:
    table, most = _table(records), 4
    blocks = Blocks(table.keys, table.ends, most)
    keyed = [set(keys.of(r)) for r in records]
    held: dict[str, int] = {}
    for found in keyed:
        for key in found:
            held[key] = held.get(key, 0) + 1
    lawful = {key for key, n in held.items() if n <= most}
    for i, mine in enumerate(keyed):
        assert blocks.after(i) == [j for j in range(i + 1, len(keyed)) if mine & keyed[j] & lawful]


@pytest.fixture
def threads() -> Iterator[None]:
    """Beside a thread nothing is forked: processes are started anew, and sent what they work on."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("threads")
def test_two_processes_decide_what_one_does() -> None:
    records = people(60)
    tables = [_table(records), _table(records)]
    (one, model, pairs), (two, same, others) = (bulk(t, QUICK, workers=n) for t, n in zip(tables, (1, 2), strict=True))
    assert (two, same.state(), list(others)) == (one, model.state(), list(pairs))
    assert clustered(tables[1], same, others, 4.0, workers=2) == clustered(tables[0], model, pairs, 4.0, workers=1)


def test_an_error_in_a_process_is_one_here_and_leaves_nothing_running() -> None:
    with pytest.raises(ZeroDivisionError), Crew(1, workers=2) as crew:
        list(crew.map(_divided, [1, 0, 2]))


def test_processes_end_when_the_one_that_started_them_is_killed() -> None:
    """They hold its output open: it ends when the last of them has."""
    code = (
        "import os, signal; from hub.identity.match.crew import Crew; from operator import add\n"
        "if __name__ == '__main__':\n"
        "    print(next(Crew(1, 2).map(add, iter(range(9)))), flush=True); os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "1\n", done.stderr
    assert done.returncode != 0


def test_a_sample_is_of_the_same_pairs_as_one_by_one(records: list[Record]) -> None:
    settings = Settings(sample=40, draws=50, rounds=1)
    pairs = candidates([keys.of(r) for r in records], settings.block)
    assert len(pairs) > 4 * settings.sample
    one = learn(settings, records, [Profile.of(r) for r in records], pairs)
    for workers in (1, 2):
        assert bulk(_table(records), settings, workers=workers)[1].state() == one.state()


def _divided(state: int, task: int) -> float:
    return state / task


def _table(records: list[Record]) -> Table:
    table = Table(records)
    table.sort()
    return table
