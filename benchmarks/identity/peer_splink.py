"""`python -m benchmarks.identity.peer_splink TABLE.csv SET`, in Splink's own environment: its figures on one set.

Comparisons and blocking follow Splink's own demos where one exists (febrl3, febrl4, fake_1000, historical_50k); for other
sets they were written once, by hand, and not tuned. Clusters are connected components at the weight that suits the truth
best: a figure that real use does not reach.
"""

import csv
import json
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

from benchmarks.identity import score

PROBABILITY = 0.95  # at which Splink's demos cluster
STEPS = [x / 2 for x in range(-16, 49)]  # weights tried, in bits


def _often(comparison: Any) -> Any:
    return comparison.configure(term_frequency_adjustments=True)


@dataclass
class Plan:
    """blocks: of candidates. sure: rules that say which share of pairs match, and what they find. train: one block a turn."""

    comparisons: list[Any]
    blocks: list[Any]
    sure: list[Any]
    recall: float
    train: list[Any]
    link: bool = False
    extra: str = ""
    also: list[str] = field(default_factory=list)


def _dob(column: str) -> Any:
    return cl.DateOfBirthComparison(column, input_is_string=True, datetime_format="%Y%m%d", invalid_dates_as_null=True)


def _febrl(link: bool) -> Plan:
    names = [cl.NameComparison("first_name"), cl.NameComparison("last_name")]
    number = cl.DamerauLevenshteinAtThresholds("number", [1, 2] if link else [2])
    post = cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]) if link else cl.ExactMatch("postcode")
    street = _often(cl.ExactMatch("street_number"))
    blocks = [block_on(c) for c in ("number", "born", "postcode")]
    blocks += [block_on("first_name", "last_name"), "l.first_name = r.last_name and l.last_name = r.first_name"] if link else [
        block_on("first_name"), block_on("last_name")]  # fmt: skip
    sure = [block_on("number"), block_on("first_name", "last_name", "born")]
    if link:
        blocks += [block_on("region", "address"), block_on("street_number", "address")]
        names = [_often(n) for n in names]
    else:
        sure.append("l.first_name = r.last_name and l.last_name = r.first_name and l.born = r.born")
    extra = "regexp_extract(address, '^[0-9]+') as street_number"
    comparisons = [*names, _dob("born"), number, street, _often(post)]
    return Plan(comparisons, blocks, sure, 0.8 if link else 0.9, [block_on("born"), block_on("postcode")], link, extra)


def _fake() -> Plan:
    near = "levenshtein(r.born, l.born) <= 1"
    sure = [f"l.first_name = r.first_name and {near}", f"l.last_name = r.last_name and {near}",
            "l.first_name = r.first_name and levenshtein(r.last_name, l.last_name) <= 2", "l.email = r.email"]  # fmt: skip
    comparisons = [cl.ForenameSurnameComparison("first_name", "last_name"), _dob("born"), _often(cl.ExactMatch("city")),
                   cl.EmailComparison("email")]  # fmt: skip
    blocks = [block_on(c) for c in ("first_name", "last_name", "born", "email")]
    train = [block_on("born"), block_on("email"), block_on("first_name", "last_name")]
    return Plan(comparisons, blocks, sure, 0.7, train)


def _historical() -> Plan:
    name, last, post = "first_name", "last_name", "postcode"
    blocks = [
        block_on("substr(first_name,1,3)", "substr(last_name,1,4)"), block_on(last, "born"), block_on(name, "born"),
        block_on(post, name), block_on(post, last), block_on("born", "city"), block_on("substr(postcode,1,3)", "born"),
        block_on("substr(postcode,1,3)", name), block_on("substr(postcode,1,3)", last),
        block_on("substr(first_name,1,2)", "substr(last_name,1,2)", "substr(born,1,4)"),
    ]  # fmt: skip
    comparisons = [
        cl.ForenameSurnameComparison(name, last, forename_surname_concat_col_name="both_names"), _dob("born"),
        cl.PostcodeComparison(post), _often(cl.ExactMatch("city")), _often(cl.ExactMatch("occupation")),
    ]  # fmt: skip
    sure = [
        block_on(name, last, "born"),
        block_on("substr(first_name,1,2)", last, "substr(postcode,1,2)"),
        block_on("born", post),
    ]
    extra = "first_name || ' ' || last_name as both_names"
    return Plan(comparisons, blocks, sure, 0.6, [block_on(name, last), block_on("born")], extra=extra)


def _restaurants() -> Plan:
    comparisons = [
        cl.JaroWinklerAtThresholds("company", [0.95, 0.88, 0.75]), cl.LevenshteinAtThresholds("phone", [1, 2]),
        cl.JaroWinklerAtThresholds("address", [0.95, 0.85]), _often(cl.ExactMatch("city")),
    ]  # fmt: skip
    blocks = [block_on("phone"), block_on("substr(company,1,4)"), block_on("substr(address,1,6)"), block_on("city")]
    sure = [block_on("phone"), block_on("company", "city")]
    return Plan(comparisons, blocks, sure, 0.8, [block_on("phone"), block_on("company"), block_on("city")], link=True)


def _crm() -> Plan:
    comparisons = [
        _often(cl.JaroWinklerAtThresholds("first_name", [0.92, 0.8])), _often(cl.JaroWinklerAtThresholds("last_name", [0.92, 0.8])),
        cl.EmailComparison("email"), cl.LevenshteinAtThresholds("phone", [1]),
        _often(cl.JaroWinklerAtThresholds("employer", [0.92])), _often(cl.ExactMatch("city")), cl.ExactMatch("occupation"),
    ]  # fmt: skip
    blocks = [block_on("email"), block_on("phone"), block_on("first_name", "last_name"), block_on("last_name", "employer"),
              block_on("first_name", "employer"), block_on("last_name", "city")]  # fmt: skip
    sure = [block_on("email"), block_on("phone", "last_name")]
    return Plan(
        comparisons, blocks, sure, 0.6, [block_on("email"), block_on("first_name", "last_name"), block_on("phone")]
    )


PLANS = {"febrl3": lambda: _febrl(False), "febrl4": lambda: _febrl(True), "fake_1000": _fake, "historical_50k": _historical,
         "Fodors-Zagats": _restaurants}  # fmt: skip


def predicted(path: str, plan: Plan) -> list[tuple[float, str, str]]:
    con = duckdb.connect()
    con.execute("create table rows as select * from read_csv(?, all_varchar=true, header=true)", [path])
    extra = f", {plan.extra}" if plan.extra else ""
    con.execute(f"create table prepared as select * {extra} from rows")
    api = DuckDBAPI(connection=con)
    tables = [api.register("prepared")]
    if plan.link:
        names = [r[0] for r in con.execute('select distinct "table" from rows order by 1').fetchall()]
        for n, name in enumerate(names):
            con.execute(f'create table side{n} as select * exclude ("table") from prepared where "table" = \'{name}\'')
        tables = [api.register(f"side{n}") for n in range(len(names))]
    settings = SettingsCreator(
        link_type="link_only" if plan.link else "dedupe_only", unique_id_column_name="id",
        blocking_rules_to_generate_predictions=plan.blocks, comparisons=plan.comparisons,
    )  # fmt: skip
    linker = Linker(tables, settings, log_level=None)
    linker.training.estimate_probability_two_random_records_match(plan.sure, recall=plan.recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=5)
    for block in plan.train:
        linker.training.estimate_parameters_using_expectation_maximisation(
            block, estimate_without_term_frequencies=True
        )
    found = linker.inference.predict(threshold_match_weight=STEPS[0])
    return list(found.as_duckdbpyrelation().project("match_weight, id_l, id_r").fetchall())


def components(ids: Iterable[str], pairs: Iterable[tuple[float, str, str]], at: float) -> list[list[str]]:
    parent = {i: i for i in ids}

    def top(x: str) -> str:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for weight, a, b in pairs:
        if weight >= at:
            parent[top(a)] = top(b)
    groups: dict[str, list[str]] = {}
    for i in parent:
        groups.setdefault(top(i), []).append(i)
    return list(groups.values())


def main() -> None:
    path, name = sys.argv[1:3]
    with open(path, encoding="utf-8", newline="") as file:
        truth = {r["id"]: r["truth"] for r in csv.DictReader(file)}
    began, cpu = time.monotonic(), time.process_time()
    pairs = predicted(path, PLANS.get(name, _crm)())
    wall, spent = time.monotonic() - began, time.process_time() - cpu
    true, judged = score.true_pairs(truth), [(w, truth[a] == truth[b]) for w, a, b in pairs]
    tried = [(score.clusters(components(truth, pairs, at), truth), at) for at in STEPS]
    best, at = max(tried, key=lambda t: t[0].f1)
    usual = score.clusters(components(truth, pairs, 4.2479), truth)  # log2 odds of PROBABILITY
    print(json.dumps({
        "records": len(truth), "f1": best.f1, "p": best.precision, "r": best.recall, "largest": best.largest, "at": at,
        "usual_f1": usual.f1, "usual_p": usual.precision, "usual_r": usual.recall, "usual_largest": usual.largest,
        "best_pairs_f1": score.best_f1(judged, true)[0], "recall_at_999": score.recall_at(judged, true, 0.999),
        "wall_s": wall, "cpu_s": spent, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
